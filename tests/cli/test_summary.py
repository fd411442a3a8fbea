"""``bayesight summary``: its JSON, its words, its refusals."""

import json
from pathlib import Path

import pytest


@pytest.mark.parametrize(("name", "parameters"), [("mlp", 669_706), ("resnet", 222_570), ("linear", 7_850)])
def test_json_of_a_model(program, name, parameters):
    status, out, err = program("summary", name, "--json")
    document = json.loads(out)
    assert (status, err) == (0, "")
    assert set(document) == {"model", "parameters", "multiply_adds", "layers"}
    assert (document["model"], document["parameters"]) == (name, parameters)
    assert sum(layer["parameters"] for layer in document["layers"]) == parameters
    for layer in document["layers"]:
        assert set(layer) == {"name", "kind", "output", "parameters", "multiply_adds"}
    assert document["layers"][-1]["name"] == "head"
    assert document["layers"][-1]["output"] == [10]


def test_size_mode_and_classes_are_heeded(program):
    options = ("--size", 8, "--mode", "RGB", "--classes", 5, "--json")
    assert json.loads(program("summary", "linear", *options)[1])["parameters"] == 8 * 8 * 3 * 5 + 5


def test_of_a_run(program, shapes_run):
    document = json.loads(program("summary", shapes_run, "--json")[1])
    assert document["model"] == "mlp"
    assert document["parameters"] == 784 * 32 + 32 + 32 * 3 + 3
    assert document["multiply_adds"] >= 784 * 32 + 32 * 3


def test_words_hold_the_numbers(program):
    status, out, _ = program("summary", "resnet")
    assert status == 0
    assert "222,570" in out
    assert "ResidualBlock" in out


def test_refusals(refusal, shapes, tmp_path):
    assert "did you mean 'mlp'?" in refusal("summary", "mlpp")
    assert "is not a run folder" in refusal("summary", tmp_path)
    assert "is not a run folder" in refusal("summary", Path(shapes))
    assert "L or RGB" in refusal("summary", "mlp", "--mode", "grey")
    assert "--size" in refusal("summary", "mlp", "--size", 0)
    assert "28x28 or larger" in refusal("summary", "resnet", "--size", 20)
    assert "0 classes" in refusal("summary", "mlp", "--classes", 0)
