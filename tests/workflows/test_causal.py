"""The causal job from a file to an answer: agreement with truth, and every refusal in its words."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bayesight.causal import AdjustFor, NotIdentified
from bayesight.errors import InvalidInput, UnknownName
from bayesight.workflows.causal import CausalRequest, causal_effect, causal_paths, causal_simulate
from bayesight.workflows.causal_report import causal_report, causal_sections

GRAPH = "Z -> T, Z -> Y, T -> Y"


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A discrete table with one confounder, and its truth."""
    path = tmp_path_factory.mktemp("causal") / "t.csv"
    return causal_simulate(GRAPH, path, rows=20_000, kind="discrete", seed=5)


def ask(path, **changes):
    asked = {"treatment": "T", "outcome": "Y", "graph": GRAPH} | changes
    return causal_effect(CausalRequest(path, **asked))


def test_from_simulation_to_answer_and_back(table):
    found = ask(table.path)
    adjusted = found.effect.adjusted.effect
    assert adjusted.low < table.effect < adjusted.high
    assert not found.effect.conditional.effect.low < table.effect < found.effect.conditional.effect.high
    assert (found.rows, found.dropped) == (20_000, 0)


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_linear_world_in_both_formats(tmp_path, name):
    made = causal_simulate("A->T, A->Y, U->Y, T->M->Y", tmp_path / name, rows=3000, kind="linear", seed=2)
    assert made.columns == ("A", "T", "Y", "M")
    found = ask(made.path, graph="A->T, A->Y, U->Y, T->M->Y")
    assert found.effect.held == ("A",)
    assert found.effect.adjusted.slope.low < made.effect < found.effect.adjusted.slope.high


def test_simulation_depends_on_its_seed_alone(tmp_path):
    one, same, other = (
        causal_simulate(GRAPH, tmp_path / f"{i}.csv", rows=50, kind="linear", seed=s).path.read_bytes()
        for i, s in enumerate((1, 1, 2))
    )
    assert one == same != other


def test_a_table_too_large_for_memory_gives_the_same_slopes(tmp_path, monkeypatch):
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


def test_counts_weights_and_rows_agree(table, tmp_path):
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


def test_what_the_table_lacks_is_unobserved_only_if_said(table):
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


def test_a_column_that_begins_with_u_is_measured(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("Urban,T,Y\n" + "yes,1,1\nyes,0,0\nno,1,0\nno,0,0\nyes,1,1\nno,0,1\n" * 5)
    found = ask(path, graph="Urban -> T, Urban -> Y, T -> Y")
    assert found.effect.held == ("Urban",)


def test_nearest_names_are_suggested(table):
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


def test_only_needed_columns_are_read(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("Z,T,Y,note\n" + "1,1,1,\n0,0,0,x\n1,0,1,\n0,1,1,x\n" * 10)
    assert ask(path).effect.held == ("Z",)  # gaps in `note` do not matter


def test_a_graph_in_a_file(table, tmp_path):
    path = tmp_path / "g.dot"
    path.write_text("digraph { Z -> {T Y}; T -> Y }")
    assert ask(table.path, graph=str(path)).effect.held == ("Z",)


def test_bayes_and_refutations_come_when_asked(table):
    found = ask(table.path, bayes=True, refute=True)
    assert found.bayes.effect.mean == pytest.approx(found.effect.adjusted.effect.mean, abs=0.003)
    assert len(found.refutations) == 3
    assert all(r.passed for r in found.refutations)
    document = found.as_dict()
    assert {"identified", "adjustment_set", "conditional", "adjusted", "simpson"} <= set(document)
    with pytest.raises(InvalidInput, match="does not come from strata"):
        causal_effect(CausalRequest("example:ice-cream", bayes=True))


def test_an_example_can_be_asked_otherwise():
    found = causal_effect(
        CausalRequest("example:kidney-stones", graph="treatment->size->success, treatment->success")
    )
    assert found.effect.held == ()
    swapped = causal_effect(CausalRequest("example:kidney-stones", reference="A"))
    assert swapped.effect.adjusted.effect.mean == pytest.approx(-0.0537, abs=1e-4)


def test_paths_are_told_with_what_blocks_them():
    found = causal_paths("T <- A -> C <- B -> Y, T -> Y", "T", "Y", given=["C"])
    rows = {p["path"]: p for p in found.paths}
    assert rows["T <- A -> C <- B -> Y"]["open"]
    assert rows["T <- A -> C <- B -> Y"]["colliders"] == ["C"]
    assert found.identification == AdjustFor((), ((),))


def test_reports_hold_graph_answers_and_strata(tmp_path):
    found = causal_effect(CausalRequest("example:kidney-stones", refute=True, bayes=True))
    kinds = [type(s).__name__ for s in causal_sections(found)]
    assert kinds == ["CausalGraph", "SeeingAndDoing", "StrataTable"]
    page = causal_report(found, tmp_path / "r.html").read_text(encoding="utf-8")
    for said in ("Simpson&#39;s reversal", "size=small", "87 rows", "hold size fixed", "Charig"):
        assert said in page, said
    plain = causal_effect(CausalRequest("example:ice-cream"))
    assert "one more unit" in causal_report(plain, tmp_path / "i.html").read_text(encoding="utf-8")


def sites(path, count, rows=4000):
    """A world in which sites differ by 30 and the treatment adds 1, whatever the numbers of the sites."""
    rng = np.random.default_rng(7)
    level = rng.choice([-5, 5], count)
    site = rng.integers(0, count, rows)
    treated = (rng.random(rows) < np.where(level[site] > 0, 0.9, 0.1)).astype(int)
    outcome = 3 * level[site] + treated + rng.normal(size=rows)
    lines = [f"{a + 1},{b},{c:.3f}" for a, b, c in zip(site, treated, outcome, strict=True)]
    path.write_text("site,T,Y\n" + "\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("count", [20, 21, 47])
def test_numbers_of_sites_are_held_fixed_as_categories(tmp_path, count):
    path = sites(tmp_path / "sites.csv", count)
    found = causal_effect(CausalRequest(path, "T", "Y", "site->T,site->Y,T->Y"))
    effect = found.effect.adjusted.effect
    assert effect.low < 1 < effect.high
    assert found.held == {"site": ("categories", count)}
    words = tmp_path / "words.csv"
    text = path.read_text().splitlines()
    turned = [f"s{(int(line.split(',')[0]) * 7) % 101},{line.split(',', 1)[1]}" for line in text[1:]]
    words.write_text("\n".join([text[0], *turned]) + "\n")
    other = causal_effect(CausalRequest(words, "T", "Y", "site->T,site->Y,T->Y")).effect.adjusted.effect
    assert other.mean == pytest.approx(effect.mean, abs=1e-10)
    assert (other.low, other.high) == pytest.approx((effect.low, effect.high), abs=1e-10)


def test_a_line_through_codes_is_said_and_refuted(tmp_path):
    path = sites(tmp_path / "sites.csv", 21)
    request = CausalRequest(path, "T", "Y", "site->T,site->Y,T->Y", numeric=("site",), refute=True)
    found = causal_effect(request)
    assert found.held == {"site": ("a quantity", 21)}
    said = "Held fixed as quantities, which may bend: site (--text makes categories of one)."
    assert found.held_words == said
    assert found.as_dict()["held"] == {"site": {"as": "a quantity", "values": 21}}
    assert found.effect.adjusted.effect.mean == pytest.approx(1, abs=0.15)
    assert found.effect.others[0].effect.mean > 20  # a straight line through codes, and called that:
    assert "Straight lines (standardisation by regression) would say 22" in found.effect.notes[1]
    other = next(r for r in found.refutations if "categories" in r.name)
    assert other.passed
    assert other.effect.mean == pytest.approx(1, abs=0.15)


def test_a_line_that_is_one_survives(tmp_path):
    rng = np.random.default_rng(3)
    age = rng.integers(20, 70, 1500)
    treated = (rng.random(1500) < (age - 10) / 80).astype(int)
    outcome = 0.1 * age + treated + rng.normal(size=1500)
    path = tmp_path / "ages.csv"
    lines = [f"{a},{t},{y:.4f}" for a, t, y in zip(age, treated, outcome, strict=True)]
    path.write_text("age,T,Y\n" + "\n".join(lines) + "\n")
    found = causal_effect(CausalRequest(path, "T", "Y", "age->T,age->Y,T->Y", refute=True))
    assert found.held == {"age": ("a quantity", 50)}
    assert all(attempt.passed for attempt in found.refutations)


def test_rows_left_out_are_counted_by_column(tmp_path):
    path = tmp_path / "gaps.csv"
    path.write_text("z,t,y\na,0,1\nb,1,NA\n,0,2\na,1,3\nb,0,1\nb,1,2\na,0,2\n")
    found = causal_effect(CausalRequest(path, "t", "y", "z->t,z->y,t->y", drop_missing=True))
    assert found.notes == ("2 of 7 rows left out: missing 1 of y, 1 of z",)


def test_a_treatment_that_is_a_line_is_said_first(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("dose,y\n" + "".join(f"{k % 30},{k % 7}.5\n" for k in range(300)))
    found = causal_effect(CausalRequest(path, "dose", "y", "dose->y"))
    said = "dose is taken as a quantity: its effect is a straight line (--text makes categories of it)."
    assert found.held_words == said
    assert found.as_dict()["treatment_as"] == "a straight line"
    use = found.as_dict()["columns"][0]
    assert (use["name"], use["role"], use["as"]) == ("dose", "treatment", "quantity")
    assert use["change"] == "--text dose makes categories of it"
    named = causal_effect(CausalRequest(path, "dose", "y", "dose->y", text=("dose",)))
    assert (named.held_words, named.as_dict()["treatment_as"]) == ("", "categories")


# Questions about published tables, as they are asked: without options.

TABLES = Path(os.environ.get("BAYESIGHT_DATA", Path(__file__).parents[3] / "shared" / "data")) / "tables"
asked_of_tables = pytest.mark.skipif(not TABLES.is_dir(), reason=f"no folder {TABLES}")


ASKED = """
datasets-UCBAdmissions | Gender: categories Female | Admit: yes or no Admitted | Dept: categories
MatchIt-lalonde | educ: quantity | re78: quantity | age: quantity
MatchIt-lalonde | treat: categories 0 | re78: quantity | educ: categories
COUNT-titanic | class: categories 1st class | survived: yes or no yes | sex: categories
MASS-birthwt | smoke: categories 0 | low: yes or no 1 | race: categories
MASS-birthwt | smoke: categories 0 | bwt: quantity | age: quantity
AER-CollegeDistance | education: quantity | wage: quantity | score: quantity
AER-CollegeDistance | gender: categories female | fcollege: yes or no yes | income: categories
causaldata-nhefs | qsmk: categories 0 | death: yes or no 1 | age: quantity
causaldata-nhefs | education: categories 1 | death: yes or no 1 | age: quantity
"""


@asked_of_tables
@pytest.mark.parametrize("asked", ASKED.strip().splitlines())
def test_what_is_asked_of_published_tables(asked):
    table, *columns = asked.split(" | ")
    t, y, z = (column.split(": ")[0] for column in columns)
    found = causal_effect(CausalRequest(TABLES / f"{table}.csv", t, y, f"{z}->{t}, {z}->{y}, {t}->{y}"))
    said = {
        use["name"]: f"{use['name']}: {use['as']} {use['value'] or ''}".strip()
        for use in found.as_dict()["columns"]
    }
    assert [said[name] for name in (t, y, z)] == columns


@asked_of_tables
def test_berkeley_is_counted_and_can_be_asked_line_by_line():
    path = TABLES / "datasets-UCBAdmissions.csv"
    asked = CausalRequest(path, "Gender", "Admit", "Gender->Dept,Dept->Admit,Gender->Admit", direct=True)
    found = causal_effect(asked)
    assert found.effect.rows == 4526
    assert found.effect.adjusted.effect.mean == pytest.approx(
        causal_effect(CausalRequest("example:berkeley")).effect.adjusted.effect.mean, abs=1e-12
    )
    assert found.as_dict()["success"] == "Admitted"
    assert causal_effect(replace(asked, counts="none")).effect.rows == 24


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
