"""Groups of images that belong together: told by tables and names, never divided, and counted."""

import re

import numpy as np
import pytest

from bayesight.data import open_store
from bayesight.errors import InvalidInput
from bayesight.training.recipe import Recipe
from bayesight.workflows.groups import read_groups
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
