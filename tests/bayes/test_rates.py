"""Mixtures of measured rates: closed forms, laws, and how often the interval holds the truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bayesight.bayes.rates import mixture_draws
from bayesight.errors import InvalidInput

COUNT = st.integers(0, 40)


def drawn(won, tried, weights, draws=40_000, seed=3, **more):
    return mixture_draws(won, tried, weights, np.random.default_rng(seed), draws=draws, **more)


@pytest.mark.parametrize("prior", [(0.5, 0.5), (0.3, 2.0)])
@pytest.mark.parametrize(("won", "tried"), [(0, 30), (4, 30), (30, 30), (0, 0)])
def test_one_group_is_the_rate_itself(won, tried, prior):
    found = drawn([won], [tried], [7.0], prior=prior)
    exact = stats.beta(won + prior[0], tried - won + prior[1])
    assert stats.kstest(found, exact.cdf).pvalue > 1e-3


@given(st.lists(st.tuples(COUNT, COUNT, st.floats(0.001, 1)), min_size=1, max_size=6))
@settings(deadline=None, max_examples=30)
def test_the_mean_is_that_of_the_shared_prior(groups):
    won, wrong, w = (np.array(x, float) for x in zip(*groups, strict=True))
    tried, w = won + wrong, w / w.sum()
    part = w / (tried + 1) / (w / (tried + 1)).sum()
    means = (won + 0.4 * part) / (tried + part)
    variance = w**2 @ (means * (1 - means) / (tried + part + 1))
    found = drawn(won, tried, 5 * w, prior=(0.4, 0.6))
    assert found.mean() == pytest.approx(w @ means, abs=5 * (variance / len(found)) ** 0.5 + 1e-12)
    assert found.std() == pytest.approx(variance**0.5, rel=0.08, abs=2e-3)
    assert 0 <= found.min() <= found.max() <= 1


def test_equal_groups_are_one_sample_and_a_group_without_weight_is_none():
    # A rare success that is as likely in each of many like groups: their sum is one rate.
    split, whole = (np.quantile(drawn(*x), [0.025, 0.5, 0.975]) for x in (
        (np.r_[1, 1, np.zeros(18)], np.full(20, 50), np.ones(20)), ([2], [1000], [1]),
    ))  # fmt: skip
    assert split == pytest.approx(whole, rel=0.06)
    some = drawn([1, 9], [20, 10], [1, 0])
    assert np.array_equal(some, drawn([1], [20], [2]))


@pytest.mark.parametrize(("n", "error"), [(40, 0.05), (200, 0.02)])
def test_intervals_of_a_mixture_hold_the_truth(n, error):
    rng, repeats, below, above, width, spread = np.random.default_rng(5), 1500, 0, 0, [], []
    for i in range(repeats):
        weights, tried = rng.dirichlet(np.full(10, 2.0)), rng.integers(n // 2, 2 * n, 10)
        rates = np.minimum(rng.gamma(2, error / 2, 10), 0.9)
        found = drawn(rng.binomial(tried, rates), tried, weights, draws=2000, seed=i)
        low, high = np.quantile(found, [0.025, 0.975])
        below, above = below + (weights @ rates < low), above + (weights @ rates > high)
        width.append(high - low)
        again = (rng.binomial(tried, rates, (200, 10)) / tried) @ weights
        spread.append(np.ptp(np.quantile(again, [0.025, 0.975])))
    assert 0.93 <= 1 - (below + above) / repeats <= 0.97
    assert max(below, above) / repeats <= 0.05
    assert np.mean(width) == pytest.approx(np.mean(spread), rel=0.1)


@pytest.mark.parametrize(
    ("won", "tried", "weights", "message"),
    [
        ([3], [2], [1], "more successes than trials"),
        ([1, 1], [2, 2], [0, 0], "weights that are all 0; expected one above 0"),
        ([1, 1], [2, 2], [1, -1], "a count of -1"),
        ([np.nan], [2], [1], "a count of nan"),
    ],
)
def test_bad_input_is_named(won, tried, weights, message):
    with pytest.raises(InvalidInput, match=message):
        drawn(won, tried, weights)
