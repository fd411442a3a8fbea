"""Weighting and doubly robust estimators: agreement, coverage, either model wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.causal import EffectQuestion, estimate, parse, sample_of
from bayesight.causal.strata import standardise, stratify
from bayesight.causal.weighting import (
    WeightingProblem,
    doubly_robust,
    inverse_probability,
    propensity,
    regression_standardised,
)

TRIANGLE = parse("Z -> T, Z -> Y, T -> Y")


def weighted(task):
    return inverse_probability(task, propensity(task))


def corrected(task):
    return doubly_robust(task, propensity(task))


def test_weighting_and_doubly_robust_on_continuous_confounders():
    rng = np.random.default_rng(4)
    inside = dict.fromkeys(("dr", "ipw", "regression"), 0)
    for _ in range(60):
        z = rng.normal(size=450)
        t = (rng.random(450) < 1 / (1 + np.exp(-z))).astype(int)
        y = 2.0 * t + 3.0 * z + rng.normal(size=450)
        table = sample_of({"Z": z, "T": t, "Y": y})
        found = estimate(table, TRIANGLE, EffectQuestion("T", "Y"))
        assert found.adjusted.method == "doubly robust, cross-fitted"
        for name, a in zip(inside, (found.adjusted, found.others[1], found.others[0]), strict=True):
            inside[name] += a.effect.low <= 2 <= a.effect.high
    assert all(0.85 <= n / 60 <= 1 for n in inside.values()), inside


def test_doubly_robust_survives_either_model_being_wrong():
    """A squared confounder that one of the two models does not see."""
    rng = np.random.default_rng(5)
    z = rng.normal(size=60_000)
    both = np.column_stack([np.ones_like(z), z, z**2])
    t = (rng.random(len(z)) < 1 / (1 + np.exp(-(z**2 - 1)))).astype(np.int64)
    y = 1.0 * t + 2.0 * z**2 + rng.normal(size=len(z))
    one = np.ones_like(z)

    def task(x):
        return WeightingProblem(x, t, 2, y, one, one, False)

    blind, seeing = task(both[:, :2]), task(both)
    naive = inverse_probability(blind, propensity(blind))
    assert abs(naive.mean[1] - naive.mean[0] - 1) > 0.5
    for outcome_model, propensities in ((blind, propensity(seeing)), (seeing, propensity(blind))):
        outcomes = doubly_robust(outcome_model, propensities)
        error = np.sqrt(outcomes.covariance[0, 0] + outcomes.covariance[1, 1] - 2 * outcomes.covariance[0, 1])
        assert abs(outcomes.mean[1] - outcomes.mean[0] - 1) < 4 * error + 0.01


def test_doubly_robust_counts_the_estimation_of_both_models():
    """The spread over samples is the error, where propensities are steep, the outcome not straight."""
    gaps, errors = [], []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        z = rng.normal(size=300)
        x = np.column_stack([np.ones(300), z])
        t = (rng.random(300) < 1 / (1 + np.exp(-1.5 * z))).astype(np.int64)
        y = t + np.exp(z / 2) * (1 + t) + rng.normal(size=300)
        one = np.ones(300)
        task = WeightingProblem(x, t, 2, y, one, one, False)
        outcomes = doubly_robust(task, propensity(task))
        c = outcomes.covariance
        gaps.append(outcomes.mean[1] - outcomes.mean[0])
        errors.append(c[0, 0] + c[1, 1] - 2 * c[0, 1])
    assert np.sqrt(np.mean(errors)) == pytest.approx(np.std(gaps), rel=0.2)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000))
def test_estimators_agree_on_full_strata(seed):
    """Weighting, doubly robust and standardisation are one number where every stratum is full."""
    rng = np.random.default_rng(seed)
    z, t = np.repeat([0, 1, 2], 40), np.tile([0, 1], 60)
    y = (rng.random(120) < 0.2 + 0.2 * z + 0.1 * t).astype(float)
    table = sample_of({"Z": z, "T": t, "Y": y})
    strata = stratify(table, "T", y, ["Z"], binary=True)
    x = (z[:, None] == [0, 1, 2]).astype(float)
    x[:, 0] = 1.0
    task = WeightingProblem(x, t.astype(np.int64), 2, y, np.ones(120), np.ones(120), True)
    propensities = propensity(task)
    a, b, c = standardise(strata), inverse_probability(task, propensities), doubly_robust(task, propensities)
    assert b.mean == pytest.approx(a.mean, abs=1e-6)
    assert c.mean == pytest.approx(a.mean, abs=1e-5)


@pytest.mark.parametrize("treatments", [2, 3])
@pytest.mark.parametrize(
    ("estimator", "near"), [(regression_standardised, 1e-8), (weighted, 1e-6), (corrected, 1e-8)]
)
def test_variances_are_those_of_the_influence_of_each_row(estimator, near, treatments):
    """How an answer moves as a row counts a little more, its models fitted again, by differentiation.

    Weighting takes the score's squares for its curvature, which are one only in a large table.
    """
    rng = np.random.default_rng(7)
    z = rng.normal(size=150)
    x, n = np.column_stack([np.ones(150), z]), rng.integers(1, 4, 150).astype(float)
    t = (z + rng.gumbel(size=(treatments, 150)).T @ np.arange(treatments) > 0).astype(np.int64)
    t = np.where(rng.random(150) < 0.5, t, rng.integers(0, treatments, 150))
    y = (rng.random(150) < 1 / (1 + np.exp(-(z**2) - t + 1))).astype(float)

    def found(counts):
        return estimator(WeightingProblem(x, t, treatments, y, counts, counts, True))

    step = 1e-3 * np.eye(150)
    moved = np.array([(found(n + one).mean - found(n - one).mean) / 2e-3 for one in step])
    assert found(n).covariance == pytest.approx(moved.T @ (moved * n[:, None]), rel=1e-3, abs=near)


@pytest.mark.parametrize("outcomes", ["all 0", "all 1", "the treatment"])
def test_an_outcome_of_which_all_rows_agree_is_as_uncertain_as_the_share_it_is(outcomes):
    rng = np.random.default_rng(8)
    z, t = rng.normal(size=200), np.arange(200) % 2
    y = {"all 0": np.zeros(200), "all 1": np.ones(200), "the treatment": t}[outcomes].astype(int)
    found = estimate(sample_of({"Z": z, "T": t, "Y": y}), TRIANGLE, EffectQuestion("T", "Y"))
    plain = found.conditional.effect
    for answer in (found.adjusted, *found.others):  # nothing is known of Z, so that weights are nearly equal
        effect = answer.effect
        assert effect.mean == plain.mean == float(y[t == 1].mean() - y[t == 0].mean())
        assert effect.low == pytest.approx(plain.low, abs=0.004)
        assert effect.high == pytest.approx(plain.high, abs=0.004)
