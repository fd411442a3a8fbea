"""Regressions by weighted rows: straight lines with robust errors, and logistic ones.

Errors are right also where the spread of the outcome differs from row to row (White 1980; the variant HC3 of
MacKinnon and White 1985).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bayesight.bayes.newton import minimise
from bayesight.causal.sample import Numeric, Sample, centre_and_scale, effective_rows
from bayesight.checks import check
from bayesight.types import FloatArray

_TOLERANCE = 1e-10
"""Of the loss that an intercept alone has: Newton's method stops at a step that promises less."""
_RIDGE = 1e-8
"""Of the mean curvature: keeps coefficients finite where a variable decides the answer alone."""


@dataclass(frozen=True)
class Design:
    """Regressors, the intercept first.

    Attributes:
        matrix: (R, P); continuous columns are centred and scaled, which changes no prediction.
        names: what each column stands for.
    """

    matrix: FloatArray
    names: tuple[str, ...]


@dataclass(frozen=True)
class Fit:
    """A fitted straight-line regression.

    Attributes:
        coefficients: (P,).
        covariance: robust, HC3 (P, P).
        influence: what each row moves the coefficients by (R, P), summing to 0 over rows.
        dof: rows less regressors.
    """

    coefficients: FloatArray
    covariance: FloatArray
    influence: FloatArray
    dof: float


def design(sample: Sample, names: Sequence[str]) -> Design:
    """Intercept, one column for each further level of a discrete variable, one for each continuous one.

    Columns that others determine are left out: they change no prediction.
    """
    columns, labels = [np.ones(len(sample.n))], ["1"]
    for name in names:
        column = sample.column(name)
        if isinstance(column, Numeric):
            centre, scale = centre_and_scale(column.values, sample.n)
            columns.append((column.values - centre) / (scale or 1.0))
            labels.append(name)
        else:
            columns += [(column.codes == k).astype(np.float64) for k in range(1, len(column.levels))]
            labels += [f"{name}={level}" for level in column.levels[1:]]
    matrix = np.column_stack(columns)
    kept = independent(matrix, sample.n)
    return Design(matrix[:, kept], tuple(labels[k] for k in kept))


def least_squares(x: FloatArray, y: FloatArray, n: FloatArray, squares: FloatArray) -> Fit:
    """Weighted least squares with errors that allow for unequal spread.

    Args:
        x: regressors (R, P) of full rank.
        y: outcome (R,).
        n: rows each stands for, or weights (R,).
        squares: sums of squared weights (R,).

    Raises:
        InvalidInput: no more rows than regressors, or regressors that determine one another.

    Example:
        >>> x = np.column_stack([np.ones(4), [0.0, 1.0, 2.0, 3.0]])
        >>> fit = least_squares(x, np.array([1.0, 3.0, 5.0, 7.0]), np.ones(4), np.ones(4))
        >>> fit.coefficients.round(6).tolist()
        [1.0, 2.0]
    """
    rows = effective_rows(n, squares)
    check(rows > x.shape[1], "regression", f"{rows:,.0f} rows for {x.shape[1]} coefficients", "more rows")
    gram = x.T @ (x * n[:, None])
    rank = len(independent(x, n))
    check(rank == x.shape[1], "regression", "regressors that determine one another", "independent ones")
    inverse = np.linalg.inv(gram)
    coefficients = inverse @ (x.T @ (n * y))
    leverage = np.einsum("rp,pq,rq->r", x, inverse, x) * squares / np.maximum(n, 1e-300)
    residual = (y - x @ coefficients) / np.maximum(1 - leverage, 1e-6)
    influence = (x * residual[:, None]) @ inverse
    covariance = influence.T @ (influence * squares[:, None])
    return Fit(coefficients, covariance, influence, rows - x.shape[1])


def logistic(x: FloatArray, y: FloatArray, n: FloatArray) -> FloatArray:
    """Coefficients (P,) of a logistic regression by Newton's method, with a trace of ridge.

    Args:
        x: regressors (R, P), the intercept first.
        y: 0 or 1, or a share of ones (R,).
        n: rows each stands for (R,).
    """
    ridge = _RIDGE * float(n.sum())
    start = np.zeros(x.shape[1])
    mean = float(np.clip(np.average(y, weights=n), 1e-6, 1 - 1e-6))
    start[0] = np.log(mean / (1 - mean))

    def loss(beta: FloatArray) -> float:
        eta = x @ beta
        return float(n @ (np.logaddexp(0, eta) - y * eta) + ridge * beta @ beta / 2)

    def newton(beta: FloatArray) -> tuple[FloatArray, FloatArray]:
        p = expit(x @ beta)
        gradient = x.T @ (n * (p - y)) + ridge * beta
        curvature = x.T @ (x * (n * np.maximum(p * (1 - p), 1e-10))[:, None])
        direction = np.linalg.solve(curvature + ridge * np.eye(len(beta)), gradient)
        return gradient, np.asarray(direction, np.float64)

    return minimise(loss, newton, start, tolerance=_TOLERANCE * max(1.0, loss(start)))


def expit(eta: FloatArray) -> FloatArray:
    """The logistic function."""
    p: FloatArray = 1 / (1 + np.exp(-np.clip(eta, -40, 40)))
    return p


def independent(matrix: FloatArray, n: FloatArray) -> list[int]:
    """Columns that no earlier ones determine, by Gram and Schmidt, each column orthogonalised twice.

    Args:
        matrix: (R, P).
        n: rows each stands for (R,); those of none have no say.
    """
    matrix = matrix * np.sqrt(n)[:, None]
    scale = np.sqrt((matrix**2).sum(axis=0))
    kept: list[int] = []
    basis = np.zeros((matrix.shape[0], 0))
    for k in np.flatnonzero(scale > 0):
        column = matrix[:, k] / scale[k]
        rest = column - basis @ (basis.T @ column)
        rest = rest - basis @ (basis.T @ rest)
        size = float(np.sqrt(rest @ rest))
        if size > 1e-7:
            basis = np.column_stack([basis, rest / size])
            kept.append(int(k))
    return kept
