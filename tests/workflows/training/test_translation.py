"""From pairs of sentences to a run that translates: its folder, figures, refusals, going on after a kill."""

import json

import pytest
import safetensors.torch
import torch

from bayesight.errors import InvalidInput, RunUnreadable, SourceUnreadable
from bayesight.evaluation.bleu import bleu
from bayesight.run import Run
from bayesight.training.recipe import Recipe
from bayesight.workflows.evaluate import evaluate
from bayesight.workflows.summary import summarise
from bayesight.workflows.texts import translate
from bayesight.workflows.train import TrainRequest, train

NUMBERS = ("null", "eins", "zwei", "drei", "vier"), ("zero", "one", "two", "three", "four")
SMALL = {
    "gru": {"model.width": 32, "model.dropout": 0.0},
    "transformer": {"model.layers": 1, "model.width": 16, "model.heads": 2},
}
FEW = {"data.vocabulary": 300, "data.batch": 12, "optimization.epochs": 2, "optimization.precision": "32"}


def recipe(name="gru", **changes):
    return Recipe.default(name).changed(SMALL[name] | FEW | {"data.validation": 0.1} | changes)


@pytest.fixture
def source(tmp_path):
    """Three numbers in German, and in English the other way round."""
    for ending, words, step in (("de", NUMBERS[0], 1), ("en", NUMBERS[1], -1)):
        triples = [(a, b, c) for a in range(5) for b in range(5) for c in range(5)]
        lines = [" ".join([*(words[i] for i in triple[::step]), "."]) for triple in triples]
        (tmp_path / f"numbers.{ending}").write_text("\n".join(lines) + "\n\n", encoding="utf-8")
    return tmp_path / "numbers.de"


@pytest.mark.parametrize("name", ["gru", "transformer"])
def test_a_run_holds_a_translation_model_and_what_was_measured(source, tmp_path, name):
    found = train(TrainRequest(source, tmp_path / "run", recipe(name), threads=1))
    run = Run.open(tmp_path / "run")
    assert {path.name for path in run.folder.iterdir()} == {
        "recipe.toml", "vocabulary.json", "model.safetensors", "metrics.json", "history.csv", "samples.txt",
        "report.html",
    }  # fmt: skip
    assert run.kind == found.metrics["kind"] == "translation"
    count = found.metrics["examples"]["validation"]
    assert found.metrics["examples"]["train"] + count == 125
    assert 10 <= count <= 15
    assert found.metrics["notes"][0].startswith("learns from ")
    assert "from de to en" in found.metrics["notes"][0]
    assert found.metrics["notes"][1] == "left out 1 pairs of empty lines"
    assert "tok:13a" in found.metrics["validation"]["scorer"]
    samples = (run.folder / "samples.txt").read_text(encoding="utf-8").split("\n")
    shown = translate(run.folder, samples[0:-1:4], beam=4)
    assert shown == samples[1:-1:4]
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "Sentences held out, in its words" in page
    assert "BLEU of 100" in page
    assert summarise(str(run.folder)).parameters == sum(
        p.numel() for p in run.translation_model().parameters()
    )
    with pytest.raises(InvalidInput, match="expected one of a language model"):
        run.language_model()


def test_it_learns_to_translate_what_it_has_not_seen(source, tmp_path):
    how = recipe(**{"optimization.epochs": 60, "optimization.lr": 0.03})
    found = train(TrainRequest(source, tmp_path / "run", how, threads=1)).metrics["validation"]
    assert found["bleu"] > 60
    assert translate(tmp_path / "run", ["vier drei zwei .", ""], beam=2)[1] == ""
    run = Run.open(tmp_path / "run")
    lines = (run.folder / "samples.txt").read_text(encoding="utf-8").split("\n")
    references = [line[1:-1] for line in lines[2::4]]
    assert bleu(lines[1:-1:4], references).score > 60


def test_further_pairs_are_learned_from_and_never_held_out(source, tmp_path):
    more = tmp_path / "more.tsv"
    more.write_text("".join(f"elf {n}\televen {n}\n" for n in range(7)), encoding="utf-8")
    found = train(TrainRequest(source, tmp_path / "run", recipe(), also=(more,), threads=1)).metrics
    assert [one["pairs"] for one in found["sources"]] == [125, 7]
    assert sum(found["examples"].values()) == 132


def test_resume_after_kill_9(source, tmp_path, killed_training):
    """A process killed without warning, wherever it is, and the same weights in the end."""
    how = tmp_path / "recipe.toml"
    how.write_text(recipe(**{"model.dropout": 0.2}).to_toml())

    def run(out, stop):
        return killed_training(source, how, tmp_path / out, stop, 0.0)

    assert [run("cut", stop) for stop in (5, 13)] == [-9, -9]
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
    def refused(error, match, path=source, how=None, **options):
        with pytest.raises(error, match=match):
            train(TrainRequest(path, tmp_path / "run", how or recipe(), threads=1, **options))
        assert not (tmp_path / "run").exists()

    refused(InvalidInput, "expected none for a translation model", init_from=tmp_path / "x")
    refused(InvalidInput, "expected how many subwords", how=recipe(**{"data.vocabulary": "characters"}))
    refused(InvalidInput, "no pair for training within the context", how=recipe(**{"data.context": 1}))
    (tmp_path / "few.tsv").write_text("a\tb\n" * 20, encoding="utf-8")
    refused(InvalidInput, "1 different sentences; expected at least 10", path=tmp_path / "few.tsv")
    (tmp_path / "bad.tsv").write_bytes(b"a\tb\n\xff\tc\n")
    refused(SourceUnreadable, "line 2: byte 0xff is not text in UTF-8", path=tmp_path / "bad.tsv")


def test_a_run_refuses_what_it_cannot_translate(source, shapes, tmp_path):
    folder = train(
        TrainRequest(source, tmp_path / "run", recipe(**{"data.context": 40}), threads=1)
    ).run.folder
    with pytest.raises(InvalidInput, match=r"sentence 2: .* symbols; expected 39 at most"):
        translate(folder, ["eins", "eins " * 60])
    with pytest.raises(InvalidInput, match="sentences: none"):
        translate(folder, [])
    with pytest.raises(
        InvalidInput, match="translates sentences and knows no classes; expected a classifier's"
    ):
        evaluate(folder, shapes)
    tree = json.loads((folder / "vocabulary.json").read_text())
    tree["tokenizer"]["added_tokens"] = []
    for mark in ("<pad>", "<start>", "<end>"):
        number = tree["tokenizer"]["model"]["vocab"].pop(mark)
        tree["tokenizer"]["model"]["vocab"][mark.strip("<>") + "!"] = number
    (folder / "vocabulary.json").write_text(json.dumps(tree))
    with pytest.raises(RunUnreadable, match="no marks of a sentence's beginning and end"):
        translate(folder, ["eins"])
