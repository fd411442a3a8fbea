"""Bootstrap intervals: against the closed form of a mean, and what they cover."""

import math

import numpy as np
import pytest

from bayesight.errors import InvalidInput
from bayesight.evaluation.bootstrap import bootstrap_interval, bootstrap_intervals


def test_of_a_mean_it_is_the_normal_interval():
    values = np.random.default_rng(1).gamma(2.0, 3.0, 400)
    low, high = bootstrap_interval(lambda w: float(w @ values / w.sum()), 400, draws=4000)
    error = values.std() / 20
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)


def test_it_covers_as_often_as_it_says():
    rng, inside = np.random.default_rng(2), 0
    for seed in range(200):
        values = rng.exponential(size=60)
        low, high = bootstrap_interval(
            lambda w, v=values: float(w @ v / 60), 60, level=0.8, draws=200, seed=seed
        )
        inside += low <= 1 <= high
    assert 140 <= inside <= 178


def test_draws_without_a_value_say_nothing():
    found = bootstrap_interval(lambda w: 2.0 if w[0] else math.nan, 3)
    assert found == (2.0, 2.0)
    assert all(math.isnan(end) for end in bootstrap_interval(lambda w: math.nan, 3))


def test_the_seed_decides():
    def measure(w):
        return float(w @ np.arange(9.0))

    assert bootstrap_interval(measure, 9, seed=1) == bootstrap_interval(measure, 9, seed=1)
    assert bootstrap_interval(measure, 9, seed=1, draws=50) != bootstrap_interval(
        measure, 9, seed=2, draws=50
    )


@pytest.mark.parametrize("wrong", [{"images": 0}, {"draws": 0}, {"level": 1.0}])
def test_nothing_to_draw(wrong):
    with pytest.raises(InvalidInput):
        bootstrap_interval(lambda w: 1.0, **{"images": 2, **wrong})


def test_measures_of_the_same_draws_have_the_intervals_of_each():
    """A measure that is NaN in every draw has none."""
    values = np.arange(12.0)

    def measures(weights):
        return np.array([weights @ values / 12, weights[:3].sum(), np.nan])

    together = bootstrap_intervals(measures, 12, draws=200, seed=4)
    for k in range(2):
        alone = bootstrap_interval(lambda weights, k=k: float(measures(weights)[k]), 12, draws=200, seed=4)
        assert tuple(together[k]) == alone
    assert np.isnan(together[2]).all()
