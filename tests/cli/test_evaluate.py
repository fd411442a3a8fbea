"""``bayesight evaluate``: its JSON, its words, its refusals."""

import json
import re

import numpy as np

from bayesight.workflows.evaluate import evaluate

KEYS = {"run", "examples", "accuracy", "log_loss", "ece", "ece_bins", "classes", "prior"}
KEYS |= {"confusion", "per_class", "reliability"}
ROW = {"support", "sensitivity", "specificity", "false_alarm", "precision", "negative_predictive_value"}
ROW |= {"likelihood_ratio_positive", "likelihood_ratio_negative", "intervals"}


def test_json(program, shapes_run, more_shapes, make_archive):
    status, out, _ = program("evaluate", shapes_run, more_shapes, "--json")
    document = json.loads(out)
    assert status == 0
    assert set(document) == KEYS
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
    assert set(moved) == KEYS | {"novelty"}
    assert moved["prior"] == {"bar": 0.6, "disc": 0.2, "ring": 0.2}
    assert set(moved["novelty"]) >= {"auroc", "fpr95", "level", "known_flagged", "unknown_flagged"}
    assert moved["novelty"]["level"] == 0.1
    assert moved["novelty"]["unknown_examples"] == 8


def test_words_hold_the_numbers(program, shapes_run, more_shapes, tmp_path):
    report = tmp_path / "report.html"
    options = ("--prior", "uniform", "--report", report, "--unknown", more_shapes)
    status, out, err = program("evaluate", shapes_run, more_shapes, *options)
    assert status == 0
    found = evaluate(shapes_run, more_shapes, prior="uniform", unknown=more_shapes)
    assert f"report: {report}" in err
    assert "<html" in report.read_text()
    measured = found.evaluation
    assert out.startswith(
        f"90 images, at the stated base rates: accuracy {measured.accuracy:.4f}, "
        f"log-loss {measured.log_loss:.4f} nats, calibration error {measured.ece:.4f}\n"
    )
    for name, row in measured.per_class().items():
        line = re.search(rf"^{name} .*$", out, re.MULTILINE).group()
        assert line.split()[1] == "30"
        assert f"{row['sensitivity']:.3f} (" in line
        assert f"{row['precision']:.3f}" in line
    assert f"AUROC {found.novelty.as_dict()['auroc']:.4f}" in out
    assert found.novelty.as_dict()["auroc"] == 0.5


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
