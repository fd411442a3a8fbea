"""Graphs: every way to write one, cycles, separation, paths."""

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.causal.graph import Dag, d_separated, parse
from bayesight.causal.paths import all_paths, blocked_by, is_open
from bayesight.errors import InvalidInput, UnknownName

TRIANGLE = {("Z", "T"), ("Z", "Y"), ("T", "Y")}


@pytest.mark.parametrize(
    "source",
    [
        "Z->T,Z->Y,T->Y",
        "Z -> T -> Y; Y <- Z",
        "Y <- Z → T\nT -> Y",
        "digraph { Z -> {T Y}; T -> Y }",
        'strict digraph "my graph" { rankdir=LR; node [shape=box]; // why\n "Z" -> T -> Y'
        ' Z -> Y [color="a]b"] }',
        'dag { T [exposure,pos="0,1"] Y [outcome] Z -> T Z -> Y T -> Y }',
        {"Z": ["T", "Y"], "T": ["Y"]},
        nx.DiGraph([("Z", "T"), ("Z", "Y"), ("T", "Y")]),
    ],
)
def test_one_graph_written_in_many_ways(source):
    dag = parse(source)
    assert set(dag.edges) == TRIANGLE
    assert set(dag.nodes) == {"Z", "T", "Y"}
    assert not dag.unobserved


def test_names_may_hold_spaces_hyphens_and_commas():
    dag = parse('birth-weight -> "dies, early", mother smokes -> birth-weight, alone')
    assert dag.edges == (("birth-weight", "dies, early"), ("mother smokes", "birth-weight"))
    assert dag.nodes == ("birth-weight", "dies, early", "mother smokes", "alone")


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


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "no variables"),
        ("A -> ", "arrow without a name after it"),
        ("-> A", "arrow without a name before it"),
        ("A -> -> B", "arrow without a name before it"),
        ("A - B", "no arrow"),
        ("A => B", "no arrow"),
        ("A -- B", "no arrow"),
        ('"A" "B"', "two names without an arrow"),
        ("graph { A -- B }", "undirected"),
        ("digraph { A -- B }", "no direction"),
        ("digraph { A -> B", "no closing brace"),
        ({"A": "B"}, r"Write \['B'\]"),
        (nx.Graph([("A", "B")]), "undirected networkx graph"),
        (3, "got int"),
    ],
)
def test_what_is_no_graph_is_refused_in_a_sentence(source, said):
    with pytest.raises(InvalidInput, match=said):
        parse(source)


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
