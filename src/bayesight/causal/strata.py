"""The adjustment formula on discrete variables: average within strata, then over strata.

    P(y | do(t)) = Σ_z P(y | t, z) P(z)

(Pearl 2009, eq. 3.19; Hernán and Robins, What If, section 2.3.) A stratum in which some treatment never
occurs says nothing about that treatment: it is named, and left out of the answer.

For yes/no outcomes the answer may be a belief: Dirichlet over strata, Beta within them.

    P(z) ~ Dirichlet(1/S + counts);   P(y = 1 | t, z) ~ Beta(r_t + ones, 1 - r_t + zeros)

with S strata and r_t the share of ones among all who had treatment t: one imagined row in all for the strata,
and one in each cell that looks like its treatment. A cell without rows is then not left out but unknown:
Beta(1/2, 1/2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bayesight.bayes.rates import Estimate
from bayesight.causal.potential_outcomes import Contrast, EffectEstimate, PotentialOutcomes
from bayesight.causal.sample import Sample, effective_rows, moments, sums
from bayesight.checks import check
from bayesight.errors import InvalidInput
from bayesight.language import marked
from bayesight.seeding import numpy_generator
from bayesight.types import FloatArray

THIN = 10
"""Rows a stratum, on average, below which strata are thin."""
SAMPLED = 10
"""Thin strata of which so many are a sample: they tell how strata differ."""

DRAWS = 4000


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
        treatments: what the treatments are called (K,).
    """

    names: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    n: FloatArray
    squares: FloatArray
    mean: FloatArray
    ss: FloatArray
    binary: bool
    treatments: tuple[str, ...] = ()

    @property
    def overlap(self) -> npt.NDArray[np.bool_]:
        """Strata where every treatment occurs (S,)."""
        return np.asarray((self.n > 0).all(axis=0), np.bool_)

    @property
    def sampled(self) -> bool:
        """True of strata that are taken as a sample of strata and not as fixed (see ``standardise``).

        They are where some treatment has fewer rows to spare, beyond one in each stratum, than there are
        strata to compare (matched pairs and sets), or where there are 10 or more, of fewer than 10 rows on
        average.
        """
        n = self.n[:, self.overlap] ** 2 / self.squares[:, self.overlap]
        strata = n.shape[1]
        few = float((n - 1).sum(axis=1).min(initial=np.inf)) < strata - 1
        thin = strata >= SAMPLED and float(n.sum()) < THIN * strata
        return bool(strata > 1 and (few or thin))

    @property
    def words(self) -> str:
        """The sentence that strata are taken as a sample; empty where they are fixed."""
        if not self.sampled:
            return ""
        n = self.n[:, self.overlap]
        kind = "strata"
        if bool((n == 1).all()):
            kind = marked("pairs") if len(n) == 2 else marked("blocks")
        elif bool((n == 1).all(axis=1).any()):
            kind = marked("matched sets")
        return marked(
            f"The {n.shape[1]:,} {kind} are taken as a sample of such {kind}, and the interval rests on how "
            "much they differ from one another."
        )

    @property
    def share(self) -> float:
        """Share of all rows that lie in such strata."""
        return float(self.n[:, self.overlap].sum() / self.n.sum())

    def of(self, treatments: Sequence[int]) -> Strata:
        """Some of the treatments, in the order given."""
        k = list(treatments)
        names = tuple(self.treatments[i] for i in k) if self.treatments else ()
        return replace(
            self, n=self.n[k], squares=self.squares[k], mean=self.mean[k], ss=self.ss[k], treatments=names
        )

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
    given = sample.discrete(treatment)
    stratum, values = sample.strata(names)
    shape = (len(given.levels), len(values))
    cell = given.codes * shape[1] + stratum
    n, mean, ss = (part.reshape(shape) for part in moments(cell, shape[0] * shape[1], sample.n, outcome))
    squares = sums(cell, n.size, sample.squares).reshape(shape)
    return Strata(tuple(names), values, n, squares, mean, ss, binary, given.levels)


def standardise(strata: Strata, effect: str = "ate") -> PotentialOutcomes:
    """Mean outcome were everybody treated alike, over the strata where every treatment occurs.

    Strata are weighed by their rows n_s (``ate``), and of two treatments by n_1s (``att``), n_0s (``atc``) or
    n_1s n_0s / n_s (``overlap``). The variance is one of two:

    * The strata are *fixed*, such as small and large stones: that of the cell means given the strata's sizes,
      and of the sizes themselves (Hahn 1998; Hirano, Imbens and Ridder 2003). A cell of few rows borrows one
      row's worth of variance from its treatment; degrees of freedom are Satterthwaite's of what was pooled.
    * The strata are *a sample*, such as matched pairs: that of the strata's means around their own mean, with
      one less than their number as degrees of freedom. For pairs it is the paired t interval (the
      between-strata estimator of Fogarty 2018 and of Pashley and Miratrix 2021); see ``Strata.sampled``.

    The variance of a probability follows from the probability; no degrees of freedom are counted for it.

    Args:
        strata: from ``stratify``.
        effect: on whom; beyond two treatments only ``ate``.

    Raises:
        InvalidInput: no stratum holds every treatment, or a treatment has one row in all.
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
    weight, gain = _weights(n, effect)
    standardised = mean @ weight
    if strata.binary:  # what all have or nobody has is exactly that
        standardised = np.where(np.abs(standardised - 0.5) > 0.5 - 1e-9, standardised.round(), standardised)
    centred = mean - standardised[:, None]
    effective = n**2 / squares
    if strata.sampled and strata.binary:
        return PotentialOutcomes(
            standardised, _between_proportions(standardised, centred, weight), binary=True
        )
    if strata.sampled:
        return PotentialOutcomes(standardised, *_between_sampled(centred, weight))
    _refuse_single_rows(strata, effective)
    variance, dof = _cell_variances(n, effective, mean, ss, weight, strata.binary)
    within = (weight**2 * variance / effective).sum(axis=1)
    rows = effective_rows(n, squares)
    noise = np.diag((gain * variance / effective).sum(axis=1))
    between = _positive((centred * gain) @ centred.T - noise) / rows
    covariance = between + np.diag(within)
    if strata.binary:
        return PotentialOutcomes(standardised, covariance, binary=True)
    dof = dof * np.divide(np.diag(covariance), within, out=np.ones(len(within)), where=within > 0) ** 2
    return PotentialOutcomes(standardised, covariance, dof)


def _refuse_single_rows(strata: Strata, effective: FloatArray) -> None:
    """Refuse a treatment of one row: nothing tells how outcomes vary there."""
    single = np.flatnonzero((effective - 1).clip(0).sum(axis=1) < 1e-9)
    if len(single):
        name = strata.treatments[single[0]] if strata.treatments else str(single[0])
        where = " where the others occur too" if strata.names else ""
        raise InvalidInput(
            f"treatment {name}: one row{where}, which cannot tell how outcomes vary; expected at least two "
            "of each treatment. Leave that treatment out, or hold less fixed."
        )


def _weights(n: FloatArray, effect: str) -> tuple[FloatArray, FloatArray]:
    """Weight of each stratum (S,), and how much its difference moves the answer by the strata's sizes (S,).

    With h(e) the weight of a row whose probability of treatment is e, the second is
    p E[(h + h' (T - e))²] / H², where p is the stratum's share of the rows and H the mean of h.
    """
    size = n.sum(axis=0)
    share = size / size.sum()
    if effect == "ate":
        return share, share
    assert len(n) == 2
    e = n[1] / size
    h, slope = {"att": (e, 1.0), "atc": (1 - e, -1.0), "overlap": (e * (1 - e), 1 - 2 * e)}[effect]
    mean = share @ h
    return share * h / mean, share * (h**2 + slope**2 * e * (1 - e)) / mean**2


def _between_sampled(centred: FloatArray, weight: FloatArray) -> tuple[FloatArray, float]:
    """Covariance of weighted means of strata that are a sample, and its degrees of freedom (S - 1 if alike).

    Σ w² (m - μ)(m - μ)', divided by what it would be were the strata's values of one variance (Bell and
    McCaffrey 2002, of a weighted mean).
    """
    square = weight**2
    length = square.sum()
    own = square * (1 - 2 * weight + length)
    # tr(G²) of G = D^½ Q D^½, Q_st = [s = t] - w_s - w_t + Σw²: the diagonal, and off it a polynomial.
    first, second = square @ weight, square @ square
    off = length**2 * length**2 + 2 * length * second + 2 * first**2 - 4 * length**2 * first
    off -= (square**2 * (length - 2 * weight) ** 2).sum()
    trace = own.sum()
    dof = float(trace**2 / ((own**2).sum() + off))
    covariance: FloatArray = (centred * square) @ centred.T * (length / trace)
    return covariance, dof


def _between_proportions(mean: FloatArray, centred: FloatArray, weight: FloatArray) -> FloatArray:
    """Covariance of weighted proportions of strata that are a sample.

    Where all agree on 0 or 1 the variance is that of a proportion half a row away; a positive covariance,
    which narrows the interval of a difference, is lessened by half a row. For pairs that is method 10 of
    Newcombe (1998, Improved confidence intervals for the difference between binomial proportions based on
    paired data).
    """
    square = weight**2
    covariance = (centred * square) @ centred.T
    half = 0.5 * square.sum() ** 2
    lessened = np.where(covariance > 0, np.maximum(covariance - half, 0.0), covariance)
    agreed = (mean <= 0) | (mean >= 1)
    np.fill_diagonal(lessened, np.diag(covariance) + np.where(agreed, half, 0.0))
    return lessened


def _cell_variances(
    n: FloatArray, effective: FloatArray, mean: FloatArray, ss: FloatArray, weight: FloatArray, binary: bool
) -> tuple[FloatArray, FloatArray]:
    """Variance of the outcome in each cell (K, S), and the degrees of freedom of each treatment's mean (K,).

    Each cell has one row borrowed from the treatment's pooled variance. What is then a sum over cells of
    multiples of their sums of squares has the degrees of freedom of Satterthwaite (1946).
    """
    spread = ss / n * effective
    own = np.maximum(effective - 1, 0.0)
    spare = own.sum(axis=1)
    pooled = spread.sum(axis=1) / spare
    borrowed = (spread + pooled[:, None]) / effective
    if binary:  # a treatment whose rows all agree is not certain either
        rows = effective.sum(axis=1)
        p = ((mean * effective).sum(axis=1) + 0.5) / (rows + 1)
        borrowed = np.where(pooled[:, None] > 0, borrowed, (p * (1 - p))[:, None])
    part = weight**2 / effective**2
    multiple = part + part.sum(axis=1, keepdims=True) / spare[:, None]
    total = (part * effective * borrowed).sum(axis=1)
    doubt = (multiple**2 * own * borrowed**2).sum(axis=1)
    return borrowed, np.divide(total**2, doubt, out=spare.copy(), where=doubt > 0)


def _positive(matrix: FloatArray) -> FloatArray:
    """The nearest covariance: negative eigenvalues are chance."""
    values, vectors = np.linalg.eigh(matrix)
    nearest: FloatArray = (vectors * np.maximum(values, 0.0)) @ vectors.T
    return nearest


def credible_answer(
    strata: Strata,
    levels: tuple[str, ...],
    reference: str,
    *,
    seed: int,
    level: float = 0.95,
    draws: int = DRAWS,
) -> EffectEstimate:
    """Posterior means and equal-tailed credible intervals of the standardised probabilities.

    Args:
        strata: counts, from ``stratify``; the outcome must be 0 or 1.
        levels: treatments (K,).
        reference: the one the others are compared with.
        seed: the draws follow from it.
        level: probability inside each interval.
        draws: from the posterior.

    Raises:
        InvalidInput: an outcome that is not yes or no, or rows with sampling weights.
    """
    check(strata.binary, "Bayesian intervals", "an outcome that is no yes or no", "0 and 1")
    check(bool((strata.n == strata.squares).all()), "Bayesian intervals", "sampling weights", "counted rows")
    rng = numpy_generator(seed, "credible")
    risk = _draws(strata, rng, draws)
    tail = (1 - level) / 2

    def summed(values: FloatArray) -> Estimate:
        low, high = np.quantile(values, [tail, 1 - tail])
        return Estimate(float(values.mean()), float(low), float(high), float(values.std() / np.sqrt(draws)))

    base = levels.index(reference)
    return EffectEstimate(
        marked("Dirichlet and Beta posterior over strata"),
        {name: summed(risk[:, k]) for k, name in enumerate(levels)},
        tuple(
            Contrast(name, reference, summed(risk[:, k] - risk[:, base]))
            for k, name in enumerate(levels)
            if k != base
        ),
    )


def _draws(strata: Strata, rng: np.random.Generator, draws: int) -> FloatArray:
    """Standardised probabilities (draws, K)."""
    import torch

    from bayesight.bayes.conjugate import beta, dirichlet

    counts = strata.n.sum(axis=0)
    if len(counts) > 1:
        start = dirichlet.prior([1 / len(counts)] * len(counts))
        weight = rng.dirichlet(replace(start, counts=torch.as_tensor(counts)).alpha.numpy(), draws)
    else:
        weight = np.ones((draws, 1))
    ones = strata.mean * strata.n
    risk = np.zeros((draws, len(strata.n)))
    for k, n in enumerate(strata.n):
        rate = float(np.clip(ones[k].sum() / max(n.sum(), 1.0), 0.01, 0.99))
        belief = beta.prior(rate, 1 - rate)
        unknown = beta.prior(0.5, 0.5)
        a = np.where(n > 0, float(belief.a) + ones[k], float(unknown.a))
        b = np.where(n > 0, float(belief.b) + np.maximum(n - ones[k], 0), float(unknown.b))
        for start_at in range(0, draws, 500):  # a few million numbers at a time
            part = slice(start_at, min(start_at + 500, draws))
            size = (part.stop - part.start, len(counts))
            risk[part, k] = (rng.beta(a, b, size) * weight[part]).sum(axis=1)
    return risk
