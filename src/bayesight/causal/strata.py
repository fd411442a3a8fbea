"""The adjustment formula on discrete variables: average within strata, then over strata.

    P(y | do(t)) = Σ_z P(y | t, z) P(z)

(Pearl 2009, eq. 3.19; Hernán and Robins, What If, section 2.3.) A stratum in which some treatment never
occurs says nothing about that treatment: it is named, and left out of the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bayesight.causal.arms import Arms
from bayesight.causal.sample import Sample
from bayesight.checks import check
from bayesight.types import FloatArray

__all__ = ["Strata", "standardise", "stratify"]


@dataclass(frozen=True)
class Strata:
    """Counts and moments of the outcome for each of K treatments in each of S strata.

    Attributes:
        names: the variables that make the strata.
        values: their values in each stratum (S, len(names)).
        n: rows (K, S).
        squares: sums of squared weights (K, S); equal to ``n`` without sampling weights.
        mean: mean outcome (K, S); 0 where there are no rows.
        ss: sum of squares of the outcome about that mean (K, S).
        binary: whether the outcome is 0 or 1.
    """

    names: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    n: FloatArray
    squares: FloatArray
    mean: FloatArray
    ss: FloatArray
    binary: bool

    @property
    def overlap(self) -> npt.NDArray[np.bool_]:
        """Strata where every treatment occurs (S,)."""
        return np.asarray((self.n > 0).all(axis=0), np.bool_)

    @property
    def share(self) -> float:
        """Share of all rows that lie in such strata."""
        return float(self.n[:, self.overlap].sum() / self.n.sum())

    def label(self, s: int) -> str:
        """A stratum in words, such as ``size=large, sex=f``."""
        return ", ".join(f"{k}={v}" for k, v in zip(self.names, self.values[s], strict=True)) or "all"


def stratify(
    sample: Sample, treatment: str, outcome: FloatArray, names: Sequence[str], *, binary: bool
) -> Strata:
    """Sums over a table.

    Args:
        sample: the table.
        treatment: a discrete column of K levels.
        outcome: a number for each row (R,).
        names: discrete columns.
        binary: whether the outcome is 0 or 1.
    """
    arm = sample.discrete(treatment)
    stratum, values = sample.strata(names)
    shape = (len(arm.levels), len(values))
    cell = arm.codes * shape[1] + stratum

    def add(what: FloatArray) -> FloatArray:
        return np.bincount(cell, what, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)

    n = add(sample.n)
    mean = np.divide(add(sample.n * outcome), n, out=np.zeros(shape), where=n > 0)
    ss = add(sample.n * (outcome - mean.ravel()[cell]) ** 2)
    return Strata(tuple(names), values, n, add(sample.squares), mean, ss, binary)


def standardise(strata: Strata) -> Arms:
    """Mean outcome were everybody treated alike, over the strata where every treatment occurs.

    The variance has two parts: of the cell means given the strata's sizes, and of the sizes themselves
    (Hernán and Robins, Technical Point 13.1; the influence function of Hahn 1998). A cell of few rows
    borrows one row's worth of variance from its arm, so that a cell whose rows happen to agree is not taken
    to be certain.

    Raises:
        InvalidInput: no stratum holds every treatment.
    """
    kept = strata.overlap
    check(
        bool(kept.any()),
        "overlap",
        "in every stratum of " + ", ".join(strata.names) + " some treatment never occurs",
        "at least one stratum with every treatment",
        "Without like compared with like there is no answer; adjust for fewer or coarser variables.",
    )
    n, squares, mean, ss = (a[:, kept] for a in (strata.n, strata.squares, strata.mean, strata.ss))
    weight = n.sum(axis=0) / n.sum()
    standardised = mean @ weight
    effective = n**2 / squares
    variance = _cell_variances(n, effective, mean, ss, strata.binary)
    within = (weight**2 * variance / effective).sum(axis=1)
    centred = mean - standardised[:, None]
    rows = n.sum() ** 2 / squares.sum()
    noise = np.diag((weight * variance / effective).sum(axis=1))
    between = _positive((centred * weight) @ centred.T - noise) / rows
    parts = ((weight**2 * variance / effective) ** 2 / effective).sum()
    freedom = within.sum() ** 2 / parts if parts > 0 else rows
    return Arms(standardised, between + np.diag(within), float(freedom), strata.binary)


def _cell_variances(
    n: FloatArray, effective: FloatArray, mean: FloatArray, ss: FloatArray, binary: bool
) -> FloatArray:
    """Variance of the outcome in each cell, with one row borrowed from the arm's pooled variance (K, S).

    An arm with one row a stratum says nothing of its own variance: it takes the largest of the others.
    """
    spread = ss / n * effective
    spare = effective.sum(axis=1) - n.shape[1]
    pooled = spread.sum(axis=1) / np.maximum(spare, 1.0)
    if not binary:
        told = spare > 1e-9
        expected = "two rows of one treatment that are alike in what is held fixed"
        check(bool(told.any()), "rows", "no two that could tell how outcomes vary", expected)
        pooled = np.where(told, pooled, pooled[told].max())
    borrowed = (spread + pooled[:, None]) / effective
    if binary:  # an arm whose rows all agree is not certain either
        rows = effective.sum(axis=1)
        p = ((mean * effective).sum(axis=1) + 0.5) / (rows + 1)
        borrowed = np.where(pooled[:, None] > 0, borrowed, (p * (1 - p))[:, None])
    return np.asarray(borrowed)


def _positive(matrix: FloatArray) -> FloatArray:
    """The nearest covariance: negative eigenvalues are chance."""
    values, vectors = np.linalg.eigh(matrix)
    nearest: FloatArray = (vectors * np.maximum(values, 0.0)) @ vectors.T
    return nearest
