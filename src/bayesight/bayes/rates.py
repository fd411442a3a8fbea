"""Rates of a test: known ones, measured ones with exact intervals, and every term explained.

A rate that was counted is a Beta posterior (Gelman et al., Bayesian Data Analysis, section 2.4), under
Jeffreys' prior Beta(1/2, 1/2) unless another is stated; its quantiles are exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, betaincinv

from bayesight.checks import check, probability
from bayesight.errors import Impossible
from bayesight.language import marked
from bayesight.types import FloatArray

_DRAWS = 500  # held at once of every group

JEFFREYS = (0.5, 0.5)
"""Jeffreys' prior for a proportion: half a right and half a wrong answer."""

TERMS: Mapping[str, str] = MappingProxyType(
    {
        "sensitivity": marked("of those who have it, the share the test finds (also called recall)"),
        "specificity": marked("of those who do not have it, the share the test clears"),
        "false_alarm": marked("of those who do not have it, the share the test accuses (1 - specificity)"),
        "precision": marked(
            "of those who test positive, the share who have it (positive predictive value): "
            "what a positive is worth"
        ),
        "negative_predictive_value": marked(
            "of those who test negative, the share who do not have it: what a negative is worth"
        ),
        "likelihood_ratios": marked("how many times a result multiplies the odds, whatever the prevalence"),
        "accuracy": marked("of all who are tested, the share the test judges rightly"),
        "prevalence": marked("of all who are tested, the share who have it (base rate, prior)"),
    }
)
"""Every term in one plain line."""


@dataclass(frozen=True)
class Estimate:
    """A quantity with its equal-tailed credible interval.

    Args:
        mean: posterior mean; for a likelihood ratio the geometric mean.
        low: lower bound.
        high: upper bound.
        error: largest Monte Carlo standard error of the three numbers; 0 where they are exact.
    """

    mean: float
    low: float
    high: float
    error: float = 0.0

    def as_dict(self) -> dict[str, float]:
        """``mean``, ``low`` and ``high``."""
        return {"mean": self.mean, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class UncertainRate:
    """A rate known only as a Beta(a, b) distribution.

    Args:
        a: shape, > 0; a successes were seen, in effect.
        b: shape, > 0; b failures were seen, in effect.

    Example:
        >>> rate = UncertainRate.from_interval(0.05, 0.15)
        >>> [round(x, 4) for x in rate.interval(0.95)]
        [0.05, 0.15]
    """

    a: float
    b: float

    def __post_init__(self) -> None:
        ok = all(math.isfinite(x) and x > 0 for x in (self.a, self.b))
        check(ok, "UncertainRate", f"Beta({self.a:g}, {self.b:g})", "two finite shapes above 0")

    @classmethod
    def from_counts(
        cls, successes: float, failures: float, prior: tuple[float, float] = JEFFREYS
    ) -> UncertainRate:
        """The posterior after ``successes`` and ``failures`` (each >= 0), from a Beta(*prior)."""
        check_counts("UncertainRate.from_counts", np.array([successes, failures]))
        check_shapes(prior)
        return cls(successes + prior[0], failures + prior[1])

    @classmethod
    def from_interval(cls, low: float, high: float, level: float = 0.95) -> UncertainRate:
        """The Beta distribution with ``(1 - level) / 2`` below ``low`` and as much above ``high``.

        Raises:
            InvalidInput: not 0 < low < high < 1, or an interval so narrow that the rate is a number.
        """
        from scipy.optimize import brentq

        low, high = (
            probability(low, "interval", open_interval=True),
            probability(high, "interval", open_interval=True),
        )
        check(low < high, "interval", f"{low:g} to {high:g}", "the lower bound first")
        check(high - low > 1e-6, "interval", f"{low:g} to {high:g}", "a width above 1e-6", "Pass one number.")
        tail = (1 - probability(level, "level", open_interval=True)) / 2

        def mean_at(log_n: float) -> float:
            n = math.exp(log_n)
            return float(
                brentq(lambda m: betainc(m * n, (1 - m) * n, low) - tail, 1e-12, 1 - 1e-12, xtol=1e-15)
            )

        def excess(log_n: float) -> float:
            n, m = math.exp(log_n), mean_at(log_n)
            return float(1 - betainc(m * n, (1 - m) * n, high) - tail)

        log_n = float(brentq(excess, math.log(1e-3), math.log(1e14), xtol=1e-12))
        n, m = math.exp(log_n), mean_at(log_n)
        return cls(m * n, (1 - m) * n)

    @property
    def mean(self) -> float:
        """Posterior mean, a / (a + b)."""
        return self.a / (self.a + self.b)

    def interval(self, level: float) -> tuple[float, float]:
        """Exact equal-tailed interval with probability ``level``."""
        low, high = betaincinv(self.a, self.b, tails(level))
        return float(low), float(high)


Rate: TypeAlias = float | UncertainRate
"""A rate that is known, or one that was measured."""


@dataclass(frozen=True)
class Rates:
    """A test whose rates are known, at one prevalence: plain numbers, no intervals.

    Args:
        sensitivity: P(positive | ill), in [0, 1].
        false_alarm: P(positive | healthy), in [0, 1].
        prevalence: P(ill), in [0, 1].

    Raises:
        InvalidInput: a rate outside [0, 1] or NaN.
        Impossible: on reading the worth of a result that cannot occur.

    Example:
        >>> test = Rates(sensitivity=0.99, false_alarm=0.10, prevalence=0.10)
        >>> round(test.precision, 4), round(test.negative_predictive_value, 4)
        (0.5238, 0.9988)
    """

    sensitivity: float
    false_alarm: float
    prevalence: float

    def __post_init__(self) -> None:
        for name in ("sensitivity", "false_alarm", "prevalence"):
            probability(getattr(self, name), name)

    @property
    def specificity(self) -> float:
        """P(negative | healthy)."""
        return 1 - self.false_alarm

    @property
    def positive_rate(self) -> float:
        """P(positive): the evidence of a positive result."""
        return self.prevalence * self.sensitivity + (1 - self.prevalence) * self.false_alarm

    @property
    def precision(self) -> float:
        """P(ill | positive)."""
        return self._worth("positive", self.prevalence * self.sensitivity, self.positive_rate)

    @property
    def negative_predictive_value(self) -> float:
        """P(healthy | negative)."""
        cleared = (1 - self.prevalence) * self.specificity
        return self._worth("negative", cleared, cleared + self.prevalence * (1 - self.sensitivity))

    @property
    def accuracy(self) -> float:
        """P(the test is right)."""
        return self.prevalence * self.sensitivity + (1 - self.prevalence) * self.specificity

    @property
    def likelihood_ratios(self) -> tuple[float, float]:
        """Of a positive, s / f, and of a negative, (1 - s) / (1 - f); infinite if only the ill give it."""
        return (
            _quotient(self.sensitivity, self.false_alarm),
            _quotient(1 - self.sensitivity, self.specificity),
        )

    def _worth(self, result: str, part: float, evidence: float) -> float:
        if evidence == 0:
            raise Impossible(
                f"a {result} result cannot occur with sensitivity {self.sensitivity:g}, false-alarm rate "
                f"{self.false_alarm:g} and prevalence {self.prevalence:g}; expected one to be possible, "
                "for otherwise its worth does not exist. Check the rates, or use values short of 0 and 1."
            )
        return part / evidence


def rate_interval(
    successes: npt.ArrayLike,
    trials: npt.ArrayLike,
    *,
    prior: tuple[float, float] = JEFFREYS,
    level: float = 0.95,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Posterior mean and exact equal-tailed interval of many rates at once.

    Args:
        successes: counts >= 0, any shape that broadcasts with ``trials``.
        trials: counts >= successes.
        prior: Beta shapes; Jeffreys' (1/2, 1/2) by default, whose interval has good coverage even for rates
            near 0 and 1 (Brown, Cai and DasGupta 2001, Interval Estimation for a Binomial Proportion).
        level: probability inside the interval, in (0, 1).

    Returns:
        mean, low, high, each of the broadcast shape, in [0, 1].

    Raises:
        InvalidInput: negative or non-finite counts, more successes than trials, shapes not above 0.

    Example:
        >>> mean, low, high = rate_interval([194, 9], [200, 10])
        >>> low.round(3), high.round(3)
        (array([0.939, 0.619]), array([0.987, 0.989]))
    """
    won, tried = np.broadcast_arrays(np.asarray(successes, float), np.asarray(trials, float))
    check_counts("rate_interval", won)
    check_counts("rate_interval", tried)
    check(bool((won <= tried).all()), "rate_interval", "more successes than trials", "successes <= trials")
    check_shapes(prior)
    a, b = won + prior[0], tried - won + prior[1]
    low, high = (np.asarray(betaincinv(a, b, q), float) for q in tails(level))
    return a / (a + b), low, high


def mixture_draws(
    successes: npt.ArrayLike,
    trials: npt.ArrayLike,
    weights: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    prior: tuple[float, float] = JEFFREYS,
    draws: int,
) -> FloatArray:
    """Posterior draws of a weighted mean Σ wᵢ pᵢ of independent rates, each counted in a group of its own.

    The mean is one rate, so it has the prior of one: the pseudo-counts are shared among the groups in
    proportion to wᵢ / (nᵢ + 1), what a single count of the group moves the mean by. All of them in every
    group would count the prior K times; equal parts would leave the group that has nearly all of the weight
    nearly without one, and its interval too narrow where little was counted. Compare the weighted sums of
    Poisson counts in Fay and Feuer 1997, Confidence Intervals for Directly Standardized Rates.

    Groups without a success are drawn together, from the Beta with the mean and the variance of their sum.

    Args:
        successes: (K,) counts >= 0.
        trials: (K,) counts >= successes; 0 for a group of which nothing is known.
        weights: (K,) >= 0, with a sum above 0; they are divided by it.
        rng: where the draws come from.
        prior: Beta shapes of the whole.
        draws: how many.

    Returns:
        (draws,) rates in [0, 1].

    Raises:
        InvalidInput: negative or non-finite counts or weights, more successes than trials, no weight.

    Example:
        >>> drawn = mixture_draws([0, 3], [50, 60], [0.9, 0.1], np.random.default_rng(0), draws=20_000)
        >>> [round(float(x), 3) for x in np.quantile(drawn, [0.025, 0.975])]
        [0.002, 0.047]
    """
    won, tried, w = np.broadcast_arrays(*(np.asarray(x, float) for x in (successes, trials, weights)))
    for counts in (won, tried, w):
        check_counts("mixture_draws", counts)
    check(bool((won <= tried).all()), "mixture_draws", "more successes than trials", "successes <= trials")
    check_shapes(prior)
    check(bool(w.sum() > 0), "mixture_draws", "weights that are all 0", "one above 0")
    met = w > 0
    won, tried, w = won[met], tried[met], w[met] / w.sum()
    moved = w / (tried + 1)
    part = np.maximum(moved / moved.sum(), 1e-9)
    a, b = won + prior[0] * part, tried - won + prior[1] * part
    some = won > 0
    parts = np.full(-(-draws // _DRAWS), _DRAWS)
    parts[-1] -= parts.sum() - draws
    drawn = np.concatenate([rng.beta(a[some], b[some], (n, int(some.sum()))) @ w[some] for n in parts])
    if some.all():
        return drawn
    whole = float(w[~some].sum())
    return drawn + whole * rng.beta(*_beta_of_mean(a[~some], b[~some], w[~some] / whole), draws)


def _beta_of_mean(a: FloatArray, b: FloatArray, weights: FloatArray) -> tuple[float, float]:
    """Shapes of the Beta with the mean and the variance of a weighted mean of Beta(a, b)."""
    means = a / (a + b)
    mean = float(weights @ means)
    variance = float(weights**2 @ (means * b / (a + b) / (a + b + 1)))
    size = max(mean * (1 - mean) / variance - 1, 1e-9)
    return mean * size, (1 - mean) * size


def check_counts(where: str, counts: FloatArray) -> None:
    """Refuse counts that are not finite or below 0."""
    ok = bool(np.isfinite(counts).all()) and bool((counts >= 0).all())
    worst = "" if ok else f"{counts[~np.isfinite(counts) | (counts < 0)].flat[0]:g}"
    check(ok, where, f"a count of {worst}", "finite counts of 0 or more")


def check_shapes(prior: tuple[float, float]) -> None:
    """Refuse shapes of a Beta prior that are no positive numbers."""
    ok = len(prior) == 2 and all(math.isfinite(x) and x > 0 for x in prior)
    came = ", ".join(f"{x:g}" for x in prior)
    check(ok, "Beta prior", f"shapes {came}", "two finite shapes above 0", "Jeffreys' prior is 0.5, 0.5.")


def tails(level: float) -> tuple[float, float]:
    """The probabilities at both ends of an equal-tailed interval."""
    tail = (1 - probability(level, "level", open_interval=True)) / 2
    return tail, 1 - tail


def _quotient(a: float, b: float) -> float:
    if b == 0:
        return math.inf if a > 0 else math.nan
    return a / b
