"""Paths: all simple ways, their kinds, what blocks them, and limits."""

import pytest

from bayesight.causal import parse
from bayesight.causal.graph import Dag, d_separated
from bayesight.causal.paths import all_paths, blocked_by, is_open
from bayesight.errors import InvalidInput, UnknownName


def test_paths_are_all_simple_ways_and_have_kinds():
    dag = parse("Z -> T -> M -> Y, Z -> Y, T -> C <- Y, T <- A -> D <- B -> Y, D -> E")
    found = {str(p): p for p in all_paths(dag, "T", "Y").found}
    assert {s: p.kind for s, p in found.items()} == {
        "T -> M -> Y": "causal",
        "T <- Z -> Y": "back-door",
        "T <- A -> D <- B -> Y": "back-door",
        "T -> C <- Y": "collider",
    }
    m_shaped = found["T <- A -> D <- B -> Y"]
    assert m_shaped.colliders == ("D",)
    assert blocked_by(dag, m_shaped) == ("D",)
    assert is_open(dag, m_shaped, ["E"])  # an effect of the collider opens it as well
    assert blocked_by(dag, m_shaped, ["E", "B"]) == ("B",)
    assert blocked_by(dag, found["T -> M -> Y"], ["M"]) == ("M",)


def test_a_limit_is_said():
    names = [f"V{i}" for i in range(9)]
    full = Dag(tuple(names), tuple((a, b) for i, a in enumerate(names) for b in names[i + 1 :]))
    few = all_paths(full, "V0", "V8", limit=50)
    assert (len(few.found), few.complete) == (50, False)


def test_a_large_sparse_graph_is_answered_soon_with_the_short_paths_first():
    """A ladder of 200 rungs with dead ends: a search without looking ahead would never come back."""
    edges = [(f"{side}{i}", f"{side}{i + 1}") for side in "ab" for i in range(200)]
    edges += [(f"a{i}", f"b{i}") for i in range(200)]
    dag = Dag(tuple(dict.fromkeys(n for e in edges for n in e)), tuple(edges))
    found = all_paths(dag, "a3", "b5")
    assert not found.complete
    assert min(len(p.nodes) for p in found.found) == 4
    assert {len(p.nodes) for p in found.found if p.kind == "causal"} == {4}


def test_paths_where_there_are_none():
    assert all_paths(parse("T -> A, B -> Y"), "T", "Y").found == ()
    with pytest.raises(InvalidInput, match="itself"):
        all_paths(parse("T -> A"), "T", "T")
    with pytest.raises(UnknownName, match="did you mean 'Age'"):
        all_paths(parse("T -> Age"), "T", "Aeg")
    with pytest.raises(InvalidInput, match="neither of them given"):
        d_separated(parse("T -> Y"), "T", "Y", ["T"])
