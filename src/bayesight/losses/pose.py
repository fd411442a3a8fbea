"""Losses of key points: of a map of places for each, and of coordinates."""

from __future__ import annotations

import torch
from torch import Tensor

from bayesight.checks import check


def heat_maps(points: Tensor, height: int, width: int, spread: float = 1.0) -> Tensor:
    """A Gaussian around each point, as log-probabilities (B, P, H, W) of the places of a map, nats.

    Args:
        points: (B, P, 2) x and y, pixels from the outer edge of the first one on.
        height: H, pixels.
        width: W.
        spread: standard deviation, pixels.

    Example:
        >>> heat_maps(torch.tensor([[[2.0, 0.5]]]), 1, 4, spread=0.5).exp()
        tensor([[[[0.0090, 0.4910, 0.4910, 0.0090]]]])
    """
    check(spread > 0, "heat_maps", f"a spread of {spread:g}", "above 0")
    sides = []
    for axis, length in enumerate((width, height)):
        centres = torch.arange(length, dtype=points.dtype, device=points.device) + 0.5
        sides.append((-((centres - points[..., axis, None]) ** 2) / (2 * spread**2)).log_softmax(dim=-1))
    return sides[1][..., :, None] + sides[0][..., None, :]


def heat_map_loss(maps: Tensor, points: Tensor, there: Tensor, *, spread: float = 1.0) -> Tensor:
    """Mean over the points that are there of KL(Gaussian around the point || softmax of its map), nats.

    Tompson et al. 2014 fit the same Gaussians by squared error; a map that sums to 1 is a posterior.

    Args:
        maps: (B, P, H, W) logits.
        points: (B, P, 2) x and y, pixels.
        there: (B, P) bool; others count for nothing.
        spread: standard deviation of the Gaussian, pixels.
    """
    _check(maps[..., :2, 0], points, there, "heat_map_loss")
    log_p = maps.float().flatten(2).log_softmax(dim=2)
    target = heat_maps(points.float(), maps.shape[2], maps.shape[3], spread).flatten(2)
    return _mean((target.exp() * (target - log_p)).sum(dim=2), there)


def coordinate_loss(found: Tensor, points: Tensor, there: Tensor, *, side: float) -> Tensor:
    """Mean over the points that are there of the squared distance, as a share of the picture's side squared.

    Toshev, Szegedy 2014, eq. 4.

    Args:
        found: (B, P, 2), pixels.
        points: the same shape.
        there: (B, P) bool; others count for nothing.
        side: of the picture, pixels.
    """
    _check(found, points, there, "coordinate_loss")
    return _mean(((found.float() - points) / side).square().sum(dim=2), there)


def _mean(each: Tensor, there: Tensor) -> Tensor:
    """Over what is there; 0 where nothing is."""
    return (each * there).sum() / there.sum().clamp(min=1)


def _check(found: Tensor, points: Tensor, there: Tensor, where: str) -> None:
    fits = points.ndim == 3 and points.shape[2] == 2 and found.shape[:2] == points.shape[:2] == there.shape
    came = f"got {tuple(found.shape[:2])} answers, points {tuple(points.shape)}, there {tuple(there.shape)}"
    check(fits, where, came, "(B, P), (B, P, 2) and (B, P)")
