"""Estimators that rest on a model: of the outcome, of who gets which treatment, or of both.

* standardisation: predict everybody's outcome under each treatment and average (g-formula)
* inverse probability weighting: weigh each row by 1 / P(its treatment | its covariates)
* doubly robust: predictions, corrected by weighted residuals; right when either model is (Robins, Rotnitzky
  and Zhao 1994; Hernán and Robins, What If, Technical Point 13.2)

Intervals come from influence functions, with the estimation of the models counted in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesight.causal.potential_outcomes import PotentialOutcomes, unanimous
from bayesight.causal.regression import expit, independent, least_squares, logistic
from bayesight.causal.sample import effective_rows
from bayesight.types import FloatArray, IntArray

FLOOR = 0.005
"""Probabilities of treatment below this are raised to it: one row must not stand for more than 200."""


@dataclass(frozen=True)
class WeightingProblem:
    """Covariates, treatments and outcomes, as the estimators take them.

    Attributes:
        x: regressors of the covariates, the intercept first (R, P).
        treatment: of each row, 0 ... K-1 (R,).
        treatments: K.
        y: outcome (R,).
        n: rows each stands for (R,).
        squares: sums of squared weights (R,).
        binary: whether the outcome is 0 or 1.
    """

    x: FloatArray
    treatment: IntArray
    treatments: int
    y: FloatArray
    n: FloatArray
    squares: FloatArray
    binary: bool


@dataclass(frozen=True)
class Propensity:
    """P(treatment | covariates) from one logistic regression for each treatment.

    Attributes:
        p: (R, K), at least ``FLOOR``.
        raw: the same before it was raised (R, K).
    """

    p: FloatArray
    raw: FloatArray


def propensity(task: WeightingProblem) -> Propensity:
    """Fit who gets which treatment."""
    columns: list[FloatArray] = []
    for k in range(task.treatments):
        if task.treatments == 2 and k == 1:
            columns.append(1 - columns[0])
        else:
            beta = logistic(task.x, (task.treatment == k).astype(np.float64), task.n)
            columns.append(expit(task.x @ beta))
    raw = np.column_stack(columns)
    return Propensity(np.maximum(raw, FLOOR), raw)


def regression_standardised(task: WeightingProblem) -> PotentialOutcomes:
    """Average predictions of one regression for each treatment: linear, or logistic for yes and no."""
    predicted, coefficient_part = _predictions(task)
    influence = predicted - _mean(task, predicted) + coefficient_part
    given = task.treatment[:, None] == np.arange(task.treatments)
    return _outcomes(task, _mean(task, predicted), influence, given.astype(np.float64))


def inverse_probability(task: WeightingProblem, propensities: Propensity) -> PotentialOutcomes:
    """Weighted means, weights normalised within each treatment (Hájek)."""
    means, influence = np.zeros(task.treatments), np.zeros((len(task.y), task.treatments))
    weights = (task.treatment[:, None] == np.arange(task.treatments)) / propensities.p
    for k in range(task.treatments):
        weight = weights[:, k]
        means[k] = (task.n * weight) @ task.y / (task.n @ weight)
        raw = weight * (task.y - means[k]) * task.n.sum() / (task.n @ weight)
        # Estimating the probabilities takes out what their score explains (Hirano, Imbens and Ridder 2003).
        score = task.x * ((task.treatment == k) - propensities.raw[:, k])[:, None]
        gram = score.T @ (score * task.n[:, None])
        part = np.linalg.lstsq(gram, score.T @ (task.n * raw), rcond=None)[0]
        influence[:, k] = raw - score @ part
    return _outcomes(task, means, influence, weights)


def doubly_robust(task: WeightingProblem, propensities: Propensity) -> PotentialOutcomes:
    """Predictions plus weighted residuals (augmented inverse probability weighting).

    The variance is that of the stacked estimating equations of both models and the means (Lunceford and
    Davidian 2004).
    """
    given = task.treatment[:, None] == np.arange(task.treatments)
    predicted, moved = _predictions(task, 1 - given / propensities.p)
    residual = given / propensities.p * (task.y[:, None] - predicted)
    mean = _mean(task, predicted + residual)
    influence = predicted + residual - mean + moved + _moved_by_propensity(task, propensities, residual)
    return _outcomes(task, mean, influence, given / propensities.p)


def _moved_by_propensity(
    task: WeightingProblem, propensities: Propensity, residual: FloatArray
) -> FloatArray:
    """Influence of estimating the probabilities of treatment on averages of weighted residuals (R, K)."""
    moved = np.zeros_like(residual)
    for k in range(task.treatments):
        fitted = 0 if task.treatments == 2 else k  # of two treatments, the second has what the first leaves
        p = propensities.raw[:, fitted]
        slope = np.where(propensities.raw[:, k] >= FLOOR, p * (1 - p), 0.0) * (1 if fitted == k else -1)
        gradient = task.x.T @ (-task.n * residual[:, k] / propensities.p[:, k] * slope)
        gram = task.x.T @ (task.x * (task.n * np.maximum(p * (1 - p), 1e-10))[:, None])
        score = task.x * ((task.treatment == fitted) - p)[:, None]
        moved[:, k] = score @ (np.linalg.pinv(gram, hermitian=True) @ gradient)
    return moved


def _predictions(task: WeightingProblem, weight: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
    """Predicted outcome under each treatment (R, K), and how estimating it moves weighted averages (R, K)."""
    weight = np.ones((len(task.y), task.treatments)) if weight is None else weight
    predicted = np.zeros((len(task.y), task.treatments))
    moved = np.zeros_like(predicted)
    for k in range(task.treatments):
        rows = task.treatment == k
        x, y, n = task.x[rows], task.y[rows], task.n[rows]
        if task.binary:
            p = expit(task.x @ logistic(x, y, n))
            predicted[:, k] = p
            slope = p * (1 - p)
            gram = x.T @ (x * (n * np.maximum(slope[rows], 1e-10))[:, None])
            inverse = np.linalg.pinv(gram, hermitian=True)
            influence = (x * (y - p[rows])[:, None]) @ inverse
        else:
            kept = independent(x, n)
            fit = least_squares(x[:, kept], y, n, task.squares[rows])
            predicted[:, k] = task.x[:, kept] @ fit.coefficients
            slope = np.ones(len(task.y))
            influence = np.zeros_like(x)
            influence[:, kept] = fit.influence
        gradient = task.x.T @ (task.n * slope * weight[:, k])
        moved[rows, k] = influence @ gradient
    return predicted, moved


def _mean(task: WeightingProblem, values: FloatArray) -> FloatArray:
    mean: FloatArray = task.n @ values / task.n.sum()
    return mean


def _outcomes(
    task: WeightingProblem, mean: FloatArray, influence: FloatArray, weight: FloatArray
) -> PotentialOutcomes:
    covariance = influence.T @ (influence * task.squares[:, None]) / task.n.sum() ** 2
    rows = effective_rows(task.n, task.squares)
    found = PotentialOutcomes(mean, covariance, max(rows - task.x.shape[1], 1.0), task.binary)
    return unanimous(found, task.y, weight, task.n, task.squares)
