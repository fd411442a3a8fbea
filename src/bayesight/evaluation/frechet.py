"""Distance of made images from real ones: Fréchet's, between Gaussians over their features.

Source: Dowson, Landau 1982, *J. Multivariate Analysis* 12, for the distance; Heusel et al. 2017, "GANs
Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", sec. 3, for features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bayesight.checks import check


@dataclass(frozen=True)
class FeatureMoments:
    """The first two moments of a cloud of points.

    Args:
        mean: (D,) float64.
        covariance: (D, D) float64.
    """

    mean: Tensor
    covariance: Tensor


def moments(points: Tensor) -> FeatureMoments:
    """Mean and covariance (divided by N - 1) of points (N, D).

    Raises:
        InvalidInput: fewer than two points, or no matrix.

    Example:
        >>> moments(torch.tensor([[0.0], [2.0]])).covariance
        tensor([[2.]], dtype=torch.float64)
    """
    came = f"got shape {tuple(points.shape)}"
    check(points.dim() == 2 and len(points) >= 2, "moments", came, "points (N, D), N >= 2")
    wide = points.double()
    return FeatureMoments(wide.mean(0), torch.cov(wide.T).reshape(wide.shape[1], wide.shape[1]))


def frechet_distance(first: FeatureMoments, second: FeatureMoments) -> float:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), 0 where both are the same.

    The trace of the root is taken from the eigenvalues of S1^(1/2) S2 S1^(1/2), which is symmetric: no root
    of a general matrix is needed, and covariances without full rank are no trouble.

    Raises:
        InvalidInput: moments of different dimensions.

    Example:
        >>> standard = FeatureMoments(torch.zeros(2).double(), torch.eye(2).double())
        >>> moved = FeatureMoments(torch.tensor([3.0, 0.0]).double(), 4 * torch.eye(2).double())
        >>> frechet_distance(standard, moved)  # 3^2 + 2 (1 + 4 - 2 * 2)
        11.0
    """
    came = f"got {len(first.mean)} and {len(second.mean)} dimensions"
    check(first.mean.shape == second.mean.shape, "frechet_distance", came, "the same number")
    root = _root(first.covariance)
    inner = root @ second.covariance @ root
    cross = torch.linalg.eigvalsh((inner + inner.T) / 2).clamp_min(0).sqrt().sum()
    apart = (first.mean - second.mean).square().sum()
    spread = first.covariance.trace() + second.covariance.trace() - 2 * cross
    return max(0.0, float(apart + spread))


def class_entropy(classes: Tensor, count: int) -> float:
    """Entropy in nats of how often each of ``count`` classes occurs; ln(count) where all do equally.

    Args:
        classes: (N,) int64, in 0 .. count - 1.
        count: K.

    Raises:
        InvalidInput: nothing to count, or a class out of range.

    Example:
        >>> round(class_entropy(torch.tensor([0, 1, 0, 1]), 3), 4)  # ln 2
        0.6931
    """
    inside = len(classes) > 0 and int(classes.min()) >= 0 and int(classes.max()) < count
    check(inside, "class_entropy", f"{len(classes)} classes", f"some, each in 0 .. {count - 1}")
    share = torch.bincount(classes, minlength=count).double() / len(classes)
    return float(torch.special.entr(share).sum())


def _root(symmetric: Tensor) -> Tensor:
    """The symmetric square root of a positive semi-definite matrix."""
    values, vectors = torch.linalg.eigh(symmetric)
    root: Tensor = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    return root
