"""Boxes beside the truth: overlap, and average precision as COCO measures it.

A box is left, top, right, bottom, in pixels or in any unit, with right and bottom beyond the last pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from bayesight.checks import check
from bayesight.evaluation.bootstrap import bootstrap_interval, bootstrap_intervals
from bayesight.types import FloatArray, IntArray

COCO_OVERLAPS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""Overlaps over which COCO averages: .5 to .95."""
UNCOUNTED = -1
"""The truth of a box that frames what need not be found."""
_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class TrueBoxes:
    """The boxes of one image.

    Args:
        boxes: (G, 4).
        classes: (G,) class numbers.
        difficult: (G,) boxes that need not be found: neither they nor what finds them count; None for none.
    """

    boxes: FloatArray
    classes: IntArray
    difficult: npt.NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class FoundBoxes:
    """Boxes that a detector found in one image.

    Args:
        boxes: (D, 4).
        classes: (D,) class numbers.
        scores: (D,) larger where it is surer.
    """

    boxes: FloatArray
    classes: IntArray
    scores: FloatArray


@dataclass(frozen=True)
class BoxMatches:
    """Found boxes, the surest first, and whether each found one that was there.

    Args:
        overlaps: (T,) overlap from which on a box is found.
        classes: (D,) class numbers.
        images: (D,) number of the image.
        scores: (D,) falling.
        right: (T, D) whether it found a box of its class that no surer one had found.
        counted: (T, D) whether it counts at all.
        present: (N, K) boxes to be found in each image.
    """

    overlaps: tuple[float, ...]
    classes: IntArray
    images: IntArray
    scores: FloatArray
    right: npt.NDArray[np.bool_]
    counted: npt.NDArray[np.bool_]
    present: IntArray
    _of_class: dict[int, IntArray] = field(default_factory=dict, repr=False)

    def average_precision(self, weights: FloatArray | None = None) -> FloatArray:
        """(T, K), each the mean over 101 recalls of the best precision at that recall or a higher one.

        NaN of a class of which nothing is to be found.

        Args:
            weights: (N,) how often each image counts; None for once.
        """
        images, classes = self.present.shape
        weights = np.ones(images) if weights is None else weights
        found = np.full((len(self.overlaps), classes), np.nan)
        for k in np.flatnonzero(weights @ self.present > 0).tolist():
            rows = self._of_class.setdefault(k, np.flatnonzero(self.classes == k))
            times = weights[self.images[rows]]
            hits = np.cumsum(self.right[:, rows] * times, axis=1)
            called = np.cumsum(self.counted[:, rows] * times, axis=1)
            recall = hits / (weights @ self.present[:, k])
            with np.errstate(invalid="ignore"):
                precision = np.nan_to_num(hits / called)
            best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
            for t, (reached, height) in enumerate(zip(recall, best, strict=True)):
                at = np.searchsorted(reached, _RECALLS)
                found[t, k] = np.append(height, 0.0)[at].mean()
        return found

    def mean_average_precision(
        self, weights: FloatArray | None = None, overlap: float | None = None
    ) -> float:
        """The mean over classes, and over overlaps or at one; NaN where nothing is to be found."""
        each = self.average_precision(weights)
        if overlap is not None:
            each = each[[self.overlaps.index(overlap)]]
        return float(np.nanmean(each)) if np.isfinite(each).any() else float("nan")

    def interval(
        self, overlap: float | None = None, *, draws: int = 1000, seed: int = 0
    ) -> tuple[float, float]:
        """95 % of ``mean_average_precision``, by drawing the images anew."""
        images = len(self.present)
        return bootstrap_interval(
            lambda weights: self.mean_average_precision(weights, overlap), images, draws=draws, seed=seed
        )

    def class_intervals(self, overlap: float, *, draws: int = 1000, seed: int = 0) -> FloatArray:
        """95 % of each class's average precision at an overlap, (K, 2), by drawing the images anew."""
        at = self.overlaps.index(overlap)
        one = replace(self, overlaps=(overlap,), right=self.right[[at]], counted=self.counted[[at]])
        return bootstrap_intervals(
            lambda weights: one.average_precision(weights)[0], len(self.present), draws=draws, seed=seed
        )

    def f1(self, overlap: float, threshold: float) -> float:
        """Harmonic mean of precision and recall of the boxes at least so sure; 0 where none is right."""
        t = self.overlaps.index(overlap)
        said = self.scores >= threshold
        hits = int((self.right[t] & said).sum())
        called, wanted = int((self.counted[t] & said).sum()), int(self.present.sum())
        return 2 * hits / (called + wanted) if called + wanted else float("nan")


def box_overlaps(ones: npt.ArrayLike, others: npt.ArrayLike) -> FloatArray:
    """Intersection over union (A, B) of boxes (A, 4) and (B, 4); 0 of boxes without area.

    Example:
        >>> box_overlaps([[0, 0, 2, 2]], [[1, 0, 3, 2], [5, 5, 6, 6]]).round(3).tolist()
        [[0.333, 0.0]]
    """
    a, b = (np.asarray(boxes, dtype=float).reshape(-1, 4) for boxes in (ones, others))
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    both = np.clip(high - low, 0, None).prod(axis=2)
    areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1) for boxes in (a, b)]
    either = areas[0][:, None] + areas[1][None] - both
    shares: FloatArray = np.divide(both, either, out=np.zeros_like(both), where=either > 0)
    return shares


def match_boxes(
    pairs: Sequence[tuple[TrueBoxes, FoundBoxes]],
    classes: int,
    *,
    overlaps: Sequence[float] = COCO_OVERLAPS,
    most: int = 100,
) -> BoxMatches:
    """Match found boxes with true ones, image by image and class by class, the surest first.

    Each takes the true box that it overlaps most among those that are left and that it overlaps enough
    (Lin et al. 2014, "Microsoft COCO"; its evaluation code).

    Args:
        pairs: of each image.
        classes: K.
        overlaps: (T,) from which on a box is found.
        most: boxes of a class in an image that are looked at, the surest.

    Raises:
        InvalidInput: no images, or a class number out of range.
    """
    check(len(pairs) > 0, "match_boxes", "got no images", "at least one")
    limits = np.asarray(overlaps, dtype=float)
    present = np.zeros((len(pairs), classes), np.int64)
    columns: list[tuple[IntArray, FloatArray, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]] = []
    for number, (true, found) in enumerate(pairs):
        _check(true.classes, classes)
        _check(found.classes, classes)
        hard = np.zeros(len(true.classes), bool) if true.difficult is None else np.asarray(true.difficult)
        for k in np.union1d(true.classes, found.classes).astype(int).tolist():
            there = np.flatnonzero(true.classes == k)
            there = there[np.argsort(hard[there], kind="stable")]  # those that count are taken first
            present[number, k] = (~hard[there]).sum()
            rows = np.flatnonzero(found.classes == k)
            rows = rows[np.argsort(-found.scores[rows], kind="stable")][:most]
            right, counted = matched(box_overlaps(found.boxes[rows], true.boxes[there]), hard[there], limits)
            tags = np.stack([np.full(len(rows), k), np.full(len(rows), number)])
            columns.append((tags, found.scores[rows], right, counted))
    tags = np.concatenate([np.zeros((2, 0), np.int64), *(column[0] for column in columns)], axis=1)
    scores = np.concatenate([np.zeros(0), *(column[1] for column in columns)])
    none = np.zeros((len(limits), 0), bool)
    right, counted = (
        np.concatenate([none, *(column[side] for column in columns)], axis=1) for side in (2, 3)
    )
    order = np.argsort(-scores, kind="stable")
    return BoxMatches(
        tuple(float(limit) for limit in limits),
        tags[0, order],
        tags[1, order],
        scores[order],
        right[:, order],
        counted[:, order],
        present,
    )


def box_truth(boxes: FloatArray, true: TrueBoxes, nothing: int, overlap: float = 0.5) -> IntArray:
    """The class of what each box frames, (N,); ``nothing`` where no true box is left for it.

    Each takes, in their order, the true box that it overlaps most among those that are left and that it
    overlaps enough, of whichever class. A box that frames what need not be found is ``UNCOUNTED``.

    Args:
        boxes: (N, 4), the surest first.
        true: what is there.
        nothing: the number for none.
        overlap: from which on a box frames a thing.
    """
    shares = box_overlaps(boxes, true.boxes)
    hard = np.zeros(len(true.classes), bool) if true.difficult is None else np.asarray(true.difficult)
    truth = np.full(len(boxes), nothing, np.int64)
    free = np.ones(len(hard), bool)
    for row, each in enumerate(shares):
        able = np.where(free & (each >= overlap), each, 0)
        if able.any():
            taken = int(able.argmax())
            free[taken] = bool(hard[taken])
            truth[row] = UNCOUNTED if hard[taken] else true.classes[taken]
    return truth


def _check(numbers: IntArray, classes: int) -> None:
    wrong = [int(k) for k in np.asarray(numbers) if not 0 <= k < classes]
    check(not wrong, "match_boxes", f"class number {wrong[:1]}", f"0 to {classes - 1}")


def matched(
    overlap: FloatArray, hard: npt.NDArray[np.bool_], limits: FloatArray
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Found boxes that are right, and those that count, (T, D) each, from overlaps (D, G), the surest first.

    True boxes that need not be found are behind the others, and are taken only where no other can be.
    """
    right = np.zeros((len(limits), len(overlap)), bool)
    counted = np.ones_like(right)
    for t, limit in enumerate(limits.tolist()):
        free = np.ones(overlap.shape[1], bool)
        for d, row in enumerate(overlap):
            for candidates in (free & ~hard, free & hard):
                able = candidates & (row >= min(limit, 1 - 1e-10))
                if able.any():
                    taken = int(np.flatnonzero(able)[np.argmax(row[able])])
                    free[taken] = False
                    right[t, d], counted[t, d] = not hard[taken], not hard[taken]
                    break
    return right, counted
