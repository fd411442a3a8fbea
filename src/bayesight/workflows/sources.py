"""Sources of images read the way a run needs them: its size, its mode, its class order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypedDict

import numpy as np

from bayesight.belief.classifier import Classes
from bayesight.checks import check
from bayesight.data import Store, open_store
from bayesight.data.batches import Examples
from bayesight.data.labelled_texts import holds_texts, open_texts
from bayesight.data.layout import AS_SHOWN, LOWEST, PARTS, LayoutOptions, LayoutUnclear, folder_of
from bayesight.data.notes import fitted_note, reading_notes, source_facts
from bayesight.data.sources import AS_STORED, ContainerOptions
from bayesight.errors import InvalidInput, listed, nearest, shown
from bayesight.language import marked
from bayesight.names import alike, canonical
from bayesight.types import ImageArray, IntArray, Progress

SCORED = ("test", "validation", "train")
"""Parts of a source in the order in which they are scored: the first that is there."""


class StoreOptions(TypedDict):
    """The options of ``open_store`` that say how folders and names are taken."""

    layout: LayoutOptions
    container: ContainerOptions


@dataclass(frozen=True)
class SourceOptions:
    """The way a labelled source is read, where it does not show by itself.

    Args:
        layout: which folders are classes and which are parts.
        container: how names in archives are encoded, and whether links are followed.
        numbers: labels that are numbers are "positions" in the run's order, or "names"; None takes them for
            positions in IDX data, which know no names, and for names elsewhere.
        similar_names: take new classes whose names differ from a known one by case, width or blanks only.
        part: "train", "validation" or "test", the part of the source that is meant; None lets the job choose.
    """

    layout: LayoutOptions = AS_SHOWN
    container: ContainerOptions = AS_STORED
    numbers: Literal["positions", "names"] | None = None
    similar_names: bool = False
    part: str | None = None

    def named(self, by_name: bool) -> SourceOptions:
        """The same, with numbers taken for names where that is asked for."""
        return replace(self, numbers="names") if by_name else self

    def beside(self, environments: str | None) -> SourceOptions:
        """The same; where folders may be environments, the lowest are classes unless a level is stated.

        Raises:
            InvalidInput: environments by folders that classes are not told by.
        """
        by_folder = environments is not None and environments.casefold() == "folder"
        if self.layout.labels_from is not None:
            mend = "Name environments in a table: --environments TABLE.csv:COLUMN."
            check(not by_folder, "--environments folder", "labels from --labels-from", "class folders", mend)
            return self
        if environments is None or self.layout.class_level is not None:
            return self
        return replace(self, layout=replace(self.layout, class_level=LOWEST))

    @property
    def reading(self) -> StoreOptions:
        """The same as options of ``open_store``."""
        return {"layout": self.layout, "container": self.container}


AS_IT_IS = SourceOptions()
"""Nothing asked for: the source says."""


@dataclass(frozen=True)
class LabelledImages:
    """Images with their classes in a run's order.

    Args:
        examples: what to compute on; labels are class numbers of the run.
        store: where they come from, for paths and the manifest.
        said: how folders and labels were read, where that needs saying, a sentence each.
        new_classes: names the run does not know, numbered from K on.
        part: the part of the source the images are; empty where it has none.
    """

    examples: Examples
    store: Store
    said: tuple[str, ...] = ()
    new_classes: tuple[str, ...] = ()
    part: str = ""

    @property
    def digests(self) -> ImageArray:
        """(N, 16) which image each example is."""
        found: ImageArray = np.asarray(self.store.digests)[self.examples.rows]
        return found

    def only(self, kept: np.ndarray) -> LabelledImages:
        """Those of the images for which ``kept`` (N,) is true."""
        held = self.examples
        return replace(self, examples=Examples(held.arrays, held.rows[kept], held.labels[kept]))

    @property
    def note(self) -> str:
        """The same as one sentence; may be empty."""
        return "; ".join(self.said)

    @property
    def notes(self) -> list[str]:
        """All that is to be said of the source: how it was read, what is left out, what was done to it."""
        return [*self.said, *reading_notes(self.store, whose="the run's ")]

    @property
    def facts(self) -> dict[str, Any]:
        """The same for programs."""
        return source_facts(self.store, self.notes)

    @property
    def fitted_note(self) -> str:
        """Count of images of another size or mode than the run's, in words; empty where none was."""
        return fitted_note(self.store, "the run's ")


def read_labelled(
    source: str | Path,
    classes: Classes,
    *,
    labels: Path | None = None,
    new_classes: bool = False,
    options: SourceOptions = AS_IT_IS,
    parts: Sequence[str] = ("train",),
    progress: Progress | None = None,
) -> LabelledImages:
    """Open labelled images for a run.

    Folders that could be read in several ways are read in the one that gives classes the run knows.

    Args:
        source: a folder, archive or IDX file.
        classes: the run's.
        labels: an IDX source's file of labels, when it is not beside it.
        new_classes: number classes the run does not know from K on, instead of refusing them.
        options: how it is read where it does not show.
        parts: of a source with parts, those that are wanted, the first that is there.
        progress: told how far reading is.

    Raises:
        SourceNotFound, SourceUnreadable: the source cannot be read.
        InvalidInput: classes the run does not know, no image of the part wanted, or folders that can be read
            in several ways.
    """
    known = {canonical(name) for name in classes.names}
    notes = []
    try:
        store = open_like(source, classes, options, labels=labels, progress=progress)
    except LayoutUnclear as unclear:
        fitting = [reading for reading in unclear.readings if not known.isdisjoint(reading.classes)]
        if len(fitting) != 1:
            raise
        (reading,) = fitting
        chosen = replace(options, layout=reading.asked)
        store = open_like(source, classes, chosen, labels=labels, progress=progress)
        notes.append(
            marked(f"{listed(reading.classes, 4)} are taken for the classes, for the run knows such")
        )
    rows, part = _rows(store, (options.part,) if options.part else parts)
    notes += store.manifest.notes
    present = np.unique(store.labels[rows])
    found = tuple(store.classes[label] for label in present.tolist())
    numbers, note = class_numbers(
        found,
        classes.names,
        new_classes=new_classes,
        by_position=options.numbers == "positions"
        or (store.manifest.kind == "idx" and options.numbers is None),
        asked=options.numbers == "positions",
        similar_names=options.similar_names,
    )
    number_of = np.full(len(store.classes), -1, np.int64)
    number_of[present] = numbers
    new = tuple(n for n, number in zip(found, numbers.tolist(), strict=True) if number >= len(classes.names))
    if options.layout.class_level is None and options.layout.labels_from is None:
        _refuse_inside_known(store, new, known)
    if part:
        notes.append(marked(f"of the parts of the source, {part} is taken: {len(rows):,} images"))
    examples = Examples((store.images,), rows, number_of[store.labels[rows]])
    return LabelledImages(examples, store, (*notes, *([note] if note else [])), new, part)


def read_unlabelled(
    source: str | Path,
    classes: Classes,
    *,
    without: Sequence[str] = (),
    container: ContainerOptions = AS_STORED,
    progress: Progress | None = None,
) -> tuple[Examples, Store]:
    """Open images whose classes do not matter, or are not known; folders are not needed.

    Args:
        source: a folder, archive or IDX file.
        classes: the run's.
        without: as in ``pictures_of``.
        container: how names in archives are encoded, and whether links are followed.
        progress: told how far reading is.

    Raises:
        SourceNotFound, SourceUnreadable: the source cannot be read.
    """
    options = SourceOptions(container=container)
    store = open_like(source, classes, options, labelled=False, progress=progress)
    return pictures_of(store, without), store


def open_like(
    source: str | Path,
    classes: Classes,
    options: SourceOptions = AS_IT_IS,
    *,
    labels: Path | None = None,
    labelled: bool = True,
    progress: Progress | None = None,
) -> Store:
    """Open a source as a run reads it: its images in the run's frame, or its texts in the run's symbols.

    Raises:
        SourceNotFound, SourceUnreadable: the source cannot be read.
        InvalidInput: texts for a run of images.
    """
    if classes.vocabulary is not None:
        return open_texts(source, labelled=labelled).written(classes.vocabulary, classes.size[1])
    refuse_texts(source, "the run's model reads images")
    return open_store(
        source, **classes.reading, **options.reading, labels=labels, labelled=labelled, progress=progress
    )


def refuse_texts(source: str | Path, why: str) -> None:
    """Refuse a source of texts where images are wanted.

    Raises:
        SourceNotFound: nothing is there.
        InvalidInput: texts, with the reason ``why`` they are of no use.
    """
    if holds_texts(Path(source)):
        raise InvalidInput(
            f"{source} holds texts, and {why}; expected images. For texts: bayesight train TEXTS --model bert"
        )


def pictures_of(store: Store, without: Sequence[str] = ()) -> Examples:
    """All images of a store but its masks, and those of some parts, without their labels.

    Args:
        store: the images.
        without: names of parts to leave out.

    Raises:
        InvalidInput: nothing is left.
    """
    left_out = [PARTS.index(part) for part in ("left out", *without)]
    rows = np.flatnonzero(~np.isin(store.parts, left_out))
    came = f"{len(store):,} images, all left out"
    check(len(rows) > 0, store.manifest.source, came, "at least one that counts")
    return unlabelled(store, rows)


def unlabelled(store: Store, rows: IntArray) -> Examples:
    """Images of a store without their labels."""
    return Examples((store.images,), rows, np.full(len(rows), -1, dtype=np.int64))


def class_numbers(
    found: tuple[str, ...],
    known: tuple[str, ...],
    *,
    new_classes: bool = False,
    by_position: bool = False,
    asked: bool = False,
    similar_names: bool = False,
) -> tuple[IntArray, str]:
    """The run's number of each class found in a source, and a note where that needs saying.

    Args:
        found: names in the source.
        known: the run's, in its order.
        new_classes: number names the run does not know from K on, instead of refusing them.
        by_position: number i is the run's i-th class, where none of the numbers is a name the run knows.
        asked: that was said, so that it holds in any case.
        similar_names: take new names that differ from a known one by case, width or blanks only.

    Raises:
        InvalidInput: classes the run does not know, unless ``new_classes``; numbers that are no positions.
    """
    index = {canonical(name): number for number, name in enumerate(known)}
    if by_position and (asked or not any(name in index for name in found)):
        placed = _positions(found, known)
        if placed is not None:
            numbers, note = placed
            return numbers, note if asked else marked(f"{note}; --by-name reads them as names")
        check(
            not asked,
            "--by-position",
            f"labels {listed(found, 6)}",
            f"numbers from 0 to {len(known) - 1}, places in the run's order",
            "Leave it out where labels are names.",
        )
    unknown = [name for name in found if name not in index]
    note = ""
    if unknown and not new_classes:
        raise InvalidInput(_unknown(unknown, known))
    if unknown and not similar_names:
        note = _judge_new(unknown, known)
    for name in unknown:
        index[name] = len(index)
    return np.array([index[name] for name in found], dtype=np.int64), note


def _rows(store: Store, parts: Sequence[str]) -> tuple[IntArray, str]:
    """(rows of the images that are wanted, the part they are)."""
    source = store.manifest.source
    if not store.has_parts:
        rows = np.flatnonzero((store.parts == 0) & (store.labels >= 0))
        told = "; ".join(store.manifest.notes) or "no image lies in a class folder"
        check(len(rows) > 0, source, told, "labelled images, in one folder a class")
        return rows, ""
    part = next((part for part in parts if len(store.rows_of(part))), "")
    came = ", ".join(f"{part} ({many:,} images)" for part, many in store.manifest.parts.items())
    wanted, mend = f"labelled images for {' or '.join(parts)}", "--no-split-folders takes all of them."
    check(bool(part), source, f"parts {came}", wanted, mend)
    return store.rows_of(part), part


def _positions(found: tuple[str, ...], known: tuple[str, ...]) -> tuple[IntArray, str] | None:
    """The numbers as places in the run's order, with the sentence for it; None where they are none."""
    if not all(name.isascii() and name.isdecimal() for name in found) or max(map(int, found)) >= len(known):
        return None
    numbers = np.array([int(name) for name in found], dtype=np.int64)
    low, high = int(numbers.min()), int(numbers.max())
    first, last = shown(known[low]), shown(known[high])
    return numbers, marked(f"labels {low}-{high} are read as the run's classes in order, {first} to {last}")


def _unknown(unknown: Sequence[str], known: Sequence[str]) -> str:
    """The refusal of classes a run does not know."""
    alike_ones = (name for name in known if alike(name) == alike(unknown[0]))
    hint = next(alike_ones, None) or nearest(unknown[0], known)
    meant = f"; did you mean {shown(hint)}?" if hint else "."
    numbers = all(name.isdecimal() for name in unknown)
    places = " If they are places in its order, say --by-position." if numbers else ""
    return (
        f"the run does not know class{'es' if len(unknown) > 1 else ''} "
        f"{listed(unknown, quoted=True)}{meant} It knows: {listed(known)}.{places}"
    )


def _judge_new(unknown: Sequence[str], known: Sequence[str]) -> str:
    """Refuse new names that a reader would take for known ones; a note on those that are near to one."""
    taken = {alike(name): name for name in known}
    for name in unknown:
        twin = taken.setdefault(alike(name), name)
        check(
            twin == name,
            f"class {shown(name)}",
            f"differs from {shown(twin)} by case, width or blanks only",
            "the name of a known class, or a name of its own",
            "Rename its folder; --similar-names makes it a class of its own.",
        )
    near = [
        (name, hint) for name in unknown if (hint := nearest(name, known)) and _wordy(name) != _wordy(hint)
    ]
    told = ", ".join(marked(f"{shown(name)} (did you mean {shown(hint)}?)") for name, hint in near[:6])
    said = marked(f"new, and near to a known name: {told}; update --remove takes its images out again")
    return said if near else ""


def _wordy(name: str) -> str:
    """A name without its digits: what differs in them alone is numbered, not misspelt."""
    return re.sub(r"\d+", "", name)


def _refuse_inside_known(store: Store, new: Sequence[str], known: set[str]) -> None:
    """Refuse a new class whose folder lies inside that of a known one."""
    for name in new:
        row = int(np.flatnonzero(store.labels == store.classes.index(name))[0])
        path = folder_of(store.path_of(row))
        above = next((i for i, part in enumerate(path) if part in known and part != name), None)
        if above is not None:
            inside, outside = shown(name), shown(path[above])
            raise InvalidInput(
                f"{store.manifest.source}: folder {inside} lies inside {outside}, a class of the run; "
                f"--class-level {above + 1} takes {outside} for the class, --class-level {LOWEST} takes "
                f"{inside}."
            )
