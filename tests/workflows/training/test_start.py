"""Starting from weights: a frozen network read once, weights of a file, and those learned from ImageNet."""

import os
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch

from bayesight.errors import InvalidInput
from bayesight.models import pretrained, pretrained_weights
from bayesight.run import Run
from bayesight.training.recipe import Recipe
from bayesight.workflows.evaluate import evaluate
from bayesight.workflows.predict import predict
from bayesight.workflows.train import TrainRequest, train
from bayesight.workflows.training.classify import BORROWED_SELECTION, SELECTION
from bayesight.workflows.update import update

PHOTOGRAPHS = Path(os.environ.get("BAYESIGHT_DATA", "../shared/data")) / "cifar10/cifar10-test2k.tar.gz"


def request(source, out, recipe, weights=None, **options):
    return TrainRequest(source, out, recipe, threads=1, weights=weights, **options)


def parts(folder):
    found = safetensors.torch.load_file(folder / "model.safetensors")
    return {name: value for name, value in found.items() if name.startswith("parts.")}


def test_a_frozen_network_keeps_its_weights_and_its_last_layer_learns(lite_run, lite_weights):
    given = safetensors.torch.load_file(lite_weights)
    kept = parts(lite_run)
    assert kept.keys() == {name for name in given if name.startswith("parts.")}
    assert all(torch.equal(kept[name], given[name]) for name in kept)
    metrics = Run.open(lite_run).metrics()
    assert metrics["softmax"]["accuracy"] > 0.6
    assert metrics["validation"]["accuracy"] > 0.7
    assert metrics["validation"]["examples"] == 60


def test_what_was_read_once_is_what_is_read_later(lite_run, shapes):
    """The head's rows, kept from the one reading, are those that the opened run reads of the same images."""
    classifier = Run.open(lite_run).classifier()
    found = evaluate(lite_run, shapes)
    assert found.evaluation.accuracy > 0.7
    kept = {d.numpy().tobytes(): f for d, f in zip(
        classifier.reference_digests, classifier.reference, strict=True)}  # fmt: skip
    from bayesight.data import open_store
    from bayesight.data.batches import Examples

    store = open_store(shapes)
    rows = torch.arange(len(store)).numpy()
    features = classifier.features(Examples((store.images,), rows, rows).in_order(50))
    again = {d.tobytes(): f for d, f in zip(store.digests, features, strict=True)}
    assert len(kept) == 60
    assert all(torch.equal(again[digest], row) for digest, row in kept.items())


def test_such_a_run_predicts_and_learns_without_the_packages(lite_run, more_shapes, tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained.importlib.util, "find_spec", lambda name: None)
    folder = shutil.copytree(lite_run, tmp_path / "run")
    assert len(predict(folder, [more_shapes])) == 90
    before = evaluate(folder, more_shapes).evaluation.log_loss
    update(folder, more_shapes)
    assert evaluate(folder, more_shapes).evaluation.log_loss < before


def test_a_frozen_run_resumed_is_the_same_run(shapes, lite_recipe, lite_weights, lite_run, tmp_path):
    def stop(event):
        if getattr(event, "step", 0) == 9:
            raise KeyboardInterrupt

    asked = request(shapes, tmp_path / "run", lite_recipe, lite_weights, checkpoint_every_s=0.0)
    with pytest.raises(KeyboardInterrupt):
        train(asked, listeners=[stop])
    train(request(shapes, tmp_path / "run", lite_recipe, lite_weights, resume=True))
    one, other = (safetensors.torch.load_file(f / "model.safetensors") for f in (lite_run, tmp_path / "run"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_tuning_moves_the_last_parts_alone(shapes, lite_recipe, lite_weights, tmp_path):
    recipe = lite_recipe.changed({"model.tune": 1, "optimization.epochs": 2})
    folder = train(request(shapes, tmp_path / "run", recipe, lite_weights)).run.folder
    given, kept = safetensors.torch.load_file(lite_weights), parts(folder)
    moved = {name for name in kept if not torch.equal(kept[name], given[name])}
    assert moved
    assert all(name.startswith("parts.8.") for name in moved)


def test_weights_that_do_not_fit_are_refused(shapes, lite_recipe, lite_weights, shapes_run, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(InvalidInput, match="one of them"):
        train(request(shapes, out, lite_recipe, lite_weights, init_from=shapes_run))
    with pytest.raises(InvalidInput, match="is not in it; expected all"):
        train(request(shapes, out, lite_recipe, shapes_run / "model.safetensors"))
    wider = Recipe.default("lite2").changed({"model.side": 32})
    with pytest.raises(InvalidInput, match=r"does not fit this recipe|is not in it"):
        train(request(shapes, out, wider, lite_weights))
    (tmp_path / "no.safetensors").write_bytes(b"no weights")
    with pytest.raises(InvalidInput, match="not a safetensors file"):
        train(request(shapes, out, lite_recipe, tmp_path / "no.safetensors"))
    broken = {k: v * float("nan") if v.is_floating_point() else v
              for k, v in safetensors.torch.load_file(lite_weights).items()}  # fmt: skip
    safetensors.torch.save_file(broken, tmp_path / "nan.safetensors")
    with pytest.raises(InvalidInput, match="NaN or infinity"):
        train(request(shapes, out, lite_recipe, tmp_path / "nan.safetensors"))


def test_any_model_starts_from_a_file(shapes, shapes_run, tmp_path):
    recipe = Run.open(shapes_run).recipe().changed({"optimization.epochs": 0.01, "optimization.lr": 1e-9})
    result = train(request(shapes, tmp_path / "run", recipe, shapes_run / "model.safetensors"))
    assert result.metrics["softmax"]["accuracy"] > 0.9


def test_pretraining_what_is_frozen_is_refused(shapes, lite_recipe, lite_weights, tmp_path):
    recipe = lite_recipe.changed({"pretrain": {"name": "simclr"}})
    with pytest.raises(InvalidInput, match=r"--set model\.tune=3"):
        train(request(shapes, tmp_path / "run", recipe, lite_weights))


@pytest.mark.skipif(not PHOTOGRAPHS.exists(), reason=f"no photographs at {PHOTOGRAPHS}")
def test_weights_from_imagenet_tell_photographs_apart(tmp_path):
    recipe = Recipe.default("lite0").changed({"model.side": 96})
    rows = torch.arange(0, 2000, 8).numpy()
    result = train(request(PHOTOGRAPHS, tmp_path / "run", recipe, only=rows))
    given, kept = pretrained_weights("lite0"), parts(tmp_path / "run")
    assert all(torch.equal(kept[name], value) for name, value in given.items())
    assert result.metrics["validation"]["accuracy"] > 0.4
    belief = result.run.classifier()
    assert (
        belief.head.counts.sum() == 250
    )  # the weights come from elsewhere: every image is learned, and judges
    assert len(belief.judged.labels) == 250
    assert result.metrics["selection"] == BORROWED_SELECTION
    grouped = recipe.changed({"data.group_by": r"(?P<group>\d\d)\.jpg"})
    apart = train(request(PHOTOGRAPHS, tmp_path / "grouped", grouped, only=rows))
    assert apart.run.classifier().head.counts.sum() == apart.metrics["examples"]["train"] < 250
    assert apart.metrics["selection"] == SELECTION
    assert "left out one of each class at a time" in (tmp_path / "run" / "report.html").read_text("utf-8")
