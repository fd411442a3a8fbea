"""From an archive to a run folder, on drawings."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from filelock import FileLock

from bayesight.errors import (
    InvalidInput,
    RunExists,
    RunUnreadable,
    SourceUnreadable,
    StorageFailed,
    TrainingDiverged,
)
from bayesight.run import Run
from bayesight.training.engine import fit
from bayesight.training.events import EvaluationEvent, StepEvent
from bayesight.training.recipe import Recipe
from bayesight.workflows.train import TrainRequest, read_material, train
from bayesight.workflows.training.classify import SELECTION, selection

SMALL = Recipe.default("mlp").changed(
    {"optimization.epochs": 4, "data.batch": 32, "model.hidden": [24], "data.validation": 0.25}
)


WATCH = """
import os, sys

def note(event, about):
    writes = event == "open" and about[2] & (os.O_WRONLY | os.O_RDWR)
    if writes or event in ("os.mkdir", "os.rename"):
        os.write(log, f"{about[1] if event == 'os.rename' else about[0]}\\n".encode())

if "RANK" in os.environ and "WRITES" in os.environ:
    log = os.open(os.environ["WRITES"] + os.environ["RANK"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    sys.addaudithook(note)
"""
"""Has each process of torchrun note the files and folders that it writes."""


def request(source, out, recipe=SMALL, **options):
    return TrainRequest(source, out, recipe, threads=1, checkpoint_every_s=0.0, **options)


def weights(folder):
    return safetensors.torch.load_file(folder / "model.safetensors")


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_a_run_holds_everything_and_opens_again(shapes_run):
    names = {p.name for p in shapes_run.iterdir()}
    assert names == {
        "recipe.toml",
        "classes.json",
        "model.safetensors",
        "belief.safetensors",
        "metrics.json",
        "history.csv",
        "report.html",
    }
    run = Run.open(shapes_run)
    metrics = run.metrics()
    assert metrics["classes"] == ["bar", "disc", "ring"]
    assert metrics["examples"] == {"train": 180, "also": 0, "validation": 60, "dropped": 0}
    assert metrics["validation"]["accuracy"] > 0.9
    assert metrics["validation"]["examples"] == 60
    assert metrics["seed"] == 0
    assert "log-loss" in metrics["selection"]
    assert len(run.history()) == 6
    assert run.classifier().classes.image_shape == (1, 28, 28)
    assert "Of 100 images called" in (shapes_run / "report.html").read_text()


def test_same_seed_same_weights(shapes, tmp_path):
    runs = [
        train(request(shapes, tmp_path / name, SMALL.changed({"seed": seed}))).run.folder
        for name, seed in (("a", 5), ("b", 5), ("c", 6))
    ]
    assert same(weights(runs[0]), weights(runs[1]))
    assert not same(weights(runs[0]), weights(runs[2]))


class KilledError(Exception):
    pass


@pytest.mark.parametrize("model", ["mlp", "resnet"])
@pytest.mark.parametrize("stop_at", [1, 13])
def test_resume_after_an_interruption_gives_the_same_bits(shapes, tmp_path, model, stop_at):
    recipe = (
        SMALL
        if model == "mlp"
        else Recipe.default("resnet").changed(
            {"optimization.epochs": 4, "data.batch": 32, "model.widths": [8, 12], "data.validation": 0.25}
        )
    )

    def stop(event):
        if isinstance(event, StepEvent) and event.step == stop_at:
            raise KilledError

    train(request(shapes, tmp_path / "straight", recipe))
    with pytest.raises(KilledError):
        train(request(shapes, tmp_path / "cut", recipe), listeners=[stop])
    with pytest.raises(RunUnreadable, match="not finished"):
        Run.open(tmp_path / "cut")
    train(request(shapes, tmp_path / "cut", None, resume=True))
    assert same(weights(tmp_path / "straight"), weights(tmp_path / "cut"))
    again = train(request(shapes, tmp_path / "cut", None, resume=True))
    assert again.material is None


def test_resume_after_kill_9(shapes, tmp_path, killed_training):
    """A process killed without warning, wherever it is, and the same weights in the end."""
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(SMALL.changed({"optimization.epochs": 40}).to_toml())

    def run(out, stop):
        return killed_training(shapes, recipe, tmp_path / out, stop, 0.02)

    assert run("straight", -1) == 0
    assert [run("cut", stop) for stop in (37, 120)] == [-9, -9]
    assert run("cut", -1) == 0
    assert same(weights(tmp_path / "straight"), weights(tmp_path / "cut"))


def test_a_run_is_not_replaced_while_an_update_changes_it(shapes, run_copy, monkeypatch):
    monkeypatch.setattr("bayesight.workflows.belief.WAIT_S", 0.05)
    kept = {path: path.read_bytes() for path in run_copy.iterdir()}
    with FileLock(run_copy / "belief.lock"), pytest.raises(StorageFailed, match="another update has held"):
        train(request(shapes, run_copy, overwrite=True))
    assert {path: path.read_bytes() for path in kept} == kept


def test_an_existing_folder_is_kept_unless_replaced(shapes, tmp_path):
    train(request(shapes, tmp_path / "run"))
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(RunExists, match="--overwrite"):
        train(request(shapes, tmp_path / "run"))
    train(request(shapes, tmp_path / "run", SMALL.changed({"seed": 3}), overwrite=True))
    assert Run.open(tmp_path / "run").metrics()["seed"] == 3
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("years of work")
    with pytest.raises(RunExists):
        train(request(shapes, other, overwrite=True))
    assert (other / "thesis.tex").read_text() == "years of work"


def test_a_refused_source_leaves_no_folder(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceUnreadable):
        train(request(tmp_path / "empty", tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_one_class_is_refused(tmp_path, make_archive):
    archive = make_archive("one.tar.gz", {"bar": 20})
    with pytest.raises(InvalidInput, match="class"):
        train(request(archive, tmp_path / "run"))


def test_a_diverging_loss_stops_and_keeps_what_was_good(shapes, tmp_path):
    wild = SMALL.changed({"optimization.lr": 1e30, "optimization.name": "sgd", "optimization.average": 0.5})
    with pytest.raises(TrainingDiverged, match=r"Lower the learning rate .* Nothing is left in .*run\.$"):
        train(request(shapes, tmp_path / "run", wild))
    assert not (tmp_path / "run").exists()
    train(request(shapes, tmp_path / "run", SMALL.changed({"optimization.epochs": 1})))


@pytest.mark.parametrize("model", ["mlp", "resnet", "alexnet"])
def test_a_rate_far_too_high_is_named_and_leaves_no_run(model, shapes, tmp_path):
    changes = {"optimization.lr": 100.0, "optimization.epochs": 2, "data.batch": 32, "data.validation": 0.25}
    with pytest.raises(TrainingDiverged, match=r"^training diverged: .* at step \d+ of 10; .*now 100\)"):
        train(request(shapes, tmp_path / "run", Recipe.default(model).changed(changes)))
    assert not (tmp_path / "run").exists()


def test_late_divergence_leaves_weights_to_start_from(shapes, tmp_path, monkeypatch):
    def breaking(*args, listeners, **options):
        def stop(event):
            for listener in listeners:
                listener(event)
            if isinstance(event, EvaluationEvent) and event.step >= 12:
                raise TrainingDiverged("loss became nan at step 13.")

        return fit(*args, listeners=[stop], **options)

    monkeypatch.setattr("bayesight.workflows.training.job.fit", breaking)
    run = tmp_path / "run"
    with pytest.raises(TrainingDiverged, match=f"weights of step .*: --init-from {run} with a"):
        train(request(shapes, run, SMALL))
    with pytest.raises(RunUnreadable, match="has diverged; start again from its weights with --init"):
        Run.open(run)
    assert not (run / "checkpoint").exists()
    monkeypatch.undo()
    again = train(replace(request(shapes, tmp_path / "again", SMALL), init_from=run))
    assert again.metrics["validation"]["accuracy"] > 0.7


def test_also_trains_but_never_validates(shapes, more_shapes, tmp_path, make_archive):
    material = read_material(request(shapes, tmp_path / "x", also=(more_shapes, shapes)), SMALL)
    assert len(material.validation) == 60
    assert material.dropped == 60
    assert (len(material.train), len(material.also)) == (180, 90 + 180)
    held_out = {image.tobytes() for image, _ in _each(material.validation)}
    learned = {image.tobytes() for part in (material.train, material.also) for image, _ in _each(part)}
    assert not held_out & learned
    strange = make_archive("strange.tar.gz", {"bar": 20, "blob": 20}, {"blob": "disc"})
    with pytest.raises(InvalidInput, match="'blob'"):
        read_material(request(shapes, tmp_path / "x", also=(strange,)), SMALL)


def test_further_images_train_too(shapes, more_shapes, tmp_path):
    plain, helped = (
        train(request(shapes, tmp_path / name, also=also))
        for name, also in (("a", ()), ("b", (more_shapes,)))
    )
    assert helped.metrics["examples"]["also"] == 90
    assert helped.metrics["steps"] > plain.metrics["steps"]
    assert not same(weights(tmp_path / "a"), weights(tmp_path / "b"))


def _each(examples):
    for images, labels in examples.in_order(64):
        yield from zip(images.numpy(), labels.tolist(), strict=True)


def test_start_from_another_run(shapes, shapes_run, tmp_path):
    recipe = Run.open(shapes_run).recipe().changed({"optimization.epochs": 0.01, "optimization.lr": 1e-9})
    result = train(request(shapes, tmp_path / "run", recipe, init_from=shapes_run))
    assert result.metrics["validation"]["accuracy"] > 0.9
    wider = recipe.changed({"model.hidden": [40]})
    with pytest.raises(InvalidInput, match="does not fit"):
        train(request(shapes, tmp_path / "other", wider, init_from=shapes_run))


def test_resume_with_another_recipe_or_data_is_refused(shapes, more_shapes, tmp_path):
    def stop(event):
        if isinstance(event, StepEvent) and event.step == 7:
            raise KilledError

    with pytest.raises(KilledError):
        train(request(shapes, tmp_path / "run"), listeners=[stop])
    with pytest.raises(InvalidInput, match="another recipe"):
        train(request(shapes, tmp_path / "run", SMALL.changed({"seed": 1}), resume=True))
    with pytest.raises(RunUnreadable, match="data was"):
        train(request(more_shapes, tmp_path / "run", None, resume=True))


def test_a_newer_or_damaged_run_is_refused_in_a_sentence(shapes_run, tmp_path):
    import shutil

    for name, change, words in (
        ("metrics.json", lambda p: p.write_text(json.dumps({"format": 99})), "run format 99"),
        ("metrics.json", lambda p: p.write_text("[1]"), "expected a JSON object"),
        ("classes.json", lambda p: p.write_text('{"classes": 3}'), "damaged"),
        ("model.safetensors", lambda p: p.write_bytes(p.read_bytes()[:99]), "missing or damaged"),
        (
            "model.safetensors",
            lambda p: p.write_bytes(safetensors.torch.save({"a": torch.ones(1)}, {"format": "1"})),
            "does not fit",
        ),
        ("belief.safetensors", lambda p: p.unlink(), "missing or damaged"),
        ("recipe.toml", lambda p: p.write_text("model = 1"), "recipe.toml"),
    ):
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        shutil.copytree(shapes_run, folder)
        change(folder / name)
        with pytest.raises(RunUnreadable, match=words):
            Run.open(folder).classifier()


def test_two_processes_train_as_one(shapes, tmp_path):
    """Two processes have the loss and the gradient of one, which plain descent writes into the weights."""
    recipe = tmp_path / "recipe.toml"
    plain = SMALL.changed(
        {
            "optimization.precision": "32",
            "data.augment": "none",
            "optimization.epochs": 2,
            "optimization.lr": 0.5,
            "optimization.weight_decay": 0.0,
            "optimization.schedule": "constant",
            "optimization.name": "sgd",
            "model.dropout": 0.0,
        }
    )
    recipe.write_text(plain.to_toml())
    arguments = ["-m", "bayesight", "train", shapes, "--recipe", recipe, "--threads", "1", "--json"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    alone = subprocess.run(
        [sys.executable, *arguments, "--out", tmp_path / "one"], check=True, capture_output=True
    )
    watched = {"BAYESIGHT_CACHE": str(tmp_path / "stores"), "WRITES": str(tmp_path / "writes-")}
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    pair = subprocess.run(
        [*torchrun, *arguments, "--tensorboard", "--out", tmp_path / "two"],
        check=True,
        capture_output=True,
        env={**os.environ, **watched, "PYTHONPATH": paths},
    )
    assert json.loads(alone.stdout)["run"] == str(tmp_path / "one")
    assert json.loads(pair.stdout)["details"]["hardware"]["processes"] == 2
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name in one:
        np.testing.assert_allclose(one[name], two[name], rtol=1e-5, atol=1e-6)
    histories = [Run.open(tmp_path / name).history() for name in ("one", "two")]
    for alone, pair in zip(*histories, strict=True):
        assert {name: value for name, value in alone.items() if name != "elapsed_s"} == pytest.approx(
            {name: value for name, value in pair.items() if name != "elapsed_s"}, rel=1e-5
        )
    assert len(histories[0]) == 2
    # The store is built by the process that comes first, the run folder written by the first by number.
    written = [(tmp_path / f"writes-{rank}").read_text().splitlines() for rank in range(2)]
    of_run = [{path for path in paths if path.startswith(str(tmp_path / "two"))} for paths in written]
    of_store = [{path for path in paths if "/images" in path and "/stores/" in path} for paths in written]
    assert {Path(path).name.split(".")[0] for path in of_run[0]} >= {"two", "checkpoint", "report", "history"}
    assert not of_run[1]
    assert len(list((tmp_path / "two" / "tensorboard").iterdir())) == 1
    assert sorted(map(bool, of_store)) == [False, True]
    assert len([path for path in (tmp_path / "stores").rglob("*") if path.name.startswith("images")]) == 1


def test_a_run_says_when_a_sample_of_the_images_chose_its_weights():
    recipe = Recipe.default("linear")
    assert selection(recipe, 8000, 26) == SELECTION
    assert selection(recipe, 10_000, 10_000).endswith(
        "the same images, 400 of the 10,000 held out, for there are 10,000 classes"
    )
