"""Minimal separators against every subset tried."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.causal import identify, parse
from bayesight.causal.graph import d_separated
from bayesight.causal.separators import minimal_d_separators


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
