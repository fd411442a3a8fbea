"""``bayesight evaluate``: its JSON, its words, its refusals."""

import json
import re

import numpy as np
import pytest

from bayesight.formatting import THIN
from bayesight.report.words import percent, spread
from bayesight.workflows.evaluate import evaluate

KEYS = {"run", "examples", "accuracy", "log_loss", "ece", "ece_bins", "classes", "prior"}
KEYS |= {"confusion", "per_class", "reliability", "verdict", "accuracy_interval", "log_loss_error"}
KEYS |= {"not_in_this_sample", "seen_in_training", "ece_by_chance"}
ROW = {"support", "sensitivity", "specificity", "false_alarm", "precision", "negative_predictive_value"}
ROW |= {"likelihood_ratio_positive", "likelihood_ratio_negative", "intervals", "undefined"}


def test_json(program, source_keys, shapes_run, more_shapes, make_archive):
    status, out, _ = program("evaluate", shapes_run, more_shapes, "--json")
    document = json.loads(out)
    assert status == 0
    assert set(document) == KEYS | source_keys
    assert document["classes"] == ["bar", "disc", "ring"]
    assert document["examples"] == 90
    assert document["prior"] is None
    table = np.array(document["confusion"])
    assert table.sum(axis=1).tolist() == [30, 30, 30]
    assert document["accuracy"] == np.trace(table) / 90
    for k, name in enumerate(document["classes"]):
        row = document["per_class"][name]
        assert set(row) == ROW
        assert row["support"] == 30
        assert row["sensitivity"] == table[k, k] / 30
        low, high = row["intervals"]["sensitivity"]
        assert 0 <= low < high <= 1
    strange = make_archive("strange.tar.gz", {"x": 8}, {"x": "ring"}, seed=7)
    options = ("--prior", "bar=0.6", "--unknown", strange, "--level", 0.1, "--json")
    moved = json.loads(program("evaluate", shapes_run, more_shapes, *options)[1])
    assert set(moved) == KEYS | source_keys | {"novelty"}
    assert moved["prior"] == {"bar": 0.6, "disc": 0.2, "ring": 0.2}
    assert set(moved["novelty"]) >= {"auroc", "fpr95", "level", "known_flagged", "unknown_flagged"}
    assert moved["novelty"]["level"] == 0.1
    assert moved["novelty"]["unknown_examples"] == 8


def test_words_hold_the_numbers(program, shapes_run, more_shapes, tmp_path):
    report = tmp_path / "report.html"
    options = ("--prior", "uniform", "--report", report, "--unknown", more_shapes)
    status, out, err = program("evaluate", shapes_run, more_shapes, *options)
    assert THIN not in out
    assert status == 0
    found = evaluate(shapes_run, more_shapes, prior="uniform", unknown=more_shapes)
    assert f"report: {report}" in err
    assert "<html" in report.read_text()
    measured = found.evaluation
    right, span, error, chance = (
        words.replace(THIN, " ")
        for words in (
            percent(measured.accuracy),
            spread(measured.accuracy_interval),
            percent(measured.ece),
            percent(measured.ece_by_chance),
        )
    )
    assert out.startswith(
        f"90 images, at the stated base rates: accuracy {right} ({span}), "
        f"log-loss {measured.log_loss:.4f} nats (standard error {measured.log_loss_error:.4f}), "
        f"calibration error {error} (chance alone {chance})\n"
    )
    for name, row in measured.per_class().items():
        line = re.search(rf"^{name} .*$", out, re.MULTILINE).group()
        assert line.split()[1] == "30"
        for key in ("sensitivity", "precision"):
            assert f"{percent(row[key])} ({spread(row['intervals'][key])})".replace(THIN, " ") in line
    assert f"AUROC {found.novelty.as_dict()['auroc']:.4f}" in out
    # an image's last bits may depend on how many are judged with it, and 90 ties then fall to either side
    assert found.novelty.as_dict()["auroc"] == pytest.approx(0.5, abs=90 / 2 / 90**2)


def test_refusals(refusal, shapes_run, more_shapes, make_archive, tmp_path):
    assert "does not exist" in refusal("evaluate", tmp_path / "nothing", more_shapes)
    assert "does not exist" in refusal("evaluate", shapes_run, tmp_path / "nothing.zip")
    assert "is not a run folder" in refusal("evaluate", tmp_path, more_shapes)
    other = make_archive("other.tar.gz", {"bars": 3}, {"bars": "bar"})
    assert "'bars'; did you mean 'bar'?" in refusal("evaluate", shapes_run, other)
    for prior, said in (
        ("bar=0.6,disc=0.6", "sum to 1.2"),
        ("bra=0.6", "did you mean 'bar'?"),
        ("0.6", "not NAME=PROBABILITY"),
        ("none.json", "does not exist"),
    ):
        assert said in refusal("evaluate", shapes_run, more_shapes, "--prior", prior)
    assert "false_alarm" in refusal(
        "evaluate", shapes_run, more_shapes, "--unknown", more_shapes, "--level", 1.5
    )


def test_images_of_training_are_called_that(program, shapes_run, shapes, more_shapes, tmp_path):
    report = tmp_path / "report.html"
    status, out, _ = program("evaluate", shapes_run, shapes, "--report", report)
    assert status == 0
    first = out.splitlines()[0]
    assert first.startswith(
        "Of these 240 images 180 trained the run and 60 chose its weights: the figures flatter it"
    )
    assert first.endswith("none is new to it.")
    assert "it never learned from" not in report.read_text()
    assert "chose its weights" in report.read_text()
    document = json.loads(program("evaluate", shapes_run, shapes, "--json")[1])
    assert document["seen_in_training"] == {"trained": 180, "validated": 60}
    assert "unseen" not in document
    new = json.loads(program("evaluate", shapes_run, more_shapes, "--json")[1])
    assert new["seen_in_training"] == {"trained": 0, "validated": 0}
    assert "never learned from" in open_report(program, shapes_run, more_shapes, tmp_path)


def open_report(program, run, source, folder):
    path = folder / "another.html"
    program("evaluate", run, source, "--report", path)
    return path.read_text()


def test_a_class_without_images_has_its_row_and_the_rest_is_reported(program, shapes_run, make_archive):
    two = make_archive("two.tar.gz", {"bar": 40, "disc": 40}, seed=31)
    prior = ("--prior", "bar=0.5,disc=0.3,ring=0.2")
    status, out, _ = program("evaluate", shapes_run, two, *prior)
    assert status == 0
    assert "not in this sample" in out
    assert "ring: no image in this sample" in out
    assert "nan" not in out.lower()
    document = json.loads(program("evaluate", shapes_run, two, *prior, "--json")[1])
    assert document["not_in_this_sample"] == ["ring"]
    row = document["per_class"]["ring"]
    assert (row["support"], row["sensitivity"]) == (0, None)
    assert row["undefined"]["sensitivity"] == "not in this sample"
    low, high = row["intervals"]["sensitivity"]
    assert low < 0.01
    assert high > 0.99
    shares = {name: document["per_class"][name]["sensitivity"] for name in ("bar", "disc")}
    assert document["accuracy"] == 0.5 * shares["bar"] + 0.3 * shares["disc"] + 0.2 * 0.5
    low, high = document["accuracy_interval"]
    assert low < 0.85 < high
    assert high - low > 0.15
    known = json.loads(program("evaluate", shapes_run, two, "--prior", "bar=0.6,disc=0.4", "--json")[1])
    assert known["not_in_this_sample"] == []
    wide, narrow = (d["per_class"]["bar"]["intervals"]["precision"] for d in (document, known))
    assert wide[0] < narrow[0]


def test_one_number_has_one_value(program, shapes_run, more_shapes, tmp_path):
    """A false alarm of 0 is 0 in the terminal, the JSON and the report, and its interval says the rest."""
    page = open_report(program, shapes_run, more_shapes, tmp_path)
    out = program("evaluate", shapes_run, more_shapes)[1]
    document = json.loads(program("evaluate", shapes_run, more_shapes, "--json")[1])
    for name, row in document["per_class"].items():
        line = re.search(rf"^{name} .*$", out, re.MULTILINE).group()
        for key, digits in (("sensitivity", 1), ("false_alarm", 2), ("precision", 1)):
            assert percent(row[key], digits).replace(THIN, " ") in line
            assert percent(row[key], digits) in page
            assert row["intervals"][key][0] <= row[key] <= row["intervals"][key][1]
    assert percent(document["accuracy"]).replace(THIN, " ") in out
