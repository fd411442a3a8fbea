"""A translation model's recipe: the loss by hand, pieces as the whole batch, steps, and refusals."""

import math

import numpy as np
import pytest
import torch

from bayesight.data.pairs import PairBatches
from bayesight.errors import InvalidConfig, SourceNotFound
from bayesight.models import build_translation_model
from bayesight.training.engine import Budget, Task, Update, fit
from bayesight.training.hardware import choose_hardware
from bayesight.training.recipe import Recipe
from bayesight.training.translation import pair_loss, translation, translation_loss

HARDWARE = choose_hardware(precision="32", threads=1)


def pairs(count, seed=0):
    generator = np.random.default_rng(seed)
    return [
        tuple(generator.integers(3, 9, length) for length in generator.integers(1, 9, 2))
        for _ in range(count)
    ]


@pytest.mark.parametrize("name", ["gru", "transformer"])
@pytest.mark.parametrize("batch", [1, 5, 100])
def test_the_loss_of_pairs_is_that_of_their_symbols_one_by_one(name, batch):
    model, data = build_translation_model(name, 9, 12, width=8).eval(), pairs(17)
    terms = []
    for source, target in data:
        given, wanted = torch.tensor([[1, *target]]), [*target, 2]
        alone = torch.tensor([[*source, 2]])
        logs = model(alone, given, torch.ones_like(alone, dtype=torch.bool))[0].log_softmax(-1)
        terms += [-logs[place, symbol].item() for place, symbol in enumerate(wanted)]
    assert pair_loss(model, data, batch) == pytest.approx(sum(terms) / len(terms), abs=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_batch_in_pieces_has_the_gradient_of_the_whole(smoothing):
    """Sentences of unlike length, so that an average of averages would be another."""
    weights = []
    for pieces in (1, 3):
        model = build_translation_model("gru", 9, 12, width=8, dropout=0.0)
        batches = PairBatches(*zip(*pairs(24), strict=True), 12, seed=0)
        loss = translation_loss(label_smoothing=smoothing)
        update = Update("train", torch.optim.SGD(model.parameters(), lr=0.5))
        budget = Budget(3, evaluate_every=3, accumulate=pieces, monitor=None)
        fit(Task(batches, model, {"train": loss}, [update]), budget, fabric=HARDWARE.fabric)
        weights.append(torch.nn.utils.parameters_to_vector(model.parameters()))
    torch.testing.assert_close(*weights, atol=1e-6, rtol=1e-5)


def recipe(name="gru", **changes):
    few = {"model.width": 16, "data.context": 12, "data.batch": 4, "optimization.precision": "32"}
    return Recipe.default(name).changed(few | changes)


def test_steps_are_passes_over_the_pairs():
    plan = translation(recipe(**{"optimization.epochs": 2.5}), pairs(42), pairs(5, 1), 9, HARDWARE)
    assert plan.budget.evaluate_every == 10  # 42 / 4, to the nearest
    assert plan.budget.steps == math.ceil(2.5 * 10)
    assert set(plan.evaluate(plan.network)) == {"log_loss"}


def test_the_packaged_recipe_is_known_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Recipe.load("translate.toml") == Recipe.default("transformer")
    (tmp_path / "translate.toml").write_text('[model]\nname = "gru"\n[loss]\nname = "next_symbol"\n')
    assert Recipe.load("translate.toml").model.name == "gru"  # a file of one's own comes first
    with pytest.raises(SourceNotFound):
        Recipe.load("elsewhere/translate.toml")


def test_a_recipe_is_held_to_what_a_translation_knows():
    assert recipe("transformer").kind == "translation"
    assert recipe(**{"loss.label_smoothing": 0.2}).loss.options == {"label_smoothing": 0.2}
    with pytest.raises(InvalidConfig, match="learns by the loss 'next_symbol', not 'cross_entropy'"):
        recipe(**{"loss.name": "cross_entropy"})
    with pytest.raises(InvalidConfig, match=r"loss.label_smoothing is 2"):
        recipe(**{"loss.label_smoothing": 2})
    with pytest.raises(InvalidConfig, match="no option 'atention'; did you mean 'attention'"):
        recipe(**{"model.atention": False})
