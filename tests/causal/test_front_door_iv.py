"""The front door: the formula cell by cell, and coverage in worlds with a known effect."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.sandbox.regression.gmm import IV2SLS

from bayesight.causal import EffectQuestion, FrontDoor, estimate, parse, sample_of
from bayesight.causal.adjustment import Instrument
from bayesight.causal.front_door_iv import front_door_outcomes, front_door_slope, instrument_slope
from bayesight.causal.structural_model import draw, make_model, true_effect
from bayesight.errors import InvalidInput


def test_front_door_on_tables_and_lines():
    dag = parse("T -> M -> Y, T <-> Y")
    inside = {"linear": 0, "discrete": 0}
    for kind, seed in itertools.product(inside, range(30)):
        world = make_model(dag, kind, seed)
        columns = draw(world, 2000, seed)
        found = estimate(sample_of({n: columns[n] for n in "TMY"}), dag, EffectQuestion("T", "Y"))
        assert found.identification == FrontDoor(("M",))
        e = found.adjusted.effect
        inside[kind] += e.low <= true_effect(world, "T", "Y") <= e.high
    assert all(n >= 25 for n in inside.values()), inside


def test_the_formula_cell_by_cell():
    """Σ_m P(m | t) Σ_t' P(y | m, t') P(t') summed in plain loops over two mediators."""
    rng = np.random.default_rng(1)
    rows = 600
    t, n = rng.integers(0, 3, rows), rng.integers(1, 4, rows)
    m, k = (rng.integers(0, 2, rows) + (t > 0) * rng.integers(0, 2, rows) for _ in range(2))
    y = (rng.random(rows) < 0.1 + 0.1 * t + 0.2 * m + 0.05 * k).astype(float)
    table = sample_of({"T": t, "M": m, "K": k}, counts=n)
    kept = np.flatnonzero((m < 2) & (k < 2))
    table, t, m, k, y, n = (
        table.take(kept, n[kept].astype(float)),
        t[kept],
        m[kept],
        k[kept],
        y[kept],
        n[kept],
    )

    def share(of, among):
        return n[of & among].sum() / n[among].sum()

    everybody = np.ones(len(t), bool)
    expected = [
        sum(
            share((m == a) & (k == b), t == level)
            * sum(
                np.average(y, weights=n * ((m == a) & (k == b) & (t == other))) * share(t == other, everybody)
                for other in range(3)
            )
            for a, b in itertools.product(range(2), range(2))
        )
        for level in range(3)
    ]
    found = front_door_outcomes(table, FrontDoor(("M", "K")), "T", y, binary=True)
    assert found.mean == pytest.approx(expected, rel=1e-10)


def test_the_variance_is_that_of_the_influence_of_each_row():
    """How the answer moves as a row counts a little more, by numerical differentiation."""
    rng = np.random.default_rng(2)
    t = rng.integers(0, 2, 80)
    m = (rng.random(80) < 0.3 + 0.4 * t).astype(int)
    y, n = rng.normal(size=80) + 2.0 * m + t, rng.integers(1, 4, 80).astype(float)

    def found(counts):
        table = sample_of({"T": t, "M": m}, counts=counts)
        return front_door_outcomes(table, FrontDoor(("M",)), "T", y, binary=False)

    step = 1e-5 * np.eye(80)
    moved = np.array([(found(n + one).mean - found(n - one).mean) / 2e-5 for one in step])
    assert found(n).covariance == pytest.approx(moved.T @ (moved * n[:, None]), rel=1e-6)


def test_straight_lines_are_products_of_slopes():
    rng = np.random.default_rng(3)
    t = rng.normal(size=300)
    m = np.column_stack([0.5 * t, -1.0 * t]) + rng.normal(size=(300, 2))
    y = m @ [2.0, 1.0] + t + rng.normal(size=300)
    table = sample_of({"T": t, "M": m[:, 0], "K": m[:, 1]})
    line = front_door_slope(table, FrontDoor(("M", "K")), "T", y)
    first = [np.polyfit(t, m[:, j], 1)[0] for j in range(2)]
    second = np.linalg.lstsq(np.column_stack([np.ones(300), t, m]), y, rcond=None)[0][2:]
    assert line.slope == pytest.approx(first @ second, rel=1e-9)


def test_a_mediator_that_some_treatment_never_takes_is_refused():
    table = sample_of({"T": ["a", "a", "b"], "M": ["low", "high", "low"]}, counts=[5, 5, 5])
    with pytest.raises(InvalidInput, match="T=b never comes with M=high"):
        front_door_outcomes(table, FrontDoor(("M",)), "T", np.ones(3), binary=True)


def test_instrument_in_a_linear_world_and_a_weak_one():
    dag = parse("Z -> T -> Y, T <-> Y")
    inside = 0
    for seed in range(100):
        world = make_model(dag, "linear", seed)
        columns = draw(world, 1500, seed)
        found = estimate(sample_of({n: columns[n] for n in "ZTY"}), dag, EffectQuestion("T", "Y"))
        inside += found.adjusted.slope.low <= true_effect(world, "T", "Y") <= found.adjusted.slope.high
        assert "linear" in found.notes[0]
    assert inside >= 88
    rng = np.random.default_rng(8)
    weak = sample_of({"Z": rng.normal(size=200), "T": rng.normal(size=200), "Y": rng.normal(size=200)})
    assert "hardly moves the treatment" in estimate(weak, dag, EffectQuestion("T", "Y")).notes[1]


def test_wald_ratio_is_two_stage_least_squares():
    rng = np.random.default_rng(9)
    z = rng.integers(0, 2, 4000)
    t = (rng.random(4000) < 0.3 + 0.4 * z).astype(int)
    y = (rng.random(4000) < 0.2 + 0.3 * t).astype(int)
    dag = parse("Z -> T -> Y, T <-> Y")
    found = estimate(sample_of({"Z": z, "T": t, "Y": y}), dag, EffectQuestion("T", "Y"))
    wald = (y[z == 1].mean() - y[z == 0].mean()) / (t[z == 1].mean() - t[z == 0].mean())
    assert found.adjusted.effect.mean == pytest.approx(wald, abs=1e-10)
    assert found.adjusted.difference.of == "1"


def test_two_stages_with_what_is_held_fixed_against_statsmodels():
    rng = np.random.default_rng(4)
    w, z, u = rng.normal(size=(3, 700))
    z = z + 0.5 * w
    t = 0.8 * z + w + u + rng.normal(size=700)
    y = 1.7 * t - w + u + rng.normal(size=700)
    table = sample_of({"W": w, "Z": z, "T": t})
    line, strength = instrument_slope(table, Instrument("Z", ("W",)), "T", y)
    one = np.ones(700)
    theirs = IV2SLS(y, np.column_stack([one, w, t]), np.column_stack([one, w, z])).fit()
    assert line.slope == pytest.approx(theirs.params[2], rel=1e-8)
    assert line.error == pytest.approx(theirs.bse[2], rel=0.1)  # ours is robust, the noise is even
    assert line.dof == 697
    first = sm.OLS(t, np.column_stack([one, w, z])).fit(cov_type="HC3")
    assert strength == pytest.approx(first.tvalues[2] ** 2, rel=1e-8)


def test_an_instrument_without_a_grip_is_refused():
    flat = sample_of({"Z": [1.0] * 40, "T": np.arange(40.0)})
    with pytest.raises(InvalidInput, match="'Z' does not vary"):
        instrument_slope(flat, Instrument("Z"), "T", np.arange(40.0))
    even = sample_of({"Z": np.tile([0, 1], 40), "T": np.repeat(np.arange(40.0), 2)})
    with pytest.raises(InvalidInput, match="'Z' does not move 'T'"):
        instrument_slope(even, Instrument("Z"), "T", np.arange(80.0))
