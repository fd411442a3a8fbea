"""Where images come from: read from folders and tables, trained with, measured apart, refused in words."""

import json
import shutil

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from PIL import Image

from bayesight.data import open_store
from bayesight.data.layout import LOWEST, LayoutOptions, LayoutUnclear
from bayesight.errors import InvalidInput, SourceUnreadable, TrainingDiverged, UnknownName
from bayesight.run import Run
from bayesight.training.events import StepEvent
from bayesight.training.recipe import Recipe
from bayesight.workflows.environments import environment_scores, read_environments, require_groups
from bayesight.workflows.evaluate import evaluate
from bayesight.workflows.sources import SourceOptions
from bayesight.workflows.train import TrainRequest, train

LOWEST_FOLDERS = LayoutOptions(class_level=LOWEST)

QUICK = Recipe.default("mlp").changed(
    {
        "optimization.epochs": 6,
        "optimization.precision": "32",
        "optimization.lr": 0.01,
        "data.batch": 64,
        "data.validation": 0.25,
        "data.augment": "none",
        "model.hidden": [16],
        "loss": {"name": "cross_entropy"},
    }
)


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A square on the labelled side in 3 of 4 images; in its colour in 9 of 10 here and 7 of 10 there."""
    top = tmp_path_factory.mktemp("places") / "images"
    rng = np.random.default_rng(0)
    for place, agree in (("here", 0.9), ("there", 0.7)):
        for number in range(120):
            side = number % 2
            colour = side if (number // 2) % 10 < 10 * agree else 1 - side
            pixels = rng.integers(0, 60, (8, 8, 3), dtype=np.uint8)
            shown = 1 - side if (number // 2) % 4 == 3 else side
            pixels[2:6, 4 * shown : 4 * shown + 4, colour] = 255
            folder = top / place / ("left", "right")[side]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / f"{number}-{'rg'[colour]}.png")
    return top


@pytest.fixture(scope="module")
def table(places):
    """The colour of each image in a table."""
    file = places.parent / "colours.csv"
    rows = [f"{p.relative_to(places)},{p.stem[-1]}" for p in sorted(places.rglob("*.png"))]
    file.write_text("path,colour\n" + "\n".join(rows) + "\n")
    return file


def test_folders_above_the_class_are_environments(places):
    store = open_store(places, layout=LOWEST_FOLDERS)
    found = read_environments(store, "folder")
    assert found.names == ("here", "there")
    for row in (0, 57, len(store) - 1):
        assert store.path_of(row).split("/")[0] == found.names[found.numbers[row]]
    assert store.manifest.mode == "RGB"


def test_what_all_paths_share_is_no_part_of_a_name(tmp_path, places):
    deep = tmp_path / "set" / "of" / "mine"
    deep.parent.mkdir(parents=True)
    shutil.copytree(places, deep)
    store = open_store(tmp_path / "set", layout=LOWEST_FOLDERS)
    assert read_environments(store, "folder").names == ("here", "there")


def test_a_csv_and_a_parquet_column_say_the_same(places, table):
    store = open_store(places, layout=LOWEST_FOLDERS)
    found = read_environments(store, f"{table}:colour")
    assert found.names == ("g", "r")
    assert all(store.path_of(i).endswith(f"{found.names[found.numbers[i]]}.png") for i in range(len(store)))
    parquet = table.with_suffix(".parquet")
    paths = [f"./{store.path_of(i)}" for i in range(len(store))]
    colours = [found.names[n] for n in found.numbers]
    pyarrow.parquet.write_table(pyarrow.table({"path": paths, "colour": colours}), parquet)
    again = read_environments(store, f"{parquet}:colour")
    assert again.digest == found.digest
    assert again.digest != read_environments(store, "folder").digest


@pytest.mark.parametrize(
    ("content", "stated", "error", "words"),
    [
        ("path,colour\n", "{}:color", UnknownName, "did you mean 'colour'"),
        ("file,colour\nx,1\n", "{}:colour", UnknownName, "no column of t.csv is called 'path'"),
        (
            "path,colour\nhere/left/0-x.png,1\n",
            "{}:colour",
            InvalidInput,
            "240 of 240 images have no row .*nearest path in the table is 'here/left/0-x.png'",
        ),
        ("path,colour\na,1\na,2\n", "{}:colour", InvalidInput, "'a' has '1' and '2'"),
        ("path,colour\na,\n", "{}:colour", InvalidInput, "no colour for 'a'"),
        ("", "nonsense", InvalidInput, "expected 'folder'"),
        ("", "{}", InvalidInput, "expected 'folder'"),
        (None, "{}:colour", SourceUnreadable, "expected a CSV file"),
    ],
)
def test_tables_that_cannot_be_used(places, tmp_path, content, stated, error, words):
    file = tmp_path / "t.csv"
    file.write_bytes(b"\xff\xfe\x00" if content is None else content.encode())
    with pytest.raises(error, match=words):
        read_environments(open_store(places, layout=LOWEST_FOLDERS), stated.format(file))


def test_one_environment_is_none(shapes, places):
    with pytest.raises(InvalidInput, match="1 environment \\('top'\\); expected two or more"):
        read_environments(open_store(shapes), "folder")
    with pytest.raises(InvalidInput, match="120 of 120 images have no folder above"):
        read_environments(open_store(places / "here"), "folder")


def test_an_environment_with_one_class_is_refused_where_it_matters(tmp_path, places):
    copy = tmp_path / "copy"
    shutil.copytree(places, copy)
    shutil.rmtree(copy / "there" / "right")
    store = open_store(copy, layout=LOWEST_FOLDERS)
    environments = read_environments(store, "folder")
    require_groups(environments, store, every=False)
    words = "too few different images in 1 environment: 'there' has 0 of class 'right'; expected 2 or more"
    with pytest.raises(InvalidInput, match=words):
        require_groups(environments, store, every=True)
    recipe = QUICK.changed({"data.environments": "folder", "loss": {"name": "reweight"}})
    with pytest.raises(InvalidInput, match=words):
        train(TrainRequest(copy, tmp_path / "run", recipe))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("loss", ["cross_entropy", "irm", "groupdro", "reweight"])
def test_every_loss_trains_and_tells_each_environment_apart(places, tmp_path, loss):
    recipe = QUICK.changed({"data.environments": "folder", "loss": {"name": loss}})
    made = train(TrainRequest(places, tmp_path / "run", recipe, threads=1))
    scores = made.metrics["environments"]
    assert list(scores) == ["here", "there"]
    assert sum(row["examples"] for row in scores.values()) == made.metrics["validation"]["examples"]
    mean = sum(row["accuracy"] * row["examples"] for row in scores.values()) / 60
    assert mean == pytest.approx(made.metrics["validation"]["accuracy"])
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["environments"] == scores
    found = evaluate(made.run.folder, places, environments="folder")
    assert found.as_dict()["environments"]["there"]["examples"] == 120
    classifier = Run.open(made.run.folder).classifier()
    assert classifier.network.answers_alone == (loss != "cross_entropy")


def test_adjustment_makes_the_colour_worthless(places, table, tmp_path):
    """What the colour alone does to the answer: much after ordinary training, little after adjustment."""
    gaps = {}
    for loss in ("cross_entropy", "reweight", "groupdro"):
        recipe = QUICK.changed({"data.environments": f"{table}:colour", "loss": {"name": loss}})
        recipe = recipe.changed({"model": {"name": "linear"}, "optimization.epochs": 20})
        if loss == "groupdro":
            recipe = recipe.changed({"loss.step_size": 0.1})
        run = train(TrainRequest(places, tmp_path / loss, recipe, threads=1)).run
        network = run.network()
        images = torch.zeros(2, 3, 8, 8)
        images[0, 0], images[1, 1] = 1, 1  # red all over, green all over: no side to be seen
        with torch.no_grad():
            log_odds = network(images).log_softmax(1).diff(dim=1).squeeze(1)
        gaps[loss] = float(log_odds[1] - log_odds[0])  # green goes with the right
    assert gaps["cross_entropy"] > 1
    assert abs(gaps["reweight"]) < gaps["cross_entropy"] / 2
    assert abs(gaps["groupdro"]) < gaps["cross_entropy"] / 2


def test_resuming_goes_on_with_the_same_bits(places, tmp_path):
    """Group DRO's shares and the step that the penalty follows are part of what is resumed."""
    for loss in ("groupdro", "irm"):
        recipe = QUICK.changed({"data.environments": "folder", "loss": {"name": loss}})
        whole = train(TrainRequest(places, tmp_path / loss / "whole", recipe, threads=1)).run

        class Stopped(Exception):
            pass

        def stop(event):
            if isinstance(event, StepEvent) and event.step == 7:
                raise Stopped

        request = TrainRequest(places, tmp_path / loss / "cut", recipe, threads=1, checkpoint_every_s=0.0)
        with pytest.raises(Stopped):
            train(request, listeners=[stop])
        resumed = TrainRequest(places, tmp_path / loss / "cut", resume=True, threads=1)
        cut = train(resumed).run
        for name, value in whole.network().state_dict().items():
            assert torch.equal(value, cut.network().state_dict()[name]), (loss, name)


def test_what_does_not_go_together(places, shapes, tmp_path):
    bare, lowest = QUICK.changed({"loss": {"name": "irm"}}), SourceOptions(LOWEST_FOLDERS)
    with pytest.raises(InvalidInput, match="loss 'irm': no environments"):
        train(TrainRequest(places, tmp_path / "a", bare, options=lowest))
    with pytest.raises(LayoutUnclear, match="--class-level 2 takes left, right for the classes"):
        train(TrainRequest(places, tmp_path / "a", QUICK))
    recipe = QUICK.changed({"data.environments": "folder", "loss": {"name": "irm"}})
    with pytest.raises(InvalidInput, match="--also: further images of unknown environments"):
        train(TrainRequest(places, tmp_path / "b", recipe, also=(shapes,)))
    pieces = recipe.changed({"optimization.accumulate": 2})
    with pytest.raises(InvalidInput, match="accumulate = 2; expected accumulate = 1"):
        train(TrainRequest(places, tmp_path / "c", pieces))
    with pytest.raises(TrainingDiverged, match="Lower the learning rate"):
        train(TrainRequest(places, tmp_path / "d", recipe.changed({"optimization.lr": 1e30})))


def test_scores_against_a_loop():
    rng = np.random.default_rng(1)
    log_p = np.log(rng.dirichlet(np.ones(3), 40))
    labels, environments = rng.integers(3, size=40), rng.integers(2, size=40)
    found = environment_scores(log_p, labels, environments, ("a", "b", "unseen"))
    assert set(found) == {"a", "b"}
    for number, name in enumerate("ab"):
        rows = [i for i in range(40) if environments[i] == number]
        assert found[name]["examples"] == len(rows)
        assert found[name]["accuracy"] == sum(log_p[i].argmax() == labels[i] for i in rows) / len(rows)
        expected = -sum(log_p[i, labels[i]] for i in rows) / len(rows)
        assert found[name]["log_loss"] == pytest.approx(expected)
