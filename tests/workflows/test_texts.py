"""Writing on from a prompt: in pieces, the same for the same seed, refusals in one sentence."""

import pytest
import torch

from bayesight.errors import InvalidInput, SourceNotFound
from bayesight.models import continuation
from bayesight.run import Run
from bayesight.seeding import torch_generator
from bayesight.training.recipe import Recipe
from bayesight.workflows.texts import generate
from bayesight.workflows.train import TrainRequest, train

SMALL = {"model.layers": 1, "model.width": 16, "model.heads": 2, "data.context": 16, "optimization.epochs": 1}


@pytest.fixture(scope="module", params=["characters", 270])
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("language")
    (folder / "text.txt").write_text("größer als €5, ça va? " * 60, encoding="utf-8")
    recipe = Recipe.default("gpt").changed(SMALL | {"data.vocabulary": request.param})
    return train(TrainRequest(folder / "text.txt", folder / "run", recipe, threads=1)).run.folder


def test_pieces_are_the_text_and_follow_from_the_seed(run):
    pieces = list(generate(run, "größer", 50, temperature=1.0, seed=3))
    text = "".join(pieces)
    assert text == "".join(generate(run, "größer", 50, temperature=1.0, seed=3))
    assert text != "".join(generate(run, "größer", 50, temperature=1.0, seed=4))
    assert len(pieces) > 1
    opened = Run.open(run)
    prompt = torch.from_numpy(opened.vocabulary().encode("größer"))[None]
    drawn = continuation(opened.language_model(), prompt, 50, generator=torch_generator(3, "generate"))
    assert text == opened.vocabulary().decode(int(symbol) for symbol in drawn)


def test_refusals(run, tmp_path):
    with pytest.raises(InvalidInput, match="--prompt: nothing; expected a beginning"):
        list(generate(run, "", 5))
    with pytest.raises(InvalidInput, match="temperature"):
        list(generate(run, "a", 5, temperature=-1))
    with pytest.raises(SourceNotFound):
        list(generate(tmp_path / "none", "a", 5))
