"""Ways of adjusting: strata, models where strata are thin, pairs of treatments, refusals."""

import numpy as np
import pytest

from bayesight.causal import EffectQuestion, estimate, parse, sample_of
from bayesight.errors import InvalidInput

TRIANGLE = parse("Z -> T, Z -> Y, T -> Y")


def test_thin_strata_are_left_to_models():
    """Ten three-valued confounders, 2,000 rows: strata of one, so main effects answer, and hold the truth."""
    rng, inside = np.random.default_rng(11), 0
    graph = parse(", ".join(f"Z{i} -> T, Z{i} -> Y" for i in range(10)) + ", T -> Y")
    for _ in range(12):
        z = rng.integers(0, 3, (2000, 10))
        t = (rng.random(2000) < 1 / (1 + np.exp(1.5 - 0.15 * z.sum(axis=1)))).astype(int)
        y = (rng.random(2000) < 0.1 + 0.03 * z.sum(axis=1) + 0.1 * t).astype(int)
        columns = {f"Z{i}": z[:, i] for i in range(10)} | {"T": t, "Y": y}
        found = estimate(sample_of(columns), graph, EffectQuestion("T", "Y"))
        assert found.adjusted.method == "doubly robust, cross-fitted"
        assert "the answer comes from models" in found.notes[0]
        inside += found.adjusted.effect.low <= 0.1 <= found.adjusted.effect.high
    assert inside >= 9


def test_several_treatments_are_asked_about_pair_by_pair():
    rng = np.random.default_rng(7)
    z = rng.normal(size=900)
    utility = np.column_stack([0 * z, z, -z]) + rng.gumbel(size=(900, 3))
    t = utility.argmax(axis=1)
    y = np.array([0.0, 1.0, 3.0])[t] + z**2 + rng.normal(size=900)
    table = sample_of({"Z": z, "T": np.array(["a", "b", "c"])[t], "Y": y})
    for effect in ("ate", "att", "overlap"):
        found = estimate(table, TRIANGLE, EffectQuestion("T", "Y", reference="a", effect=effect)).adjusted
        gaps = {c.of: c.estimate for c in found.differences}
        assert gaps["b"].low < 1 < gaps["b"].high
        assert gaps["c"].low < 3 < gaps["c"].high
        assert bool(found.means) == (effect == "ate")


def test_what_cannot_be_asked_is_refused():
    rng = np.random.default_rng(0)
    z = rng.normal(size=60)
    quantity = sample_of({"Z": z, "T": z + rng.normal(size=60), "Y": z})
    with pytest.raises(InvalidInput, match="'att', and T is a quantity"):
        estimate(quantity, TRIANGLE, EffectQuestion("T", "Y", effect="att"))
    one = sample_of({"Z": z, "T": [1] + [0] * 59, "Y": z})
    with pytest.raises(InvalidInput, match="one row, which cannot tell how outcomes vary"):
        estimate(one, TRIANGLE, EffectQuestion("T", "Y"))
    with pytest.raises(InvalidInput, match="not found by adjusting"):
        estimate(quantity, parse("Z -> T -> Y, T <-> Y"), EffectQuestion("T", "Y", effect="overlap"))
