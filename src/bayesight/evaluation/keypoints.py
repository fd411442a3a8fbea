"""Key points beside the truth: the share that are near enough, and COCO's likeness of key points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bayesight.checks import check
from bayesight.evaluation.arrays import floats
from bayesight.evaluation.boxes import COCO_OVERLAPS, BoxMatches, matched
from bayesight.types import FloatArray

__all__ = [
    "COCO_TOLERANCES",
    "FoundFigures",
    "TrueFigures",
    "keypoint_likeness",
    "match_keypoints",
    "near_keypoints",
]

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
"""How far annotators of COCO differ on a point, as a share of the root of the thing's area."""


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
