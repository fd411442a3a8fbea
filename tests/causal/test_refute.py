"""Refutations: right answers survive, wrong ones fail."""

from dataclasses import replace

import numpy as np
import pytest

from bayesight.causal import EffectQuestion, estimate, parse, sample_of
from bayesight.causal.examples import example
from bayesight.causal.nuisance import LEARNERS
from bayesight.causal.refute import refute

TRIANGLE = parse("Z -> T, Z -> Y, T -> Y")


def test_refutations_hold_for_a_right_answer_and_fail_for_a_wrong_one(linear_table, of_example):
    found = of_example("kidney-stones")
    e = example("kidney-stones")
    tried = refute(e.make(), parse(e.graph), found, seed=0)
    assert [r.name for r in tried] == ["placebo treatment", "random common cause", "four rows in five"]
    assert all(r.passed for r in tried)
    assert tried == refute(e.make(), parse(e.graph), found, seed=0)
    assert tried != refute(e.make(), parse(e.graph), found, seed=1)
    z, t, y = linear_table(300)
    table = sample_of({"A": z[:, 0], "B": z[:, 1], "T": t, "Y": y})
    dag = parse("A -> T, A -> Y, B -> T, B -> Y, T -> Y")
    honest = estimate(table, dag, EffectQuestion("T", "Y"))
    from dataclasses import replace

    from bayesight.bayes.rates import Estimate

    lie = replace(honest, adjusted=replace(honest.adjusted, slope=Estimate(9.0, 8.9, 9.1)))
    assert all(r.passed for r in refute(table, dag, honest, seed=0))
    told = {r.name: r.passed for r in refute(table, dag, lie, seed=0)}
    models_are_right = [name for name in told if name.startswith(("placebo", "a curve that was missed"))]
    assert [name for name, passed in told.items() if passed] == models_are_right


@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_refutations_share_rows_out_and_not_cells(weight):
    """Two cells of 1,001 rows: whatever is drawn stays near the answer, as for the rows one by one."""
    rng = np.random.default_rng(0)
    t = np.repeat([0, 1], 1001)
    whole = sample_of({"t": t, "y": (rng.random(2002) < 0.3 + 0.2 * t).astype(int)})
    cells = 2 * t + whole.discrete("y").codes
    first = np.array([np.argmax(cells == c) for c in range(4)])
    n = np.bincount(cells).astype(float)
    table = replace(whole.take(first, n * weight), squares=n * weight**2)
    found = estimate(table, parse("t->y"), EffectQuestion("t", "y"))
    tried = {r.name: r for r in refute(table, parse("t->y"), found, seed=0)}
    assert all(r.passed for r in tried.values())
    rows = {r.name: r for r in refute(whole, parse("t->y"), found, seed=0)}
    for name, attempt in tried.items():
        wide, own = (r.effect.high - r.effect.low for r in (attempt, rows[name]))
        assert 0.4 * own < wide < 2.5 * own


def test_attempts_to_break_it_find_a_curve_that_was_missed(bent):
    z, t, y = bent(400, 3)
    table = sample_of({"Z": z, "T": t, "Y": y})
    blind = estimate(table, TRIANGLE, EffectQuestion("T", "Y"), learners=LEARNERS[:1])
    tried = {r.name: r for r in refute(table, TRIANGLE, blind, seed=0, draws=3)}
    assert not tried["a curve that was missed, worst along Z"].passed
    assert not tried["halves, apart and together, worst for Z"].passed
    seeing = estimate(table, TRIANGLE, EffectQuestion("T", "Y"))
    tried = {r.name: r for r in refute(table, TRIANGLE, seeing, seed=0, draws=3)}
    assert tried["a curve that was missed, worst along Z"].passed
    assert tried["halves, apart and together, worst for Z"].passed


@pytest.mark.parametrize("pairs", [30, 400])
def test_pairs_are_refuted_in_their_strata(pairs):
    """Neither a placebo nor a coin toss beside the pair makes a model of the pairs of it."""
    rng = np.random.default_rng(10)
    y = rng.normal(size=(pairs, 1)) * 3 + [0, 1] + rng.normal(size=(pairs, 2))
    z, t = np.indices((pairs, 2))
    table = sample_of({"Z": [f"p{k}" for k in z.ravel()], "T": t.ravel(), "Y": y.ravel()})
    dag = parse("Z -> T, Z -> Y, T -> Y")
    tried = refute(table, dag, estimate(table, dag, EffectQuestion("T", "Y")), seed=0, draws=6)
    assert all(attempt.passed for attempt in tried)
