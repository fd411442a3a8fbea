"""Images that come in several parts, or that a belief holds already, found by their digests.

There may be millions of each, so they stay in arrays: a repeated image takes 29 bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from bayesight.belief.absorbed import Rows
from bayesight.belief.classifier import Classifier
from bayesight.belief.held_parts import image_keys
from bayesight.belief.part_statistics import LARGE, PartStatistics
from bayesight.errors import RunUnreadable
from bayesight.run import Run
from bayesight.types import FloatArray, IntArray
from bayesight.workflows.parts.absorbing import LabelledRows, by_digest, first_of_each

_AT_ONCE = 2_000_000
"""Images whose digests are sorted at once."""
_BELIEF, _HELD, _NEW = 0, 1, 2
_COUNTED = np.dtype([("digest", "u1", 16), ("label", "i4"), ("weight", "f8"), ("own", "?")])
"""An image whose statistics are to be subtracted, under which label and with which weight it was counted, and
whether the part from which they are computed gave that label itself."""


@dataclass
class Duplicates:
    """Consequences of images that come several times.

    Args:
        names: of the classes, to whose places labels refer; those of the belief come first.
        rows: of the belief, whose labels are replaced.
        released: images of earlier parts whose labels are replaced.
        repeated: labels that said what was known already.
        superseded: labels that a later part replaced.
        was: class -> how many images of the belief had it before.
        subtracted: blocks of images in ascending order of their digests; in each, those of a part stand
            together, and the second array says where each part begins.
    """

    names: tuple[str, ...]
    rows: list[int] = field(default_factory=list)
    released: list[np.ndarray] = field(default_factory=list)
    repeated: int = 0
    superseded: int = 0
    was: Counter[str] = field(default_factory=Counter)
    subtracted: list[tuple[np.ndarray, IntArray]] = field(default_factory=list)

    def parts(self) -> list[int]:
        """The places of the parts from which something is subtracted, ascending."""
        counts = [np.flatnonzero(np.diff(starts)) for _, starts in self.subtracted]
        return sorted({int(part) for found in counts for part in found})

    def of_part(self, part: int) -> LabelledRows:
        """The images whose statistics are computed from a part to be subtracted."""
        found = self._of(part)
        present, labels = np.unique(found["label"], return_inverse=True)
        names = tuple(self.names[number] for number in present.tolist())
        digests, weights = (np.ascontiguousarray(found[name]) for name in ("digest", "weight"))
        return LabelledRows(digests, labels.astype(np.int32), names, weights)

    def counted_elsewhere(self, part: int) -> np.ndarray:
        """The keys of a part's images that it does not hold in the end."""
        found = self._of(part)
        return image_keys(found["digest"][found["own"]])

    def _of(self, part: int) -> np.ndarray:
        blocks = [rows[starts[part] : starts[part + 1]] for rows, starts in self.subtracted]
        return np.concatenate([np.empty(0, _COUNTED), *blocks])


@dataclass(frozen=True)
class _Images:
    """Images of holders, one after another.

    Args:
        digests: (n, 16) uint8.
        kind: (n,) of ``_BELIEF``, ``_HELD`` and ``_NEW``.
        place: (n,) of the holder among those of its kind.
        row: (n,) in the belief; nothing in a part.
        label: (n,) places in the names of all.
    """

    digests: np.ndarray
    kind: np.ndarray
    place: np.ndarray
    row: np.ndarray
    label: np.ndarray

    @classmethod
    def of(cls, kind: int, place: int, digests: np.ndarray, row: IntArray, label: IntArray) -> _Images:
        """Those of one holder."""
        n = len(digests)
        kinds, places = np.full(n, kind, np.int8), np.full(n, place, np.int32)
        return cls(digests, kinds, places, row.astype(np.int32), label.astype(np.int32))

    @classmethod
    def joined(cls, some: Sequence[_Images]) -> _Images:
        """Those of several holders."""
        return cls(*(np.concatenate([vars(one)[name] for one in some]) for name in vars(some[0])))

    def at(self, rows: IntArray) -> _Images:
        """Some of them."""
        return _Images(*(values[rows] for values in vars(self).values()))


def find_duplicates(classifier: Classifier, folder: Path, new: Sequence[Path]) -> Duplicates:
    """Compare the images of new parts with each other and with what a belief holds.

    Memory follows ``_AT_ONCE`` and the number of images that come several times.

    Args:
        classifier: the belief.
        folder: of its parts.
        new: statistics of the new parts, in the order of the manifest.
    """
    held = held_files(classifier, folder)
    total, names = 0, dict.fromkeys(classifier.classes.names)
    for path in (*held, *new):
        part = PartStatistics.read(path, without=LARGE)
        total, names = total + len(part), names | dict.fromkeys(part.classes)
    found = Duplicates(tuple(names))
    number = {name: place for place, name in enumerate(names)}
    buckets, left = min(256, -(-total // _AT_ONCE) or 1), _Left(*classifier.parts.left())
    for bucket in range(buckets):
        holders = [_of_belief(classifier, bucket, buckets)]
        for kind, files in ((_HELD, held), (_NEW, new)):
            for place, path in enumerate(files):
                part = _of_file(path, bucket, buckets, left if kind == _HELD else None)
                label = np.array([number[name] for name in part.classes], np.int64)[part.labels.numpy()]
                nowhere = np.full(len(part), -1)
                holders.append(_Images.of(kind, place, part.digests.numpy(), nowhere, label))
        _settle(classifier, _several(_Images.joined(holders)), len(new), found)
    return found


def parts_folder(run: Run) -> Path:
    """The folder of a run where the results of parts lie."""
    return run.folder / "parts"


def held_files(classifier: Classifier, folder: Path) -> list[Path]:
    """The files that say which images the parts of a belief hold, in the order in which they came.

    Raises:
        RunUnreadable: one is missing.
    """
    files = [folder / f"{key}.images" for key in classifier.parts.keys]
    missing = [path for path in files if not path.is_file()]
    if missing:
        raise RunUnreadable(
            f"{missing[0]} is missing; it says which images of a part the run holds. Copy the folder parts "
            "of the run along with the others."
        )
    return files


def images_in_parts(
    classifier: Classifier, folder: Path, digests: torch.Tensor
) -> tuple[list[int], list[str], list[float]]:
    """Those of images (N, 16) that a belief holds by statistics: their places, classes and weights."""
    wanted = image_keys(digests.numpy())
    order = np.argsort(wanted, kind="stable")
    found: dict[int, tuple[str, float]] = {}
    left = _Left(*classifier.parts.left())
    for at, path in enumerate(held_files(classifier, folder) if len(wanted) else ()):
        part = _of_file(path, 0, 1, left)
        keys = image_keys(part.digests.numpy())
        for row in np.flatnonzero(np.isin(keys, wanted)).tolist():
            place = int(order[np.searchsorted(wanted, keys[row], "right", sorter=order) - 1])
            found[place] = part.classes[int(part.labels[row])], classifier.parts.weights[at]
    places = sorted(found)
    return places, [found[place][0] for place in places], [found[place][1] for place in places]


def with_rows_of_parts(classifier: Classifier, folder: Path, digests: torch.Tensor) -> Classifier:
    """A belief with the same statistics, in which those of images (N, 16) that parts hold have rows.

    An image with a row can get another label, or be taken out, as any other.
    """
    if not len(classifier.parts):
        return classifier
    places, names, weights = images_in_parts(classifier, folder, digests)
    if not places:
        return classifier
    mine, counted = digests[places], torch.tensor(weights, dtype=torch.float64)
    labels = torch.tensor([classifier.classes.names.index(name) for name in names])
    rows = Rows(torch.empty(len(places), classifier.head.dimension), labels, mine)
    none = torch.empty(0, dtype=torch.int64)
    trained = classifier.absorbed.trained_on(mine)
    absorbed = classifier.absorbed.with_rows(rows, counted, none, trained)
    return replace(
        classifier, absorbed=absorbed, parts=classifier.parts.without_images(mine, labels, counted)
    )


@dataclass(frozen=True)
class _Left:
    """Images that left the files of parts.

    Args:
        keys: of the images, ascending.
        times: how many of the next files that name it hold it no longer; counted down.
    """

    keys: np.ndarray
    times: IntArray

    def holds(self, digests: np.ndarray) -> np.ndarray:
        """(N,) whether the next file still holds each of its images (N, 16)."""
        if not len(self.keys):
            return np.ones(len(digests), bool)
        keys = image_keys(digests)
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        stays: np.ndarray = (self.keys[place] != keys) | (self.times[place] == 0)
        self.times[place[~stays]] -= 1
        return stays


def _of_belief(classifier: Classifier, bucket: int, buckets: int) -> _Images:
    digests = np.ascontiguousarray(classifier.absorbed.digests.numpy())
    rows = np.flatnonzero(_in_bucket(digests, bucket, buckets))
    labels = classifier.absorbed.labels.numpy()[rows]
    return _Images.of(_BELIEF, 0, digests[rows], rows, labels)


def _of_file(path: Path, bucket: int, buckets: int, left: _Left | None = None) -> PartStatistics:
    """The images of a part's file in a bucket, but those that left it."""
    part = PartStatistics.read(path, without=LARGE)
    part = part.images(torch.from_numpy(_in_bucket(part.digests.numpy(), bucket, buckets)))
    return part if left is None else part.images(torch.from_numpy(left.holds(part.digests.numpy())))


def _in_bucket(digests: np.ndarray, bucket: int, buckets: int) -> np.ndarray:
    """(N,) whether each digest belongs to a bucket, by its first byte."""
    mine: np.ndarray = digests[:, 0].astype(np.int64) * buckets // 256 == bucket
    return mine


def _several(images: _Images) -> _Images:
    """Those that come several times, by their digests; the same image in the order of its holders."""
    order = by_digest(images.digests)
    first = first_of_each(images.digests[order])
    last = np.r_[first[1:], True]
    return images.at(order[~(first & last)])


def _settle(classifier: Classifier, images: _Images, parts: int, found: Duplicates) -> None:
    """Decide which label stands of each image: the same again changes nothing, another replaces it."""
    if not len(images.label):
        return
    image = np.cumsum(first_of_each(images.digests)) - 1
    repeated, sets = _given(images, image)
    again = image[sets[1:]] == image[sets[:-1]]
    superseded = sets[:-1][again]
    opening = sets[np.r_[True, ~again]] if len(sets) else sets
    taker = np.full(image[-1] + 1, -1)  # of an image: the part whose label replaces those that stood before
    taker[image[opening]] = images.place[opening]
    replaced = np.flatnonzero((images.kind != _NEW) & (taker[image] >= 0))
    of_belief, of_parts = (replaced[images.kind[replaced] == kind] for kind in (_BELIEF, _HELD))
    weights = np.ones(len(image))
    weights[of_belief] = classifier.absorbed.weights.numpy()[images.row[of_belief]]
    weights[of_parts] = np.array(classifier.parts.weights, np.float64)[images.place[of_parts]]
    own = np.concatenate([np.flatnonzero(repeated), superseded])

    found.repeated += int(repeated.sum())
    found.superseded += len(superseded)
    found.rows.extend(images.row[of_belief].tolist())
    found.released.append(_counted(images, of_parts, weights, own=False))
    each = np.unique(image[replaced] * len(found.names) + images.label[replaced])
    for label, count in zip(*np.unique(each % len(found.names), return_counts=True), strict=True):
        found.was[found.names[label]] += int(count)
    rows = [_counted(images, replaced, weights, own=False), _counted(images, own, weights, own=True)]
    subtracted, part = np.concatenate(rows), np.r_[taker[image[replaced]], images.place[own]]
    order = np.lexsort((subtracted["own"], np.r_[image[replaced], image[own]], part))
    found.subtracted.append((subtracted[order], np.searchsorted(part[order], np.arange(parts + 1))))


def _given(images: _Images, image: IntArray) -> tuple[np.ndarray, IntArray]:
    """Labels of new parts that say what stands already (N,), and the places of those that do not.

    Args:
        images: N of them, from ``_several``.
        image: (N,) which image each is, ascending.
    """
    start = np.flatnonzero(np.r_[True, image[1:] != image[:-1]])
    new = images.kind == _NEW
    least = np.minimum.reduceat(np.where(new, np.iinfo(np.int32).max, images.label), start)
    greatest = np.maximum.reduceat(np.where(new, -1, images.label), start)
    # -1, no label: of an image that nobody held, or held under two.
    stands = np.where(least == greatest, greatest, -1)[image]
    follows = np.r_[False, new[:-1] & (image[1:] == image[:-1])]
    before = np.where(follows, np.r_[-1, images.label[:-1]], stands)
    repeated = new & (images.label == before)
    return repeated, np.flatnonzero(new & ~repeated)


def _counted(images: _Images, rows: IntArray, weights: FloatArray, *, own: bool) -> np.ndarray:
    made = np.empty(len(rows), _COUNTED)
    made["digest"], made["label"] = images.digests[rows], images.label[rows]
    made["weight"], made["own"] = weights[rows], own
    return made
