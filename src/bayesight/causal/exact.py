"""Exact tests of no effect on a yes/no outcome, stratum by stratum, and the common odds ratio.

Given how many rows of a stratum had each treatment and how many had each outcome, the number of treated
rows with the outcome is hypergeometric where the treatment does nothing, and noncentral hypergeometric with
an odds ratio θ; over strata these add up:

    P(Σ_s A_s = a)  ∝  θ^a Π_s C(n_1s, a_s) C(n_0s, m_s - a_s)  summed over all a_s that make a

(Gart 1970; Mehta, Patel and Gray 1985). In one stratum it is Fisher's exact test, in pairs McNemar's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaln, logsumexp

from bayesight.bayes.rates import Estimate
from bayesight.causal.strata import Strata
from bayesight.language import marked
from bayesight.types import FloatArray

MOST = 4000
"""Values the sum may have; beyond it no approximation is poor."""
_TIE = 1e-7
_FAR = 60.0
"""Log odds ratios are looked for within this distance from 0."""


@dataclass(frozen=True)
class ExactTest:
    """A test that holds at any size of the table.

    Attributes:
        name: ``Fisher's exact test``, ``McNemar's exact test`` or ``exact Mantel-Haenszel test``.
        of: the treatment.
        versus: the one it is compared with.
        p_value: two-sided: the probability, if there were no effect in any stratum, of what is no likelier.
        odds_ratio: common to all strata, by conditional maximum likelihood, with its exact interval; the ends
            may be 0 or infinite.
        strata: how many strata tell something: with both treatments and both outcomes.
    """

    name: str
    of: str
    versus: str
    p_value: float
    odds_ratio: Estimate
    strata: int

    @property
    def sentence(self) -> str:
        """The test in words, with the common odds ratio."""
        ratio = self.odds_ratio
        test = marked(f"{self.name} of no effect")
        if self.strata > 1:
            test = marked(f"{test} in {self.strata:,} strata that tell something")
        chance = f"{self.p_value:.4f}" if self.p_value >= 1e-4 else f"{self.p_value:.1e}"
        return marked(
            f"{test}: p = {chance}; odds ratio of {self.of} against {self.versus} "
            f"{ratio.mean:.4g} ({ratio.low:.4g} to {ratio.high:.4g})."
        )

    def as_dict(self) -> dict[str, object]:
        """All of it; ``odds_ratio`` has ``mean``, ``low`` and ``high``, None where infinite."""
        ratio = {
            key: value if np.isfinite(value) else None
            for key, value in (
                ("mean", self.odds_ratio.mean), ("low", self.odds_ratio.low), ("high", self.odds_ratio.high),
            )
        }  # fmt: skip
        return {
            "test": self.name, "of": self.of, "versus": self.versus, "p_value": self.p_value,
            "odds_ratio": ratio, "strata": self.strata,
        }  # fmt: skip


def exact_test(strata: Strata, of: int, versus: int, level: float = 0.95) -> ExactTest | None:
    """Test whether one treatment does anything in any stratum.

    Args:
        strata: from ``stratify``, with a binary outcome.
        of: index of one treatment.
        versus: index of the other.
        level: probability inside the odds ratio's interval.

    Returns:
        None where the outcome is not binary, rows have weights, no stratum tells anything, or the table is so
        large that the exact distribution takes long and is not needed.

    Example:
        >>> from bayesight.causal.sample import sample_of
        >>> from bayesight.causal.strata import stratify
        >>> table = sample_of({"t": [1, 1, 0, 0]}, counts=[3, 1, 1, 3])
        >>> tea = stratify(table, "t", np.array([1.0, 0, 1, 0]), (), binary=True)
        >>> found = exact_test(tea, 1, 0)
        >>> found.name, round(found.p_value, 4), round(found.odds_ratio.mean, 3)
        ("Fisher's exact test", 0.4857, 6.408)
    """
    whole = bool((strata.n == strata.n.round()).all() and (strata.n == strata.squares).all())
    if not strata.binary or not whole:
        return None
    n1, n0 = strata.n[of], strata.n[versus]
    a, c = (np.round(strata.mean[k] * strata.n[k]) for k in (of, versus))
    m = a + c
    telling = (n1 > 0) & (n0 > 0) & (m > 0) & (m < n1 + n0)
    n1, n0, a, m = (v[telling] for v in (n1, n0, a, m))
    lowest, highest = np.maximum(0, m - n0), np.minimum(n1, m)
    if not len(a) or (highest - lowest).sum() > MOST:
        return None
    margins = (n1, n0, m, lowest, highest)
    log_p, place, start = _log_counts(margins), int((a - lowest).sum()), float(lowest.sum())
    central = np.exp(log_p - logsumexp(log_p))
    p_value = float(min(central[central <= central[place] * (1 + _TIE)].sum(), 1.0))
    pairs = bool(((n1 == 1) & (n0 == 1)).all())
    name = marked("exact Mantel-Haenszel test")
    if len(strata.values) == 1:
        name = marked("Fisher's exact test")
    elif pairs:
        name = marked("McNemar's exact test")
    named = strata.treatments or tuple(map(str, range(len(strata.n))))
    c = m - a  # half a row more everywhere keeps the first guess finite
    guess = float(np.log(((a + 0.5) * (n0 - c + 0.5)).sum() / ((c + 0.5) * (n1 - a + 0.5)).sum()))
    ratio = _odds_ratio(_log_counts(margins, guess), start, place, level)
    return ExactTest(name, named[of], named[versus], p_value, ratio, len(a))


def _log_counts(margins: tuple[FloatArray, ...], tilt: float = 0.0) -> FloatArray:
    """Logarithm of the number of tables for each value of the sum, up to a constant.

    It is accurate where θ = exp(tilt) puts the sum; what is 300 powers of ten less likely there is lost.
    """
    total: FloatArray = np.zeros(1)
    for n1, n0, m, lowest, highest in zip(*margins, strict=True):
        a = np.arange(lowest, highest + 1)
        one = _log_choose(n1, a) + _log_choose(n0, m - a) + tilt * a
        joined = np.convolve(np.exp(total), np.exp(one - one.max()))
        total = np.log(np.maximum(joined, 1e-300))
        total -= total.max()
    untilted: FloatArray = total - tilt * np.arange(len(total))
    return untilted


def _log_choose(n: float, k: FloatArray) -> FloatArray:
    chosen: FloatArray = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return chosen


def _odds_ratio(log_p: FloatArray, start: float, place: int, level: float) -> Estimate:
    """Conditional maximum likelihood, and where each tail has half of what is outside."""
    value = start + np.arange(len(log_p))
    tail = (1 - level) / 2

    def weights(theta: float) -> FloatArray:
        tilted = log_p + theta * value
        p: FloatArray = np.exp(tilted - logsumexp(tilted))
        return p

    def solve(gap: Callable[[float], float]) -> float:
        return float(np.exp(brentq(gap, -_FAR, _FAR, xtol=1e-10)))

    first, last = place == 0, place == len(log_p) - 1
    low = 0.0 if first else solve(lambda x: float(weights(x)[place:].sum()) - tail)
    high = np.inf if last else solve(lambda x: float(weights(x)[: place + 1].sum()) - tail)
    mean = 0.0 if first else np.inf if last else solve(lambda x: float(weights(x) @ value) - value[place])
    return Estimate(float(mean), low, float(high))
