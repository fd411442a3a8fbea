"""A run as one file: what it holds, that it answers as the run does, and what it costs in 8-bit integers."""

import json
import sys

import numpy as np
import pytest
import torch

from bayesight.belief.exported import OUTPUTS
from bayesight.errors import InvalidInput, MissingExtra, SourceNotFound
from bayesight.run import Run
from bayesight.workflows.export import METADATA_KEY, export
from bayesight.workflows.predict import Readings, answers_for

onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def onnx_file(shapes_run, more_shapes, tmp_path_factory):
    return export(
        shapes_run, tmp_path_factory.mktemp("onnx") / "m.onnx", source=more_shapes, licence="CC0-1.0"
    )


def check_answers(file, run, source):
    """The file's answers under a prior of its own are those of ``predict``."""
    from bayesight.data.store import open_store

    prior = {"bar": 0.6, "disc": 0.3, "ring": 0.1}
    own = answers_for(run, [source], Readings(prior=prior)).predictions
    store = open_store(source, **Run.open(run).classes().reading)
    paths = {f"{source}/{store.path_of(row)}": row for row in range(len(store))}
    images = np.asarray(store.images)[[paths[one.path] for one in own]][:, None]
    session = onnxruntime.InferenceSession(file.path)
    told = json.loads(session.get_modelmeta().custom_metadata_map[METADATA_KEY])
    given = {"images": images, "prior": np.array([prior[name] for name in told["classes"]])}
    found = dict(zip(OUTPUTS, session.run(list(OUTPUTS), given), strict=True))
    for n, one in enumerate(own):
        assert found["posterior"][n] == pytest.approx([one.posterior[c] for c in told["classes"]], abs=1e-3)
        assert found["log_evidence"][n] == pytest.approx(one.log_evidence, rel=1e-4, abs=1e-2)
        assert bool(found["novelty"][n] <= told["unknown_above"]) == one.known


def test_another_program_gets_the_answers_of_predict(onnx_file, shapes_run, more_shapes):
    check_answers(onnx_file, shapes_run, more_shapes)


def test_a_frozen_network_is_exported_with_the_size_it_works_at(lite_run, more_shapes, tmp_path):
    """Its features are read in fp32 whatever the machine, so that the file's answers are the run's."""
    assert Run.open(lite_run).classifier().precision == "32"
    made = export(lite_run, tmp_path / "lite.onnx", source=more_shapes)
    assert made.inputs["images"] == "uint8 (N, 1, 28, 28)"
    assert made.largest_difference < 1e-4
    check_answers(made, lite_run, more_shapes)


def test_it_says_what_it_holds(onnx_file, shapes_run):
    told = onnxruntime.InferenceSession(onnx_file.path).get_modelmeta().custom_metadata_map[METADATA_KEY]
    note, classifier = json.loads(told), Run.open(shapes_run).classifier()
    assert note["classes"] == ["bar", "disc", "ring"]
    assert note["prior"] == classifier.prior.tolist()
    assert (note["mode"], note["height"], note["width"], note["fit"]) == ("L", 28, 28, "crop")
    assert note["licence"] == "CC0-1.0"
    assert onnx_file.images == 90
    assert not onnx_file.noise
    assert onnx_file.largest_difference < 1e-3
    assert onnx_file.inputs == {"images": "uint8 (N, 1, 28, 28)", "prior": "float64 (3,)"}


def test_a_torch_program_answers_the_same(shapes_run, onnx_file, tmp_path):
    made = export(shapes_run, tmp_path / "m.pt2", "torch")
    assert made.noise
    extra = {METADATA_KEY: ""}
    program = torch.export.load(made.path, extra_files=extra).module()
    assert json.loads(extra[METADATA_KEY])["classes"] == ["bar", "disc", "ring"]
    images = torch.randint(256, (5, 1, 28, 28), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    prior = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    other = onnxruntime.InferenceSession(onnx_file.path).run(
        None, {"images": images.numpy(), "prior": prior.numpy()}
    )
    for one, two in zip(program(images, prior), other, strict=True):
        np.testing.assert_allclose(one.numpy(), two, rtol=1e-3, atol=1e-3)


def test_eight_bit_integers_and_their_price(shapes_run, more_shapes, onnx_file, tmp_path):
    small = export(shapes_run, tmp_path / "s.onnx", source=more_shapes, quantise=True)
    price = small.quantisation
    assert price.images == 90
    assert price.accuracy > 0.9
    assert abs(price.accuracy_quantised - price.accuracy) < 0.1
    assert price.log_loss_quantised == pytest.approx(price.log_loss, abs=0.2)
    assert small.largest_difference > onnx_file.largest_difference
    assert small.size_bytes < onnx_file.size_bytes


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"quantise": True}, "quantise: got no images; expected labelled images"),
        (
            {"quantise": True, "target": "torch", "source": "x"},
            "quantise: got the format torch; expected onnx",
        ),
        ({"target": "pickle"}, "target: got 'pickle'; expected onnx or torch"),
        ({"target": "torch"}, "m.onnx: is named as a file of onnx; expected one of torch"),
    ],
)
def test_what_cannot_be_is_refused(shapes_run, tmp_path, options, said):
    with pytest.raises(InvalidInput, match=said):
        export(shapes_run, tmp_path / "m.onnx", **options)
    assert not (tmp_path / "m.onnx").exists()


def test_a_source_that_is_not_there(shapes_run, tmp_path):
    with pytest.raises(SourceNotFound):
        export(shapes_run, tmp_path / "m.onnx", source=tmp_path / "nowhere.zip")


def test_without_onnx_it_says_how_to_get_it(shapes_run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingExtra, match=r"pip install 'bayesight\[export\]'"):
        export(shapes_run, tmp_path / "m.onnx")
