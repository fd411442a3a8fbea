"""Coloured letters: environments in which the colour of the ink goes with the label, more or less.

Letters of the first half of the classes are one kind, those of the second half the other. Some labels are
wrong, and the ink has the colour of the label as often as an environment has it (Arjovsky et al. 2019,
"Invariant Risk Minimization", section 5.1, "Colored MNIST").
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from bayesight.checks import check, probability
from bayesight.data import RenderOptions, open_store, render_arrays, require_classes, split
from bayesight.data.batches import Examples
from bayesight.seeding import derive, numpy_generator
from bayesight.types import ImageArray, IntArray

__all__ = ["Coloured", "Letters", "Plan", "World", "coloured", "make_world", "read_letters"]


@dataclass(frozen=True)
class Plan:
    """How much goes with what.

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
class Letters:
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
class Coloured:
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

    def at(self, rows: IntArray) -> Coloured:
        """Those at ``rows``."""
        return Coloured(self.images[rows], self.labels[rows], self.colours[rows], self.places[rows])


@dataclass(frozen=True)
class World:
    """One seed's letters in colour.

    Args:
        train: learned from.
        validation: held-out letters of the training environments.
        balanced: a batch with as many of each label in each colour; its letters are in neither.
        test: the test letters at each agreement, their labels the same throughout.
    """

    train: Coloured
    validation: Coloured
    balanced: Coloured
    test: tuple[Coloured, ...]


def read_letters(data: Path | None, *, images_per_class: int = 800) -> Letters:
    """Grey letters of two kinds, 14 pixels high as in the original experiment, and their fixed split.

    Seven tenths are for training, whatever the seed of a repetition.
    """
    if data is None:
        made = render_arrays(RenderOptions(images_per_class=images_per_class, seed=0))
        images, fine, classes, source = made.images, made.labels, made.classes, "rendered letters"
        digests = _digests(images)
    else:
        store = open_store(data, size=28, mode="L")
        require_classes(store, 2)
        images, fine, classes, source = store.images, store.labels, store.classes, store.manifest.source
        digests = np.asarray(store.digests)
    half = len(classes) // 2
    parts = split(fine, digests, {"train": 0.7, "test": 0.3}, derive(0, "shift", "letters"))
    small = images.reshape(len(images), 14, 2, 14, 2).mean(axis=(2, 4)).round().astype(np.uint8)
    return Letters(small, (fine >= half).astype(np.int64), parts, (classes[:half], classes[half:]), source)


def coloured(
    letters: Letters, rows: IntArray, agreements: tuple[float, ...], noise: float, seed: int
) -> Coloured:
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


def make_world(letters: Letters, plan: Plan, seed: int) -> World:
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
    return World(
        made.at(train),
        made.at(validation),
        _balanced(letters, order[:batch], plan.noise, derive(seed, "shift", "balanced")),
        tuple(
            coloured(letters, letters.parts["test"], (agree,), plan.noise, test_seed) for agree in plan.test
        ),
    )


def _balanced(letters: Letters, rows: IntArray, noise: float, seed: int) -> Coloured:
    """Letters whose colours are dealt out evenly within each of their labels, which are as noisy as all."""
    labels = letters.labels[rows] ^ (numpy_generator(seed, "noise").random(len(rows)) < noise)
    colours = np.empty_like(labels)
    for label in (0, 1):
        inside = np.flatnonzero(labels == label)
        colours[inside] = np.arange(len(inside)) % 2
    return _painted(letters.images[rows], labels, colours, np.zeros_like(labels))


def _painted(images: ImageArray, labels: IntArray, colours: IntArray, places: IntArray) -> Coloured:
    painted = np.zeros((*images.shape, 3), dtype=np.uint8)
    painted[np.arange(len(images)), :, :, colours] = images
    return Coloured(painted, labels.astype(np.int64), colours.astype(np.int64), places)


def _digests(images: ImageArray) -> ImageArray:
    found = [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images]
    return np.frombuffer(b"".join(found), np.uint8).reshape(-1, 16)
