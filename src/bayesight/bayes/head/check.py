"""Check that a Gaussian head's statistics can be those of rows, before anything is computed from them."""

from __future__ import annotations

import torch
from torch import Tensor

from bayesight.bayes.head.state import GaussianHead, within

_ROUNDING = 1e-9
"""Relative to the largest statistic: a million rows added and taken out again leave less."""


def broken_law(head: GaussianHead) -> str:
    """The first law of statistics that a head breaks, in words; empty where there is none.

    Counts are sums of weights, the second moments of a set of rows are symmetric and positive semidefinite,
    the square of a sum is at most the count times the sum of squares (Cauchy, Schwarz), and with the prior's
    scatter what is left about the class means is positive definite, so that it has a Cholesky factor.

    Args:
        head: of the right shapes, finite.

    Example:
        >>> from dataclasses import replace
        >>> from bayesight.bayes.head.state import empty
        >>> head = empty(("a", "b"), torch.zeros(2), torch.ones(2))
        >>> broken_law(head), broken_law(replace(head, counts=torch.tensor([1.0, -1.0])))
        ('', 'counts are not all 0 or more')
    """
    counts, sums, second = head.counts, head.sums, head.second_moments
    size = float(second.abs().max()) if second.numel() else 0.0
    slack = _ROUNDING * (1 + size)
    squares = second.diagonal(dim1=1, dim2=2)
    if not _all(head.scale > 1e-30) or not _all(head.scale < 1e30) or not _all(head.shift.abs() < 1e38):
        return "scale and shift are not those of 32-bit features"
    if not _all(counts >= 0) or float(counts.sum()) > 1e15:
        return "counts are not all 0 or more"
    if size > 1e100 or not _all((second - second.mT).abs() <= slack):
        return "second moments are not symmetric"
    if not _all(squares >= -slack):
        return "sums of squares are below 0"
    late = torch.arange(len(counts)) >= head.founding
    most = counts[:, None] * squares[late.long()]
    if not _all(sums.abs() < 1e100) or not _all(sums.square() <= most + slack * (1 + counts[:, None])):
        return "sums are larger than the counts and the sums of squares allow"
    left = within(head, head.prior.mean_strength)
    left.diagonal(dim1=1, dim2=2).add_(0.5 * head.prior.scatter)
    if not _all(left.isfinite()) or bool(torch.linalg.cholesky_ex(left).info.any()):
        return "second moments are not positive semidefinite about the class means"
    return ""


def _all(holds: Tensor) -> bool:
    return bool(holds.all())
