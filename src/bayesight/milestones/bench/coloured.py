"""Coloured letters: environments in which the colour of the ink goes with the label, more or less.

Letters of the first half of the classes are one kind, those of the second half the other. Some labels are
wrong, and the ink has the colour of the label as often as an environment has it (Arjovsky et al. 2019,
"Invariant Risk Minimization", section 5.1, "Colored MNIST").
"""

from __future__ import annotations

import csv
import gzip
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from bayesight.checks import check, probability
from bayesight.data import Store, split
from bayesight.data.batches import Examples
from bayesight.data.codecs import png_of
from bayesight.errors import InvalidInput, StorageFailed
from bayesight.files import write_atomic
from bayesight.seeding import derive, numpy_generator
from bayesight.types import ImageArray, IntArray


@dataclass(frozen=True)
class ColourPlan:
    """The agreement of label and colour, and the noise of the labels.

    Args:
        noise: share of wrong labels.
        train: agreement of colour and label in each training environment.
        test: agreements at which every method is measured.
        balanced: labels of the balanced batch.
        validation: share of the training letters held out to choose weights and methods.

    Raises:
        InvalidInput: a number out of its range.
    """

    noise: float = 0.25
    train: tuple[float, ...] = (0.9, 0.8)
    test: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    balanced: int = 200
    validation: float = 0.15

    def __post_init__(self) -> None:
        check(len(self.train) >= 2, "train", f"got {len(self.train)} environments", "two or more")
        for name, values in (("noise", (self.noise,)), ("train", self.train), ("test", self.test)):
            for value in values:
                probability(value, name)
        check(self.balanced >= 8, "balanced", f"got {self.balanced}", "at least 8 labels")
        probability(self.validation, "validation", open_interval=True)


@dataclass(frozen=True)
class GreyLetters:
    """Grey images of two kinds, split once and for all.

    Args:
        images: uint8 (N, H, W).
        labels: (N,) 0 for the first half of the classes, 1 for the second.
        parts: rows of "train" and "test"; identical images are never in both.
        kinds: the classes of each half.
        source: where they come from.
    """

    images: ImageArray
    labels: IntArray
    parts: Mapping[str, IntArray]
    kinds: tuple[tuple[str, ...], tuple[str, ...]]
    source: str


@dataclass(frozen=True)
class ColouredLetters:
    """Letters in colour.

    Args:
        images: uint8 (N, H, W, 3), red or green ink.
        labels: (N,) as given, wrong ones included.
        colours: (N,) 0 red, 1 green.
        places: (N,) number of the environment.
    """

    images: ImageArray
    labels: IntArray
    colours: IntArray
    places: IntArray

    def examples(self, environments: Literal["place", "colour"], *, grey: bool = False) -> Examples:
        """As the engine takes them; ``grey`` without colour."""
        images = self.images.max(axis=3) if grey else self.images
        numbers = self.places if environments == "place" else self.colours
        return Examples((images,), np.arange(len(self.labels), dtype=np.int64), self.labels, numbers)

    @property
    def groups(self) -> Tensor:
        """(N,) 2 * label + colour."""
        return torch.from_numpy(2 * self.labels + self.colours)

    def at(self, rows: IntArray) -> ColouredLetters:
        """Those at ``rows``."""
        return ColouredLetters(self.images[rows], self.labels[rows], self.colours[rows], self.places[rows])


@dataclass(frozen=True)
class ColourWorld:
    """One seed's letters in colour.

    Args:
        train: learned from.
        validation: held-out letters of the training environments.
        balanced: a batch with as many of each label in each colour; its letters are in neither.
        test: the test letters at each agreement, their labels the same throughout.
    """

    train: ColouredLetters
    validation: ColouredLetters
    balanced: ColouredLetters
    test: tuple[ColouredLetters, ...]


def two_kinds(store: Store) -> GreyLetters:
    """Grey letters of two kinds, 14 pixels high as in the original experiment, and their fixed split.

    Seven tenths are for training, whatever the seed of a repetition.

    Args:
        store: grey images of 28x28 pixels.
    """
    rows = np.flatnonzero(store.labels >= 0)
    images, fine, half = store.images[rows], store.labels[rows], len(store.classes) // 2
    shares = {"train": 0.7, "test": 0.3}
    parts = split(fine, np.asarray(store.digests)[rows], shares, derive(0, "shift", "letters"))
    small = images.reshape(len(images), 14, 2, 14, 2).mean(axis=(2, 4)).round().astype(np.uint8)
    kinds = (store.classes[:half], store.classes[half:])
    return GreyLetters(small, (fine >= half).astype(np.int64), parts, kinds, store.manifest.source)


def coloured(
    letters: GreyLetters, rows: IntArray, agreements: tuple[float, ...], noise: float, seed: int
) -> ColouredLetters:
    """Letters with noisy labels, in the colour of their label as often as stated.

    Args:
        letters: grey ones.
        rows: which of them.
        agreements: P(colour = label) of each environment; the rows are shared out evenly.
        noise: share of labels turned round.
        seed: of everything drawn.
    """
    random = numpy_generator(seed, "shift", "colours")
    rows = random.permutation(rows)
    places = np.arange(len(rows), dtype=np.int64) % len(agreements)
    labels = letters.labels[rows] ^ (random.random(len(rows)) < noise)
    differs = random.random(len(rows)) >= np.asarray(agreements)[places]
    return _painted(letters.images[rows], labels, labels ^ differs, places)


def make_world(letters: GreyLetters, plan: ColourPlan, seed: int) -> ColourWorld:
    """One seed's draw of environments, labels and colours.

    Args:
        letters: grey ones.
        plan: how much goes with what.
        seed: of everything drawn.

    Raises:
        InvalidInput: too few letters for the balanced batch.
    """
    order = numpy_generator(seed, "shift", "order").permutation(letters.parts["train"])
    held, batch = round(plan.validation * len(order)), plan.balanced
    check(
        len(order) >= 10 * batch, letters.source, f"{len(order)} letters to train on", f"{10 * batch} or more"
    )
    made = coloured(letters, order[batch:], plan.train, plan.noise, derive(seed, "shift", "train"))
    validation, train = np.arange(held), np.arange(held, len(made.labels))
    test_seed = derive(seed, "shift", "test")
    return ColourWorld(
        made.at(train),
        made.at(validation),
        _balanced(letters, order[:batch], plan.noise, derive(seed, "shift", "balanced")),
        tuple(
            coloured(letters, letters.parts["test"], (agree,), plan.noise, test_seed) for agree in plan.test
        ),
    )


def _balanced(letters: GreyLetters, rows: IntArray, noise: float, seed: int) -> ColouredLetters:
    """Letters whose colours are dealt out evenly within each of their labels, which are as noisy as all."""
    labels = letters.labels[rows] ^ (numpy_generator(seed, "noise").random(len(rows)) < noise)
    colours = np.empty_like(labels)
    for label in (0, 1):
        inside = np.flatnonzero(labels == label)
        colours[inside] = np.arange(len(inside)) % 2
    return _painted(letters.images[rows], labels, colours, np.zeros_like(labels))


def _painted(images: ImageArray, labels: IntArray, colours: IntArray, places: IntArray) -> ColouredLetters:
    painted = np.zeros((*images.shape, 3), dtype=np.uint8)
    painted[np.arange(len(images)), :, :, colours] = images
    return ColouredLetters(painted, labels.astype(np.int64), colours.astype(np.int64), places)


def write_world(letters: GreyLetters, plan: ColourPlan, seed: int, folder: Path) -> dict[str, Path]:
    """Write one seed's letters as archives, to train and measure with by hand.

    Args:
        letters: grey ones.
        plan: how much goes with what.
        seed: of everything drawn.
        folder: made if it is not there; what it holds under the same names is not replaced.

    Returns:
        The files by name: ``train.tar.gz`` and ``test.tar.gz`` with ENVIRONMENT/CLASS/NAME.png, the
        environments being named for the agreement in per cent; ``balanced.tar.gz`` with CLASS/NAME.png;
        ``colours.csv`` with the path and the colour of each image of ``train.tar.gz``.

    Raises:
        InvalidInput: one of the files is there already.
        StorageFailed: the folder cannot be written.
    """
    files = {n: folder / n for n in ("train.tar.gz", "test.tar.gz", "balanced.tar.gz", "colours.csv")}
    there = [str(path) for path in files.values() if path.exists()]
    if there:
        raise InvalidInput(
            f"--write: {there[0]} exists; expected a folder without it. Choose another folder."
        )
    world = make_world(letters, plan, seed)
    train: dict[str, ImageArray] = {}
    rows: list[tuple[str, str]] = []
    for part in (world.validation, world.train):
        for row, (label, place) in enumerate(zip(part.labels, part.places, strict=True)):
            path = f"{_percent(plan.train[place])}/{_kind(letters, label)}/{len(train):05}.png"
            train[path] = part.images[row]
            rows.append((path, ("red", "green")[part.colours[row]]))
    tested = {
        f"{_percent(agree)}/{_kind(letters, label)}/{row:05}.png": part.images[row]
        for agree, part in zip(plan.test, world.test, strict=True)
        for row, label in enumerate(part.labels)
    }
    balanced = {
        f"{_kind(letters, label)}/{row:05}.png": world.balanced.images[row]
        for row, label in enumerate(world.balanced.labels)
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise StorageFailed(f"--write: {folder} cannot be made ({problem.strerror}).") from problem
    for name, images in (("train.tar.gz", train), ("test.tar.gz", tested), ("balanced.tar.gz", balanced)):
        write_atomic(files[name], _archive(images))
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([("path", "colour"), *sorted(rows)])
    write_atomic(files["colours.csv"], table.getvalue())
    return files


def _percent(agreement: float) -> str:
    return f"agrees-{100 * agreement:g}"


def _kind(letters: GreyLetters, label: int) -> str:
    """Folder name of a label: the first and the last class of its half."""
    names = letters.kinds[label]
    return names[0] if len(names) == 1 else f"{names[0]}-{names[-1]}"


def _archive(images: Mapping[str, ImageArray]) -> bytes:
    """A .tar.gz of PNG files without time stamps."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, image in images.items():
            png = png_of(image)
            member = tarfile.TarInfo(path)
            member.size = len(png)
            archive.addfile(member, io.BytesIO(png))
    return gzip.compress(packed.getvalue(), mtime=0)
