"""Standardisation over strata: paired and Welch intervals, effects on whom, coverage with width."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bayesight.causal import EffectQuestion, estimate, parse
from bayesight.causal.examples import example
from bayesight.causal.potential_outcomes import answer
from bayesight.causal.sample import sample_of
from bayesight.causal.strata import _between_sampled, credible_answer, standardise, stratify
from bayesight.errors import InvalidInput

EFFECTS = ("ate", "att", "atc", "overlap")


def strata_of(z, t, y, *, binary=False, counts=None):
    table = sample_of({"z": [f"s{v}" for v in z], "t": t}, counts=counts)
    return stratify(table, "t", np.asarray(y, float), ["z"], binary=binary)


def interval(strata, level=0.95, effect="ate"):
    levels = tuple(map(str, range(len(strata.n))))
    found = answer(standardise(strata, effect), "", levels, "0", level)
    return [(d.estimate.mean, d.estimate.low, d.estimate.high) for d in found.differences]


@pytest.mark.parametrize("pairs", [2, 5, 40])
def test_pairs_are_the_paired_t_test(pairs):
    rng = np.random.default_rng(pairs)
    y = rng.normal(size=(pairs, 2)) * [1, 3] + rng.normal(size=(pairs, 1))
    found = interval(strata_of(np.repeat(np.arange(pairs), 2), np.tile([0, 1], pairs), y.ravel()), 0.9)[0]
    theirs = stats.ttest_rel(y[:, 1], y[:, 0])
    low, high = theirs.confidence_interval(0.9)
    assert found == pytest.approx((np.diff(y).mean(), low, high), rel=1e-9)


def test_complete_blocks_are_paired_t_tests_of_every_two():
    y = np.random.default_rng(1).normal(size=(7, 3)) + np.arange(7)[:, None]
    found = interval(strata_of(np.repeat(np.arange(7), 3), np.tile([0, 1, 2], 7), y.ravel()))
    for k in (1, 2):
        low, high = stats.ttest_rel(y[:, k], y[:, 0]).confidence_interval()
        assert found[k - 1][1:] == pytest.approx((low, high), rel=1e-9)


def test_sets_of_one_to_four_are_a_t_test_of_their_contrasts():
    y = np.random.default_rng(2).normal(size=(9, 5))
    strata = strata_of(np.repeat(np.arange(9), 5), np.tile([1, 0, 0, 0, 0], 9), y.ravel())
    contrast = y[:, 0] - y[:, 1:].mean(axis=1)
    assert strata.sampled
    assert interval(strata)[0][1:] == pytest.approx(stats.ttest_1samp(contrast, 0).confidence_interval())


@pytest.mark.parametrize(("treated", "controls"), [(2, 30), (12, 5), (400, 300)])
def test_one_stratum_is_welch(treated, controls):
    rng = np.random.default_rng(treated)
    one, other = rng.normal(1, 3, treated), rng.normal(0, 1, controls)
    strata = strata_of(np.zeros(treated + controls), [1] * treated + [0] * controls, [*one, *other])
    low, high = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    assert not strata.sampled
    assert interval(strata)[0][1:] == pytest.approx((low, high), rel=1e-9)


@pytest.mark.parametrize("cells", [(36, 12, 2, 0), (20, 9, 3, 8), (1, 97, 1, 1), (2, 97, 1, 0)])
def test_pairs_of_yes_and_no_are_newcombes_method_10(cells):
    """Both, first only, second only, neither; the first row's interval is in the paper (table II)."""
    patterns = np.repeat([[1, 1], [1, 0], [0, 1], [0, 0]], cells, axis=0)  # treated, control
    pairs = len(patterns)
    z, t = np.repeat(np.arange(pairs), 2), np.tile([1, 0], pairs)
    found = interval(strata_of(z, t, patterns.ravel(), binary=True))[0]
    a, b, c, d = cells
    p, q = (a + b) / pairs, (a + c) / pairs

    def wilson(share):
        e = stats.binomtest(round(share * pairs), pairs).proportion_ci(method="wilson")
        return e.low, e.high

    product = a * d - b * c
    product = max(product - pairs / 2, 0) if product > 0 else product
    margins = np.sqrt(float((a + b) * (c + d) * (a + c) * (b + d)))
    phi = product / margins if margins else 0.0
    (l1, u1), (l2, u2) = wilson(p), wilson(q)
    low = p - q - np.sqrt((p - l1) ** 2 - 2 * phi * (p - l1) * (u2 - q) + (u2 - q) ** 2)
    high = p - q + np.sqrt((q - l2) ** 2 - 2 * phi * (q - l2) * (u1 - p) + (u1 - p) ** 2)
    if 0 < min(p, q) <= max(p, q) < 1:
        assert found == pytest.approx((p - q, low, high), abs=1e-9)
    if cells == (36, 12, 2, 0):
        assert found[1:] == pytest.approx((0.0569, 0.3404), abs=2e-4)


def test_pairs_that_all_agree_are_not_certain():
    z, t = np.repeat(np.arange(30), 2), np.tile([1, 0], 30)
    for y in (np.ones(60), np.repeat([0, 1], 30)):
        _, low, high = interval(strata_of(z, t, y, binary=True))[0]
        assert 0.1 < high - low < 0.3


def test_unequal_weights_have_the_variance_and_freedom_of_the_quadratic_form():
    rng = np.random.default_rng(5)
    w = rng.dirichlet(np.full(8, 2.0))
    d = rng.normal(size=(3, 8))
    centred = d - (d @ w)[:, None]
    covariance, dof = _between_sampled(centred, w)
    q = np.eye(8) - np.outer(np.ones(8), w)
    form = q.T @ np.diag(w**2) @ q
    assert dof == pytest.approx(np.trace(form) ** 2 / np.trace(form @ form))
    assert covariance == pytest.approx(d @ form @ d.T * (w @ w) / np.trace(form))
    _, plain = _between_sampled(d - d.mean(axis=1, keepdims=True), np.full(8, 1 / 8))
    assert plain == pytest.approx(7)


@pytest.mark.parametrize("effect", EFFECTS)
def test_effects_have_the_variance_of_their_influence_function(effect):
    """Row by row from the efficient influence function with saturated models, in three large strata."""
    rng = np.random.default_rng(6)
    rows = 6000
    z = rng.choice(3, rows, p=[0.5, 0.3, 0.2])
    t = (rng.random(rows) < np.array([0.2, 0.5, 0.8])[z]).astype(int)
    y = np.array([0.0, 1, 4])[z] + np.array([1.0, 3, -2])[z] * t + rng.normal(size=rows) * (1 + t)
    e = np.array([t[z == s].mean() for s in range(3)])[z]
    m = np.array([[y[(z == s) & (t == k)].mean() for s in range(3)] for k in (0, 1)])[:, z]
    h = {"ate": 1 + 0 * e, "att": e, "atc": 1 - e, "overlap": e * (1 - e)}[effect]
    slope = {"ate": 0.0, "att": 1.0, "atc": -1.0, "overlap": 1 - 2 * e}[effect]
    gap = m[1] - m[0]
    truth = (h * gap).mean() / h.mean()
    residual = t / e * (y - m[1]) - (1 - t) / (1 - e) * (y - m[0])
    influence = (h * residual + (h + slope * (t - e)) * (gap - truth)) / h.mean()
    mean, low, high = interval(strata_of(z, t, y), effect=effect)[0]
    assert mean == pytest.approx(truth, abs=1e-9)
    assert (high - low) / 2 / 1.96 == pytest.approx(influence.std() / np.sqrt(rows), rel=0.005)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from(EFFECTS), st.floats(0.01, 100), st.floats(-50, 50))
def test_units_and_names_of_arms_turn_the_answer_and_nothing_else(seed, effect, scale, shift):
    rng = np.random.default_rng(seed)
    z, t = np.repeat([0, 1, 2, 3], 9), np.tile([0, 1, 0, 1, 0, 1, 0, 0, 1], 4)
    z, t = z[: rng.integers(30, 37)], t[: len(z)]
    t = t[: len(z)]
    y = rng.normal(size=len(z))
    plain = interval(strata_of(z, t, y), effect=effect)[0]
    other = interval(strata_of(z, t, shift + scale * y), effect=effect)[0]
    assert other == pytest.approx(tuple(scale * v for v in plain), rel=1e-6, abs=1e-6 * scale)
    mirrored = {"att": "atc", "atc": "att"}.get(effect, effect)
    mean, low, high = interval(strata_of(z, 1 - t, y), effect=mirrored)[0]
    assert (-mean, -high, -low) == pytest.approx(plain, rel=1e-9, abs=1e-12)


def test_where_everybody_has_one_chance_all_effects_are_one():
    rng = np.random.default_rng(8)
    strata = strata_of(np.repeat([0, 1, 2], [20, 40, 60]), np.tile([0, 0, 0, 1], 30), rng.normal(size=120))
    first, *others = (interval(strata, effect=e)[0][0] for e in EFFECTS)
    assert others == pytest.approx([first] * 3)


@pytest.mark.parametrize(
    ("treated", "controls", "strata", "spread", "width"),
    [
        (1, 1, 30, 1.0, 1.05),
        (1, 4, 10, 3.0, 4.23),
        (1, 25, 4, 1.0, 2.99),
        (2, 2, 10, 1.0, 1.39),
        (40, 60, 2, 3.0, 1.38),
    ],
)
def test_coverage_and_width(treated, controls, strata, spread, width):
    """95 % expected; 400 draws have a standard error of 1.1 %, and widths are those of the normal theory."""
    rng = np.random.default_rng([treated, controls])
    rows = treated + controls
    z, t = np.repeat(np.arange(strata), rows), np.tile([1] * treated + [0] * controls, strata)
    inside, widths = 0, []
    for _ in range(400):
        y = rng.normal(size=strata)[z] + t * 1.0 + rng.normal(size=len(z)) * np.where(t, spread, 1)
        _, low, high = interval(strata_of(z, t, y))[0]
        inside += low <= 1 <= high
        widths.append(high - low)
    assert 0.917 <= inside / 400 <= 0.983
    assert np.mean(widths) == pytest.approx(width, rel=0.06)


def test_pairs_that_lost_a_member_are_left_out_and_the_others_compared():
    """Of 400 pairs a third have lost one: the complete ones answer, by the paired t test, and it is said."""
    rng = np.random.default_rng(9)
    y = rng.normal(size=(400, 1)) * 3 + [0, 1] + rng.normal(size=(400, 2))
    kept = np.ones((400, 2), bool)
    kept[:133, 1] = False
    z, t = np.indices((400, 2))[0][kept], np.indices((400, 2))[1][kept]
    table = sample_of({"Z": [f"p{k}" for k in z], "T": t, "Y": y[kept]})
    found = estimate(table, parse("Z -> T, Z -> Y, T -> Y"), EffectQuestion("T", "Y"))
    low, high = stats.ttest_rel(y[133:, 1], y[133:, 0]).confidence_interval()
    assert (found.adjusted.effect.low, found.adjusted.effect.high) == pytest.approx((low, high))
    assert found.overlap.without == 133
    assert found.notes[0].startswith("The 267 pairs are taken as a sample of such pairs, and the interval")
    assert "133 of 400 strata lack a treatment" in found.notes[-1]


def test_one_row_an_arm_is_no_answer():
    """Were its spread that of the others it could be told, but nothing says that it is."""
    table = sample_of({"t": ["a"] * 4 + ["b"], "y": [0.0, 1.0, 5.0, 6.0, 30.0]})
    said = (
        "treatment b: one row, which cannot tell how outcomes vary; expected at least two of each treatment"
    )
    with pytest.raises(InvalidInput, match=said):
        estimate(table, parse("t->y"), EffectQuestion("t", "y"))
    alone = sample_of({"z": [0] * 6 + [1], "t": [0, 0, 0, 1, 0, 0, 1], "y": [3.0, 1, 2, 5, 4, 2, 9]})
    with pytest.raises(InvalidInput, match="treatment 1: one row where the others occur too"):
        estimate(alone, parse("z->t, z->y, t->y"), EffectQuestion("t", "y"))


def test_an_outcome_that_does_not_vary_within_arms_has_an_answer():
    table = sample_of({"t": ["a", "b"] * 5, "y": [3.0, 7.0] * 5})
    effect = estimate(table, parse("t->y"), EffectQuestion("t", "y")).adjusted.effect
    assert (effect.mean, effect.low, effect.high) == (4.0, 4.0, 4.0)


def test_bayesian_answer_is_near_and_reaches_where_there_are_no_rows(of_example):
    e = example("kidney-stones")
    found = of_example("kidney-stones")
    belief = credible_answer(found.strata, ("A", "B"), "B", seed=0)
    assert belief.effect.mean == pytest.approx(found.adjusted.effect.mean, abs=0.006)
    assert belief.effect.low == pytest.approx(found.adjusted.effect.low, abs=0.01)
    table = e.make()
    y = np.array([1.0, 0.0] * 4)
    one = stratify(table, "treatment", y, (), binary=True)
    plain = credible_answer(one, ("A", "B"), "B", seed=1, draws=20_000).means["A"]
    assert plain.mean == pytest.approx((273 + 0.78) / 351, abs=1e-3)  # the Beta posterior's own mean
    empty = sample_of({"Z": [0, 0, 1], "T": [0, 1, 1], "Y": [1, 0, 1]}, counts=[50, 50, 100])
    gaps = stratify(empty, "T", np.array([1.0, 0.0, 1.0]), ["Z"], binary=True)
    wide = credible_answer(gaps, ("0", "1"), "0", seed=2).means["0"]
    assert wide.high - wide.low > 0.3
    with pytest.raises(InvalidInput, match="no yes or no"):
        credible_answer(stratify(table, "treatment", y * 2, (), binary=False), ("A", "B"), "B", seed=0)
