"""The reading of a test against scipy, a second Monte Carlo, and its own laws."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bayesight import bayes
from bayesight.bayes.diagnostic import (
    TERMS,
    Rates,
    UncertainRate,
    diagnose_classes,
    from_counts,
    from_rates,
    rate_interval,
)
from bayesight.errors import Impossible, InvalidInput

UNIT = st.floats(0.01, 0.99)


@pytest.mark.parametrize(("alarm", "once"), [(0.01, 0.9167), (0.10, 0.5238)])
def test_worked_figures(alarm, once):
    found = from_rates(0.99, alarm, 0.10)
    assert round(found.precision.mean, 4) == once
    assert found.precision.low == found.precision.mean == found.precision.high
    assert found.draws == 0


@given(UNIT, UNIT, UNIT)
@settings(deadline=None, max_examples=80)
def test_odds_form_and_complements(s, f, p):
    test = Rates(s, f, p)
    positive, negative = test.likelihood_ratios
    odds = p / (1 - p)
    assert test.precision == pytest.approx(odds * positive / (1 + odds * positive), rel=1e-9)
    assert 1 - test.negative_predictive_value == pytest.approx(
        odds * negative / (1 + odds * negative), rel=1e-9
    )
    assert test.accuracy == pytest.approx(p * s + (1 - p) * (1 - f))
    # The test that answers the other way round has the two worths exchanged.
    other = Rates(1 - s, 1 - f, p)
    assert other.precision == pytest.approx(1 - test.negative_predictive_value, rel=1e-9)
    # Looking for the healthy instead exchanges them too.
    mirror = Rates(1 - f, 1 - s, 1 - p)
    assert mirror.precision == pytest.approx(test.negative_predictive_value, rel=1e-9)


@pytest.mark.parametrize("prior", [(0.5, 0.5), (3.0, 0.4)])
@pytest.mark.parametrize("level", [0.95, 0.6])
def test_counted_rates_are_exact_beta_posteriors(prior, level):
    found = from_counts(40, 7, 12, 300, prior=prior, level=level, draws=1000)
    a, b = prior
    for name, right, wrong in (
        ("sensitivity", 40, 7),
        ("specificity", 300, 12),
        ("precision", 40, 12),
        ("negative_predictive_value", 300, 7),
        ("accuracy", 340, 19),
    ):
        exact = stats.beta(right + a, wrong + b)
        estimate = getattr(found, name)
        assert estimate.error == 0
        assert estimate.mean == pytest.approx(exact.mean())
        assert (estimate.low, estimate.high) == pytest.approx(exact.interval(level))
    alarm = stats.beta(12 + b, 300 + a)
    assert (found.false_alarm.low, found.false_alarm.high) == pytest.approx(alarm.interval(level))
    prevalence = stats.beta(47.5, 312.5)
    assert (found.prevalence.low, found.prevalence.high) == pytest.approx(prevalence.interval(level))


def independent_draws(rng, n, p):
    s, f = stats.beta(40.5, 7.5).rvs(n, random_state=rng), stats.beta(12.5, 300.5).rvs(n, random_state=rng)
    p = stats.beta(*p).rvs(n, random_state=rng) if isinstance(p, tuple) else p
    return {
        "precision": p * s / (p * s + (1 - p) * f),
        "negative_predictive_value": (1 - p) * (1 - f) / ((1 - p) * (1 - f) + p * (1 - s)),
        "accuracy": p * s + (1 - p) * (1 - f),
        "likelihood_ratio_positive": s / f,
        "likelihood_ratio_negative": (1 - s) / (1 - f),
    }


@pytest.mark.parametrize("prevalence", [0.03, UncertainRate(8.0, 150.0)])
def test_monte_carlo_agrees_within_its_stated_error(prevalence):
    n = 400_000
    p = (8.0, 150.0) if isinstance(prevalence, UncertainRate) else prevalence
    drawn = independent_draws(np.random.default_rng(99), n, p)
    found = from_counts(40, 7, 12, 300, prevalence=prevalence, level=0.9, seed=5).estimates()
    for name, x in drawn.items():
        estimate = found[name]
        assert 0 < estimate.error < 0.05 * (estimate.high - estimate.low)
        slack = 4.5 * estimate.error * math.sqrt(1 + 100_000 / n)
        low, high = np.quantile(x, [0.05, 0.95])
        assert estimate.low == pytest.approx(low, abs=slack)
        assert estimate.high == pytest.approx(high, abs=slack)
        centre = math.exp(np.log(x).mean()) if "ratio" in name else x.mean()
        assert estimate.mean == pytest.approx(centre, abs=slack)


def test_stated_error_is_the_spread_over_seeds():
    found = [from_counts(9, 2, 3, 60, prevalence=0.1, seed=s, draws=2000).precision for s in range(60)]
    for field in ("mean", "low", "high"):
        spread = np.std([getattr(e, field) for e in found])
        assert spread < 1.5 * np.mean([e.error for e in found])
    worst = max(np.std([getattr(e, f) for e in found]) for f in ("mean", "low", "high"))
    assert worst == pytest.approx(np.mean([e.error for e in found]), rel=0.35)


def test_same_seed_same_answer_and_more_draws_less_error():
    one, two = (from_counts(9, 2, 3, 60, prevalence=0.1, seed=3) for _ in range(2))
    assert one == two
    assert from_counts(9, 2, 3, 60, prevalence=0.1, seed=4) != one
    few = from_counts(9, 2, 3, 60, prevalence=0.1, draws=1000).precision.error
    assert few / one.precision.error == pytest.approx(10, rel=0.5)


@pytest.mark.parametrize("unsure", [0, 1, 2])
def test_one_uncertain_rate_has_exact_bounds(unsure):
    rates = [0.9, 0.05, 0.1]
    rates[unsure] = UncertainRate(20.0, 60.0)
    found = from_rates(*rates, level=0.9, draws=2000).estimates()
    ends = []
    for q in stats.beta(20, 60).interval(0.9):
        at = [r if not isinstance(r, UncertainRate) else float(q) for r in rates]
        ends.append(Rates(*at))
    for name in ("precision", "negative_predictive_value", "accuracy"):
        expected = sorted(getattr(e, name) for e in ends)
        assert [found[name].low, found[name].high] == pytest.approx(expected, rel=1e-9)
    expected = sorted(e.likelihood_ratios[0] for e in ends)
    assert [found["likelihood_ratio_positive"].low, found["likelihood_ratio_positive"].high] == pytest.approx(
        expected
    )


@given(UNIT, UNIT)
@settings(deadline=None, max_examples=40)
def test_an_interval_becomes_the_beta_that_has_it(x, y):
    low, high = sorted((x, y))
    if high - low < 1e-3:
        return
    rate = UncertainRate.from_interval(low, high, 0.9)
    assert stats.beta(rate.a, rate.b).cdf([low, high]) == pytest.approx([0.05, 0.95], abs=1e-6)


def test_prevalence_as_interval_number_and_counts():
    wide = from_counts(90, 10, 5, 95, prevalence=(0.05, 0.2), level=0.9)
    assert (wide.prevalence.low, wide.prevalence.high) == pytest.approx((0.05, 0.2))
    fixed = from_counts(90, 10, 5, 95, prevalence=0.11, level=0.9)
    assert wide.precision.high - wide.precision.low > fixed.precision.high - fixed.precision.low
    counted = from_counts(90, 10, 5, 95, prevalence=UncertainRate.from_counts(11, 89), level=0.9)
    assert counted.prevalence.mean == pytest.approx(11.5 / 101)


def test_a_positive_is_worth_its_precision_and_not_the_sensitivity():
    # A test with recall .99 whose positives are mostly wrong: the two must not be confused.
    found = from_counts(99, 1, 990, 8910)
    assert found.sensitivity.mean > 0.97
    assert found.precision.mean < 0.12


def test_rate_interval_on_arrays():
    won, tried = np.array([[0, 3], [50, 200]]), np.array([[5, 3], [80, 200]])
    mean, low, high = rate_interval(won, tried, level=0.8, prior=(0.5, 0.9))
    exact = stats.beta(won + 0.5, tried - won + 0.9)
    assert np.allclose(mean, exact.mean())
    assert np.allclose(low, exact.ppf(0.1))
    assert np.allclose(high, exact.ppf(0.9))
    assert rate_interval(1, [2, 3])[0].shape == (2,)


TABLE = np.array([[50, 4, 1], [6, 30, 9], [0, 2, 98]])


def test_classes_in_the_samples_own_mix_are_two_by_two_tables():
    for j, found in enumerate(diagnose_classes(TABLE, draws=1000, level=0.9)):
        tp = TABLE[j, j]
        fn, fp = TABLE[j].sum() - tp, TABLE[:, j].sum() - tp
        same = from_counts(tp, fn, fp, TABLE.sum() - tp - fn - fp, draws=1000, level=0.9)
        assert found == same


def test_two_classes_with_a_prior_are_the_two_class_test():
    table = np.array([[40, 7], [12, 300]])
    first, second = diagnose_classes(table, [0.03, 0.97], draws=100_000, level=0.9)
    pair = from_counts(40, 7, 12, 300, prevalence=0.03, level=0.9, draws=100_000)
    for name, estimate in pair.estimates().items():
        found = first.estimates()[name]
        slack = 4.5 * (found.error + estimate.error) + 1e-12
        assert (found.mean, found.low, found.high) == pytest.approx(
            (estimate.mean, estimate.low, estimate.high), abs=slack
        )
    assert second.prevalence.mean == pytest.approx(0.97)
    assert second.precision.mean == pytest.approx(first.negative_predictive_value.mean, abs=1e-3)


def independent_betas(rng, draws, won, tried, weights, prior):
    """A weighted mean of rates, a Beta posterior for each; the prior shared by what one count moves."""
    moved = [w / (n + 1) for w, n in zip(weights, tried, strict=True)]
    total = np.zeros(draws)
    for x, n, w, m in zip(won, tried, weights, moved, strict=True):
        part = m / sum(moved)
        total += w * stats.beta(x + prior[0] * part, n - x + prior[1] * part).rvs(draws, random_state=rng)
    return total


SPARSE = np.array([[60, 2, 0, 1, 0], [5, 30, 1, 0, 0], [0, 4, 97, 0, 0], [0, 0, 0, 20, 0], [1, 0, 0, 9, 45]])


@pytest.mark.parametrize("pseudo", [(0.5, 0.5), (2.0, 0.8)])
@pytest.mark.parametrize("prior", [(0.01, 0.6, 0.3, 0.04, 0.05), (0.2, 0.001, 0.001, 0.001, 0.797)])
def test_classes_at_another_base_rate_against_independent_betas(prior, pseudo):
    rng, draws, support = np.random.default_rng(17), 60_000, SPARSE.sum(1)
    found = diagnose_classes(SPARSE, prior, level=0.9, draws=draws, seed=2, pseudo=pseudo)
    for j, p in enumerate(prior):
        others = [i for i in range(5) if i != j]
        weights = [prior[i] / (1 - p) for i in others]
        f = independent_betas(rng, draws, SPARSE[others, j], support[others], weights, pseudo[::-1])
        exact = stats.beta(SPARSE[j, j] + pseudo[0], support[j] - SPARSE[j, j] + pseudo[1])
        s = exact.rvs(draws, random_state=rng)
        readings = {
            "precision": p * s / (p * s + (1 - p) * f),
            "negative_predictive_value": (1 - p) * (1 - f) / ((1 - p) * (1 - f) + p * (1 - s)),
            "false_alarm": f,
            "accuracy": p * s + (1 - p) * (1 - f),
        }
        for name, drawn in readings.items():
            estimate, ends = getattr(found[j], name), np.quantile(drawn, [0.05, 0.95])
            # Rows without a false alarm are drawn as one Beta, which is a little off in the tails.
            slack = 6 * estimate.error + 0.02 * (ends[1] - ends[0])
            assert estimate.mean == pytest.approx(drawn.mean(), abs=slack)
            assert [estimate.low, estimate.high] == pytest.approx(ends, abs=slack)
        assert (found[j].sensitivity.low, found[j].sensitivity.high) == pytest.approx(exact.interval(0.9))
        assert found[j].sensitivity.error == 0


@pytest.mark.parametrize(("skew", "clumped"), [(1.0, 3.0), (0.15, 0.4)])
def test_intervals_of_a_rare_classs_precision_hold_the_truth(skew, clumped):
    """A class of 1 % or .1 % among others of very unequal base rates: coverage, both sides, and width."""
    rng, repeats, k, below, above, width, spread = np.random.default_rng(8), 500, 8, 0, 0, [], []
    others = np.arange(1, k)
    for _ in range(repeats):
        rare = rng.choice([0.01, 0.001])
        prior = np.r_[rare, (1 - rare) * rng.dirichlet(np.full(k - 1, skew))]
        support = rng.integers(50, 200, k)
        named = np.r_[rng.beta(18, 2), np.minimum(rng.gamma(clumped, 0.01 / clumped, k - 1), 0.9)]
        table = np.zeros((k, k))
        table[:, 0] = rng.binomial(support, named)
        table[0, 1] = support[0] - table[0, 0]
        table[others, others] = (support - table[:, 0])[1:]
        found = diagnose_classes(table, prior, draws=500, seed=1)[0].precision
        worth = rare * named[0] / (prior @ named)
        below, above = below + (worth < found.low), above + (worth > found.high)
        width.append(found.high - found.low)
        again = rng.binomial(support, named, (200, k)) / support
        shares = rare * again[:, 0] / np.maximum(again @ prior, 1e-12)
        spread.append(np.ptp(np.quantile(shares, [0.025, 0.975])))
    assert 0.93 <= 1 - (below + above) / repeats <= 0.97
    assert max(below, above) / repeats <= 0.05
    # No wider than the share that is counted varies from sample to sample.
    assert 0.6 < np.mean(width) / np.mean(spread) < 1


def test_many_classes_do_not_drown_in_the_prior():
    k = 200
    table = np.eye(k) * 20
    found = diagnose_classes(table, np.full(k, 1 / k), draws=200)
    assert found[0].sensitivity.mean == pytest.approx(20.5 / 21)
    assert found[0].precision.mean > 0.9


def test_a_class_with_all_or_none_of_the_prior():
    sure, never, other = diagnose_classes(TABLE, [1.0, 0.0, 0.0], draws=500)
    assert sure.precision.mean == 1
    assert never.precision.mean == 0
    assert other.negative_predictive_value.mean == 1
    assert 0 < sure.false_alarm.mean < 1


def test_document_and_terms():
    document = from_counts(9, 2, 3, 60, prevalence=0.1, draws=500).as_dict()
    assert set(TERMS) <= set(document)
    for name in set(TERMS) - {"likelihood_ratios"}:
        assert set(document[name]) == {"mean", "low", "high"}
    assert set(document["likelihood_ratios"]) == {"positive", "negative"}
    assert set(document["monte_carlo_error"]) == {
        "precision",
        "negative_predictive_value",
        "accuracy",
        "likelihood_ratio_positive",
        "likelihood_ratio_negative",
    }
    assert all("\n" not in line and len(line) < 120 for line in TERMS.values())


@pytest.mark.parametrize(
    ("rates", "result"),
    [((0.9, 0.0, 0.0), "positive"), ((0.0, 0.0, 0.3), "positive"), ((1.0, 1.0, 0.3), "negative")],
)
def test_the_worth_of_a_result_that_cannot_occur_is_an_error(rates, result):
    with pytest.raises(Impossible, match=f"a {result} result cannot occur with sensitivity"):
        from_rates(*rates)
    with pytest.raises(Impossible):
        from_rates(rates[0], rates[1], UncertainRate(1, 1)) if rates[2] else from_rates(
            UncertainRate(1, 1), 0.0, 0.0
        )


def test_a_perfect_test_has_an_infinite_ratio():
    found = from_rates(1.0, 0.0, 0.2)
    assert found.likelihood_ratios.positive.mean == math.inf
    assert found.likelihood_ratios.negative.mean == 0
    assert found.precision.mean == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: from_counts(-1, 2, 3, 4), "a count of -1; expected finite counts of 0 or more"),
        (lambda: from_counts(math.nan, 2, 3, 4), "a count of nan"),
        (lambda: from_counts(1, 2, 3, 4, prevalence=10), r"prevalence: got 10; .* write 0\.1"),
        (lambda: from_counts(1, 2, 3, 4, prevalence=(0.3, 0.1)), "the lower bound first"),
        (lambda: from_counts(1, 2, 3, 4, prevalence=(0.0, 0.1)), "strictly between 0 and 1"),
        (lambda: from_counts(1, 2, 3, 4, prior=(0, 1)), "two finite shapes above 0"),
        (lambda: from_counts(1, 2, 3, 4, level=1.0), "level"),
        (lambda: from_counts(1, 2, 3, 4, draws=5), "draws: got 5; expected at least 100"),
        (lambda: from_rates(1.2, 0.1, 0.1), "sensitivity: got 1.2"),
        (lambda: from_rates(0.9, math.nan, 0.1), "false_alarm: got nan"),
        (lambda: rate_interval([3], [2]), "more successes than trials"),
        (lambda: UncertainRate(0, 1), r"Beta\(0, 1\); expected two finite shapes above 0"),
        (
            lambda: UncertainRate.from_interval(0.3, 0.3 + 1e-9),
            "a width above 1e-6; expected|a width above 1e-06|width",
        ),
        (lambda: diagnose_classes([[1, 2, 3]]), r"a table of shape \(1, 3\)"),
        (lambda: diagnose_classes([[5]]), "K at least 2"),
        (lambda: diagnose_classes(TABLE, [0.5, 0.5]), "one probability for each of the 3 classes"),
        (
            lambda: diagnose_classes(TABLE, [5, 3, 2]),
            "sum 10; expected probabilities with sum 1. If these are counts",
        ),
        (lambda: diagnose_classes(TABLE, [1.5, -0.5, 0.0]), "probabilities with sum 1"),
        (lambda: diagnose_classes(-TABLE), "a count of -50"),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()


def test_the_package_door_is_lazy_and_complete():
    assert dir(bayes) == bayes.__all__
    for name in bayes.__all__:
        assert getattr(bayes, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = bayes.nonsense
