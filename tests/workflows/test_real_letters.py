"""The main promises on real letters: exact updates, new classes, the two containers of one data set."""

import shutil

import numpy as np
import pytest
from PIL import Image

from bayesight.data import open_store
from bayesight.run import Run
from bayesight.training.recipe import Recipe
from bayesight.workflows.evaluate import evaluate
from bayesight.workflows.train import TrainRequest, train
from bayesight.workflows.update import update


@pytest.fixture(scope="module")
def letters(real_data):
    """The store of 8,000 real letters."""
    return open_store(real_data / "notmnist" / "notMNIST_real8k.tar.gz")


def write_folder(folder, store, rows):
    """Rows of a store as a folder of PNG files, one folder a class."""
    for name in store.classes:
        (folder / name).mkdir(parents=True)
    for row in rows:
        path = folder / store.classes[store.labels[row]] / f"{row}.png"
        Image.fromarray(np.asarray(store.images[row])).save(path)
    for name in store.classes:
        if not any((folder / name).iterdir()):
            (folder / name).rmdir()
    return folder


@pytest.fixture(scope="module")
def parts(letters, tmp_path_factory):
    """A-G to learn from, 1,000 letters to absorb in three unequal parts, 1,000 to judge by, 100 H-J."""
    rng = np.random.default_rng(0)
    order = rng.permutation(len(letters))
    late = letters.labels >= 7
    few = np.concatenate([order[letters.labels[order] == k][400:434] for k in (7, 8, 9)])[:100]
    rows = {
        "first": order[~late[order]][:1400],
        "one": order[~late[order]][1400:1500],
        "two": order[~late[order]][1500:2100],
        "three": order[~late[order]][2100:2400],
        "judge": np.concatenate([order[~late[order]][4600:5300], order[late[order]][:300]]),
        "few": few,
    }
    assert not set(rows["few"]) & set(rows["judge"])
    folder = tmp_path_factory.mktemp("letters")
    return {name: write_folder(folder / name, letters, chosen) for name, chosen in rows.items()}


@pytest.fixture(scope="module")
def run(parts, tmp_path_factory):
    """A run that knows A to G, trained briefly."""
    recipe = Recipe.default("resnet").changed(
        {"optimization.epochs": 6, "data.batch": 64, "data.validation": 0.2}
    )
    folder = tmp_path_factory.mktemp("runs") / "letters"
    return train(TrainRequest(parts["first"], folder, recipe, threads=1)).run.folder


def judged(folder, parts, classes):
    """Accuracy on the judging letters of the given classes."""
    found = evaluate(folder, parts["judge"]).evaluation
    chosen = np.isin(found.labels, classes)
    return (found.predictions == found.labels)[chosen].mean()


def test_batches_of_any_order_equal_one_and_removal_undoes(run, parts, tmp_path):
    whole, pieces = (shutil.copytree(run, tmp_path / name) for name in ("whole", "pieces"))
    both = tmp_path / "both"
    for name in ("two", "three"):
        shutil.copytree(parts[name], both, dirs_exist_ok=True)
    update(whole, both)
    for name in ("three", "one", "two"):
        update(pieces, parts[name])
    update(pieces, parts["one"], remove=True)
    found = [evaluate(folder, parts["one"]).evaluation.log_p for folder in (whole, pieces)]
    np.testing.assert_allclose(found[0], found[1], rtol=0, atol=1e-8)


def test_new_letters_from_a_hundred_images_leave_the_old_ones_alone(run, parts, tmp_path):
    folder = shutil.copytree(run, tmp_path / "run")
    before = evaluate(folder, parts["one"]).evaluation.accuracy
    result = update(folder, parts["few"])
    assert result.new_classes == ("H", "I", "J")
    assert (result.absorbed, result.repeated) == (95, 5)  # identical letters are one, and said once
    assert Run.open(folder).classes().names == tuple("ABCDEFGHIJ")
    assert judged(folder, parts, [7, 8, 9]) > 0.6
    assert evaluate(folder, parts["one"]).evaluation.accuracy > before - 0.05


def test_digits_are_stranger_than_letters(run, parts, real_data):
    digits = real_data / "mnist" / "mnist-half-images-idx3-ubyte.gz"
    novelty = evaluate(run, parts["one"], unknown=digits).as_dict()["novelty"]
    assert novelty["auroc"] > 0.9


def test_archive_and_idx_are_one_data_set(letters, real_data):
    idx = open_store(real_data / "notmnist" / "notmnist-real-images-idx3-ubyte.gz")
    assert idx.manifest.content_hash == letters.manifest.content_hash
    assert np.array_equal(idx.images, letters.images)
    assert np.array_equal(idx.labels, letters.labels)
