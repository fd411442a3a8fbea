"""Groups of images that belong together: told by tables and names, never divided, and counted."""

import json
import re
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
from bayesight.workflows.evaluate import evaluate
from bayesight.workflows.groups import environment_scores, read_environments, read_groups, require_groups
from bayesight.workflows.sources import SourceOptions
from bayesight.workflows.train import TrainRequest, read_material, train

QUICK = Recipe.default("mlp").changed(
    {"optimization.epochs": 2, "data.batch": 32, "model.hidden": [8], "data.validation": 0.25}
)
BURSTS = r"(?P<group>(bar|disc|ring)/\d+)\d\.png$"
"""Ten images that were numbered one after another."""


def burst(path):
    return re.search(BURSTS, path)["group"]


@pytest.fixture
def patients(shapes, tmp_path):
    """A table of patients, each with images of every class."""
    store = open_store(shapes)
    paths = sorted(store.path_of(row) for row in range(len(store)))
    table = tmp_path / "patients.csv"
    table.write_text("path,patient\n" + "".join(f"{p},p{i % 80 // 8}\n" for i, p in enumerate(paths)))
    return table


def test_names_and_tables_tell_groups(shapes, patients):
    store = open_store(shapes)
    by_name = read_groups(store, BURSTS)
    assert by_name.count(np.arange(len(store))) == len({burst(store.path_of(i)) for i in range(len(store))})
    assert not by_name.alone
    lines = patients.read_text().splitlines()
    patients.write_text("\n".join([*lines[:-2], lines[-2].partition(",")[0] + ","]))
    groups = read_groups(store, f"{patients}:patient")
    assert groups.digest != by_name.digest
    assert len(groups.alone) == 2
    assert groups.count(np.arange(len(store))) == 10 + 2
    rows = np.arange(len(store))
    said = groups.notes({"train": rows, "validation": rows[:1]})
    assert said[0] == "groups by patients.csv, column patient: 12 train, 1 validate"
    assert said[1].startswith("2 of 240 images have no group there, each is its own (first: ")


def test_what_tells_no_groups_is_refused(shapes, patients):
    store = open_store(shapes)
    with pytest.raises(InvalidInput, match=r"--group-by: none of 240 images has a group by the pattern"):
        read_groups(store, "(?P<group>nowhere)")
    with pytest.raises(InvalidInput, match="all images are of one group, 'png'; expected several"):
        read_groups(store, "(?P<group>png)$")
    with pytest.raises(InvalidInput, match=r"a regular expression with a group \(\?P<group>"):
        read_groups(store, "bursts")
    recipe = Recipe.default("gan").changed({"data.group_by": BURSTS})
    with pytest.raises(InvalidInput, match="--group-by: given with a model for generation"):
        train(TrainRequest(shapes, patients.parent / "run", recipe))


@pytest.mark.parametrize("stated", ["bursts", "patients"])
def test_no_group_is_learned_from_and_validates(shapes, patients, tmp_path, stated):
    recipe = QUICK.changed({"data.group_by": BURSTS if stated == "bursts" else f"{patients}:patient"})
    assert Recipe.parse(recipe.as_dict()) == recipe
    request = TrainRequest(shapes, tmp_path / "run", recipe, threads=1)
    made = train(request)
    groups, material = made.material.groups, made.material
    sides = [set(groups.numbers[part.rows].tolist()) for part in (material.train, material.validation)]
    assert sides[0].isdisjoint(sides[1])
    assert made.metrics["groups"] == {"train": len(sides[0]), "validation": len(sides[1])}
    assert len(material.train) + len(material.validation) == 240
    report = (tmp_path / "run" / "report.html").read_text()
    assert f"in {len(sides[1])} groups of which none trained" in report
    assert any(note.startswith("groups by ") for note in made.metrics["notes"])


def test_further_sources_lend_no_image_of_a_validating_group(shapes, more_shapes, tmp_path):
    recipe = QUICK.changed({"data.group_by": BURSTS})
    request = TrainRequest(shapes, tmp_path / "run", recipe, also=(more_shapes,))
    material = read_material(request, recipe)
    source, further = material.stores
    held = {burst(source.path_of(row)) for row in material.validation.rows.tolist()}
    lent = {burst(further.path_of(row)) for row in material.also.rows.tolist()}
    every = {burst(further.path_of(row)) for row in range(len(further))}
    assert lent == every - held
    assert held & every
    assert material.dropped == len(further) - len(material.also)


def test_parts_of_the_source_lend_no_image_of_a_group_that_is_held_out(make_archive, tmp_path):
    """Of each class, images 0 to 14 are of patients who are in the test part, too."""
    drawn = {"train/bar": "bar", "train/ring": "ring", "test/bar": "disc", "test/ring": "disc"}
    source = make_archive(
        "parted.tar.gz", {"train/bar": 30, "train/ring": 30, "test/bar": 9, "test/ring": 8}, drawn
    )
    store = open_store(source)
    paths = [store.path_of(row) for row in range(len(store))]
    number = {path: int(path[-8:-4]) for path in paths}
    patient = {
        p: f"p{number[p] % 5}" if "test" in p or number[p] < 15 else f"q{number[p] // 3}" for p in paths
    }
    table = tmp_path / "t.csv"
    table.write_text("path,patient\n" + "".join(f"{p},{patient[p]}\n" for p in paths))
    recipe = QUICK.changed({"data.group_by": f"{table}:patient"})
    found = read_material(TrainRequest(source, tmp_path / "run", recipe), recipe)
    learned = {paths[row] for row in [*found.train.rows.tolist(), *found.validation.rows.tolist()]}
    assert learned == {path for path in paths if "train" in path and number[path] >= 15}
    said = " ".join(found.notes)
    assert "30 images that lie, or of whose groups others lie, in another part of the source too" in said


LOWEST_FOLDERS = LayoutOptions(class_level=LOWEST)

PLACES = Recipe.default("mlp").changed(
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
        ("nr,colour\nx,1\n", "{}:colour", UnknownName, "no column of t.csv is called 'path'"),
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
    recipe = PLACES.changed({"data.environments": "folder", "loss": {"name": "reweight"}})
    with pytest.raises(InvalidInput, match=words):
        train(TrainRequest(copy, tmp_path / "run", recipe))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("loss", ["cross_entropy", "irm", "groupdro", "reweight"])
def test_every_loss_trains_and_tells_each_environment_apart(places, tmp_path, loss):
    recipe = PLACES.changed({"data.environments": "folder", "loss": {"name": loss}})
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
        recipe = PLACES.changed({"data.environments": f"{table}:colour", "loss": {"name": loss}})
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
        recipe = PLACES.changed({"data.environments": "folder", "loss": {"name": loss}})
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
    bare, lowest = PLACES.changed({"loss": {"name": "irm"}}), SourceOptions(LOWEST_FOLDERS)
    with pytest.raises(InvalidInput, match="loss 'irm': no environments"):
        train(TrainRequest(places, tmp_path / "a", bare, options=lowest))
    with pytest.raises(LayoutUnclear, match="--class-level 2 takes left, right for the classes"):
        train(TrainRequest(places, tmp_path / "a", PLACES))
    recipe = PLACES.changed({"data.environments": "folder", "loss": {"name": "irm"}})
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
