"""Exact tests: Fisher's, McNemar's and Mantel-Haenszel's against scipy, R and a slow obvious sum."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.stats.contingency import odds_ratio
from statsmodels.stats.contingency_tables import StratifiedTable

from bayesight.causal.exact import exact_test
from bayesight.causal.sample import sample_of
from bayesight.causal.strata import stratify


def exact_of(tables, level=0.95):
    """Tables of ((treated yes, no), (control yes, no))."""
    rows = [
        (f"s{s}", t, y, tables[s][1 - t][1 - y]) for s in range(len(tables)) for t in (0, 1) for y in (0, 1)
    ]
    z, t, y, n = zip(*[row for row in rows if row[3]], strict=True)
    held = ["z"] if len(tables) > 1 else []
    strata = stratify(sample_of({"z": z, "t": t}, counts=n), "t", np.array(y, float), held, binary=True)
    return exact_test(strata, 1, 0, level)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 12), min_size=4, max_size=4), st.sampled_from([0.8, 0.95]))
def test_one_stratum_is_fisher(cells, level):
    table = np.array(cells).reshape(2, 2)
    if 0 in (*table.sum(axis=0), *table.sum(axis=1)):
        return
    found = exact_of([table.tolist()], level)
    assert found.name == "Fisher's exact test"
    assert found.p_value == pytest.approx(stats.fisher_exact(table).pvalue, abs=1e-9)
    theirs = odds_ratio(table, kind="conditional")
    low, high = theirs.confidence_interval(level)
    ours = (found.odds_ratio.mean, found.odds_ratio.low, found.odds_ratio.high)
    assert ours == pytest.approx((theirs.statistic, low, high), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(("first", "second"), [(9, 2), (0, 6), (15, 15), (1, 0)])
def test_pairs_are_mcnemar(first, second):
    """Discordant pairs alone count, and of them half were one way, or θ / (1 + θ) with an odds ratio θ."""
    one, other, both = ((1, 0), (0, 1)), ((0, 1), (1, 0)), ((1, 0), (1, 0))
    found = exact_of([one] * first + [other] * second + [both] * 5)
    theirs = stats.binomtest(first, first + second)
    assert found.name == "McNemar's exact test"
    assert found.strata == first + second
    assert found.p_value == pytest.approx(theirs.pvalue)
    low, high = theirs.proportion_ci(0.95, "exact")
    assert found.odds_ratio.low == pytest.approx(low / (1 - low), rel=1e-6)
    if high < 1:
        assert found.odds_ratio.high == pytest.approx(high / (1 - high), rel=1e-6)
        assert found.odds_ratio.mean == pytest.approx(first / second if second else np.inf)
    assert found.as_dict()["odds_ratio"]["high"] is None or high < 1


def test_several_strata_are_the_sum_over_all_tables():
    tables = [((3, 2), (1, 4)), ((2, 1), (3, 6)), ((0, 4), (2, 2))]
    found = exact_of(tables)
    ways = {}
    ranges = []
    for (a, b), (c, d) in tables:
        ranges.append(
            [(x, stats.hypergeom(a + b + c + d, a + c, a + b).pmf(x)) for x in range(min(a + b, a + c) + 1)]
        )
    for combination in itertools.product(*ranges):
        total = sum(x for x, _ in combination)
        ways[total] = ways.get(total, 0) + np.prod([p for _, p in combination])
    seen = sum(a for (a, _), _ in tables)
    assert found.name == "exact Mantel-Haenszel test"
    assert found.p_value == pytest.approx(sum(p for p in ways.values() if p <= ways[seen] * (1 + 1e-7)))


def test_large_strata_are_near_mantel_and_haenszel():
    """Berkeley, and strata so far apart that nothing but the observed table is likely."""
    from bayesight.causal.examples import example

    table = example("berkeley").make()
    y = (np.array(table.discrete("admitted").levels)[table.discrete("admitted").codes] == "yes").astype(float)
    strata = stratify(table, "sex", y, ["department"], binary=True)
    male = strata.treatments.index("male")
    found = exact_test(strata, male, 1 - male)
    cells = [
        [[m * p, m - m * p], [f * q, f - f * q]]
        for m, p, f, q in zip(
            strata.n[male], strata.mean[male], strata.n[1 - male], strata.mean[1 - male], strict=True
        )
    ]
    theirs = StratifiedTable([np.array(cell) for cell in cells])
    assert found.odds_ratio.mean == pytest.approx(theirs.oddsratio_pooled, rel=0.005)
    low, high = theirs.oddsratio_pooled_confint()
    assert (found.odds_ratio.low, found.odds_ratio.high) == pytest.approx((low, high), rel=0.01)
    assert found.p_value == pytest.approx(theirs.test_null_odds(correction=True).pvalue, abs=0.01)
    apart = [((270, 30), (25, 275)), ((280, 20), (30, 270)), ((95, 5), (7, 93))]
    far = exact_of(apart)
    assert far.p_value < 1e-150
    ways = [1]  # tables for each value of the sum, as whole numbers
    for (a, b), (c, d) in apart:
        one = [math.comb(a + b, x) * math.comb(c + d, a + c - x) for x in range(min(a + b, a + c) + 1)]
        ways = [
            sum(ways[k] * one[v - k] for k in range(max(0, v - len(one) + 1), min(v, len(ways) - 1) + 1))
            for v in range(len(ways) + len(one) - 1)
        ]
    value, seen = np.arange(len(ways)), sum(a for (a, _), _ in apart)
    for theta, tail in ((far.odds_ratio.low, slice(seen, None)), (far.odds_ratio.high, slice(0, seen + 1))):
        log_p = np.array([math.log(way) if way else -np.inf for way in ways]) + np.log(theta) * value
        p = np.exp(log_p - log_p.max()) / np.exp(log_p - log_p.max()).sum()
        assert p[tail].sum() == pytest.approx(0.025, rel=1e-6)
    log_p = (
        np.array([math.log(way) if way else -np.inf for way in ways]) + np.log(far.odds_ratio.mean) * value
    )
    p = np.exp(log_p - log_p.max())
    assert p @ value / p.sum() == pytest.approx(seen, rel=1e-9)


def test_what_has_no_exact_test():
    y = np.array([1.0, 0, 1, 0])
    table = sample_of({"t": [1, 1, 0, 0]})
    assert exact_test(stratify(table, "t", 2 * y, (), binary=False), 1, 0) is None
    assert exact_test(stratify(table, "t", np.ones(4), (), binary=True), 1, 0) is None
    weighted = sample_of({"t": [1, 1, 0, 0]}, counts=[0.5, 1, 1, 1])
    assert exact_test(stratify(weighted, "t", y, (), binary=True), 1, 0) is None
    large = sample_of({"t": [1, 1, 0, 0]}, counts=[5000] * 4)
    assert exact_test(stratify(large, "t", y, (), binary=True), 1, 0) is None


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000))
def test_under_no_effect_p_values_are_no_smaller_than_they_say(seed):
    """Over all tables with the margins of a drawn one, P(p <= α) <= α: the test's own law."""
    rng = np.random.default_rng(seed)
    n1, n0, m = rng.integers(1, 8), rng.integers(1, 8), rng.integers(1, 10)
    m = min(m, n1 + n0 - 1)
    inside = range(max(0, m - n0), min(n1, m) + 1)
    p = {a: exact_of([((a, n1 - a), (m - a, n0 - m + a))]).p_value for a in inside}
    chance = stats.hypergeom(n1 + n0, m, n1)
    for alpha in set(p.values()):
        assert sum(chance.pmf(a) for a in inside if p[a] <= alpha) <= alpha * (1 + 1e-6)
