"""E-values of the paper, their bound, and Simpson's reversal."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.bayes.rates import Estimate
from bayesight.causal import EffectQuestion, estimate, parse, sample_of
from bayesight.causal.potential_outcomes import Contrast, EffectEstimate
from bayesight.causal.sensitivity import find_reversal
from bayesight.causal.strata import stratify

TRIANGLE = parse("Z -> T, Z -> Y, T -> Y")


def test_e_values_of_the_paper():
    """VanderWeele and Ding 2017: a risk ratio of 3.9 (1.8 to 8.7) has the E-values 7.26 and 3.0."""
    from bayesight.causal.potential_outcomes import PotentialOutcomes
    from bayesight.causal.sensitivity import e_value

    risk = 0.039
    error = np.log(8.7 / 1.8) / 2 / 1.96
    covariance = np.diag([(error * risk) ** 2, 0.0])
    e = e_value(PotentialOutcomes(np.array([risk, 0.01]), covariance, binary=True), 0, 1, 1.0, 1.96)
    assert e.value == pytest.approx(7.26, abs=0.01)
    assert e.bound == pytest.approx(3.0, abs=0.1)
    protective = e_value(
        PotentialOutcomes(np.array([0.01, risk]), covariance[::-1, ::-1], binary=True), 0, 1, 1.0, 1.96
    )
    assert protective.value == pytest.approx(e.value)
    no_risk = e_value(PotentialOutcomes(np.array([0.0, 0.1]), np.eye(2) * 1e-4, binary=True), 0, 1, 1.0, 1.96)
    assert no_risk is None


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(2, 8), st.booleans())
def test_the_bound_of_an_e_value_is_1_exactly_where_the_interval_holds_no_effect(seed, pairs, binary):
    """With few pairs the interval is Student's, and so is the bound."""
    rng = np.random.default_rng(seed)
    z, t = np.repeat(np.arange(pairs), 2), np.tile([0, 1], pairs)
    y = rng.normal(size=2 * pairs) + 1.5 * t
    y = (y > 0.7).astype(int) if binary else y
    found = estimate(
        sample_of({"Z": [f"s{k}" for k in z], "T": t, "Y": y}), TRIANGLE, EffectQuestion("T", "Y")
    )
    e = found.adjusted.effect
    if found.e_value is not None and e.low < e.high:
        if e.low <= 0 <= e.high:
            assert found.e_value.bound == 1
        elif not binary:
            ratio = np.exp(0.91 * min(abs(e.low), abs(e.high)) / y.std())
            assert found.e_value.bound == pytest.approx(ratio + np.sqrt(ratio * (ratio - 1)), rel=1e-6)


def sides(one, other, width=0.01):
    def answered(gap):
        means = {"a": Estimate(0.5 + gap, 0, 1), "b": Estimate(0.5, 0, 1)}
        return EffectEstimate("", means, (Contrast("a", "b", Estimate(gap, gap - width, gap + width)),))

    return answered(one), answered(other)


@settings(deadline=None, max_examples=80)
@given(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4))
def test_a_reversal_is_a_change_of_sign_between_two_effects_of_some_size(one, other):
    found = find_reversal(*sides(one, other), None, ("z",))
    small, large = sorted((abs(one), abs(other)))
    assert (found is not None) == (one * other < 0 and small >= 0.1 * large)
    assert find_reversal(*sides(one, other), None, ()) is None


def test_a_reversal_that_chance_explains_is_none():
    conditional, adjusted = sides(0.1, -0.1)
    unsure = replace(adjusted, differences=(Contrast("a", "b", Estimate(-0.1, -0.5, 0.3)),))
    assert find_reversal(conditional, adjusted, None, ("z",)) is not None
    assert find_reversal(conditional, unsure, None, ("z",)) is None


def test_the_sentence_counts_the_strata_that_turn():
    table = sample_of({"z": list("ppqqrr"), "t": list("ababab")}, counts=[10, 90, 50, 50, 90, 10])
    y = np.array([0.1, 0.2, 0.5, 0.6, 0.9, 0.8])
    strata = stratify(table, "t", y, ["z"], binary=True)
    found = find_reversal(*sides(0.3, -0.05), strata, ("z",))
    assert (found.strata, found.turned) == (3, 2)
    assert found.sentence == (
        "Simpson's reversal: taken together a is ahead of b (0.800 against 0.500), but with z held fixed b "
        "is ahead (0.500 against 0.450), and it is ahead in 2 of 3 strata."
    )
