"""Learning from images without their labels first."""

import numpy as np
import pytest
import safetensors.torch
import torch

from bayesight.data import open_store
from bayesight.errors import InvalidInput
from bayesight.run import Run
from bayesight.training.events import StepEvent
from bayesight.training.recipe import Recipe
from bayesight.workflows.train import TrainRequest, read_material, train
from bayesight.workflows.training.images import pretraining_images

SMALL = Recipe.default("mlp").changed(
    {
        "optimization.epochs": 3,
        "optimization.average": 0.9,
        "data.batch": 16,
        "model.hidden": [24],
        "data.validation": 0.25,
        "pretrain": {"name": "simclr", "epochs": 2, "batch": 32, "projection": 8},
    }
)


def request(source, out, recipe=SMALL, **options):
    return TrainRequest(source, out, recipe, threads=1, checkpoint_every_s=0.0, **options)


def same_weights(one, other):
    a, b = (safetensors.torch.load_file(folder / "model.safetensors") for folder in (one, other))
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture
def few_labels(make_archive):
    """Ten labelled images of each of two classes, and sixty without labels."""
    return make_archive("few.tar.gz", {"bar": 10, "ring": 10, "unlabelled": 60}, {"unlabelled": "disc"})


class KilledError(Exception):
    pass


def test_the_folder_unlabelled_is_no_class(few_labels, tmp_path):
    found = train(request(few_labels, tmp_path / "run"))
    assert found.metrics["classes"] == ["bar", "ring"]
    assert found.run.classes().names == ("bar", "ring")
    held_out = found.metrics["validation"]["examples"]
    stage = found.metrics["pretraining"]
    assert stage["examples"] == {"labelled": 20 - held_out, "unlabelled": 60}
    assert stage["validation_images"] == "left out"
    assert stage["steps"] == 2 * ((80 - held_out) // 32)
    assert len(stage["loss"]) == 2
    assert found.metrics["examples"]["train"] == 20 - held_out
    assert set(found.run.history()[0]) >= {"classifier.total", "accuracy"}


def test_without_pretraining_they_take_no_part(few_labels, tmp_path):
    plain = SMALL.changed({"pretrain": None})
    found = train(request(few_labels, tmp_path / "run", plain))
    assert found.metrics["classes"] == ["bar", "ring"]
    assert found.metrics["examples"]["train"] + found.metrics["examples"]["validation"] == 20
    assert "pretraining" not in found.metrics


def test_further_sources_take_part_and_validation_images_do_not(shapes, tmp_path):
    """The source itself as unlabelled source: every copy of a validation image must go."""
    asked = request(shapes, tmp_path / "run", unlabelled=(shapes,))
    material = read_material(asked, SMALL)
    pool = pretraining_images(SMALL, material, asked.unlabelled)
    store = open_store(shapes)
    held_out = {d.tobytes() for d in np.asarray(store.digests)[material.validation.rows]}
    pictures = pool.examples.images(np.arange(len(pool.examples)))
    validation = {image.numpy().tobytes() for image in material.validation.images(np.arange(60))}
    assert len(held_out) == 60
    assert len(pool.examples) == 180 + 180
    assert pool.labelled == 180
    assert set(pool.examples.labels) == {-1}
    assert not validation & {image.numpy().tobytes() for image in pictures}


def test_pretraining_changes_where_training_starts(shapes, more_shapes, tmp_path):
    still = SMALL.changed({"optimization.lr": 1e-12, "optimization.average": None})
    plain = still.changed({"pretrain": None})
    one = train(request(shapes, tmp_path / "one", still, unlabelled=(more_shapes,))).run.network()
    none = train(request(shapes, tmp_path / "none", plain)).run.network()
    assert torch.allclose(one.head.weight, none.head.weight, atol=1e-6)
    assert not torch.allclose(one.layers[0].weight, none.layers[0].weight, atol=1e-3)


@pytest.mark.parametrize("stop_at", [3, 6])
def test_resume_in_either_stage_gives_the_same_bits(few_labels, tmp_path, stop_at):
    steps = 0

    def stop(event):
        nonlocal steps
        steps += isinstance(event, StepEvent)
        if isinstance(event, StepEvent) and steps == stop_at:
            raise KilledError

    train(request(few_labels, tmp_path / "straight"))
    with pytest.raises(KilledError):
        train(request(few_labels, tmp_path / "cut"), listeners=[stop])
    train(request(few_labels, tmp_path / "cut", None, resume=True))
    assert same_weights(tmp_path / "straight", tmp_path / "cut")
    straight, cut = (Run.open(tmp_path / n).metrics()["pretraining"] for n in ("straight", "cut"))
    assert straight["loss"] == cut["loss"]
    assert not (tmp_path / "cut" / "checkpoint").exists()


def test_the_loss_falls(shapes, tmp_path):
    longer = SMALL.changed({"pretrain": {"name": "simclr", "epochs": 12, "batch": 64, "temperature": 0.2}})
    losses = train(request(shapes, tmp_path / "run", longer)).metrics["pretraining"]["loss"]
    assert losses[-1] < losses[0] - 0.1


def test_refusals(shapes, more_shapes, make_archive, tmp_path):
    plain = SMALL.changed({"pretrain": None})
    with pytest.raises(InvalidInput, match="Add --pretrain simclr"):
        train(request(shapes, tmp_path / "a", plain, unlabelled=(more_shapes,)))
    tiny = make_archive("tiny.tar.gz", {"bar": 8, "ring": 8})
    with pytest.raises(InvalidInput, match="at least 32"):
        train(request(tiny, tmp_path / "b"))
    assert not (tmp_path / "a").exists()
    assert not (tmp_path / "b").exists()
    with pytest.raises(InvalidInput, match="'simclr'"):
        SMALL.changed({"pretrain": "byol"})
    with pytest.raises(InvalidInput, match="did you mean 'temperature'"):
        SMALL.changed({"pretrain.temprature": 0.1})
    with pytest.raises(InvalidInput, match="no augmentation is called 'glif'"):
        SMALL.changed({"pretrain.augment": "glif"})


def test_one_labelled_class_is_refused(make_archive, tmp_path):
    one = make_archive("one.tar.gz", {"bar": 20, "unlabelled": 40}, {"unlabelled": "disc"})
    with pytest.raises(
        InvalidInput, match=r"holds 1 class \(bar\); expected at least 2\..*unlabelled/: no class"
    ):
        train(request(one, tmp_path / "run"))
