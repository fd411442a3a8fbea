"""From a text to a run that writes: its folder, its figures, its refusals, and going on after a kill."""

import gzip
import json

import pytest
import safetensors.torch
import torch

from bayesight.errors import InvalidInput, RunUnreadable, SourceUnreadable
from bayesight.run import Run
from bayesight.training.language import stretch_loss
from bayesight.training.recipe import Recipe
from bayesight.workflows.evaluate import evaluate
from bayesight.workflows.summary import summarise
from bayesight.workflows.texts import generate
from bayesight.workflows.train import TrainRequest, train

TEXT = "".join(f"{n} plus {n} is {2 * n}.\n" for n in range(300))
SMALL = {
    "gpt": {"model.layers": 1, "model.width": 16, "model.heads": 2},
    "lstm": {"model.layers": 1, "model.width": 16},
}
FEW = {"data.context": 16, "data.batch": 8, "optimization.epochs": 2}


def recipe(name="gpt", **changes):
    return Recipe.default(name).changed(SMALL[name] | FEW | changes)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "sums.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "vocabulary"), [("gpt", "characters"), ("gpt", 300), ("lstm", "characters")]
)
def test_a_run_holds_a_language_model_and_what_was_measured(source, tmp_path, name, vocabulary):
    how = recipe(name, **{"data.vocabulary": vocabulary})
    found = train(TrainRequest(source, tmp_path / "run", how, threads=1))
    run = Run.open(tmp_path / "run")
    assert {path.name for path in run.folder.iterdir()} == {
        "recipe.toml", "vocabulary.json", "model.safetensors", "metrics.json", "history.csv", "samples.txt",
        "report.html",
    }  # fmt: skip
    assert run.kind == found.metrics["kind"] == "language"
    cut = round(0.9 * len(TEXT))
    assert found.metrics["examples"] == {"train": cut, "validation": len(TEXT) - cut}
    codes = torch.from_numpy(run.vocabulary().encode(TEXT[cut:]))
    loss = stretch_loss(run.language_model(), codes, 16)
    validation = found.metrics["validation"]
    assert validation["log_loss"] == pytest.approx(loss, abs=1e-5)
    bits = loss * len(codes) / (len(TEXT) - cut) / 0.6931471805599453
    assert validation["bits_per_character"] == pytest.approx(bits, abs=1e-5)
    samples = (run.folder / "samples.txt").read_text(encoding="utf-8")
    assert samples.count(run.vocabulary().decode(codes[:16].tolist())) == 3
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "Texts that it wrote" in page
    assert "↵" in page  # a line end is shown, not taken for what cannot be printed
    assert summarise(str(run.folder)).parameters == sum(p.numel() for p in run.language_model().parameters())


def test_it_learns_what_follows(source, tmp_path):
    train(TrainRequest(source, tmp_path / "run", recipe(**{"optimization.epochs": 12}), threads=1))
    rows = Run.open(tmp_path / "run").history()
    assert rows[-1]["log_loss"] < 0.6 * rows[0]["log_loss"]
    written = "".join(generate(tmp_path / "run", "7 plus ", 60, temperature=0))
    assert " plus " in written
    assert " is " in written


def test_further_texts_are_learned_from_and_never_held_out(source, tmp_path):
    more = tmp_path / "more.txt.gz"
    more.write_bytes(gzip.compress(b"xyz\n" * 100))
    found = train(TrainRequest(source, tmp_path / "run", recipe(), also=(more,), threads=1)).metrics
    assert found["examples"]["train"] == round(0.9 * len(TEXT)) + 400
    assert [source["characters"] for source in found["sources"]] == [len(TEXT), 400]
    assert set("xyz") <= set(Run.open(tmp_path / "run").vocabulary().alphabet)


def test_resume_after_kill_9(source, tmp_path, killed_training):
    """A process killed without warning, wherever it is, and the same weights in the end."""
    how = tmp_path / "recipe.toml"
    how.write_text(recipe(**{"data.vocabulary": 280}).to_toml())

    def run(out, stop):
        return killed_training(source, how, tmp_path / out, stop, 0.0)

    assert [run("cut", stop) for stop in (5, 17)] == [-9, -9]
    with pytest.raises(RunUnreadable, match="not finished"):
        Run.open(tmp_path / "cut")
    assert run("cut", -1) == 0
    assert run("straight", -1) == 0
    one, other = (
        safetensors.torch.load_file(tmp_path / name / "model.safetensors") for name in ("cut", "straight")
    )
    assert all(torch.equal(one[name], other[name]) for name in one)
    written = [(tmp_path / name / "samples.txt").read_bytes() for name in ("cut", "straight")]
    assert written[0] == written[1]


def test_what_cannot_be_is_refused(source, shapes, tmp_path):
    def refused(error, match, path=source, **options):
        with pytest.raises(error, match=match):
            train(TrainRequest(path, tmp_path / "run", recipe(), threads=1, **options))
        assert not (tmp_path / "run").exists()

    refused(InvalidInput, "--init-from: .*; expected none for a language model", init_from=tmp_path / "x")
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"one\n\xff\n")
    refused(SourceUnreadable, "line 2: byte 0xff is not text in UTF-8", path=bad)
    bad.write_text("short")
    refused(InvalidInput, "expected more than the context of 16", path=bad)
    folder = train(TrainRequest(source, tmp_path / "run", recipe(), threads=1)).run.folder
    with pytest.raises(
        InvalidInput, match="goes on with texts and knows no classes; expected a classifier's"
    ):
        evaluate(folder, shapes)


def test_a_damaged_vocabulary_is_refused(source, tmp_path):
    folder = train(TrainRequest(source, tmp_path / "run", recipe(), threads=1)).run.folder
    tree = json.loads((folder / "vocabulary.json").read_text())
    for change, match in (
        ({"alphabet": "ba"}, "each once, sorted"),
        ({"kind": "words"}, "vocabulary"),
        ({"alphabet": "ab"}, "does not fit|shape"),
    ):
        (folder / "vocabulary.json").write_text(json.dumps(tree | change))
        with pytest.raises(RunUnreadable, match=match):
            Run.open(folder).language_model()
