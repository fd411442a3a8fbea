"""``bayesight causal``: its JSON, its words, its refusals."""

import json

import pytest


def document(program, *arguments):
    status, out, err = program("causal", *arguments, "--json")
    assert status == 0, err
    return json.loads(out)


def test_kidney_stones_bare(program):
    found = document(program, "effect", "example:kidney-stones")
    seen, done = (
        [round(found[key]["means"][t]["mean"], 3) for t in "AB"] for key in ("conditional", "adjusted")
    )
    assert (seen, done) == ([0.78, 0.826], [0.833, 0.779])
    assert found["identified"] is True
    assert found["adjustment_set"] == ["size"]
    assert "B is ahead" in found["simpson"]["sentence"]
    assert found["adjusted"]["difference"]["of"] == "A"


@pytest.mark.parametrize("name", ["berkeley", "ice-cream", "birth-weight"])
def test_every_example_runs_and_names_its_source(program, name):
    status, out, _ = program("causal", "effect", f"example:{name}")
    assert status == 0
    assert "Source: " in out


def test_words_of_an_answer(program):
    status, out, err = program("causal", "effect", "example:kidney-stones", "--refute", "--bayes")
    assert (status, err) == (0, "")
    for said in (
        "hold size fixed",
        "as they are, 95 % intervals",
        "Simpson's reversal",
        "E-value",
        "placebo",
    ):
        assert said in out


def test_paths(program):
    graph = "T<-A->C<-B->Y,T->Y,U->T"
    found = document(program, "paths", graph, "--treatment", "T", "--outcome", "Y")
    assert [p["kind"] for p in found["paths"]] == ["causal", "back-door"]
    assert found["adjustment_set"] == []
    assert found["unobserved"] == ["U"]
    status, out, _ = program("causal", "paths", graph, "--treatment", "T", "--outcome", "Y", "--given", "C")
    assert status == 0
    assert "T <- A -> C <- B -> Y  back-door, collider C, open" in out
    assert "nothing has to be held fixed" in out


def test_simulate_then_ask(program, tmp_path):
    out = str(tmp_path / "t.csv")
    made = document(
        program, "simulate", "Z->T,Z->Y,T->Y", "--rows", "3000", "--kind", "discrete", "--out", out
    )
    found = document(
        program, "effect", out, "--treatment", "T", "--outcome", "Y", "--graph", "Z->T,Z->Y,T->Y"
    )
    e = found["adjusted"]["difference"]
    assert e["low"] < made["true_effect"] < e["high"]


def test_not_identified_is_an_answer(program, tmp_path):
    out = str(tmp_path / "t.csv")
    document(program, "simulate", "U->T,U->Y,T->Y", "--rows", "100", "--out", out, "--seed", "3")
    asked = ["effect", out, "--treatment", "T", "--outcome", "Y", "--graph", "T->Y,U->T,U->Y"]
    found = document(program, *asked)
    assert found["identified"] is False
    assert found["adjusted"] is found["adjustment_set"] is None
    assert "T <- U -> Y is open" in found["reason"]
    assert "Cannot be known" in program("causal", *asked)[1]


def test_missing_values(program, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("T,Y\n" + "1,1\n0,0\n0,1\n1,0\n" * 5 + "1,\n")
    asked = ["causal", "effect", str(path), "--treatment", "T", "--outcome", "Y", "--graph", "T->Y"]
    status, out, err = program(*asked)
    assert (status, out) == (1, "")
    assert err == (
        "bayesight: t.csv: missing values (1 in Y of 21 rows); expected none. Blanks, NA, NaN, null and "
        "their like are missing. Leave those rows out with --drop-missing, if they are missing by chance.\n"
    )
    status, out, _ = program(*asked, "--drop-missing")
    assert status == 0
    assert "1 of 21 rows left out: missing 1 of Y" in out


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["effect", "example:kidney-stones", "--graph", "A->B->A"], 1, "is a cycle"),
        (["effect", "example:nothing"], 1, "no example is called 'nothing'"),
        (["effect", "no.csv", "--treatment", "T", "--outcome", "Y", "--graph", "T->Y"], 1, "does not exist"),
        (["effect", "example:kidney-stones", "--level", "95"], 1, "0.95"),
        (["effect", "example:kidney-stones", "--adjust", "sise"], 1, "'sise'"),
        (["paths", "T->Y", "--treatment", "T"], 2, "--outcome"),
        (["simulate", "T->Y", "--out", "x.csv", "--kind", "cubic"], 1, "known: discrete, linear"),
        (["simulate", "T->Y", "--out", "/no/where/x.csv"], 1, "Create the folder first"),
        (["simulate", "T->Y", "--out", "x.xlsx"], 1, "a name that ends in .csv or .parquet"),
        (["simulate", "T->Y", "--out", "x.csv", "--rows", "0"], 1, "at least 1"),
    ],
)
def test_refusals_are_one_sentence(program, arguments, status, said):
    got, out, err = program("causal", *arguments)
    assert (got, out) == (status, "")
    assert said in err
    assert "Traceback" not in err


def test_a_report_is_written(program, tmp_path):
    path = tmp_path / "r.html"
    status, _, err = program("causal", "effect", "example:berkeley", "--report", str(path))
    assert status == 0
    assert str(path) in err
    assert "department" in path.read_text(encoding="utf-8")


def test_matched_pairs_from_a_file(program, tmp_path):
    """Pair numbers far apart, words for treatment and outcome: nothing has to be said, and all is."""
    path = tmp_path / "pairs.csv"
    both, drug, placebo, neither = (
        ("survived",) * 2,
        ("survived", "died"),
        ("died", "survived"),
        ("died",) * 2,
    )
    pairs = [both] * 20 + [drug] * 14 + [placebo] * 4 + [neither] * 12
    lines = [
        f"{3 * k + 500},{a},{y}"
        for k, ys in enumerate(pairs)
        for a, y in zip(("drug", "placebo"), ys, strict=True)
    ]
    path.write_text("k,arm,result\n" + "\n".join(lines) + "\n")
    asked = [
        "effect",
        str(path),
        "--treatment",
        "arm",
        "--outcome",
        "result",
        "--graph",
        "k->arm, k->result, arm->result",
    ]
    found = document(program, *asked)
    assert found["exact"]["test"] == "McNemar's exact test"
    assert found["exact"]["p_value"] == pytest.approx(0.03088, abs=1e-5)  # two-sided binomial, 14 of 18
    assert found["exact"]["odds_ratio"]["mean"] == pytest.approx(3.5)
    assert found["adjusted"]["difference"]["mean"] == pytest.approx(0.2)
    assert (found["success"], found["reference"]) == ("survived", "placebo")
    assert found["columns"][2]["because"] == "each number comes 2 times, as in matched sets"
    said = program("causal", *asked)[1]
    assert "k: held fixed, 50 categories (each number comes 2 times, as in matched sets; --numeric k" in said
    assert (
        "result: outcome, yes or no, survived counts (by its meaning; --success died turns it round)" in said
    )
    assert "McNemar's exact test of no effect in 18 strata that tell something: p = 0.0309" in said
