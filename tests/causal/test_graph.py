"""Graphs: what is unobserved, cycles, text and back, and separation against every path."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.causal.graph import d_separated, parse
from bayesight.causal.paths import all_paths, is_open
from bayesight.errors import InvalidInput, UnknownName

TRIANGLE = {("Z", "T"), ("Z", "Y"), ("T", "Y")}


def test_a_two_headed_arrow_is_an_unobserved_common_cause():
    for text in ("T -> Y, T <-> Y", "digraph { T -> Y; T -> Y [dir=both] }", "dag { T -> Y T <-> Y }"):
        dag = parse(text)
        assert ("T", "Y") in dag.edges or "dir" in text
        assert dag.unobserved == {"U_T_Y"}
        assert {("U_T_Y", "T"), ("U_T_Y", "Y")} <= set(dag.edges)


def test_who_is_unobserved():
    assert parse("U -> T, U1 -> T, Union -> T, x -> T").unobserved == {"U", "U1", "Union"}
    assert parse("U -> T, Union -> T", observed=["Union"]).unobserved == {"U"}
    assert parse("A -> T", unobserved=["A"]).unobserved == {"A"}
    assert parse("digraph { A [latent]; B [unobserved=yes]; A -> B }").unobserved == {"A", "B"}
    with pytest.raises(UnknownName, match="did you mean 'Age'"):
        parse("Age -> T", unobserved=["age"])


@pytest.mark.parametrize(
    ("text", "cycle"),
    [("A->B->C->A, X->A", "A -> B -> C -> A"), ("A->A", "A -> A"), ("B->A, A->B", "A -> B")],
)
def test_a_cycle_is_named(text, cycle):
    with pytest.raises(
        InvalidInput, match="is a cycle; expected a graph in which nothing causes itself"
    ) as error:
        parse(text)
    assert cycle in str(error.value)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000))
def test_text_and_back(random_dag, seed):
    dag = random_dag(seed)
    again = parse(str(dag), unobserved=dag.unobserved)
    assert (set(again.nodes), set(again.edges)) == (set(dag.nodes), set(dag.edges))


@settings(deadline=None, max_examples=120)
@given(st.integers(0, 10_000), st.sets(st.sampled_from([f"V{i}" for i in range(5)])))
def test_separated_means_every_path_is_blocked(random_dag, seed, held):
    """Two definitions: networkx works on the ancestral graph, paths are blocked one by one."""
    dag = random_dag(seed)
    paths = all_paths(dag, "T", "Y")
    assert paths.complete
    assert d_separated(dag, "T", "Y", held) == (not any(is_open(dag, p, held) for p in paths.found))
