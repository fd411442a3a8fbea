"""What is suspicious about a set of images: duplicates, conflicting labels, near-duplicates, imbalance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesight.data.layout import PARTS
from bayesight.data.store import Store
from bayesight.types import ImageArray, IntArray

__all__ = ["Audit", "Conflict", "NearPair", "audit", "perceptual_hash"]

_ROWS = 4096
_NEIGHBOURS = 32
_MOST_PAIRS = 1_000_000
_ALIKE_LEVELS = 6.0
_SHOWN = 20
_SET_APART = [PARTS.index(part) for part in ("train", "validation", "test")]
_ONES = np.array([n.bit_count() for n in range(1 << 16)], np.uint8)


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
        difference: mean absolute difference of their pixels, in grey levels of 255.
        same_class: whether their labels agree.
    """

    first: str
    second: str
    difference: float
    same_class: bool


@dataclass(frozen=True)
class Audit:
    """What an audit found.

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
            found["near"] = [
                {"first": p.first, "second": p.second, "difference": p.difference, "same_class": p.same_class}
                for p in self.near
            ]
        return found


def audit(store: Store, *, near: bool = False, within: int = 4, shown: int = _SHOWN) -> Audit:
    """Look through a store for duplicates, conflicting labels and imbalance.

    Args:
        store: the images.
        near: look for images that look alike as well: by perceptual hash, confirmed on their pixels.
        within: most bits of 64 in which hashes of such images differ.
        shown: most conflicts and most pairs to name.
    """
    group_of, sizes = _groups(store.digests)
    several = np.flatnonzero(sizes > 1)
    order = np.argsort(group_of, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)])
    mixed = _mixed(store.labels[order], store.labels[order] >= 0, starts[:-1])
    shared = _mixed(store.parts[order].astype(np.int64), np.isin(store.parts[order], _SET_APART), starts[:-1])
    conflicts = tuple(
        _conflict(store, order[starts[g] : starts[g + 1]], shown) for g in mixed[:shown].tolist()
    )
    pairs, total = _near(store, group_of, within, shown) if near else (None, None)
    counts = store.manifest.counts
    return Audit(
        groups=len(several),
        extra=int((sizes[several] - 1).sum()),
        across=len(mixed),
        across_parts=len(shared),
        conflicts=conflicts,
        near=pairs,
        near_pairs=total,
        counts=counts,
        imbalance=max(counts.values()) / min(counts.values()) if counts else 1.0,
    )


def perceptual_hash(images: ImageArray) -> npt.NDArray[np.uint64]:
    """64 bits of each image that change little when it is scaled, brightened or compressed (dHash).

    The image is averaged down to 8 rows of 9 cells; each bit says whether a cell is brighter than the one on
    its left. Source: N. Krawetz, "Kind of Like That", 2013.

    Args:
        images: uint8 ``(N, H, W)`` or ``(N, H, W, 3)``.

    Example:
        >>> ramp = np.arange(81, dtype=np.uint8).reshape(1, 9, 9)
        >>> hex(perceptual_hash(ramp)[0])
        '0xffffffffffffffff'
    """
    hashes = np.empty(len(images), np.uint64)
    rows, columns = _cells(images.shape[1], 8), _cells(images.shape[2], 9)
    weights = np.uint64(1) << np.arange(64, dtype=np.uint64)
    for first in range(0, len(images), _ROWS):
        block = np.asarray(images[first : first + _ROWS]).astype(np.float32)
        if block.ndim == 4:
            block = block.mean(axis=3)
        cells = rows @ block @ columns.T
        brighter = (cells[:, :, 1:] > cells[:, :, :-1] + 0.5).reshape(len(block), 64)
        hashes[first : first + len(block)] = (brighter * weights).sum(axis=1, dtype=np.uint64)
    return hashes


def _cells(length: int, cells: int) -> npt.NDArray[np.float32]:
    """Weights ``(cells, length)`` that average a line of pixels into cells of equal width."""
    edges = np.linspace(0, length, cells + 1)
    pixels = np.arange(length)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    weights = np.clip(overlap, 0, None)
    average: npt.NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return average


def _groups(digests: ImageArray) -> tuple[IntArray, IntArray]:
    """(group of each image, size of each group)."""
    rows = np.ascontiguousarray(digests).view(np.dtype((np.void, digests.shape[1]))).ravel()
    _, inverse, counts = np.unique(rows, return_inverse=True, return_counts=True)
    return inverse.astype(np.int64), counts.astype(np.int64)


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


def _near(store: Store, group_of: IntArray, within: int, shown: int) -> tuple[tuple[NearPair, ...], int]:
    """Pairs of different images that look alike, the most alike first, and how many there are.

    One of each set of identical images is looked at.
    """
    one_of_each = np.sort(np.unique(group_of, return_index=True)[1])
    hashes = np.concatenate(
        [
            perceptual_hash(store.images[one_of_each[first : first + _ROWS]])
            for first in range(0, len(one_of_each), _ROWS)
        ]
    )
    first, second = (one_of_each[side] for side in _candidates(hashes, within))
    difference = np.empty(len(first), np.float64)
    for at in range(0, len(first), _ROWS):
        a, b = (store.images[side[at : at + _ROWS]].astype(np.int16) for side in (first, second))
        difference[at : at + _ROWS] = np.abs(a - b).reshape(len(a), -1).mean(axis=1)
    alike = np.flatnonzero(difference <= _ALIKE_LEVELS)
    best = alike[np.argsort(difference[alike], kind="stable")][:shown]
    pairs = tuple(
        NearPair(
            store.path_of(int(first[k])),
            store.path_of(int(second[k])),
            round(float(difference[k]), 2),
            bool(store.labels[first[k]] == store.labels[second[k]]),
        )
        for k in best.tolist()
    )
    return pairs, len(alike)


def _candidates(hashes: npt.NDArray[np.uint64], within: int) -> tuple[IntArray, IntArray]:
    """Pairs of hashes that differ in at most ``within`` bits, without comparing each with each.

    Two such hashes agree in one of ``within + 1`` bands of bits (there are fewer differences than bands), and
    so lie close together when sorted with that band in front: each is compared with the 32 that follow it.
    Where more than that agree in a band some pairs are missed, and a million is the most that are returned;
    so time and memory stay in proportion to the number of hashes.
    """
    found: list[npt.NDArray[np.int64]] = [np.empty(0, np.int64)]
    bands = within + 1
    for band in range(bands):
        turn = np.uint64(64 * band // bands)
        turned = (hashes << turn) | (hashes >> (np.uint64(64) - turn)) if turn else hashes
        order = np.argsort(turned, kind="stable")
        ranked = hashes[order]
        for step in range(1, min(_NEIGHBOURS + 1, len(hashes))):
            differing = np.ascontiguousarray(ranked[:-step] ^ ranked[step:]).view(np.uint16).reshape(-1, 4)
            close = np.flatnonzero(_ONES[differing].sum(axis=1) <= within)
            ends = np.sort(np.stack([order[close], order[close + step]]), axis=0)
            found.append(ends[0] * len(hashes) + ends[1])
        found = [np.unique(np.concatenate(found))[:_MOST_PAIRS]]
    return found[0] // len(hashes), found[0] % len(hashes)
