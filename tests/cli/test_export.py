"""``bayesight export``: its JSON and its words."""

import json

import pytest

pytest.importorskip("onnxruntime")


def test_json_and_words(program, shapes_run, more_shapes, tmp_path):
    out = tmp_path / "m.onnx"
    status, printed, _ = program("export", shapes_run, "--out", out, "--check", more_shapes, "--json")
    made = json.loads(printed)
    assert status == 0
    assert set(made) == {
        "path", "target", "size_bytes", "inputs", "outputs", "images", "noise", "largest_difference",
        "quantisation",
    }  # fmt: skip
    assert made["size_bytes"] == out.stat().st_size
    status, printed, _ = program("export", shapes_run, "--out", tmp_path / "m.pt2", "--to", "torch")
    assert status == 0
    assert "largest difference of a posterior from the run's, on 32 images of noise" in printed


def test_the_price_of_integers_is_said(program, shapes_run, more_shapes, tmp_path):
    options = ("--out", tmp_path / "m.onnx", "--check", more_shapes, "--quantize", "int8")
    status, printed, _ = program("export", shapes_run, *options)
    assert status == 0
    assert "in 8-bit integers: accuracy" in printed


def test_a_folder_that_is_not_there(program, shapes_run, tmp_path):
    status, _, err = program("export", shapes_run, "--out", tmp_path / "no" / "m.onnx")
    assert status == 1
    assert "Traceback" not in err
    assert str(tmp_path / "no") in err
