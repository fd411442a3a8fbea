"""Effects from orthogonal scores with cross-fitted models (double machine learning).

For a binary contrast with e = P(treated | x) and μ the mean outcome of each treatment, the score of the
effect on the rows weighted by h is, with (T - e)² standing for h = e(1 - e) so that its estimation is counted
in,

    ate      μ1 - μ0 + T(Y - μ1)/e - (1 - T)(Y - μ0)/(1 - e)
    att      T(Y - μ0) - (1 - T) e/(1 - e) (Y - μ0)                               over T
    overlap  T(1 - e)(Y - μ1) - (1 - T) e (Y - μ0) + (T - e)² (μ1 - μ0)           over (T - e)²

(Robins, Rotnitzky and Zhao 1994; Hahn 1998; Hirano, Imbens and Ridder 2003; Crump et al. 2009; Li, Morgan and
Zaslavsky 2018). The last is the residual-on-residual regression of a partially linear model (Robinson 1988),
and for a treatment that is a quantity it is just that. Errors of the models enter only in products
(Chernozhukov et al. 2018), so the influence function's variance holds for the cross-fitted effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bayesight.causal.nuisance import LEARNERS, CrossFit, basis_of, cross_fit, folds_of
from bayesight.causal.potential_outcomes import PotentialOutcomes, Slope, unanimous
from bayesight.causal.regression import independent
from bayesight.causal.sample import Sample, effective_rows
from bayesight.checks import check
from bayesight.types import FloatArray, IntArray

CHANCE = 0.01
"""A row with a smaller chance of some treatment says nothing about it."""
_LEAST = 2
_MOST_UNFOLDED = 200_000


@dataclass(frozen=True)
class Nuisance:
    """A table with predictions for each row by models that have not seen it.

    Attributes:
        treatment: of each row, 0 ... K-1 (R,).
        y: outcome (R,).
        n: rows each stands for (R,).
        squares: sums of squared weights (R,).
        x: intercept and main effects of what is held fixed (R, P).
        p: probability of each treatment as predicted (R, K).
        mean: predicted outcome under each treatment (R, K).
        shared: share of the outcome models that all treatments have in common (K,).
        binary: whether the outcome is 0 or 1.
    """

    treatment: IntArray
    y: FloatArray
    n: FloatArray
    squares: FloatArray
    x: FloatArray
    p: FloatArray
    mean: FloatArray
    shared: FloatArray
    binary: bool

    outcome_models: dict[str, float]
    treatment_models: dict[str, float]

    @property
    def rows(self) -> float:
        """Rows, or Kish's effective number of them."""
        return effective_rows(self.n, self.squares)

    def pair(self, of: int, versus: int) -> Nuisance:
        """The rows of two treatments alone: the first becomes treatment 1, the second 0."""
        rows = (self.treatment == of) | (self.treatment == versus)
        two = [versus, of]
        p = self.p[rows][:, two]
        return replace(
            self, treatment=(self.treatment[rows] == of).astype(np.int64), y=self.y[rows], n=self.n[rows],
            squares=self.squares[rows], x=self.x[rows], p=p / p.sum(axis=1, keepdims=True),
            mean=self.mean[rows][:, two], shared=self.shared[two],
        )  # fmt: skip

    def without(self, effect: str) -> float:
        """Share of the rows that ``effect`` is about whose chance of some treatment is below ``CHANCE``."""
        far = np.asarray((self.p < CHANCE).any(axis=1), np.bool_)
        about = np.ones(len(far), np.bool_)
        if effect == "overlap":
            far = np.zeros_like(far)
        elif effect != "ate":
            about = self.treatment == int(effect == "att")
            far = self.p[:, int(effect != "att")] < CHANCE
        return float(self.n[about & far].sum() / self.n[about].sum())

    def effective(self, effect: str) -> float:
        """Rows that the weighted rows of the thinnest treatment are worth (Kish)."""
        weight = self.n[:, None] * _score(self.treatment, bounded(self.p, self.rows), effect).own
        squares = (self.squares / self.n**2)[:, None] * weight**2
        return float((weight.sum(axis=0) ** 2 / squares.sum(axis=0)).min())


@dataclass(frozen=True)
class Residuals:
    """Residuals of outcome and treatment from cross-fitted models, and the slope of one on the other.

    Attributes:
        line: the slope in a partially linear model.
        outcome: what is left of it (R,).
        treatment: what is left of it (R,).
        outcome_models: share of each kind of model in its prediction.
        treatment_models: the same for the treatment.
    """

    line: Slope
    outcome: FloatArray
    treatment: FloatArray
    outcome_models: dict[str, float]
    treatment_models: dict[str, float]


def prepare(
    sample: Sample, treatment: str, y: FloatArray, names: Sequence[str], *, binary: bool,
    learners: Sequence[str] = LEARNERS,
) -> Nuisance:  # fmt: skip
    """Predict outcome and treatment of each row from models that have not seen it.

    Args:
        sample: the table.
        treatment: a discrete column of K levels.
        y: outcome (R,).
        names: what is held fixed.
        binary: whether the outcome is 0 or 1.
        learners: kinds of model, of ``LEARNERS``.

    Raises:
        InvalidInput: fewer than two rows of some treatment.
    """
    sample, (y,) = unfolded(sample, y)
    column = sample.discrete(treatment)
    codes, treatments = column.codes, len(column.levels)
    rows = np.bincount(codes, minlength=treatments)
    few, least = column.levels[int(rows.argmin())], int(rows.min())
    came = f"{least} row{'' if least == 1 else 's'} with {treatment}={few}"
    check(least >= _LEAST, "rows", came, f"at least {_LEAST} of each treatment")
    basis = basis_of(sample, names)
    folds = folds_of([*basis.raw.T, *basis.codes.T, y], codes)
    outcome = cross_fit(
        basis, y, sample.n, folds, treatment=codes, treatments=treatments, binary=binary, learners=learners
    )
    each = [
        cross_fit(basis, (codes == k).astype(np.float64), sample.n, folds, binary=True, learners=learners)
        for k in range(1 if treatments == 2 else 0, treatments)
    ]
    p = np.column_stack([found.predicted for found in each])
    p = np.column_stack([1 - p, p]) if treatments == 2 else p / p.sum(axis=1, keepdims=True)
    x = basis.linear(np.arange(len(y)))
    x = x[:, independent(x, sample.n)]
    return Nuisance(
        codes, y, sample.n, sample.squares, x, p, outcome.predicted, outcome.shared, binary,
        kinds([outcome]), kinds(each),
    )  # fmt: skip


def partial_slope(
    sample: Sample, t: FloatArray, y: FloatArray, names: Sequence[str], learners: Sequence[str] = LEARNERS
) -> Residuals:
    """Regress the residuals of the outcome on those of the treatment, both from cross-fitted models."""
    sample, (t, y) = unfolded(sample, t, y)
    basis = basis_of(sample, names)
    folds = folds_of([*basis.raw.T, *basis.codes.T, y, t], np.zeros(len(y), np.int64))
    outcome, dose = (cross_fit(basis, v, sample.n, folds, learners=learners) for v in (y, t))
    left_t, left_y = t - dose.predicted[:, 0], y - outcome.predicted[:, 0]
    line = slope_of(left_t, left_y, sample.n, sample.squares)
    return Residuals(line, left_y, left_t, kinds([outcome]), kinds([dose]))


def kinds(found: Sequence[CrossFit]) -> dict[str, float]:
    """Share of each kind of model in a prediction, averaged over what was predicted."""
    share = dict.fromkeys(LEARNERS, 0.0)
    for learned in found:
        for name, weights in learned.weights.items():
            share[name.split(",")[0]] += float(weights.mean()) / len(found)
    return share


def unfolded(sample: Sample, *values: FloatArray) -> tuple[Sample, tuple[FloatArray, ...]]:
    """One line for each row where lines stand for several, if there are not too many; else as they are."""
    whole = bool((sample.n == np.round(sample.n)).all() and (sample.n == sample.squares).all())
    if not whole or sample.total > _MOST_UNFOLDED or bool((sample.n == 1).all()):
        kept = np.flatnonzero(sample.n > 0)
        if len(kept) == len(sample.n):
            return sample, values
        return replace(sample.take(kept, sample.n[kept]), squares=sample.squares[kept]), tuple(
            v[kept] for v in values
        )
    rows = np.repeat(np.arange(len(sample.n)), sample.n.astype(np.int64))
    return sample.take(rows, np.ones(len(rows))), tuple(v[rows] for v in values)


def bounded(p: FloatArray, rows: float) -> FloatArray:
    """Probabilities of treatment, none below 5 / (√rows · ln rows) (Gruber et al. 2022), 0.1 at most."""
    least = min(5 / (np.sqrt(rows) * np.log(max(rows, 3.0))), 0.1)
    return np.asarray(np.clip(p, least, 1 - least))


@dataclass(frozen=True)
class _Score:
    """Mean k is Σ n (own[:, k] y + rest[:, k] mean[:, k]) / Σ n below; each is (R, K)."""

    own: FloatArray
    rest: FloatArray
    below: FloatArray


def _score(treatment: IntArray, p: FloatArray, effect: str) -> _Score:
    """Weights of each row's outcome and of its predictions."""
    given = (treatment[:, None] == np.arange(p.shape[1])).astype(np.float64)
    if effect == "ate":
        return _Score(given / p, 1 - given / p, np.ones(len(treatment)))
    if effect == "overlap":
        below = (given[:, 1] - p[:, 1]) ** 2
        weight = given * p[:, ::-1]
    else:
        target = int(effect == "att")
        below = given[:, target]
        weight = given * p[:, [target]] / p
    return _Score(weight, below[:, None] - weight, below)


def outcomes_of(found: Nuisance, effect: str = "ate") -> PotentialOutcomes:
    """Means of each treatment on the rows that ``effect`` asks for, with their covariance.

    The influence function has two parts: the score's, and what the outcome models' own estimation adds where
    the weighted rows of a treatment do not balance those they stand for, as far as main effects go (stacked
    estimating equations; it vanishes as the table grows, unless probabilities had to be bounded). Degrees of
    freedom follow from how unequally rows contribute to the variance of the last difference (Satterthwaite's,
    by the fourth moment), and are fewer than the rows of the smallest treatment.

    Args:
        found: the table with its predictions.
        effect: one of ``EFFECTS``; beyond ``ate`` there are two treatments, and the second is the treated.
    """
    n, treatments = found.n, found.p.shape[1]
    score = _score(found.treatment, bounded(found.p, found.rows), effect)
    total = float(n @ score.below)
    above = score.own * found.y[:, None] + score.rest * found.mean
    mean = n @ above / total
    influence = (above - score.below[:, None] * mean) / total
    dummies = (found.treatment[:, None] == np.arange(1, treatments)).astype(np.float64)
    both = np.column_stack([found.x, dummies])
    for k in range(treatments):
        rows = found.treatment == k
        gap = (n * score.rest[:, k]) @ found.x / total
        level = np.zeros(treatments - 1)
        if k:
            level[k - 1] = float(n @ score.rest[:, k]) / total
        residual = found.y - found.mean[np.arange(len(n)), found.treatment]
        share = float(found.shared[k])
        influence[rows, k] += (1 - share) * _moved(found.x[rows], residual[rows], n[rows], gap)
        influence[:, k] += share * _moved(both, residual, n, np.append(gap, level))
    spare = found.rows - found.x.shape[1] - treatments
    factor = found.rows / max(spare, found.rows / 2)
    covariance = factor * influence.T @ (influence * found.squares[:, None])
    dof = _dof_of(influence[:, -1] - influence[:, 0], found.squares, found.rows)
    least = min(float(n[found.treatment == k].sum()) for k in range(treatments)) * found.rows / float(n.sum())
    outcomes = PotentialOutcomes(mean, covariance, max(min(dof, least - 1), 1.0), found.binary)
    return unanimous(outcomes, found.y, score.own, n, found.squares)


def _moved(x: FloatArray, residual: FloatArray, n: FloatArray, gap: FloatArray) -> FloatArray:
    """Influence of each row on gap'β of a least-squares fit."""
    gram = x.T @ (x * n[:, None])
    return np.asarray((x @ (np.linalg.pinv(gram, hermitian=True) @ gap)) * residual)


def slope_of(t: FloatArray, y: FloatArray, n: FloatArray, squares: FloatArray) -> Slope:
    """Slope of the outcome's residuals on the treatment's, its error robust to unequal spread."""
    size = float(n @ t**2)
    slope = float(n @ (t * y)) / size
    influence = t * (y - slope * t) / size
    rows = effective_rows(n, squares)
    error = float(np.sqrt(squares @ influence**2 * rows / max(rows - 1, 1)))
    return Slope(slope, error, _dof_of(influence, squares, rows))


def _dof_of(influence: FloatArray, squares: FloatArray, rows: float) -> float:
    """2 / (Σ parts² - 1/rows), with each row's part of the variance."""
    part = squares * influence**2
    if not part.sum() > 0:
        return rows
    part = part / part.sum()
    excess = float(part @ (part / np.maximum(squares / squares.min(), 1.0))) - 1 / rows
    return float(np.clip(2 / excess if excess > 0 else rows, 1.0, rows))
