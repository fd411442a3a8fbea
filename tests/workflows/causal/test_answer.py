"""Answers in words and as documents."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bayesight.workflows.causal import (
    CausalRequest,
    causal_effect,
)


def test_a_line_through_codes_is_said_and_refuted(sites, tmp_path):
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


TABLES = Path(os.environ.get("BAYESIGHT_DATA", Path(__file__).parents[4] / "shared" / "data")) / "tables"
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


@pytest.mark.parametrize("count", [20, 21, 47])
def test_numbers_of_sites_are_held_fixed_as_categories(sites, tmp_path, count):
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
