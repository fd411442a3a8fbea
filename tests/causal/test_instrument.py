"""Instruments: two-stage least squares against Wald and statsmodels, coverage, weakness."""

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.sandbox.regression.gmm import IV2SLS

from bayesight.causal import EffectQuestion, estimate, parse, sample_of
from bayesight.causal.adjustment import Instrument
from bayesight.causal.instrument import instrument_slope
from bayesight.causal.structural_model import draw, make_model, true_effect
from bayesight.errors import InvalidInput


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
