"""Slopes from sums: against statsmodels on all rows, whatever the parts, their order and the units."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.causal import sample_of
from bayesight.causal.cross_products import MOST, add, begin, slope
from bayesight.causal.sample import Numeric
from bayesight.errors import InvalidInput

NAMES = ["t", "y", "q", "g"]


def table_of(columns):
    """A sample whose t, y and q are quantities however few their values."""
    table = sample_of(columns)
    for name in ("t", "y", "q"):
        table = table.with_column(name, Numeric(np.asarray(columns[name], np.float64)))
    return table


def drawn(rows, seed):
    rng = np.random.default_rng(seed)
    g, q = rng.integers(0, 3, rows), rng.normal(100, 5, rows)
    t = g + 0.1 * q + rng.normal(size=rows)
    y = 2.0 * t - 3.0 * g + 0.3 * q + rng.normal(size=rows) * np.abs(t)
    return {"t": t, "y": y, "q": q, "g": g}


def test_a_slope_and_its_robust_error_are_those_of_all_rows():
    columns = drawn(500, 0)
    table = table_of(columns)
    line = slope(add(begin(table, NAMES), table, NAMES), "t", "y", ["q", "g=1", "g=2"])
    dummies = (columns["g"][:, None] == [1, 2]).astype(float)
    x = np.column_stack([np.ones(500), columns["t"], columns["q"], dummies])
    theirs = sm.OLS(columns["y"], x).fit(cov_type="HC1")
    assert line.slope == pytest.approx(theirs.params[1], rel=1e-8)
    assert line.error == pytest.approx(theirs.bse[1], rel=1e-8)
    assert line.dof == 495


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.lists(st.integers(20, 180), max_size=3), st.floats(0.01, 100))
def test_parts_in_any_order_and_other_units_change_nothing(seed, cuts, factor):
    columns = drawn(200, seed)
    whole = table_of(columns)
    once = slope(add(begin(whole, NAMES), whole, NAMES), "t", "y", ["q", "g=1", "g=2"])
    scaled = table_of(columns | {"t": factor * columns["t"] - 7})
    rows = np.split(np.random.default_rng(seed).permutation(200), sorted(set(cuts)))
    sums = begin(scaled, NAMES)
    for part in rows:
        sums = add(sums, scaled.take(part, np.ones(len(part))), NAMES)
    parts = slope(sums, "t", "y", ["q", "g=1", "g=2"])
    assert factor * parts.slope == pytest.approx(once.slope, rel=1e-6)
    assert factor * parts.error == pytest.approx(once.error, rel=1e-6)


def test_what_others_determine_does_no_harm_unless_it_is_the_treatment():
    columns = drawn(100, 1)
    columns["q"] = 3 * columns["t"] - 1
    table = table_of(columns)
    sums = add(begin(table, NAMES), table, NAMES)
    with pytest.raises(InvalidInput, match="q determine the treatment"):
        slope(sums, "t", "y", ["q"])
    assert slope(sums, "t", "y").slope == pytest.approx(np.polyfit(columns["t"], columns["y"], 1)[0])


def test_too_many_columns_are_refused_before_any_sum():
    wide = sample_of({f"v{k}": [0.0, 1.0, 2.0] for k in range(MOST)})
    with pytest.raises(InvalidInput, match="at most 23"):
        begin(wide, list(wide.columns))
