"""What is asked: graphs read, columns needed, examples completed, nearest names."""

import pytest

from bayesight.causal import NotIdentified
from bayesight.errors import InvalidInput, SourceUnreadable, UnknownName
from bayesight.workflows.causal import CausalRequest, causal_effect

GRAPH = "Z -> T, Z -> Y, T -> Y"


def test_what_the_table_lacks_is_unobserved_only_if_said(ask, table):
    graph = GRAPH + ", V -> Z, V -> Y"
    with pytest.raises(InvalidInput, match=r"graph: 'V' is no column .* say --unobserved V"):
        ask(table.path, graph=graph)
    assert ask(table.path, graph=graph, unobserved=("V",)).effect.held == ("Z",)
    assert ask(table.path, graph=graph.replace("V", "U")).effect.held == ("Z",)
    cannot = ask(table.path, graph=GRAPH + ", U -> T, U -> Y")
    assert isinstance(cannot.effect.identification, NotIdentified)
    assert cannot.as_dict()["adjusted"] is None
    assert cannot.as_dict()["identified"] is False
    assert cannot.as_dict()["adjustment_set"] is None
    hidden = ask(table.path, unobserved=("Z",))  # said to be unobserved, though the table has it
    assert hidden.effect.adjusted is None


def test_a_column_that_begins_with_u_is_measured(ask, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("Urban,T,Y\n" + "yes,1,1\nyes,0,0\nno,1,0\nno,0,0\nyes,1,1\nno,0,1\n" * 5)
    found = ask(path, graph="Urban -> T, Urban -> Y, T -> Y")
    assert found.effect.held == ("Urban",)


def test_nearest_names_are_suggested(ask, table):
    with pytest.raises(UnknownName, match="no column is called 'TT'"):
        ask(table.path, treatment="TT")
    with pytest.raises(InvalidInput, match="the treatment 'T' is not in it"):
        ask(table.path, graph="Z -> Y")
    with pytest.raises(InvalidInput, match="Z -> T -> Z is a cycle"):
        ask(table.path, graph="Z -> T, T -> Z, T -> Y")
    with pytest.raises(UnknownName, match="did you mean 'kidney-stones'"):
        causal_effect(CausalRequest("example:kidney-stone"))
    with pytest.raises(InvalidInput, match="no --graph"):
        ask(table.path, graph="")


def test_only_needed_columns_are_read(ask, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("Z,T,Y,note\n" + "1,1,1,\n0,0,0,x\n1,0,1,\n0,1,1,x\n" * 10)
    assert ask(path).effect.held == ("Z",)  # gaps in `note` do not matter


def test_a_graph_in_a_file(ask, table, tmp_path):
    path = tmp_path / "g.dot"
    path.write_text("digraph { Z -> {T Y}; T -> Y }")
    assert ask(table.path, graph=str(path)).effect.held == ("Z",)
    (tmp_path / "folder.dot").mkdir()
    with pytest.raises(SourceUnreadable, match=r"folder\.dot cannot be read: Is a directory"):
        ask(table.path, graph=str(tmp_path / "folder.dot"))


def test_an_example_can_be_asked_otherwise():
    found = causal_effect(
        CausalRequest("example:kidney-stones", graph="treatment->size->success, treatment->success")
    )
    assert found.effect.held == ()
    swapped = causal_effect(CausalRequest("example:kidney-stones", reference="A"))
    assert swapped.effect.adjusted.effect.mean == pytest.approx(-0.0537, abs=1e-4)
