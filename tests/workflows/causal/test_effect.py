"""What is asked: graphs read, columns needed, examples completed, nearest names."""

from dataclasses import replace

import numpy as np
import pytest

from bayesight.causal import NotIdentified
from bayesight.errors import InvalidInput, SourceUnreadable, UnknownName
from bayesight.workflows.causal import CausalRequest, causal_effect, causal_report, causal_simulate

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


def test_from_simulation_to_answer_and_back(ask, table):
    found = ask(table.path)
    adjusted = found.effect.adjusted.effect
    assert adjusted.low < table.effect < adjusted.high
    assert not found.effect.conditional.effect.low < table.effect < found.effect.conditional.effect.high
    assert (found.rows, found.dropped) == (20_000, 0)


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_linear_world_in_both_formats(ask, tmp_path, name):
    made = causal_simulate("A->T, A->Y, U->Y, T->M->Y", tmp_path / name, rows=3000, kind="linear", seed=2)
    assert made.columns == ("A", "T", "Y", "M")
    found = ask(made.path, graph="A->T, A->Y, U->Y, T->M->Y")
    assert found.effect.held == ("A",)
    assert found.effect.adjusted.slope.low < made.effect < found.effect.adjusted.slope.high


def test_a_table_too_large_for_memory_gives_the_same_slopes(ask, tmp_path, monkeypatch):
    """Sums over parts of the file against least squares on all rows: the same slopes, errors nearly so."""
    import bayesight.data.samples as samples
    import bayesight.data.tables as tables

    graph = "A->T, A->Y, B->T, B->Y, T->Y"
    made = causal_simulate(graph, tmp_path / "t.csv", rows=4000, kind="linear", seed=1)
    lines = made.path.read_text().splitlines()
    group = ["g", *("pqr"[i % 3] for i in range(4000))]
    made.path.write_text("".join(f"{line},{g}\n" for line, g in zip(lines, group, strict=True)))
    asked = {"graph": graph + ", g->T, g->Y"}
    whole = ask(made.path, **asked).effect
    monkeypatch.setattr(samples, "MEMORY_BYTES", 1000)
    monkeypatch.setattr(tables, "_BLOCK_BYTES", 10_000)
    parts = ask(made.path, **asked)
    assert parts.rows == 4000
    assert parts.effect.held == ("A", "B", "g")
    for one, other in (
        (whole.conditional, parts.effect.conditional),
        (whole.others[0], parts.effect.adjusted),
    ):
        assert other.slope.mean == pytest.approx(one.slope.mean, rel=1e-9)
        assert other.slope.high - other.slope.low == pytest.approx(one.slope.high - one.slope.low, rel=0.01)
    assert "too large for memory" in parts.effect.notes[0]
    assert "acts in a straight line cannot be checked" in parts.effect.notes[0]
    made.path.write_text(made.path.read_text() + "1,1,1,,p\n")
    with pytest.raises(InvalidInput, match="missing values"):
        ask(made.path, **asked)
    with pytest.raises(InvalidInput, match="GiB of memory"):
        ask(made.path, refute=True, drop_missing=True, **asked)


def test_counts_weights_and_rows_agree(ask, table, tmp_path):
    rows = np.loadtxt(table.path, delimiter=",", skiprows=1)
    cells, n = np.unique(rows, axis=0, return_counts=True)
    path = tmp_path / "cells.csv"
    lines = [",".join(f"{v:.0f}" for v in (*cell, k)) for cell, k in zip(cells, n, strict=True)]
    path.write_text("Z,T,Y,n\n" + "\n".join(lines) + "\n")
    counted = ask(path, counts="n").effect.adjusted.effect
    assert counted.as_dict() == pytest.approx(ask(table.path).effect.adjusted.effect.as_dict(), abs=1e-12)
    weighted = ask(path, weights="n").effect.adjusted.effect
    assert weighted.mean == pytest.approx(counted.mean, abs=1e-12)
    assert weighted.high - weighted.low > counted.high - counted.low  # twelve rows, not 20,000
    with pytest.raises(InvalidInput, match="--counts and --weights"):
        ask(path, weights="n", counts="n")


def test_bayes_and_refutations_come_when_asked(ask, table):
    found = ask(table.path, bayes=True, refute=True)
    assert found.bayes.effect.mean == pytest.approx(found.effect.adjusted.effect.mean, abs=0.003)
    assert len(found.refutations) == 3
    assert all(r.passed for r in found.refutations)
    document = found.as_dict()
    assert {"identified", "adjustment_set", "conditional", "adjusted", "simpson"} <= set(document)
    with pytest.raises(InvalidInput, match="does not come from strata"):
        causal_effect(CausalRequest("example:ice-cream", bayes=True))


def test_lack_of_overlap_is_said_first_everywhere(tmp_path):
    rng = np.random.default_rng(0)
    z = rng.normal(size=400)
    t = (rng.random(400) < 1 / (1 + np.exp(3 - 4 * z))).astype(int)
    y = t + z + rng.normal(size=400)
    path = tmp_path / "far.csv"
    rows = "\n".join(f"{a:.4f},{b},{c:.4f}" for a, b, c in zip(z, t, y, strict=True))
    path.write_text(f"Z,T,Y\n{rows}\n")
    request = CausalRequest(path, "T", "Y", "Z->T, Z->Y, T->Y")
    found = causal_effect(request)
    document = found.as_dict()
    assert document["adjusted"] is None
    assert document["e_value"] is None
    assert document["overlap"]["lacking"]
    assert document["instead"][0]["on"] == "overlap"
    assert document["instead"][0]["difference"]["low"] < 1 < document["instead"][0]["difference"]["high"]
    assert found.effect.warning == document["warning"]
    page = causal_report(found, tmp_path / "far.html").read_text()
    assert page.count("Overlap is lacking") == 1
    assert "those who could have had either" in page
    tried = causal_effect(replace(request, refute=True)).refutations
    assert {r.name for r in tried} >= {"placebo treatment", "four rows in five"}
    whole = causal_effect(replace(request, effect="overlap"))
    assert whole.effect.adjusted.effect == found.effect.instead[0].effect
    assert whole.effect.warning == ""


def test_rows_left_out_are_counted_by_column(tmp_path):
    path = tmp_path / "gaps.csv"
    path.write_text("z,t,y\na,0,1\nb,1,NA\n,0,2\na,1,3\nb,0,1\nb,1,2\na,0,2\n")
    found = causal_effect(CausalRequest(path, "t", "y", "z->t,z->y,t->y", drop_missing=True))
    assert found.notes == ("2 of 7 rows left out: missing 1 of y, 1 of z",)
