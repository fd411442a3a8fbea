"""Key points beside the truth: the share that are near enough, and COCO's likeness of key points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bayesight.checks import check
from bayesight.evaluation.arrays import floats
from bayesight.evaluation.bootstrap import bootstrap_interval
from bayesight.evaluation.boxes import COCO_OVERLAPS, BoxMatches, matched
from bayesight.types import FloatArray, IntArray

COCO_TOLERANCES = {
    "nose": 0.026,
    "eye": 0.025,
    "ear": 0.035,
    "shoulder": 0.079,
    "elbow": 0.072,
    "wrist": 0.062,
    "hip": 0.107,
    "knee": 0.087,
    "ankle": 0.089,
}
"""The distance by which annotators of COCO differ on a point, as a share of the root of the thing's area."""

_OTHER_TOLERANCE = 0.07
"""Of points that COCO does not have: about the mean of its own."""


@dataclass(frozen=True)
class TrueFigures:
    """The figures of one image.

    Args:
        points: (G, P, 2), pixels.
        there: (G, P) points that are there; a figure without any need not be found.
        areas: (G,) pixels squared.
    """

    points: FloatArray
    there: npt.NDArray[np.bool_]
    areas: FloatArray


@dataclass(frozen=True)
class FoundFigures:
    """Figures that were found in one image.

    Args:
        points: (D, P, 2), pixels.
        scores: (D,) larger where the finder is surer.
    """

    points: FloatArray
    scores: FloatArray


def near_keypoints(
    true: npt.ArrayLike,
    found: npt.ArrayLike,
    sizes: npt.ArrayLike,
    share: float,
    visible: npt.ArrayLike | None = None,
) -> FloatArray:
    """PCK of each image (N,): the share of its points found within ``share`` of its size.

    Args:
        true: (N, P, 2), pixels.
        found: the same shape.
        sizes: (N,) the length that distances are measured by, such as the longer side of its box, pixels
            (Yang, Ramanan 2013, "Articulated human detection").
        share: of that length.
        visible: (N, P) points that are there; None for all. NaN of an image without any.

    Raises:
        InvalidInput: shapes that do not fit, or a size that is not positive.

    Example:
        >>> near_keypoints([[[0, 0], [9, 9]]], [[[1, 0], [9, 5]]], [10], 0.2).tolist()
        [0.5]
    """
    distance, length, there = _distances(true, found, sizes, visible, "near_keypoints")
    return _mean_of(distance <= share * length[:, None], there)


@dataclass(frozen=True, eq=False)
class FigurePoints:
    """The key points of figures beside those found: G figures in N images.

    Args:
        images: N.
        image: (G,) number of the image of each.
        true: (G, P, 2), pixels.
        there: (G, P) points that are there; others count for nothing.
        found: (G, P, 2), pixels.
        sizes: (G,) the length that distances are measured by, such as the longer side of a figure's box.
        areas: (G,) of each, pixels squared.
    """

    images: int
    image: IntArray
    true: FloatArray
    there: npt.NDArray[np.bool_]
    found: FloatArray
    sizes: FloatArray
    areas: FloatArray

    @property
    def gaps(self) -> FloatArray:
        """(G, P) distance of each point from the truth, as a share of its figure's size."""
        gaps: FloatArray = np.linalg.norm(self.found - self.true, axis=2) / self.sizes[:, None]
        return gaps

    def near(self, share: float) -> npt.NDArray[np.bool_]:
        """(G, P) points that are there and found within a share of their figure's size."""
        return np.logical_and(self.gaps <= share, self.there)

    def by_image(self, values: npt.NDArray[np.generic]) -> FloatArray:
        """Sums (N, P) over the figures of each image."""
        sums = np.zeros((self.images, values.shape[1]))
        np.add.at(sums, self.image, values)
        return sums

    def pck(
        self, share: float, point: int | slice = slice(None), *, draws: int = 1000
    ) -> tuple[float, float, float]:
        """PCK of all points, or of one: the share found near enough, and its 95 % interval over images.

        Points of an image are drawn together; NaN where there are none.
        """
        columns = [self.by_image(values)[:, point] for values in (self.near(share), self.there)]
        hits, known = (column.reshape(self.images, -1).sum(axis=1) for column in columns)

        def of(weights: FloatArray) -> float:
            total = float(weights @ known)
            return float(weights @ hits) / total if total else float("nan")

        return of(np.ones(self.images)), *bootstrap_interval(of, self.images, draws=draws)

    def mean_gaps(self) -> FloatArray:
        """(N,) mean distance of an image's points, as a share of their figures' sizes; NaN without any."""
        total = self.by_image(np.where(self.there, self.gaps, 0)).sum(axis=1)
        known = self.by_image(self.there).sum(axis=1)
        means: FloatArray = np.divide(total, known, out=np.full(self.images, np.nan), where=known > 0)
        return means

    def matches(self, scores: FloatArray, tolerances: npt.ArrayLike) -> BoxMatches:
        """Figures matched by likeness, as ``match_keypoints`` does; ``scores`` (G,) larger where surer."""
        pairs = []
        for number in range(self.images):
            rows = self.image == number
            true = TrueFigures(self.true[rows], self.there[rows], self.areas[rows])
            pairs.append((true, FoundFigures(self.found[rows], scores[rows])))
        return match_keypoints(pairs, tolerances)


def keypoint_likeness(
    true: npt.ArrayLike,
    found: npt.ArrayLike,
    areas: npt.ArrayLike,
    tolerances: npt.ArrayLike,
    visible: npt.ArrayLike | None = None,
) -> FloatArray:
    """OKS of each image (N,): the mean over its points of exp(-d^2 / (2 area (2 tolerance)^2)).

    As COCO defines it.

    Args:
        true: (N, P, 2), pixels.
        found: the same shape.
        areas: (N,) of the object, pixels squared.
        tolerances: (P,) how far annotators differ on a point, as a share of the root of the area.
        visible: (N, P) points that are there; None for all. NaN of an image without any.

    Raises:
        InvalidInput: shapes that do not fit, or an area or tolerance that is not positive.
    """
    distance, area, there = _distances(true, found, areas, visible, "keypoint_likeness")
    spread = floats(tolerances)
    fits = spread.shape == distance.shape[1:] and bool((spread > 0).all())
    check(fits, "keypoint_likeness", f"tolerances {spread.tolist()}", f"{distance.shape[1]} above 0")
    return _mean_of(np.exp(-(distance**2) / (2 * area[:, None] * (2 * spread) ** 2)), there)


def tolerances_of(names: Sequence[str]) -> FloatArray:
    """The tolerance (P,) of each point by its name: COCO's where it has such a point, on either side.

    Example:
        >>> tolerances_of(["nose", "left_wrist", "tail"]).tolist()
        [0.026, 0.062, 0.07]
    """
    words = (name.lower().replace("-", "_").split("_")[-1] for name in names)
    return np.array([COCO_TOLERANCES.get(word, _OTHER_TOLERANCE) for word in words])


def match_keypoints(
    pairs: Sequence[tuple[TrueFigures, FoundFigures]],
    tolerances: npt.ArrayLike,
    *,
    likeness: Sequence[float] = COCO_OVERLAPS,
    most: int = 20,
) -> BoxMatches:
    """Match found figures with true ones, image by image, the surest first, by the likeness of key points.

    As COCO's evaluation code does; what it gives measures average precision as of boxes, of one class.

    Args:
        pairs: of each image.
        tolerances: (P,) as of ``keypoint_likeness``.
        likeness: (T,) from which on a figure is found.
        most: figures in an image that are looked at, the surest.

    Raises:
        InvalidInput: no images, or shapes that do not fit.
    """
    check(len(pairs) > 0, "match_keypoints", "got no images", "at least one")
    limits = np.asarray(likeness, dtype=float)
    rows: list[tuple[FloatArray, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]] = []
    for true, found in pairs:
        hard: npt.NDArray[np.bool_] = np.logical_not(true.there.any(axis=1))
        order = np.argsort(hard, kind="stable")  # those that count are taken first
        sure = np.argsort(-found.scores, kind="stable")[:most]
        table = np.zeros((len(sure), len(order)))
        for g, figure in enumerate(order.tolist()):
            many = [np.repeat(part[figure, None], len(sure), axis=0) for part in (true.points, true.there)]
            areas = np.repeat(true.areas[figure], len(sure))
            if not hard[figure] and len(sure):
                table[:, g] = keypoint_likeness(many[0], found.points[sure], areas, tolerances, many[1])
        rows.append((found.scores[sure], *matched(table, hard[order], limits)))
    scores = np.concatenate([row[0] for row in rows])
    order = np.argsort(-scores, kind="stable")
    images = np.repeat(np.arange(len(rows)), [len(row[0]) for row in rows])
    right, counted = (np.concatenate([row[side] for row in rows], axis=1)[:, order] for side in (1, 2))
    present = np.array([[true.there.any(axis=1).sum()] for true, _ in pairs], dtype=np.int64)
    return BoxMatches(
        tuple(limits.tolist()),
        np.zeros(len(scores), np.int64),
        images[order].astype(np.int64),
        scores[order],
        right,
        counted,
        present,
    )


def _distances(
    true: npt.ArrayLike, found: npt.ArrayLike, sizes: npt.ArrayLike, visible: npt.ArrayLike | None, where: str
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.bool_]]:
    one, other, size = floats(true), floats(found), floats(sizes)
    there = np.ones(one.shape[:2], bool) if visible is None else np.asarray(visible, dtype=bool)
    came = f"got shapes {one.shape}, {other.shape}, {size.shape} and {there.shape}"
    fits = one.ndim == 3 and one.shape[2] == 2 and one.shape == other.shape
    fits = fits and size.shape == one.shape[:1] and there.shape == one.shape[:2]
    check(fits, where, came, "(N, P, 2), (N, P, 2), (N,) and (N, P)")
    check(bool((size > 0).all()), where, "a size that is not above 0", "sizes above 0")
    return np.linalg.norm(one - other, axis=2), size, there


def _mean_of(values: npt.NDArray[np.generic], there: npt.NDArray[np.bool_]) -> FloatArray:
    """The mean (N,) of values (N, P) over the points that are there."""
    count = there.sum(axis=1)
    total = np.where(there, values, 0).sum(axis=1)
    means: FloatArray = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    return means
