"""Simulated worlds: the stated effect against setting the treatment."""

import numpy as np
import pytest

from bayesight.causal import parse
from bayesight.causal.structural_model import draw, make_model, true_effect
from bayesight.errors import InvalidInput, UnknownName


@pytest.mark.parametrize("kind", ["linear", "discrete"])
def test_truth_by_intervention(kind):
    """The stated truth is what setting the treatment in the simulation does."""
    dag = parse("A -> T, A -> M, T -> M, M -> Y, T -> Y, B -> Y, A -> Y, U -> T, U -> B")
    world = make_model(dag, kind, seed=3)
    truth = true_effect(world, "T", "Y")
    gap = []
    for value in (0.0, 1.0):
        cut = make_model(dag, kind, seed=3)
        rows = draw(cut, 400_000, seed=5)  # the same noise for both, T set by hand below
        rng = np.random.default_rng(7)
        columns = {}
        for name in cut.order:
            causes = [columns[p] for p in dag.parents(name)]
            if name == "T":
                columns[name] = np.full(400_000, value)
            elif kind == "linear":
                columns[name] = sum(w * c for w, c in zip(cut.weights[name], causes, strict=True)) + (
                    cut.noise[name] * rng.standard_normal(400_000)
                )
            else:
                p = cut.tables[name][tuple(c.astype(int) for c in causes)]
                columns[name] = (rng.random(400_000) < p).astype(float)
        gap.append(columns["Y"].mean())
        assert set(rows) == set(dag.nodes)
    assert gap[1] - gap[0] == pytest.approx(
        truth, abs=6 * 0.8 / 400_000**0.5 * (4 if kind == "linear" else 1)
    )


def test_a_linear_effect_is_the_sum_over_causal_paths():
    """T -> A -> Y, T -> B -> Y and T -> Y: Wright's products of weights, added up by hand."""
    world = make_model(parse("Z -> T, Z -> Y, T -> A -> Y, T -> B -> Y, T -> Y"), "linear", seed=4)
    weight = {
        (cause, name): w
        for name in world.order
        for cause, w in zip(world.dag.parents(name), world.weights[name], strict=True)
    }
    by_hand = weight["T", "Y"] + sum(weight["T", m] * weight[m, "Y"] for m in "AB")
    assert true_effect(world, "T", "Y") == pytest.approx(by_hand)
    assert true_effect(world, "Y", "T") == 0
    assert all(0.3 <= abs(w) <= 1.2 for w in weight.values())


def test_a_discrete_effect_is_the_adjustment_formula():
    """Of a triangle: Σ_z (P(y | t=1, z) - P(y | t=0, z)) P(z), from the tables themselves."""
    dag = parse("Z -> T, Z -> Y, T -> Y")
    world = make_model(dag, "discrete", seed=2)
    z = float(world.tables["Z"])
    table = world.tables["Y"] if dag.parents("Y") == ("Z", "T") else world.tables["Y"].T
    by_hand = (1 - z) * (table[0, 1] - table[0, 0]) + z * (table[1, 1] - table[1, 0])
    assert true_effect(world, "T", "Y") == pytest.approx(by_hand)


def test_rows_follow_their_seed_and_their_tables():
    world = make_model(parse("Z -> T -> Y"), "discrete", seed=1)
    rows = draw(world, 200_000, seed=3)
    again = draw(world, 200_000, seed=3)
    assert all((rows[name] == again[name]).all() for name in "ZTY")
    assert (rows["Z"] != draw(world, 200_000, seed=4)["Z"]).any()
    for value in (0, 1):
        p = world.tables["T"][value]
        chosen = rows["T"][rows["Z"] == value]
        assert chosen.mean() == pytest.approx(p, abs=5 * np.sqrt(p * (1 - p) / len(chosen)))


def test_worlds_that_cannot_be_made_are_refused():
    with pytest.raises(UnknownName, match="linear"):
        make_model(parse("T -> Y"), "liner", seed=0)
    with pytest.raises(InvalidInput, match="'Y' has 17 causes"):
        make_model(parse(", ".join(f"A{i} -> Y" for i in range(17))), "discrete", seed=0)
    with pytest.raises(InvalidInput, match="ancestors; expected at most 21"):
        true_effect(make_model(parse(" -> ".join(f"V{i}" for i in range(24))), "discrete", 0), "V0", "V23")
    with pytest.raises(InvalidInput, match="rows: got 0"):
        draw(make_model(parse("T -> Y"), "linear", seed=0), 0, seed=0)
