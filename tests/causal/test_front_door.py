"""The front door: the formula cell by cell, and coverage in worlds with a known effect."""

import itertools

import numpy as np
import pytest

from bayesight.causal import EffectQuestion, FrontDoor, estimate, parse, sample_of
from bayesight.causal.front_door import front_door_outcomes, front_door_slope
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
