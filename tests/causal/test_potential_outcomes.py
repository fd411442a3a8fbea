"""Means and their differences: intervals against Wilson, Newcombe and Welch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from bayesight.causal import EffectQuestion, estimate, parse, sample_of
from bayesight.causal.potential_outcomes import PotentialOutcomes, Slope, answer, difference


def test_an_arm_whose_few_rows_all_agree_is_not_certain():
    """15 of 15 against 223 of 285: Newcombe's interval of the difference, from Wilson's of each."""
    table = sample_of({"T": [0, 1, 1], "Y": [1, 1, 0]}, counts=[15, 223, 62])
    found = estimate(table, parse("T -> Y"), EffectQuestion("T", "Y"))
    from statsmodels.stats.proportion import confint_proportions_2indep

    low, high = confint_proportions_2indep(223, 285, 15, 15, method="newcomb")
    e = found.adjusted.effect
    assert (e.low, e.high) == pytest.approx((low, high), abs=0.012)  # ours are of Student's t
    many = sample_of({"T": [0, 0, 1, 1], "Y": [1, 0, 1, 0]}, counts=[40, 160, 90, 110])
    low, high = confint_proportions_2indep(90, 200, 40, 200, method="newcomb")
    e = estimate(many, parse("T -> Y"), EffectQuestion("T", "Y")).adjusted.effect
    assert (e.low, e.high) == pytest.approx((low, high), abs=0.001)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 400), st.integers(1, 400), st.sampled_from([0.8, 0.95, 0.99]))
def test_a_counted_proportion_has_wilsons_interval(ones, zeros, level):
    rows = ones + zeros
    p = ones / rows
    variances = np.diag([p * (1 - p) / rows, 0.25 / 50])
    found = answer(PotentialOutcomes(np.array([p, 0.5]), variances, binary=True), "", ("a", "b"), "b", level)
    low, high = proportion_confint(ones, rows, 1 - level, method="wilson")
    mean = found.means["a"]
    assert (mean.mean, mean.low, mean.high) == pytest.approx((p, low, high), abs=1e-9)


def test_two_means_of_unequal_spread_have_welchs_interval():
    rng = np.random.default_rng(3)
    one, other = rng.normal(1, 3, 12), rng.normal(0, 1, 31)
    mean = np.array([other.mean(), one.mean()])
    covariance = np.diag([other.var(ddof=1) / 31, one.var(ddof=1) / 12])
    found = PotentialOutcomes(mean, covariance, np.array([30.0, 11.0]))
    theirs = stats.ttest_ind(one, other, equal_var=False)
    assert found.effective_dof(1, 0) == pytest.approx(theirs.df)
    assert (found.effective_dof(0), found.effective_dof(1)) == (30, 11)
    gap = answer(found, "", ("0", "1"), "0", 0.9).effect
    assert (gap.low, gap.high) == pytest.approx(tuple(theirs.confidence_interval(0.9)))


def test_a_covariance_narrows_the_difference():
    found = PotentialOutcomes(np.array([1.0, 3.0]), np.array([[4.0, 3.0], [3.0, 4.0]]))
    assert found.error(1, 0) == pytest.approx(np.sqrt(2))
    gap = difference(found, 1, 0, 0.95)
    assert (gap.low, gap.high) == pytest.approx((2 - 1.959964 * 2**0.5, 2 + 1.959964 * 2**0.5), rel=1e-6)


def test_a_slope_has_students_interval():
    found = answer(Slope(2.0, 0.5, 7.0), "line", level=0.9)
    assert found.effect == found.slope
    assert (found.slope.low, found.slope.high) == pytest.approx(stats.t.interval(0.9, 7, 2.0, 0.5))
    assert found.difference is None
    assert set(found.as_dict()) == {"method", "on", "slope"}


def test_every_treatment_is_compared_with_the_reference():
    found = answer(PotentialOutcomes(np.array([1.0, 4.0, 9.0]), np.eye(3)), "", ("a", "b", "c"), "b")
    assert [(d.of, d.versus, d.estimate.mean) for d in found.differences] == [("a", "b", -3), ("c", "b", 5)]
    assert found.effect == found.difference.estimate == found.differences[-1].estimate


@pytest.mark.parametrize("together", [-0.6, 0.0, 0.7])
def test_dependent_proportions_differ_by_the_method_of_zou_and_donner(together):
    p, q, rows = 0.7, 0.4, 80
    errors = np.sqrt(np.array([p * (1 - p), q * (1 - q)]) / rows)
    covariance = np.outer(errors, errors) * np.array([[1, together], [together, 1]])
    found = difference(PotentialOutcomes(np.array([p, q]), covariance, binary=True), 0, 1, 0.95)
    (l1, u1), (l2, u2) = (proportion_confint(share * rows, rows, method="wilson") for share in (p, q))
    below = np.sqrt((p - l1) ** 2 + (u2 - q) ** 2 - 2 * together * (p - l1) * (u2 - q))
    above = np.sqrt((u1 - p) ** 2 + (q - l2) ** 2 - 2 * together * (u1 - p) * (q - l2))
    assert (found.low, found.high) == pytest.approx((p - q - below, p - q + above))
