"""Count, mean and centred scatter of rows: what Gaussian families remember of their data.

Centred moments are combined by the formulas of Chan, Golub and LeVeque (1983, Algorithms for Computing the
Sample Variance, eq. 1.5), which do not cancel when the mean is large beside the
spread, as sums of squares do.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bayesight.checks import check

_ROUNDING = 1e-8


@dataclass(frozen=True)
class Moments:
    """Sufficient statistics of N rows of dimension D.

    Args:
        count: N, a float64 scalar.
        mean: (D,) float64; 0 when there are no rows.
        scatter: (D, D) float64, Σ (x - mean)(x - mean)ᵀ.
    """

    count: Tensor
    mean: Tensor
    scatter: Tensor


def zero(d: int) -> Moments:
    """The moments of no rows."""
    f64 = torch.float64
    return Moments(torch.zeros((), dtype=f64), torch.zeros(d, dtype=f64), torch.zeros(d, d, dtype=f64))


def as_rows(data: Tensor, d: int, where: str) -> Tensor:
    """Data as float64 (N, d), one observation a row; (N,) is allowed when d is 1.

    Raises:
        InvalidInput: another shape, NaN or an infinity.
    """
    rows = torch.as_tensor(data, dtype=torch.float64)
    rows = rows[:, None] if rows.ndim == 1 and d == 1 else rows
    shape = tuple(rows.shape)
    check(rows.ndim == 2 and shape[-1] == d, where, f"data of shape {shape}", f"(N, {d})")
    check(bool(rows.isfinite().all()), where, "NaN or an infinity in the data", "finite numbers")
    return rows


def of_rows(rows: Tensor) -> Moments:
    """The moments of (N, D) rows."""
    n, d = rows.shape
    if n == 0:
        return zero(d)
    mean = rows.mean(0)
    centred = rows - mean
    # What rounding left in the mean is taken out again: the two-pass method with correction.
    correction = centred.mean(0)
    scatter = centred.T @ centred - n * torch.outer(correction, correction)
    return Moments(torch.tensor(float(n), dtype=torch.float64), mean + correction, scatter)


def add(one: Moments, other: Moments) -> Moments:
    """The moments of both sets of rows."""
    count = one.count + other.count
    if count == 0:
        return one
    delta = other.mean - one.mean
    mean = one.mean + delta * (other.count / count)
    between = torch.outer(delta, delta) * (one.count * other.count / count)
    return Moments(count, mean, one.scatter + other.scatter + between)


def subtract(whole: Moments, part: Moments, where: str) -> Moments:
    """The moments of the rows of ``whole`` that are not in ``part``.

    Raises:
        InvalidInput: what would be left is no set of rows, so ``part`` was never in ``whole``.
    """
    count = whole.count - part.count
    came = f"{part.count:g} rows to remove where {whole.count:g} were taken in"
    check(bool(count >= 0), where, came, "rows that were taken in before")
    if part.count == 0:
        return whole
    delta = whole.mean - part.mean
    size = whole.scatter.diagonal().sum() + whole.count * whole.mean.square().sum() * 1e-6
    slack = _ROUNDING * size + 1e-300
    if count == 0:
        within = whole.scatter - part.scatter
        same = bool(whole.count * delta.square().sum() <= slack) and bool(within.abs().max() <= slack)
        _check_left(same, where)
        return zero(len(delta))
    scatter = whole.scatter - part.scatter - torch.outer(delta, delta) * (whole.count * part.count / count)
    left = torch.linalg.eigvalsh(scatter)
    _check_left(bool(left[0] >= -slack) and (bool(count > 1) or bool(left[-1] <= slack)), where)
    return Moments(count, whole.mean + delta * (part.count / count), scatter if count > 1 else scatter * 0)


def _check_left(possible: bool, where: str) -> None:
    came = "rows whose removal would leave a negative spread"
    check(possible, where, came, "rows that were taken in before", "Remove exactly what was absorbed.")
