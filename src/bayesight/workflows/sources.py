"""Sources of images read the way a run needs them: its size, its mode, its class order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bayesight.checks import check
from bayesight.data import Store, open_store
from bayesight.data.batches import Examples
from bayesight.errors import InvalidInput, nearest
from bayesight.models.classifier import Classes
from bayesight.types import IntArray, Progress

__all__ = ["UNLABELLED", "Labelled", "class_numbers", "labelled_part", "read_labelled", "read_unlabelled"]

UNLABELLED = "unlabelled"
"""A folder of this name beside the class folders is no class: its images have no labels."""


@dataclass(frozen=True)
class Labelled:
    """Images with their classes in a run's order.

    Args:
        examples: what to compute on; labels are class numbers of the run.
        store: where they come from, for paths and the manifest.
        note: how labels were read, where that needs saying; may be empty.
        new_classes: names the run does not know, numbered from K on.
    """

    examples: Examples
    store: Store
    note: str = ""
    new_classes: tuple[str, ...] = ()

    @property
    def fitted_note(self) -> str:
        """How many images were of another size or mode than the run's; empty where none was."""
        manifest = self.store.manifest
        height, width = manifest.shape[:2]
        kind = "grey" if manifest.mode == "L" else "RGB"
        many = f"{manifest.fitted:,} of {len(self.store):,} images"
        return f"{many} were brought to the run's {height}x{width} {kind}" if manifest.fitted else ""


def read_labelled(
    source: str | Path,
    classes: Classes,
    *,
    labels: Path | None = None,
    new_classes: bool = False,
    by_name: bool = False,
    progress: Progress | None = None,
) -> Labelled:
    """Open labelled images for a run.

    Args:
        source: a folder, archive or IDX file.
        classes: the run's.
        labels: an IDX source's file of labels, when it is not beside it.
        new_classes: number classes the run does not know from K on, instead of refusing them.
        by_name: as in ``class_numbers``.
        progress: told how far reading is.

    Raises:
        SourceNotFound, SourceUnreadable: the source cannot be read.
        InvalidInput: classes the run does not know.
    """
    store = open_store(source, **classes.reading, labels=labels, progress=progress)
    numbers, note = class_numbers(store.classes, classes.names, new_classes=new_classes, by_name=by_name)
    rows = np.arange(len(store), dtype=np.int64)
    new = tuple(n for n, number in zip(store.classes, numbers, strict=True) if number >= len(classes.names))
    return Labelled(Examples((store.images,), rows, numbers[store.labels]), store, note, new)


def read_unlabelled(
    source: str | Path, classes: Classes, *, progress: Progress | None = None
) -> tuple[Examples, Store]:
    """Open images whose classes do not matter, or are not known; folders are not needed.

    Raises:
        SourceNotFound, SourceUnreadable: the source cannot be read.
    """
    store = open_store(source, **classes.reading, labelled=False, progress=progress)
    rows = np.arange(len(store), dtype=np.int64)
    return Examples((store.images,), rows, np.full(len(store), -1, dtype=np.int64)), store


def labelled_part(store: Store) -> tuple[tuple[str, ...], IntArray]:
    """The names of a source's classes, and the class of each image in their order; -1 for unlabelled ones.

    Raises:
        InvalidInput: fewer than two classes beside the folder ``unlabelled``.
    """
    if UNLABELLED not in store.classes:
        return store.classes, store.labels
    names = tuple(name for name in store.classes if name != UNLABELLED)
    came = f"classes {list(names)} beside the folder {UNLABELLED!r}"
    check(len(names) >= 2, store.manifest.source, came, "at least 2 folders of labelled images")
    numbers = np.array([names.index(n) if n != UNLABELLED else -1 for n in store.classes], dtype=np.int64)
    return names, numbers[store.labels]


def class_numbers(
    found: tuple[str, ...], known: tuple[str, ...], *, new_classes: bool = False, by_name: bool = False
) -> tuple[IntArray, str]:
    """The run's number of each class found in a source, and a note where that needs saying.

    An IDX file names its classes by number only. Where none of those is a name the run knows, number i is the
    run's i-th class, and the note says so; with ``by_name`` a number is a name like any other.

    Raises:
        InvalidInput: classes the run does not know, unless ``new_classes``.
    """
    index = {name: number for number, name in enumerate(known)}
    numeric = not by_name and all(name.isdecimal() for name in found)
    if numeric and not any(name in index for name in found) and max(map(int, found)) < len(known):
        first, last = known[min(map(int, found))], known[max(map(int, found))]
        note = f"labels {found[0]}-{found[-1]} are read as the run's classes in order, {first}-{last}"
        return np.array([int(name) for name in found], dtype=np.int64), note
    unknown = [name for name in found if name not in index]
    if unknown and not new_classes:
        hint = nearest(unknown[0], known)
        meant = f"; did you mean {hint!r}?" if hint else "."
        raise InvalidInput(
            f"the run does not know class{'es' if len(unknown) > 1 else ''} "
            f"{', '.join(map(repr, unknown))}{meant} It knows: {', '.join(known)}."
        )
    for name in unknown:
        index[name] = len(index)
    return np.array([index[name] for name in found], dtype=np.int64), ""
