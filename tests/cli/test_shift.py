"""``bayesight causal shift``: what it prints, what it writes, what it refuses."""

import json

import pytest

from bayesight.data import open_store
from bayesight.data.layout import LOWEST, LayoutOptions


def test_its_answer_has_every_environment(program, shapes, tmp_path):
    report = tmp_path / "shift.html"
    status, out, err = program(
        "causal", "shift", "--data", shapes, "--seeds", 2, "--balanced", 8, "--methods", "ordinary,dfr",
        "--threads", 1, "--report", report, "--json",
    )  # fmt: skip
    assert status == 0, err
    tree = json.loads(out)
    assert tree["chosen"] == "ordinary"
    assert tree["ceiling"] == 0.75
    assert "adjusted" in tree["selection"]
    assert tree["kinds"] == [["bar"], ["disc", "ring"]]
    for method in ("ordinary", "dfr"):
        figures = tree["methods"][method]
        assert list(figures["test"]) == [f"0.{k}" for k in range(1, 10)]
        assert list(figures["train"]) == list(figures["validation"]) == ["0.9", "0.8"]
        assert len(figures["test"]["0.1"]["seeds"]) == 2
        assert figures["test"]["0.1"]["low"] <= figures["test"]["0.1"]["median"]
    assert tree["methods"]["ordinary"]["published"] == {"train": 0.874, "test": 0.171}
    assert "<svg" in report.read_text()


def test_it_speaks_to_people(program, shapes):
    status, out, err = program(
        "causal", "shift", "--data", shapes, "--seeds", 1, "--balanced", 8, "--methods", "reweight",
        "--threads", 1,
    )  # fmt: skip
    assert status == 0, err
    assert "the ceiling is 0.75" in out
    assert "Chosen so: reweight." in out


def test_archives_to_train_with_by_hand(program, shapes, tmp_path):
    status, out, err = program(
        "causal", "shift", "--data", shapes, "--balanced", 8, "--write", tmp_path / "out", "--json"
    )
    assert status == 0, err
    files = json.loads(out)["files"]
    assert set(files) == {"train.tar.gz", "test.tar.gz", "balanced.tar.gz", "colours.csv"}
    written = open_store(files["train.tar.gz"], layout=LayoutOptions(class_level=LOWEST))
    assert (written.manifest.mode, len(written.classes)) == ("RGB", 2)
    again, _, message = program(
        "causal", "shift", "--data", shapes, "--balanced", 8, "--write", tmp_path / "out"
    )
    assert again == 1
    assert "exists; expected a folder without it" in message


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--methods", "imr"), "no method is called 'imr'; did you mean 'irm'"),
        (("--seeds", 0), "seeds: got 0; expected at least 1"),
        (("--balanced", 200), "168 letters to train on; expected 2000 or more"),
    ],
)
def test_what_it_refuses(refusal, shapes, arguments, words):
    assert words in refusal("causal", "shift", "--data", shapes, "--threads", 1, *arguments)
