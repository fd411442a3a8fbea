"""Paths: all simple ways, their kinds, what blocks them, and limits."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.causal import identify, parse
from bayesight.causal.graph import Dag, d_separated
from bayesight.causal.paths import all_paths, blocked_by, is_open, minimal_d_separators
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


def test_many_minimal_sets_are_cut_off_aloud():
    """Forty chains of three: of 3^40 minimal sets, more than any time would do, the first are listed."""
    chains = ", ".join(f"T <- A{i} -> B{i} -> C{i} -> Y" for i in range(40))
    found = identify(parse(chains + ", T -> Y"), "T", "Y")
    assert not found.complete
    assert len(found.minimal) == len(set(found.minimal)) == 200
    assert all(len(held) == 40 for held in found.minimal)


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 100_000), st.sampled_from([0.25, 0.45]))
def test_minimal_separators_are_exactly_those_found_by_trying_all(random_dag, seed, density):
    """Whatever is unobserved may not be held fixed; an edge between the two leaves none."""
    dag = random_dag(seed, 7, density, 0.2)
    allowed = set(dag.observed) - {"T", "Y"}
    found, complete = minimal_d_separators(dag, "T", "Y", allowed, limit=1000)
    subsets = [set(s) for r in range(len(allowed) + 1) for s in itertools.combinations(sorted(allowed), r)]
    apart = [s for s in subsets if d_separated(dag, "T", "Y", s)]
    assert complete
    assert set(found) == {frozenset(s) for s in apart if not any(other < s for other in apart)}
    assert len(found) == len(set(found))


def test_the_sets_that_were_listed_are_cut_off_at_the_limit():
    dag = parse(", ".join(f"T <- A{i} -> B{i} -> Y" for i in range(4)))
    every, complete = minimal_d_separators(dag, "T", "Y", set(dag.nodes) - {"T", "Y"}, limit=16)
    assert (len(every), complete) == (16, True)
    some, complete = minimal_d_separators(dag, "T", "Y", set(dag.nodes) - {"T", "Y"}, limit=15)
    assert (len(some), complete) == (15, False)
    assert set(some) < set(every)
