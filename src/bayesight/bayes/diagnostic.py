"""The worth of a test's answer: precision, predictive values, likelihood ratios, with intervals.

A test is two conditional probabilities, P(positive | ill) and P(positive | healthy). What its user needs
are the reverse, P(ill | positive) and P(healthy | negative), and these change with the prevalence:

    precision = π·s / (π·s + (1 - π)·f)      π prevalence, s sensitivity, f false-alarm rate

Three doors lead to a `Diagnosis`: `from_rates`, `from_counts` (a 2x2 table), `diagnose_classes` (a KxK one).
Where a quantity mixes several uncertain rates it is Monte Carlo, and `Estimate.error` states the error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_array, sparray
from scipy.special import digamma

from bayesight.bayes.rates import (
    JEFFREYS,
    TERMS,
    Estimate,
    Rate,
    Rates,
    UncertainRate,
    check_counts,
    check_shapes,
    mixture_draws,
    rate_interval,
    tails,
)
from bayesight.checks import check, distribution, probability
from bayesight.seeding import numpy_generator
from bayesight.types import FloatArray

__all__ = [
    "JEFFREYS",
    "TERMS",
    "Diagnosis",
    "Estimate",
    "LikelihoodRatios",
    "Rate",
    "Rates",
    "UncertainRate",
    "diagnose_classes",
    "from_counts",
    "from_rates",
    "rate_interval",
]


@dataclass(frozen=True)
class LikelihoodRatios:
    """Factors by which a positive and a negative result multiply the odds of being ill."""

    positive: Estimate
    negative: Estimate


@dataclass(frozen=True)
class Diagnosis:
    """The full reading of a test; every term is explained in `TERMS`.

    ``draws`` is the number of Monte Carlo draws behind the quantities whose ``error`` is above 0; 0 when all
    are exact.
    """

    sensitivity: Estimate
    specificity: Estimate
    false_alarm: Estimate
    precision: Estimate
    negative_predictive_value: Estimate
    likelihood_ratios: LikelihoodRatios
    accuracy: Estimate
    prevalence: Estimate
    level: float
    draws: int

    def estimates(self) -> dict[str, Estimate]:
        """Every estimate by name, the likelihood ratios as two."""
        ratios = self.likelihood_ratios
        flat: dict[str, Estimate] = {
            name: getattr(self, name) for name in TERMS if name != "likelihood_ratios"
        }
        return flat | {
            "likelihood_ratio_positive": ratios.positive,
            "likelihood_ratio_negative": ratios.negative,
        }

    def as_dict(self) -> dict[str, Any]:
        """Plain dictionaries: each term {mean, low, high}, plus level, draws and the Monte Carlo errors."""
        flat = {name: estimate.as_dict() for name, estimate in self.estimates().items()}
        positive, negative = flat.pop("likelihood_ratio_positive"), flat.pop("likelihood_ratio_negative")
        return {
            **flat,
            "likelihood_ratios": {"positive": positive, "negative": negative},
            "level": self.level,
            "draws": self.draws,
            "monte_carlo_error": {n: e.error for n, e in self.estimates().items() if e.error > 0},
        }


def from_rates(
    sensitivity: Rate,
    false_alarm: Rate,
    prevalence: Rate,
    *,
    level: float = 0.95,
    seed: int = 0,
    draws: int = 100_000,
) -> Diagnosis:
    """The reading of a test from its rates, each of them a number or an `UncertainRate`.

    Args:
        sensitivity: P(positive | ill).
        false_alarm: P(positive | healthy).
        prevalence: P(ill).
        level: probability inside every interval.
        seed: of the Monte Carlo draws.
        draws: how many; used only when two or more of the three are uncertain, or for a mean of one.

    Raises:
        InvalidInput: a rate outside [0, 1] or NaN.
        Impossible: the rates are numbers under which a positive, or a negative, cannot occur.

    Example:
        >>> test = from_rates(0.99, 0.01, prevalence=0.10)
        >>> round(test.precision.mean, 4), round(test.likelihood_ratios.positive.mean)
        (0.9167, 99)
        >>> unsure = from_rates(0.99, 0.01, prevalence=UncertainRate.from_interval(0.05, 0.15))
        >>> [round(x, 3) for x in (unsure.precision.low, unsure.precision.high)]
        [0.839, 0.946]
    """
    probability(level, "level", open_interval=True)
    check(draws >= 100, "draws", f"got {draws}", "at least 100")
    rates = (sensitivity, false_alarm, prevalence)
    centre = Rates(*(r.mean if isinstance(r, UncertainRate) else r for r in rates))
    unsure = [i for i, r in enumerate(rates) if isinstance(r, UncertainRate)]
    if not unsure:
        return _certain(centre, level)
    _ = centre.precision, centre.negative_predictive_value  # refuses a result that cannot occur
    rng = numpy_generator(seed, "diagnostic")
    columns = [_draw(r, draws, rng) for r in rates]
    reading = _from_draws(*columns, level=level)
    if len(unsure) == 1:
        reading = _monotone_bounds(reading, rates, unsure[0], level)
    return _with_exact_rates(reading, rates, level)


def from_counts(
    tp: float,
    fn: float,
    fp: float,
    tn: float,
    *,
    prevalence: Rate | tuple[float, float] | None = None,
    prior: tuple[float, float] = JEFFREYS,
    level: float = 0.95,
    seed: int = 0,
    draws: int = 100_000,
) -> Diagnosis:
    """The reading of a test that was tried on people whose state is known.

    Args:
        tp: ill and positive.
        fn: ill and negative.
        fp: healthy and positive.
        tn: healthy and negative. All four >= 0; fractions are allowed (weighted counts).
        prevalence: where the test will be used: a number, an interval ``(low, high)`` at ``level``, an
            `UncertainRate`, or None when the people tried are a sample of those to be tested. With None,
            precision is read straight from tp / (tp + fp) and exactly; a sample of chosen cases and chosen
            controls has no prevalence of its own, so state one.
        prior: pseudo-counts of right and wrong answers added to every rate; (1/2, 1/2) is Jeffreys'.
        level: probability inside every interval.
        seed: of the Monte Carlo draws.
        draws: how many.

    Raises:
        InvalidInput: negative or non-finite counts, a prevalence outside [0, 1].

    Example:
        >>> test = from_counts(tp=99, fn=1, fp=90, tn=810)
        >>> round(test.precision.mean, 3), round(test.precision.low, 3), round(test.precision.high, 3)
        (0.524, 0.453, 0.594)
        >>> round(from_counts(99, 1, 90, 810, prevalence=0.01).precision.mean, 2)
        0.09
    """
    check_counts("from_counts", np.array([tp, fn, fp, tn], float))
    check_shapes(prior)
    right, wrong = prior
    found = UncertainRate(tp + right, fn + wrong)
    alarm = UncertainRate(fp + wrong, tn + right)
    if isinstance(prevalence, tuple):
        prevalence = UncertainRate.from_interval(*prevalence, level=level)
    if prevalence is not None:
        return from_rates(found, alarm, prevalence, level=level, seed=seed, draws=draws)
    base = UncertainRate(tp + fn + 0.5, fp + tn + 0.5)
    reading = from_rates(found, alarm, base, level=level, seed=seed, draws=draws)
    return replace(
        reading,
        precision=_exact(UncertainRate(tp + right, fp + wrong), level),
        negative_predictive_value=_exact(UncertainRate(tn + right, fn + wrong), level),
        accuracy=_exact(UncertainRate(tp + tn + right, fp + fn + wrong), level),
    )


def diagnose_classes(
    confusion: npt.ArrayLike | sparray,
    prior: npt.ArrayLike | None = None,
    *,
    pseudo: tuple[float, float] = JEFFREYS,
    level: float = 0.95,
    seed: int = 0,
    draws: int = 20_000,
    only: Sequence[int] | None = None,
) -> tuple[Diagnosis, ...]:
    """Each class of a classifier read as a test for that class.

    With a prior, the sensitivity of class j is the Beta posterior of its own row, and its false-alarm rate
    the mixture of the other rows under the prior,

        f_j = Σ_{i≠j} π_i P(answer j | class i) / Σ_{i≠j} π_i

    to which ``mixture_draws`` gives the pseudo-counts once, however many classes there are and however
    unequal their base rates: with two classes it is the test that ``from_counts`` reads. Everything but the
    sensitivity is Monte Carlo. Without one, the table itself is a sample of where the
    classifier is used, each class against all others is a 2x2 table, and the intervals are exact but for the
    likelihood ratios.

    Args:
        confusion: (K, K) counts, rows true, columns answered, K >= 2; an array, or a sparse one of SciPy.
        prior: (K,) probabilities of the classes where the classifier is used.
        pseudo: pseudo-counts of right and wrong answers.
        level: probability inside every interval.
        seed: of the Monte Carlo draws.
        draws: how many; time grows as draws x (K + cells off the diagonal that are not empty).
        only: numbers of the classes to read; all when left out. The others count all the same.

    Returns:
        One `Diagnosis` a class, in the order of the rows or of ``only``.

    Raises:
        InvalidInput: not a square table of counts, or a prior of another length or sum.

    Example:
        >>> cats, dogs = diagnose_classes([[90, 10], [5, 95]], prior=[0.02, 0.98])
        >>> round(cats.precision.mean, 1), round(dogs.precision.mean, 3)
        (0.3, 0.998)
    """
    given: Any = confusion if isinstance(confusion, sparray) else np.asarray(confusion, float)
    square = given.ndim == 2 and given.shape[0] == given.shape[1] and given.shape[0] >= 2
    check(square, "diagnose_classes", f"a table of shape {given.shape}", "(K, K) with K at least 2")
    table: Any = csc_array(given, dtype=float)
    check_counts("diagnose_classes", table.data)
    check_shapes(pseudo)
    right, support, called = table.diagonal(), table.sum(axis=1), table.sum(axis=0)
    chosen = range(table.shape[0]) if only is None else only
    if prior is None:
        missed, wrong = support - right, called - right
        cleared = support.sum() - right - missed - wrong
        return tuple(
            from_counts(
                *(float(part[j]) for part in (right, missed, wrong, cleared)),
                prior=pseudo, level=level, seed=seed, draws=draws,
            )
            for j in chosen
        )  # fmt: skip
    base = distribution(np.asarray(prior, float), table.shape[0], "prior")
    check(draws >= 100, "draws", f"got {draws}", "at least 100")
    rng, readings = numpy_generator(seed, "diagnostic", "classes"), []
    for j in chosen:
        p = base[j]
        exact = UncertainRate(float(right[j] + pseudo[0]), float(support[j] - right[j] + pseudo[1]))
        others = np.arange(len(base)) != j
        # Where one class has all of the prior the others have no mixture; they then count alike.
        weights = base[others] if base[others].any() else np.ones(len(base) - 1)
        mistaken = table[:, [j]].toarray()[others, 0]
        alarm = mixture_draws(
            mistaken, support[others], weights, rng, prior=(pseudo[1], pseudo[0]), draws=draws
        )
        drawn = _from_draws(
            _draw(exact, draws, rng), np.clip(alarm, 1e-300, np.nextafter(1, 0)), np.full(1, p), level=level
        )
        sensitivity, known = _exact(exact, level), Estimate(float(p), float(p), float(p))
        readings.append(replace(drawn, sensitivity=sensitivity, prevalence=known))
    return tuple(readings)


def _from_draws(s: FloatArray, f: FloatArray, p: FloatArray, *, level: float) -> Diagnosis:
    """Everything from joint draws of the three rates; a rate that is known is an array of one."""
    ill, alarm, missed, cleared = p * s, (1 - p) * f, p * (1 - s), (1 - p) * (1 - f)
    with np.errstate(divide="ignore", over="ignore"):
        positive, negative = np.log(s) - np.log(f), np.log1p(-s) - np.log1p(-f)
    return Diagnosis(
        sensitivity=_sampled(s, level),
        specificity=_sampled(1 - f, level),
        false_alarm=_sampled(f, level),
        precision=_sampled(ill / (ill + alarm), level),
        negative_predictive_value=_sampled(cleared / (cleared + missed), level),
        likelihood_ratios=LikelihoodRatios(_sampled_log(positive, level), _sampled_log(negative, level)),
        accuracy=_sampled(ill + cleared, level),
        prevalence=_sampled(p, level),
        level=level,
        draws=max(len(s), len(f), len(p)),
    )


def _certain(rates: Rates, level: float) -> Diagnosis:
    """Three known rates: intervals of no width."""

    def point(x: float) -> Estimate:
        return Estimate(x, x, x)

    positive, negative = rates.likelihood_ratios
    names = [n for n in TERMS if n != "likelihood_ratios"]
    return Diagnosis(
        **{n: point(getattr(rates, n)) for n in names},
        likelihood_ratios=LikelihoodRatios(point(positive), point(negative)),
        level=level,
        draws=0,
    )


def _monotone_bounds(reading: Diagnosis, rates: tuple[Rate, ...], unsure: int, level: float) -> Diagnosis:
    """Exact bounds when one rate alone is uncertain: all is monotone in it, so quantiles carry over."""
    uncertain = rates[unsure]
    assert isinstance(uncertain, UncertainRate)
    ends = []
    for bound in uncertain.interval(level):
        at: list[Any] = list(rates)
        at[unsure] = bound
        ends.append(_certain(Rates(*at), level).estimates())

    def bounded(name: str, drawn: Estimate) -> Estimate:
        low, high = sorted(end[name].mean for end in ends)
        return replace(drawn, low=low, high=high)

    flat: dict[str, Any] = {name: bounded(name, drawn) for name, drawn in reading.estimates().items()}
    ratios = LikelihoodRatios(flat.pop("likelihood_ratio_positive"), flat.pop("likelihood_ratio_negative"))
    return replace(reading, **flat, likelihood_ratios=ratios)


def _with_exact_rates(reading: Diagnosis, rates: tuple[Rate, ...], level: float) -> Diagnosis:
    """The three rates themselves, and the geometric means of the ratios, have closed forms."""
    sensitivity, false_alarm, prevalence = (_exact(r, level) for r in rates)
    specificity = Estimate(1 - false_alarm.mean, 1 - false_alarm.high, 1 - false_alarm.low)
    (s1, s0), (f1, f0) = _mean_logs(rates[0]), _mean_logs(rates[1])
    ratios = reading.likelihood_ratios
    return replace(
        reading,
        sensitivity=sensitivity,
        specificity=specificity,
        false_alarm=false_alarm,
        prevalence=prevalence,
        likelihood_ratios=LikelihoodRatios(
            replace(ratios.positive, mean=_exp(s1 - f1)), replace(ratios.negative, mean=_exp(s0 - f0))
        ),
    )


def _exact(rate: Rate, level: float) -> Estimate:
    return (
        Estimate(rate.mean, *rate.interval(level))
        if isinstance(rate, UncertainRate)
        else Estimate(*[rate] * 3)
    )


def _mean_logs(rate: Rate) -> tuple[float, float]:
    """E log(rate) and E log(1 - rate)."""
    if isinstance(rate, UncertainRate):
        total = digamma(rate.a + rate.b)
        return float(digamma(rate.a) - total), float(digamma(rate.b) - total)
    return tuple(math.log(x) if x > 0 else -math.inf for x in (rate, 1 - rate))  # type: ignore[return-value]


def _draw(rate: Rate, draws: int, rng: np.random.Generator) -> FloatArray:
    if isinstance(rate, UncertainRate):
        return np.clip(rng.beta(rate.a, rate.b, draws), 1e-300, np.nextafter(1, 0))
    return np.full(1, float(rate))


def _sampled(x: FloatArray, level: float) -> Estimate:
    """Mean and quantiles of draws, with the largest of their standard errors."""
    n = len(x)
    if n == 1:
        return Estimate(*[float(x[0])] * 3)
    ordered = np.sort(x)
    bounds, errors = [], [float(x.std()) / math.sqrt(n)]
    for q in tails(level):
        # The rank of a quantile is binomial, so one standard deviation of rank either way is its error.
        spread = math.sqrt(n * q * (1 - q))
        below, above = ordered[max(int(n * q - spread), 0)], ordered[min(int(n * q + spread) + 1, n - 1)]
        bounds.append(float(ordered[min(round(n * q), n - 1)]))
        errors.append(float(above - below) / 2)
    return Estimate(float(x.mean()), bounds[0], bounds[1], max(errors))


def _sampled_log(log_x: FloatArray, level: float) -> Estimate:
    """The same for exp(log_x), with the geometric mean; errors by the delta method."""
    if len(log_x) == 1 or not np.isfinite(log_x).all():
        return Estimate(*[_exp(float(log_x[0]))] * 3)
    e = _sampled(log_x, level)
    return Estimate(_exp(e.mean), _exp(e.low), _exp(e.high), _exp(e.high) * e.error)


def _exp(x: float) -> float:
    return math.exp(x) if x < 709 else math.inf
