"""Samples: rows grouped and averaged against a slow obvious version, levels by name and order, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.causal.sample import (
    Discrete,
    Numeric,
    as_numbers,
    centre_and_scale,
    effective_rows,
    group_rows,
    level_name,
    level_order,
    moments,
    sample_of,
    sums,
)
from bayesight.errors import InvalidInput, UnknownName


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(0, 4), st.integers(1, 40))
def test_groups_are_the_distinct_combinations_in_their_order(seed, columns, rows):
    codes = np.random.default_rng(seed).integers(0, 4, (columns, rows))
    group, member = group_rows(list(codes), rows)
    different, expected = np.unique(codes.T, axis=0, return_inverse=True)
    if columns:
        assert group.tolist() == expected.ravel().tolist()
        assert codes[:, member].T.tolist() == different.tolist()
    else:
        assert group.tolist() == [0] * rows
    assert group[member].tolist() == list(range(len(member)))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_moments_are_those_of_each_group_alone(seed, groups):
    rng = np.random.default_rng(seed)
    group, n, y = rng.integers(0, groups, 30), rng.uniform(0.5, 3, 30), rng.normal(5, 2, 30)
    total, mean, squares = moments(group, groups + 1, n, y)
    for k in range(groups + 1):
        rows = group == k
        assert total[k] == pytest.approx(n[rows].sum())
        if rows.any():
            assert mean[k] == pytest.approx(np.average(y[rows], weights=n[rows]))
            assert squares[k] == pytest.approx(n[rows] @ (y[rows] - mean[k]) ** 2)
        else:
            assert (mean[k], squares[k]) == (0, 0)
    assert sums(group, groups + 1, n).sum() == pytest.approx(n.sum())


def test_numbers_of_few_values_are_levels_and_of_many_a_quantity():
    table = sample_of({"few": np.arange(40) % 20, "many": np.arange(40) % 21, "words": ["b", "a"] * 20})
    assert table.discrete("few").levels == tuple(map(str, range(20)))
    assert isinstance(table.column("many"), Numeric)
    assert table.discrete("words").levels == ("a", "b")
    assert table.discrete("words").codes.tolist() == [1, 0] * 20
    assert table.is_discrete(["few", "words"])
    assert not table.is_discrete(["few", "many"])
    with pytest.raises(InvalidInput, match="many: continuous; expected a variable of few values"):
        table.discrete("many")
    with pytest.raises(UnknownName, match="did you mean 'words'"):
        table.column("word")


def test_one_number_has_one_name_and_levels_stand_by_size():
    assert {level_name(v) for v in (1, 1.0, "1", "1.0", " 1 ", np.int64(1))} == {"1"}
    assert [level_name(v) for v in (np.bool_(True), 2**53 + 1, 1e300, "nan", "a ")] == [
        "true", str(2**53 + 1), "1e+300", "nan", "a",
    ]  # fmt: skip
    assert sorted(["b", "10", "9", "-1", "a"], key=level_order) == ["-1", "9", "10", "a", "b"]


def test_strata_are_combinations_of_values_with_a_row_each():
    table = sample_of({"a": ["x", "y", "x", "x"], "b": [1, 2, 2, 1], "y": [0, 1, 0, 1]}, counts=[1, 2, 3, 4])
    stratum, values = table.strata(["a", "b"])
    assert values == (("x", "1"), ("x", "2"), ("y", "2"))
    assert stratum.tolist() == [0, 2, 1, 0]
    assert table.strata([])[1] == ((),)
    assert table.total == 10


def test_rows_are_taken_with_new_counts_and_columns_replaced():
    table = sample_of({"a": ["x", "y", "z"], "q": np.array([1.5, 2.5, 3.5])}, counts=[1, 2, 3])
    table = table.with_column("q", Numeric(np.array([1.5, 2.5, 3.5])))
    part = table.take(np.array([2, 2, 0]), np.array([1.0, 1.0, 5.0]))
    assert part.discrete("a").codes.tolist() == [2, 2, 0]
    assert as_numbers(part.column("q"), "q").tolist() == [3.5, 3.5, 1.5]
    assert (part.total, part.squares.tolist()) == (7, [1, 1, 5])
    assert table.total == 6


def test_levels_become_numbers_where_all_are():
    column = Discrete(np.array([1, 0, 1]), ("2", "10"))
    assert as_numbers(column, "q").tolist() == [10, 2, 10]
    with pytest.raises(InvalidInput, match="q: holds the text 'old'; expected numbers"):
        as_numbers(Discrete(np.array([0, 1]), ("3", "old")), "q")


@pytest.mark.parametrize(
    ("columns", "counts", "said"),
    [
        ({"a": [1, 2], "b": [1]}, None, "lengths a 2, b 1"),
        ({"a": []}, None, "no rows"),
        ({"a": [1.0, np.nan]}, None, "missing or infinite"),
        ({"a": [1, 2]}, [1, -1], "negative"),
        ({"a": [1, 2]}, [1], "one count of 0 or more a row"),
    ],
)
def test_tables_that_are_none_are_refused(columns, counts, said):
    with pytest.raises(InvalidInput, match=said):
        sample_of(columns, counts)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000))
def test_weights_are_repeated_rows_for_mean_and_deviation_and_kishs_rows_for_errors(seed):
    rng = np.random.default_rng(seed)
    values, n = rng.normal(3, 2, (20, 2)), rng.integers(1, 5, 20)
    centre, scale = centre_and_scale(values, n.astype(float))
    written = np.repeat(values, n, axis=0)
    assert (centre, scale) == (pytest.approx(written.mean(axis=0)), pytest.approx(written.std(axis=0)))
    assert centre_and_scale(values[:, 0], n)[1] == pytest.approx(scale[0])
    assert effective_rows(n, n) == n.sum()
    w = rng.uniform(0.1, 3, 20)  # a weighted mean of unit variances has the variance 1 / effective rows
    assert 1 / effective_rows(w, w**2) == pytest.approx(((w / w.sum()) ** 2).sum())
