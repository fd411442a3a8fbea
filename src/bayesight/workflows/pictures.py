"""Pictures to be judged, from files, folders and archives in the order given; those unreadable are named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bayesight.belief.classifier import Classes
from bayesight.checks import existing_path
from bayesight.data.batches import Examples
from bayesight.data.dataset import gather
from bayesight.data.decode import decode
from bayesight.data.members import ENCODED_LIMIT_BYTES
from bayesight.data.notes import image_notes, notes
from bayesight.data.sources import AS_STORED, ContainerOptions, holds_images
from bayesight.errors import BayesightError, SourceNotFound, SourceUnreadable
from bayesight.frame import Treatment
from bayesight.training.classification import EVALUATION_BATCH
from bayesight.types import Progress
from bayesight.workflows.sources import read_unlabelled

__all__ = ["ImageCollection", "UnreadImage", "gather_pictures", "read_images"]


@dataclass(frozen=True)
class UnreadImage:
    """An image that could not be read.

    Args:
        path: of the image, or of the folder or archive it should have come from.
        error: why not.
    """

    path: str
    error: str

    def as_dict(self) -> dict[str, Any]:
        """The record ``--json`` prints: the keys of an answer, empty, and ``error``."""
        empty = dict.fromkeys(("prediction", "posterior", "log_evidence", "novelty", "known"))
        return {"path": self.path, **empty, "error": self.error}


def read_images(images: Sequence[str | Path], classes: Classes) -> Tensor:
    """uint8 (N, C, H, W) of image files, brought to a run's size, mode and levels.

    Raises:
        SourceNotFound: a file that is not there.
        SourceUnreadable: a file that is no image, with the reason.
    """
    return torch.cat([_read_file(path, classes)[0] for path in images])


def _read_file(given: str | Path, classes: Classes) -> tuple[Tensor, Treatment]:
    """uint8 (1, C, H, W) of an image file, and what was done to it.

    Raises:
        SourceNotFound, SourceUnreadable: as in ``read_images``.
    """
    path = existing_path(given)
    if not path.is_file():
        raise SourceUnreadable(f"{given} is not a file; expected an image.")
    if (size := path.stat().st_size) > ENCODED_LIMIT_BYTES:
        raise SourceUnreadable(f"{given} has {size:,} bytes; expected {ENCODED_LIMIT_BYTES:,} at most.")
    try:
        found = decode([path.read_bytes()], classes.frame)
    except OSError as problem:
        raise SourceUnreadable(f"{given} cannot be read: {problem.strerror}.") from problem
    if found.refused:
        raise SourceUnreadable(f"{given} is no image that can be read: {found.refused[0][1]}.")
    return gather(found.images, found.kept), found.treatment


@dataclass
class ImageCollection:
    """Images from files, folders and archives, in the order given."""

    classes: Classes
    rows: list[str | UnreadImage] = field(default_factory=list)
    notes: dict[str, Sequence[str]] = field(default_factory=dict)
    sources: dict[str, Sequence[str]] = field(default_factory=dict)
    within: dict[str, str] = field(default_factory=dict)
    first_error: BayesightError | None = None
    _parts: list[Tensor | Examples] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """Of the images that could be read."""
        return [row for row in self.rows if isinstance(row, str)]

    def parts(self) -> Iterator[Iterable[tuple[Tensor, Tensor]]]:
        """Their pixels in batches, one part after the other."""
        for alone, group in groupby(self._parts, lambda part: isinstance(part, Tensor)):
            if alone:
                pixels = torch.cat([part for part in group if isinstance(part, Tensor)])
                yield [(part, part) for part in pixels.split(EVALUATION_BATCH)]
            else:
                yield from (part.in_order(EVALUATION_BATCH) for part in group if isinstance(part, Examples))

    def refusal(self, given: int) -> BayesightError:
        """The error where none of the images could be read."""
        assert self.first_error is not None
        if given == 1:
            return self.first_error
        return SourceUnreadable(f"none of the {given:,} images could be read; the first: {self.first_error}")

    def take_file(self, given: str) -> None:
        """Read an image file."""
        pixels, done = _read_file(given, self.classes)
        self._parts.append(pixels)
        self.rows.append(given)
        self.notes[given] = image_notes(done, self.classes.frame)

    def take_source(self, given: str, container: ContainerOptions, progress: Progress | None) -> None:
        """Read a folder or an archive, sorted by path."""
        examples, store = read_unlabelled(given, self.classes, container=container, progress=progress)
        paths = [store.path_of(row) for row in range(len(store))]
        order = sorted(range(len(store)), key=paths.__getitem__)
        self._parts.append(replace(examples, rows=examples.rows[order], labels=examples.labels[order]))
        self.sources[given] = notes(store, whose="the run's ")
        base = given.rstrip("/")
        names = [f"{base}/{paths[row]}" for row in order]
        self.rows += names
        self.rows += [UnreadImage(f"{base}/{one.path}", one.reason) for one in store.manifest.quarantined]
        self.within |= dict.fromkeys(names, given)


def gather_pictures(
    images: Sequence[str | Path],
    classes: Classes,
    container: ContainerOptions = AS_STORED,
    progress: Progress | None = None,
) -> ImageCollection:
    """Images from files, folders and archives; those that cannot be read are named among them."""
    found = ImageCollection(classes)
    for given in map(str, images):
        try:
            if holds_images(existing_path(given)):
                found.take_source(given, container, progress)
            else:
                found.take_file(given)
        except (SourceNotFound, SourceUnreadable) as problem:
            found.first_error = found.first_error or problem
            found.rows.append(UnreadImage(given, str(problem)))
    return found
