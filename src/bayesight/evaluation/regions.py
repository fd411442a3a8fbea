"""Masks beside the truth: intersection over union of each class, and its mean."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bayesight.checks import check
from bayesight.evaluation.arrays import class_indices
from bayesight.evaluation.bootstrap import bootstrap_interval
from bayesight.types import FloatArray, IntArray


@dataclass(frozen=True)
class PixelCounts:
    """A confusion matrix of pixels for each image.

    Args:
        counts: (N, K, K), images, true classes, predicted classes; not whole where pixels are weighted.
    """

    counts: IntArray | FloatArray

    @property
    def total(self) -> IntArray | FloatArray:
        """(K, K) of all images."""
        summed: IntArray | FloatArray = self.counts.sum(axis=0)
        return summed

    def mean_iou(self, weights: FloatArray | None = None) -> float:
        """The mean over classes that have a pixel in truth or answer; NaN where none has.

        Args:
            weights: (N,) how often each image counts; None for once.
        """
        table = self.total if weights is None else np.tensordot(weights, self.counts, 1)
        each = intersection_over_union(table)
        return float(np.nanmean(each)) if np.isfinite(each).any() else float("nan")

    def iou(self, weights: FloatArray) -> FloatArray:
        """Of each class (K,), each image counted so often (N,)."""
        return intersection_over_union(np.tensordot(weights, self.counts, 1))

    def class_intervals(self, *, draws: int = 1000, seed: int = 0) -> FloatArray:
        """95 % of each class's intersection over union, (K, 2), by drawing the images anew."""

        def interval(k: int) -> tuple[float, float]:
            return bootstrap_interval(
                lambda weights: float(self.iou(weights)[k]), len(self.counts), draws=draws, seed=seed
            )

        return np.array([interval(k) for k in range(self.counts.shape[1])])

    def at_rates(self, rates: FloatArray) -> PixelCounts:
        """The counts with the pixels of each true class weighted to its share (K,) of all pixels."""
        true = self.total.sum(axis=1)
        weights = np.divide(rates * true.sum(), true, out=np.zeros(len(true)), where=true > 0)
        return PixelCounts(self.counts * weights[:, None])

    def interval(self, *, draws: int = 1000, seed: int = 0) -> tuple[float, float]:
        """95 % of ``mean_iou``, by drawing the images anew."""
        return bootstrap_interval(self.mean_iou, len(self.counts), draws=draws, seed=seed)


def pixel_counts(
    pairs: Iterable[tuple[npt.ArrayLike, npt.ArrayLike]], classes: int, void: int | None = None
) -> PixelCounts:
    """Count the pixels of each image by what they are and what they are called.

    Args:
        pairs: true mask and predicted mask of each image, class numbers of one shape.
        classes: K.
        void: a number in true masks that stands for no class; its pixels count for nothing.

    Raises:
        InvalidInput: no image, masks of two shapes, or a number that is no class.
    """
    counts = []
    for true, predicted in pairs:
        one, other = np.asarray(true).ravel(), np.asarray(predicted).ravel()
        same = np.shape(true) == np.shape(predicted)
        check(same, "pixel_counts", f"masks of {np.shape(true)} and {np.shape(predicted)}", "one shape")
        kept = slice(None) if void is None else one != void
        cells = class_indices(one[kept], classes, "pixel_counts: true masks") * classes
        cells += class_indices(other[kept], classes, "pixel_counts: predicted masks")
        counts.append(np.bincount(cells, minlength=classes**2).reshape(classes, classes))
    check(bool(counts), "pixel_counts", "got no images", "at least one")
    return PixelCounts(np.stack(counts))


def intersection_over_union(table: npt.ArrayLike) -> FloatArray:
    """Of each class (K,), from a confusion matrix (K, K): pixels both call it, of those that either does.

    NaN of a class that neither has.

    Example:
        >>> intersection_over_union([[3, 1], [0, 4]]).tolist()
        [0.75, 0.8]
    """
    cells = np.asarray(table, dtype=float)
    both = cells.diagonal()
    either = cells.sum(axis=0) + cells.sum(axis=1) - both
    with np.errstate(invalid="ignore"):
        shares: FloatArray = both / either
    return shares
