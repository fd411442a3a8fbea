"""Give every image of a source its class and its part, once all of its folders are known."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bayesight.data.foldernames import MASK_ENDINGS
from bayesight.data.layout import (
    AS_SHOWN,
    PARTS,
    EmptyClass,
    Folder,
    Layout,
    LayoutOptions,
    Path,
    Place,
    decide,
    folder_of,
    twin_notes,
)
from bayesight.data.members import Quarantined
from bayesight.data.path_values import PathValues
from bayesight.data.unpacking import tidy
from bayesight.errors import InvalidInput, listed, shown
from bayesight.language import marked
from bayesight.names import canonical
from bayesight.types import ImageArray, IntArray

_MOST_NAMES = 40
_LEFT_OUT, _UNLABELLED = PARTS.index("left out"), PARTS.index("unlabelled")
_MASK = re.compile(rf"(.+?)(?<!.[ _.-])[ _.-]+(?:{MASK_ENDINGS})s?(?:[ _-]?\d+)?".encode(), re.I)


@dataclass(frozen=True)
class Placement:
    """Classes and parts of the images of a source, in the order they were read.

    Args:
        classes: names, sorted as text.
        labels: (N,) indices into them, -1 for none.
        parts: (N,) indices into ``PARTS``.
        notes: sentences about what was taken for what.
        lost: folders among those of the classes in which no image could be read.
    """

    classes: tuple[str, ...]
    labels: IntArray
    parts: ImageArray
    notes: tuple[str, ...] = ()
    lost: tuple[EmptyClass, ...] = ()


def class_counts(classes: Sequence[str], labels: IntArray) -> dict[str, int]:
    """Images of each class by name; labels of -1 are of none."""
    numbers = np.bincount(labels[labels >= 0], minlength=len(classes)).tolist()
    return dict(zip(classes, numbers, strict=True))


def part_counts(parts: ImageArray) -> dict[str, int]:
    """Images of each part by name, where there are any."""
    numbers = np.bincount(parts, minlength=len(PARTS)).tolist()
    return {name: many for name, many in zip(PARTS, numbers, strict=True) if name and many}


def place_by_name(names: Sequence[str], ids: IntArray, *, labelled: bool) -> Placement:
    """Labels that were given as such.

    Args:
        names: every label.
        ids: (N,) which of them each image has.
        labelled: False leaves them out.
    """
    parts = np.zeros(len(ids), np.uint8)
    if not labelled:
        return Placement((), np.full(len(ids), -1, np.int64), parts)
    rank = {name: number for number, name in enumerate(sorted(names))}
    return Placement(tuple(rank), np.array([rank[name] for name in names], np.int64)[ids], parts)


def place(
    source: str,
    folders: Sequence[str],
    ids: IntArray,
    paths: Sequence[bytes],
    others: Mapping[str, Counter[str]],
    asked: LayoutOptions | None,
) -> Placement:
    """Labels told by folders.

    Args:
        source: its name, for messages.
        folders: where images lie.
        ids: (N,) which of them each image lies in.
        paths: (N,) of the images.
        others: kinds of the other files by folder, or why they are no images.
        asked: which folders are to be classes and parts; None for images whose classes do not matter.

    Raises:
        InvalidInput: as ``layout.decide``.
    """
    masks = _masks_beside(paths)
    rows = np.flatnonzero(~masks)
    tree = _tree(folders, ids[rows], [paths[row] for row in rows.tolist()] if masks.any() else paths, others)
    layout = _leniently(tree, source) if asked is None else decide(tree, asked, source)
    found = [layout.places.get(folder_of(f"{folder}/"), Place(None)) for folder in folders]
    classes = sorted({place.name for place in found if place.name is not None})
    rank = {name: index for index, name in enumerate(classes)}
    labels = np.array([-1 if p.name is None else rank[p.name] for p in found], np.int64)[ids]
    parts = np.array([PARTS.index(p.part) for p in found], np.uint8)[ids]
    labels[masks], parts[masks] = -1, _LEFT_OUT
    return Placement(tuple(classes), labels, parts, _notes(folders, layout, int(masks.sum())), layout.lost)


def place_by_value(
    placed: Placement, labels_from: str, paths: Sequence[bytes], quarantined: Sequence[Quarantined]
) -> Placement:
    """Labels told by a table or by the paths, and parts by folders.

    Args:
        placed: the parts, and which images are left out or unlabelled whatever a label says.
        labels_from: as ``LayoutOptions``.
        paths: (N,) of the images.
        quarantined: members that could not be read, which may have labels, too.

    Raises:
        InvalidInput: no image has a label; else as ``PathValues.stated``.
    """
    told = PathValues.stated(labels_from, "--labels-from", "label")
    images, unread = [path.decode() for path in paths], [one.path for one in quarantined]
    values = [canonical(value) for value in told.of([*images, *unread])]
    counts = ~np.isin(placed.parts, (_LEFT_OUT, _UNLABELLED))
    given = [value if here else "" for value, here in zip(values, counts.tolist(), strict=False)]
    classes = sorted({*given} - {""})
    if not classes:
        near = f"; {told.nearest(images[0])}" if told.pattern is None else ""
        raise InvalidInput(
            f"--labels-from: none of {len(images):,} images has a label by {told.where} (first: "
            f"{images[0]!r}{near}); expected paths as they are inside the source."
        )
    rank = {name: number for number, name in enumerate(classes)}
    labels = np.array([rank.get(value, -1) for value in given], np.int64)
    bare = counts & (labels < 0)
    notes = [marked(f"labels from {told.where}")]
    if bare.any():
        first = shown(images[int(np.argmax(bare))])
        notes.append(
            marked(f"{bare.sum():,} of {len(images):,} images have no label there, left out (first: {first})")
        )
    rows = told.without_path([*images, *unread])
    if rows:
        notes.append(
            marked(f"{len(rows):,} of {len(told.known):,} rows name no image (first: {shown(rows[0])})")
        )
    lost: dict[str, list[Quarantined]] = {}
    for value, one in zip(values[len(images) :], quarantined, strict=True):
        if value and value not in rank:
            lost.setdefault(value, []).append(one)
    return Placement(
        tuple(classes),
        labels,
        np.where(bare, _LEFT_OUT, placed.parts).astype(np.uint8),
        (*placed.notes, *notes, *twin_notes(classes)),
        tuple(
            EmptyClass(
                name, ones[0].path.rpartition("/")[0] or ".", dict(Counter(one.reason for one in ones))
            )
            for name, ones in sorted(lost.items())
        ),
    )


def _leniently(tree: Mapping[Path, Folder], source: str) -> Layout:
    """The layout of folders whose classes do not matter, as far as it is certain."""
    try:
        layout = decide({path: folder for path, folder in tree.items() if path}, AS_SHOWN, source)
    except InvalidInput:
        return Layout({})
    return Layout({path: Place(None, place.part) for path, place in layout.places.items()}, layout.notes)


def _tree(
    folders: Sequence[str], ids: IntArray, paths: Sequence[bytes], others: Mapping[str, Counter[str]]
) -> dict[Path, Folder]:
    """Every folder with what lies in it."""
    tree: dict[Path, Folder] = {}
    order = np.argsort(ids, kind="stable")
    ends = np.searchsorted(ids[order], np.arange(len(folders)), side="right")
    start = 0
    for name, end in zip(folders, ends.tolist(), strict=True):
        folder = tree.setdefault(folder_of(f"{name}/"), Folder())
        folder.images += end - start
        few = order[start : min(end, start + _MOST_NAMES)].tolist()
        folder.names += [paths[i].decode().rpartition("/")[2] for i in few]
        start = end
    for name, kinds in others.items():
        tree.setdefault(folder_of(f"{name}/"), Folder()).others.update(kinds)
    return tree


def _masks_beside(paths: Sequence[bytes]) -> npt.NDArray[np.bool_]:
    """True for images that are masks of another one in the same folder: ``x_mask.png`` beside ``x.png``."""
    found = np.zeros(len(paths), bool)
    stems = [tidy(path).rpartition(b".")[0] for path in paths]
    matches = ((row, _MASK.fullmatch(stem)) for row, stem in enumerate(stems))
    masked = {row: match[1] for row, match in matches if match}
    if masked:
        known = set(stems)
        found[[row for row, stem in masked.items() if stem in known]] = True
    return found


def _notes(folders: Sequence[str], layout: Layout, masks: int) -> tuple[str, ...]:
    """The sentences of a layout, and what else was noticed."""
    notes = list(layout.notes)
    if masks:
        notes.append(
            marked("1 mask beside the image it belongs to, as x_mask.png beside x.png, is left out")
            if masks == 1
            else marked(
                f"{masks:,} masks beside the images they belong to, as x_mask.png beside x.png, are left out"
            )
        )
    spelled: dict[Path, set[bytes]] = {}
    for folder in folders:
        spelled.setdefault(folder_of(f"{folder}/"), set()).add(tidy(f"{folder}/".encode()).strip(b"/"))
    merged = sorted(path[-1] for path, ways in spelled.items() if path and len(ways) > 1)
    if merged:
        notes.append(
            marked(f"written in two ways that Unicode takes for one, and read as one: {listed(merged, 4)}")
        )
    return tuple(notes)
