"""Columns of counts: taken where the table bears it out, suggested where only the name does."""

from __future__ import annotations

import itertools

import pytest

from bayesight.data.columns import CountsColumn, find_counts

CELLS = [(d, s, a) for d, s, a in itertools.product("ABC", ("f", "m"), ("in", "out"))]


def find(tmp_path, header, lines, used=("sex", "admitted")):
    path = tmp_path / "t.csv"
    path.write_text("\n".join([header, *(",".join(map(str, line)) for line in lines)]) + "\n")
    return find_counts(path, header.split(","), used)


@pytest.mark.parametrize("name", ["Freq", "count", "n", "N", "Anzahl", "빈도"])
def test_cells_with_counts(tmp_path, name):
    lines = [(k + 1, *cell, 10 + k) for k, cell in enumerate(CELLS)]
    assert find(tmp_path, f"rownames,dept,sex,admitted,{name}", lines) == CountsColumn(name, True)


def test_what_is_no_cross_classification_is_not_taken(tmp_path):
    twice = [(*cell, 10 + k) for k, cell in enumerate(CELLS + CELLS)]
    assert find(tmp_path, "dept,sex,admitted,Freq", twice) == CountsColumn("Freq", False)
    assert find(tmp_path, "dept,sex,admitted,n", twice) is None
    people = [(f"p{k}", *cell, k % 3 + 2) for k, cell in enumerate(CELLS * 5)]
    assert find(tmp_path, "person,dept,sex,admitted,count", people) == CountsColumn("count", False)


def test_what_is_no_count_is_not_suggested(tmp_path):
    header = "dept,sex,admitted,Freq"
    assert find(tmp_path, header, [(*cell, 0.5) for cell in CELLS]) is None
    assert find(tmp_path, header, [(*cell, "") for cell in CELLS]) is None
    assert find(tmp_path, header, [(*cell, -3) for cell in CELLS]) is None
    assert find(tmp_path, header, [(*cell, 1) for cell in CELLS]) is None
    lines = [(*cell, 10 + k) for k, cell in enumerate(CELLS)]
    assert find(tmp_path, header, lines, used=("sex", "Freq")) is None
    assert find(tmp_path, "dept,sex,admitted,weight", lines) is None
