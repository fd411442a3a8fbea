"""Pictures and texts to be judged, from files, folders, archives and tables of paths, in the order given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bayesight.belief.classifier import Classes
from bayesight.checks import existing_path, path_exists
from bayesight.data.batches import Examples
from bayesight.data.dataset import gather
from bayesight.data.decode import decode
from bayesight.data.labelled_texts import encoded, holds_texts, open_texts
from bayesight.data.members import ENCODED_LIMIT_BYTES
from bayesight.data.notes import image_notes, notes
from bayesight.data.sources import AS_STORED, ContainerOptions, holds_images
from bayesight.data.text import Subwords
from bayesight.errors import BayesightError, SourceNotFound, SourceUnreadable, listed
from bayesight.files import reading
from bayesight.frame import Treatment
from bayesight.language import marked
from bayesight.training.classification import EVALUATION_BATCH
from bayesight.types import Progress
from bayesight.workflows.sources import read_unlabelled

TABLES = (".csv", ".tsv", ".parquet", ".pq")
"""Endings of the names of tables."""

PATH_COLUMN = "path"
"""The column of a table that names images."""


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
    with reading(path):
        found = decode([path.read_bytes()], classes.frame)
    if found.refused:
        why = marked("it is text, and the run reads images") if holds_texts(path) else found.refused[0][1]
        raise SourceUnreadable(marked(f"{given} is no image that can be read: {why}."))
    return gather(found.images, found.kept), found.treatment


@dataclass
class ImageCollection:
    """Images from files, folders and archives, or texts, in the order given."""

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

    def take(self, name: str, place: str, container: ContainerOptions, progress: Progress | None) -> None:
        """Read what lies at a place; where it cannot be read, that is its row."""
        try:
            if holds_images(existing_path(place)):
                self.take_source(name, place, container, progress)
            else:
                self.take_file(name, place)
        except (SourceNotFound, SourceUnreadable) as problem:
            self.refuse(name, problem)

    def take_texts(self, given: str, vocabulary: Subwords) -> None:
        """Read a text as it is given, or the texts of a file or folder; an empty one is named."""
        if given.strip() and path_exists(Path(given)):
            try:
                store = open_texts(given, labelled=False, in_order=True)
            except (SourceNotFound, SourceUnreadable) as problem:
                self.refuse(given, problem)
                return
            folder = Path(given) if Path(given).is_dir() else Path(given).parent
            names = [str(folder / place) for place in store.places]
            store = store.written(vocabulary, self.classes.size[1])
            self._parts.append(torch.from_numpy(store.images))
            self.sources[given] = store.manifest.notes
            self.within |= dict.fromkeys(names, given)
            self.rows += names
            return
        if given.lower().endswith((*TABLES, ".txt", ".gz")) and not given.strip().count(" "):
            self.refuse(
                given, SourceNotFound(f"{given} does not exist; expected a text, or a file of texts.")
            )
            return
        if not given.strip():
            self.refuse(given, SourceUnreadable("the text is empty; expected words."))
            return
        length = self.classes.size[1]
        rows, cut = encoded([given], vocabulary, length)
        self._parts.append(torch.from_numpy(rows))
        self.rows.append(given)
        if cut[0]:
            self.notes[given] = (
                marked(f"cut after {length} of its {int(cut[0])} symbols, those the run reads"),
            )

    def refuse(self, name: str, problem: BayesightError) -> None:
        """Keep the reason why something cannot be read."""
        self.first_error = self.first_error or problem
        self.rows.append(UnreadImage(name, str(problem)))

    def take_file(self, name: str, place: str) -> None:
        """Read an image file."""
        pixels, done = _read_file(place, self.classes)
        self._parts.append(pixels)
        self.rows.append(name)
        self.notes[name] = image_notes(done, self.classes.frame)

    def take_source(
        self, name: str, place: str, container: ContainerOptions, progress: Progress | None
    ) -> None:
        """Read a folder or an archive, sorted by path."""
        examples, store = read_unlabelled(place, self.classes, container=container, progress=progress)
        paths = [store.path_of(row) for row in range(len(store))]
        order = sorted(range(len(store)), key=paths.__getitem__)
        self._parts.append(replace(examples, rows=examples.rows[order], labels=examples.labels[order]))
        self.sources[name] = notes(store, whose="the run's ")
        base = name.rstrip("/")
        names = [f"{base}/{paths[row]}" for row in order]
        self.rows += names
        self.rows += [UnreadImage(f"{base}/{one.path}", one.reason) for one in store.manifest.quarantined]
        self.within |= dict.fromkeys(names, name)


def gather_pictures(
    images: Sequence[str | Path],
    classes: Classes,
    container: ContainerOptions = AS_STORED,
    progress: Progress | None = None,
    *,
    together: bool = False,
) -> Iterator[ImageCollection]:
    """Images in the order given, few image files at a time; those that cannot be read are named among them.

    Args:
        images: for a run of texts, texts and files of them, one a line; else image files, folders and
            archives of them, and tables (``.csv``, ``.tsv``, ``.parquet``) whose
            column ``path`` names any of these; a relative path is looked for beside the table first, then in
            the working directory.
        classes: the run's.
        container: how names in archives are encoded, and whether links are followed.
        progress: told how far reading a folder or an archive is.
        together: all in one collection.

    Raises:
        SourceNotFound, SourceUnreadable: none of the images could be read; the error is the first one's.
    """
    found, many, answered, first_error = ImageCollection(classes), 0, False, None
    vocabulary = classes.vocabulary
    for given in map(str, images):
        for name, place in [(given, given)] if vocabulary is not None else _places(given):
            many += 1
            if vocabulary is not None:
                found.take_texts(given, vocabulary)
            elif isinstance(place, str):
                found.take(name, place, container, progress)
            else:
                found.refuse(name, place)
            answered, first_error = answered or bool(found.names), first_error or found.first_error
            if not together and (found.sources or len(found.rows) >= EVALUATION_BATCH):
                yield found
                found = ImageCollection(classes)
    if first_error is not None and not answered:
        if many == 1:
            raise first_error
        what = "images" if vocabulary is None else "texts"
        raise SourceUnreadable(f"none of the {many:,} {what} could be read; the first: {first_error}")
    yield found


def _places(given: str) -> Iterator[tuple[str, str | BayesightError]]:
    """The name and the place of what is given, or of every path in a table, or why there is none."""
    if not given.lower().endswith(TABLES) or Path(given).is_dir():
        yield given, given
        return
    from bayesight.data.tables import Table

    try:
        table = Table.of(given)
        if PATH_COLUMN not in table.names:
            raise SourceUnreadable(
                f"{given}: its columns are {listed(table.names, 6, quoted=True)}; expected one called "
                f"{PATH_COLUMN!r} that names an image a row."
            )
        row = 0
        for (paths,) in table.texts([PATH_COLUMN]):
            for path in paths:
                row += 1
                beside = table.source.parent / path
                missing = SourceUnreadable(f"{given}: row {row:,} names no path.")
                place = str(beside) if path_exists(beside) else path
                yield path or given, place if path else missing
    except (SourceNotFound, SourceUnreadable) as problem:
        yield given, problem
