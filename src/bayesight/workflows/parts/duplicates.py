"""Images that come in several parts, or that a belief holds already, found by their digests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from bayesight.belief.absorbed import Rows
from bayesight.belief.classifier import Classifier
from bayesight.belief.part_statistics import LARGE, PartStatistics
from bayesight.errors import RunUnreadable
from bayesight.run import Run
from bayesight.types import IntArray
from bayesight.workflows.parts.absorbing import LabelledRows, by_digest, groups

__all__ = [
    "Duplicates",
    "Subtraction",
    "find_duplicates",
    "held_files",
    "images_in_parts",
    "parts_folder",
    "with_rows_of_parts",
]

_AT_ONCE = 2_000_000
"""Images whose digests are sorted at once."""
_BELIEF, _HELD, _NEW = 0, 1, 2


@dataclass
class Subtraction:
    """Images whose statistics are to be subtracted, and can be computed from one part.

    Args:
        digests: of the images, 16 bytes each.
        classes: names under which they were counted.
        weights: with which they were counted.
        own: those whose label the part itself gave.
    """

    digests: list[bytes] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    own: set[bytes] = field(default_factory=set)

    def rows(self) -> LabelledRows:
        """The same for a task."""
        digests = np.frombuffer(b"".join(self.digests), np.uint8).reshape(-1, 16)
        return LabelledRows(digests, tuple(self.classes), tuple(self.weights))


@dataclass
class Duplicates:
    """Consequences of images that come several times.

    Args:
        subtractions: by the place of the part from which they are computed.
        rows: of the belief, whose labels are replaced.
        released: (digest, class, weight) of images of earlier parts whose labels are replaced.
        repeated: labels that said what was known already.
        superseded: labels that a later part replaced.
        was: class -> how many images of the belief had it before.
    """

    subtractions: dict[int, Subtraction] = field(default_factory=dict)
    rows: list[int] = field(default_factory=list)
    released: list[tuple[bytes, str, float]] = field(default_factory=list)
    repeated: int = 0
    superseded: int = 0
    was: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class _Images:
    """Images of one holder: which of ``_BELIEF``, ``_HELD`` and ``_NEW``, and its place among those."""

    kind: int
    place: int
    digests: np.ndarray
    rows: IntArray
    labels: IntArray
    names: tuple[str, ...]


def find_duplicates(classifier: Classifier, folder: Path, new: Sequence[Path]) -> Duplicates:
    """Compare the images of new parts with each other and with what a belief holds.

    Memory follows ``_AT_ONCE``, not the number of images.

    Args:
        classifier: the belief.
        folder: of its parts.
        new: statistics of the new parts, in the order of the manifest.
    """
    found = Duplicates()
    files = held_files(classifier, folder)
    total = sum(len(PartStatistics.read(path, without=LARGE)) for path in (*files, *new))
    buckets, left = min(256, -(-total // _AT_ONCE) or 1), classifier.parts.left()
    for bucket in range(buckets):
        holders = [
            _of_belief(classifier, bucket, buckets),
            *(_of_file(path, _HELD, at, bucket, buckets, left) for at, path in enumerate(files)),
            *(_of_file(path, _NEW, at, bucket, buckets) for at, path in enumerate(new)),
        ]
        _settle(classifier, [one for one in holders if len(one.digests)], found)
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
    wanted = {digest.tobytes(): place for place, digest in enumerate(digests.numpy())}
    found: dict[int, tuple[str, float]] = {}
    left = classifier.parts.left()
    for at, path in enumerate(held_files(classifier, folder) if wanted else ()):
        part = _of_file(path, _HELD, at, 0, 1, left)
        near = np.isin(part.digests.view("<u8")[::2], digests.numpy().reshape(-1).view("<u8")[::2])
        for row in np.flatnonzero(near).tolist():
            place = wanted.get(part.digests.reshape(-1, 16)[row].tobytes())
            if place is not None:
                found[place] = part.names[int(part.labels[row])], classifier.parts.weights[at]
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


def _of_belief(classifier: Classifier, bucket: int, buckets: int) -> _Images:
    digests = np.ascontiguousarray(classifier.absorbed.digests.numpy())
    rows = _in_bucket(digests, bucket, buckets)
    labels = classifier.absorbed.labels.numpy()[rows]
    return _Images(_BELIEF, 0, digests[rows].reshape(-1), rows, labels, classifier.classes.names)


def _of_file(
    path: Path, kind: int, place: int, bucket: int, buckets: int, left: Counter[bytes] | None = None
) -> _Images:
    """The images of a part's file, but those that ``left`` it, which are counted down."""
    part = PartStatistics.read(path, without=LARGE)
    digests = np.ascontiguousarray(part.digests.numpy())
    rows = _in_bucket(digests, bucket, buckets)
    if left:
        kept = np.ones(len(rows), bool)
        for at, row in enumerate(rows.tolist()):
            image = digests[row].tobytes()
            if left.get(image, 0) > 0:
                left[image] -= 1
                kept[at] = False
        rows = rows[kept]
    labels = part.labels.numpy()[rows].astype(np.int64)
    return _Images(kind, place, digests[rows].reshape(-1), rows, labels, part.classes)


def _in_bucket(digests: np.ndarray, bucket: int, buckets: int) -> IntArray:
    """The rows whose digests belong to a bucket, by their first byte."""
    return np.flatnonzero(digests[:, 0].astype(np.int64) * buckets // 256 == bucket)


def _settle(classifier: Classifier, holders: Sequence[_Images], found: Duplicates) -> None:
    """Decide which label stands of each image that comes several times."""
    if not holders:
        return
    digests = np.concatenate([one.digests for one in holders])
    sizes = [len(one.rows) for one in holders]
    holder = np.repeat(np.arange(len(holders)), sizes)
    row = np.concatenate([np.arange(size) for size in sizes])
    for group in groups(digests, by_digest(digests)):
        image = digests.reshape(-1, 16)[group[0]].tobytes()
        _decide(classifier, image, [(holders[holder[at]], int(row[at])) for at in group], found)


def _decide(
    classifier: Classifier, image: bytes, given: Sequence[tuple[_Images, int]], found: Duplicates
) -> None:
    """One image: the same label again changes nothing, another one replaces those that stand."""
    standing = [one for one in given if one[0].kind != _NEW]
    former = {_name(*one) for one in standing}
    for one in (one for one in given if one[0].kind == _NEW):
        name, part = _name(*one), one[0].place
        if not standing:
            standing = [one]
        elif all(_name(*other) == name for other in standing):
            found.repeated += 1
            _subtract(found, part, image, name, 1.0, own=True)
        else:
            for other, row in standing:
                _take_out(classifier, found, part, image, other, row)
            standing = [one]
    if former and standing[0][0].kind == _NEW:
        found.was.update(former)


def _take_out(
    classifier: Classifier, found: Duplicates, part: int, image: bytes, holder: _Images, row: int
) -> None:
    """Take a standing label of an image out of what holds it; a part computes what it counted for."""
    name = _name(holder, row)
    if holder.kind == _NEW:
        found.superseded += 1
        _subtract(found, holder.place, image, name, 1.0, own=True)
    elif holder.kind == _BELIEF:
        place = int(holder.rows[row])
        found.rows.append(place)
        _subtract(found, part, image, name, float(classifier.absorbed.weights[place]))
    else:
        weight = classifier.parts.weights[holder.place]
        found.released.append((image, name, weight))
        _subtract(found, part, image, name, weight)


def _subtract(
    found: Duplicates, part: int, image: bytes, name: str, weight: float, *, own: bool = False
) -> None:
    one = found.subtractions.setdefault(part, Subtraction())
    one.digests.append(image)
    one.classes.append(name)
    one.weights.append(weight)
    if own:
        one.own.add(image)


def _name(holder: _Images, row: int) -> str:
    return holder.names[int(holder.labels[row])]
