"""Find what is suspicious in a set of images: duplicates, conflicting labels, near-duplicates, imbalance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesight.data.layout import PARTS
from bayesight.data.splits import groups_of
from bayesight.data.store import Store
from bayesight.types import IntArray

_SHOWN = 20
_SET_APART = [PARTS.index(part) for part in ("train", "validation", "test")]


@dataclass(frozen=True)
class Conflict:
    """One image that lies in the source more than once, under different labels.

    Args:
        paths: where it lies, at most 20 of the places.
        labels: how many images each class counts among them.
    """

    paths: tuple[str, ...]
    labels: dict[str, int]


@dataclass(frozen=True)
class NearPair:
    """Two images that look alike without being equal.

    Args:
        first: where one lies.
        second: where the other lies.
        difference: mean absolute difference of their pixels as they lie, in grey levels of 255.
        aligned_difference: the same after they are aligned, see ``near``; pairs are in its order.
        same_class: whether their labels agree.
    """

    first: str
    second: str
    difference: float
    aligned_difference: float
    same_class: bool


@dataclass(frozen=True)
class Audit:
    """The findings of an audit.

    Args:
        groups: sets of identical images.
        extra: images beyond the first of each group; the number of different images is the total less this.
        across: groups whose images lie under different labels.
        across_parts: groups whose images lie in several of the source's parts, train, validation and test.
        conflicts: those groups by name, the first 20 of them.
        near: pairs that look alike, the most alike of them; None when not looked for.
        near_pairs: how many such pairs were found in all; None when not looked for.
        counts: images of each class.
        imbalance: size of the largest class divided by that of the smallest.
    """

    groups: int
    extra: int
    across: int
    across_parts: int
    conflicts: tuple[Conflict, ...]
    near: tuple[NearPair, ...] | None
    near_pairs: int | None
    counts: dict[str, int]
    imbalance: float

    def as_dict(self) -> dict[str, Any]:
        """The findings as plain lists and dictionaries, for JSON."""
        found: dict[str, Any] = {"groups": self.groups, "extra": self.extra, "across_classes": self.across}
        found["across_parts"] = self.across_parts
        found["conflicts"] = [{"paths": list(c.paths), "labels": c.labels} for c in self.conflicts]
        if self.near is not None:
            found["near_pairs"] = self.near_pairs
            found["near"] = [asdict(pair) for pair in self.near]
        return found


def audit(store: Store, *, near: bool = False, pairs: int = _SHOWN) -> Audit:
    """Look through a store for duplicates, conflicting labels and imbalance.

    Args:
        store: the images.
        near: look for images that look alike as well: shifted, cropped, brightened or compressed copies.
        pairs: most of those pairs to name.
    """
    group_of = groups_of(store.digests)
    sizes = np.bincount(group_of)
    several = np.flatnonzero(sizes > 1)
    order = np.argsort(group_of, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)])
    mixed = _mixed(store.labels[order], store.labels[order] >= 0, starts[:-1])
    shared = _mixed(store.parts[order].astype(np.int64), np.isin(store.parts[order], _SET_APART), starts[:-1])
    conflicts = tuple(
        _conflict(store, order[starts[g] : starts[g + 1]], _SHOWN) for g in mixed[:_SHOWN].tolist()
    )
    named, total = _near(store, group_of, pairs) if near else (None, None)
    counts = store.manifest.counts
    return Audit(
        groups=len(several),
        extra=int((sizes[several] - 1).sum()),
        across=len(mixed),
        across_parts=len(shared),
        conflicts=conflicts,
        near=named,
        near_pairs=total,
        counts=counts,
        imbalance=max(counts.values()) / min(counts.values()) if counts else 1.0,
    )


def _mixed(values: IntArray, counts: npt.NDArray[np.bool_], starts: IntArray) -> IntArray:
    """Groups, given by where each starts, with several values among those that count."""
    low = np.minimum.reduceat(np.where(counts, values, np.iinfo(np.int64).max), starts)
    high = np.maximum.reduceat(np.where(counts, values, -1), starts)
    return np.flatnonzero(low < high)


def _conflict(store: Store, members: IntArray, shown: int) -> Conflict:
    names: Sequence[str] = store.classes
    members = members[store.labels[members] >= 0]
    counted = Counter(names[label] for label in store.labels[members].tolist())
    return Conflict(tuple(store.path_of(i) for i in members[:shown].tolist()), dict(sorted(counted.items())))


def _near(store: Store, group_of: IntArray, pairs: int) -> tuple[tuple[NearPair, ...], int]:
    """Pairs of different images that look alike, the most alike first, and how many there are.

    One of each set of identical images is looked at.
    """
    from bayesight.data.near import alike_pairs

    one_of_each = np.sort(np.unique(group_of, return_index=True)[1])
    found = alike_pairs(store.images, one_of_each)
    named = []
    for first, second, aligned in zip(
        one_of_each[found.first[:pairs]].tolist(),
        one_of_each[found.second[:pairs]].tolist(),
        found.difference[:pairs].tolist(),
        strict=True,
    ):
        a, b = (store.images[row].astype(np.int16) for row in (first, second))
        named.append(
            NearPair(
                store.path_of(first),
                store.path_of(second),
                round(float(np.abs(a - b).mean()), 2),
                round(aligned, 2),
                bool(store.labels[first] == store.labels[second]),
            )
        )
    return tuple(named), len(found.first)
