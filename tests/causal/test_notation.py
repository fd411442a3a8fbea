"""Graphs as they are written: arrows, DOT, dagitty, and what is refused."""

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.causal import parse
from bayesight.causal.notation import is_dot, read_arrows, read_dot
from bayesight.errors import InvalidInput


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
    assert set(dag.edges) == {("Z", "T"), ("Z", "Y"), ("T", "Y")}
    assert set(dag.nodes) == {"Z", "T", "Y"}
    assert not dag.unobserved


def test_names_may_hold_spaces_hyphens_and_commas():
    dag = parse('birth-weight -> "dies, early", mother smokes -> birth-weight, alone')
    assert dag.edges == (("birth-weight", "dies, early"), ("mother smokes", "birth-weight"))
    assert dag.nodes == ("birth-weight", "dies, early", "mother smokes", "alone")


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


@settings(deadline=None, max_examples=80)
@given(
    st.lists(
        st.tuples(st.sampled_from("ABCDE"), st.sampled_from(["->", "<-", "<->"]), st.sampled_from("ABCDE")),
        min_size=1, max_size=6,
    )
)  # fmt: skip
def test_arrows_and_dot_say_the_same(links):
    """Every link a statement of its own; dagitty's dialect has all three arrows."""
    line = read_arrows(", ".join(f"{a} {sign} {b}" for a, sign, b in links))
    dot = read_dot("dag { " + " ; ".join(f'"{a}" {sign} {b}' for a, sign, b in links) + " }")
    assert line == dot
    assert set(line.edges) == {(a, b) if s == "->" else (b, a) for a, s, b in links if s != "<->"}
    assert set(line.two_headed) == {(a, b) for a, s, b in links if s == "<->"}
    assert line.nodes == tuple(dict.fromkeys(n for a, _, b in links for n in (a, b)))


def test_edges_are_read_as_written_with_groups_marks_and_chains():
    found = read_dot('digraph { U [latent]; {A B} -> {C D} -> E; A -> C; A -> B [dir="both"] }')
    assert found.nodes == ("U", "A", "B", "C", "D", "E")
    assert found.edges[:4] == (("A", "C"), ("A", "D"), ("B", "C"), ("B", "D"))
    assert ("D", "E") in found.edges
    assert ("A", "B") not in found.edges
    assert (found.two_headed, found.latent) == ((("A", "B"),), ("U",))


def test_dot_is_told_from_arrows_by_its_head():
    assert all(map(is_dot, ("digraph{A->B}", " strict digraph x {", "dag {", "Graph {")))
    assert not any(map(is_dot, ("A -> B", "dag -> B", "digraph -> x", "{A} -> B")))
