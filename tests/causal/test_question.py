"""Questions: effects that there are, and the refusal of others."""

from __future__ import annotations

import numpy as np
import pytest

from bayesight.causal import EffectQuestion, estimate, parse, sample_of
from bayesight.causal.question import EFFECTS, ON_WHOM
from bayesight.causal.sample import Numeric
from bayesight.errors import InvalidInput, UnknownName

TRIANGLE = parse("Z -> T, Z -> Y, T -> Y")


def test_an_unknown_effect_is_refused():
    assert EffectQuestion("T", "Y", effect="att").effect == "att"
    with pytest.raises(UnknownName, match="overlap"):
        EffectQuestion("T", "Y", effect="overlaps")


def test_every_effect_says_whom_it_is_about():
    assert set(ON_WHOM) == set(EFFECTS)
    assert [EffectQuestion("T", "Y", effect=e).effect for e in EFFECTS] == list(EFFECTS)
    plain = EffectQuestion("T", "Y")
    assert (plain.effect, plain.adjust, plain.level, plain.direct) == ("ate", None, 0.95, False)


def test_several_treatments_and_a_reference():
    rng = np.random.default_rng(6)
    t = rng.choice(["low", "mid", "high"], 900)
    y = rng.normal(size=900) + np.select([t == "mid", t == "high"], [1, 3])
    found = estimate(sample_of({"T": t, "Y": y}), parse("T -> Y"), EffectQuestion("T", "Y", reference="low"))
    gaps = {d.of: d.estimate.mean for d in found.adjusted.differences}
    assert gaps == pytest.approx({"high": 3, "mid": 1}, abs=0.3)
    assert {d.versus for d in found.adjusted.differences} == {"low"}
    with pytest.raises(UnknownName, match="no value of T is called 'hihg'; did you mean 'high'"):
        estimate(sample_of({"T": t, "Y": y}), parse("T -> Y"), EffectQuestion("T", "Y", reference="hihg"))


def test_text_outcomes():
    two = sample_of({"T": [0, 1, 0, 1], "Y": ["died", "lived", "lived", "lived"]})
    found = estimate(two, parse("T -> Y"), EffectQuestion("T", "Y"))
    assert found.adjusted.effect.mean == pytest.approx(0.5)
    assert "counts Y=lived as 1" in found.notes[0]
    turned = estimate(two, parse("T -> Y"), EffectQuestion("T", "Y", success="died"))
    assert turned.adjusted.effect.mean == pytest.approx(-0.5)
    three = sample_of({"T": [0, 1, 0], "Y": ["a", "b", "c"]})
    with pytest.raises(InvalidInput, match="holds the text 'a'; expected numbers, or two values"):
        estimate(three, parse("T -> Y"), EffectQuestion("T", "Y"))


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"T": [1, 1], "Y": [0, 1], "Z": [0, 1]}, "the treatment never varies"),
        ({"T": [0.0] * 30, "Y": [0.0, 1.0] * 15, "Z": [0, 1] * 15}, "the treatment never varies"),
        ({"T": [0, 1], "Y": [5.5, 5.5], "Z": [0, 1]}, "Y: the outcome never varies"),
        ({"T": [0, 1], "Y": ["dead", "dead"], "Z": [0, 1]}, "Y: never varies: it is 'dead' in every row"),
        ({"T": np.arange(30.0), "Y": np.arange(30.0), "Z": 2 * np.arange(30.0)}, "determine the treatment"),
    ],
)
def test_what_has_no_answer_is_refused(columns, said):
    with pytest.raises(InvalidInput, match=said):
        estimate(sample_of(columns), TRIANGLE, EffectQuestion("T", "Y"))


def test_choices_turn_the_effect_and_nothing_else():
    words = {
        "t": ["drug", "drug", "placebo", "placebo"] * 10,
        "y": ["Rejected", "Admitted", "Rejected"] * 13 + ["Admitted"],
    }
    table, dag = sample_of(words), parse("t -> y")
    found = estimate(table, dag, EffectQuestion("t", "y"))
    assert found.counted.value == "Admitted"
    assert "--success Rejected turns it round" in found.notes[0]
    assert found.adjusted.difference.versus == "placebo"
    turned = estimate(table, dag, EffectQuestion("t", "y", success="Rejected"))
    assert turned.adjusted.effect.mean == pytest.approx(-found.adjusted.effect.mean, abs=1e-12)
    other = estimate(table, dag, EffectQuestion("t", "y", reference="drug"))
    assert other.adjusted.effect.mean == pytest.approx(-found.adjusted.effect.mean, abs=1e-12)


def test_outcomes_of_one_and_two_are_yes_and_no():
    t, y = [0, 1] * 30, [1, 2, 1, 1, 2, 2] * 10
    found = estimate(sample_of({"t": t, "y": y}), parse("t -> y"), EffectQuestion("t", "y"))
    same = estimate(sample_of({"t": t, "y": [v - 1 for v in y]}), parse("t -> y"), EffectQuestion("t", "y"))
    assert found.binary
    assert found.adjusted.means == same.adjusted.means
    assert found.counted.value == "2"
    assert same.counted is None
    assert not estimate(
        sample_of({"t": t, "y": [3 * v for v in y]}), parse("t -> y"), EffectQuestion("t", "y")
    ).binary


def test_a_treatment_of_many_numbers_is_a_quantity_unless_one_is_named():
    rows = {"t": [k % 18 for k in range(90)], "y": [2.0 * (k % 18) + (-1) ** (k // 18) for k in range(90)]}
    table, dag = sample_of(rows), parse("t -> y")
    assert not isinstance(table.column("t"), Numeric)
    assert estimate(table, dag, EffectQuestion("t", "y")).adjusted.slope.mean == pytest.approx(2)
    named = estimate(table, dag, EffectQuestion("t", "y", reference="3"))
    assert len(named.adjusted.means) == 18
    few = sample_of(rows | {"t": [k % 5 for k in range(90)]})
    assert len(estimate(few, dag, EffectQuestion("t", "y")).adjusted.means) == 5
