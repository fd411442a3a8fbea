"""Folds: every image is answered by a run that did not see it, and an interrupted job goes on."""

import csv
import json

import numpy as np
import pytest

from bayesight.data.store import open_store
from bayesight.errors import InvalidInput
from bayesight.run import Run
from bayesight.training.recipe import Recipe
from bayesight.workflows import train as room
from bayesight.workflows.train import TrainRequest, train, train_with_folds

RECIPE = Recipe.default("mlp").changed(
    {"optimization.epochs": 3, "data.batch": 16, "model.hidden": [16], "data.validation": 0.25}
)


@pytest.fixture(scope="module")
def seen():
    """Digests that each training was given, in the order of the trainings."""
    return []


@pytest.fixture(scope="module")
def trained(shapes, seen, tmp_path_factory):
    def watched(request, **options):
        result = train(request, **options)
        material = result.material
        if material is not None:
            seen.append(np.concatenate([material.digests["train"], material.digests["validation"]]))
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "train", watched)
        request = TrainRequest(shapes, tmp_path_factory.mktemp("folds") / "run", RECIPE, threads=1)
        yield request, train_with_folds(request, 3)


def rows_of(run: Run) -> list[dict[str, str]]:
    with (run.folder / "folds.csv").open() as file:
        return list(csv.DictReader(file))


def test_each_image_is_answered_once_by_a_run_that_did_not_see_it(trained, seen, shapes):
    _, result = trained
    store = open_store(shapes)
    digest = {store.path_of(row): np.asarray(store.digests)[row].tobytes() for row in range(len(store))}
    rows = rows_of(result.run)
    assert sorted(row["path"] for row in rows) == sorted(digest)
    whole, *without = [{one.tobytes() for one in digests} for digests in seen]
    assert whole == set(digest.values())
    for row in rows:
        own = digest[row["path"]]
        learned = [own in digests for digests in without]
        assert learned == [int(row["fold"]) != fold for fold in (1, 2, 3)]


def test_figures_are_those_of_the_table(trained):
    _, result = trained
    found, rows = result.metrics["folds"], rows_of(result.run)
    right = np.array([row["class"] == row["prediction"] for row in rows])
    given = np.array([float(row[f"posterior_{row['class']}"]) for row in rows])
    fold = np.array([int(row["fold"]) for row in rows])
    assert (found["count"], found["examples"], found["seed"]) == (3, 240, 0)
    assert found["accuracy"] == pytest.approx(right.mean())
    assert found["log_loss"] == pytest.approx(-np.log(given).mean(), rel=1e-4)
    assert found["accuracy_by_fold"] == pytest.approx([right[fold == k].mean() for k in (1, 2, 3)])
    assert found["accuracy"] > 0.8
    names = ("bar", "disc", "ring")
    sums = [sum(float(row[f"posterior_{name}"]) for name in names) for row in rows]
    assert sums == pytest.approx([1] * 240, abs=1e-4)
    assert [sum(fold[[r["class"] == name for r in rows]] == k) for name in names for k in (1, 2, 3)] == (
        [27, 27, 26] * 3
    )


def test_the_run_is_the_one_that_training_alone_makes_and_holds_no_other(trained, shapes, tmp_path):
    _, result = trained
    alone = train(TrainRequest(shapes, tmp_path / "run", RECIPE, threads=1)).run
    own = (result.run.folder / "model.safetensors").read_bytes()
    assert own == (alone.folder / "model.safetensors").read_bytes()
    assert not (result.run.folder / "folds").exists()
    assert "every image held out once" in (result.run.folder / "folds.html").read_text()
    assert json.loads((result.run.folder / "metrics.json").read_text())["folds"] == result.metrics["folds"]


def test_interrupted_it_goes_on_with_the_folds_that_are_left(shapes, trained, tmp_path, monkeypatch):
    from dataclasses import replace

    request, result = trained
    request, trainings = replace(request, out=tmp_path / "run", resume=True), []

    def stopped(one, **options):
        trainings.append(one.out.name)
        if len(trainings) == 3:
            raise KeyboardInterrupt
        return train(one, **options)

    monkeypatch.setattr(room, "train", stopped)
    with pytest.raises(KeyboardInterrupt):
        train_with_folds(request, 3)
    assert "folds" not in Run.open(request.out).metrics()
    monkeypatch.setattr(room, "train", train)
    again = train_with_folds(request, 3)
    assert trainings == ["run", "1", "2"]
    assert again.metrics["folds"] == result.metrics["folds"]
    assert rows_of(again.run) == rows_of(result.run)
    assert train_with_folds(request, 3).metrics["folds"] == result.metrics["folds"]


def test_groups_lie_in_one_fold(shapes, tmp_path):
    pattern = r"(?P<group>[0-9]{2})\.png$"
    recipe = RECIPE.changed({"data.group_by": pattern, "optimization.epochs": 1})
    run = train_with_folds(TrainRequest(shapes, tmp_path / "run", recipe, threads=1), 2).run
    folds: dict[str, set[str]] = {}
    for row in rows_of(run):
        folds.setdefault(row["path"][-6:-4], set()).add(row["fold"])
    assert len(folds) > 10
    assert {len(found) for found in folds.values()} == {1}


@pytest.mark.parametrize("count", [1, 21])
def test_a_number_of_folds_that_makes_no_sense(shapes, tmp_path, count):
    with pytest.raises(InvalidInput, match="expected 2 to 20"):
        train_with_folds(TrainRequest(shapes, tmp_path / "run", RECIPE), count)
    assert not (tmp_path / "run").exists()


def test_what_could_have_shown_an_image_before_is_refused(shapes, more_shapes, shapes_run, tmp_path):
    for more in ({"also": (more_shapes,)}, {"init_from": shapes_run}):
        with pytest.raises(InvalidInput, match="--folds"):
            train_with_folds(TrainRequest(shapes, tmp_path / "run", RECIPE, **more), 2)
    assert not (tmp_path / "run").exists()


def test_a_model_that_makes_images_has_no_folds(shapes, tmp_path):
    recipe = Recipe.default("autoencoder").changed({"optimization.epochs": 1})
    with pytest.raises(InvalidInput, match="a model that classifies"):
        train_with_folds(TrainRequest(shapes, tmp_path / "run", recipe, threads=1), 2)
