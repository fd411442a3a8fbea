"""The value that counts and the treatment others are compared with: the rule's parts, and turned about."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesight.causal import EffectQuestion, estimate, parse, sample_of
from bayesight.causal.coding import reference_of, success_of
from bayesight.causal.sample import Numeric


@pytest.mark.parametrize(
    ("name", "counted", "other"),
    [
        ("Admit", "Admitted", "Rejected"),
        ("decision", "Accepted", "Refused"),
        ("outcome", "survived", "died"),
        ("Status", "Alive", "Dead"),
        ("death", "dead", "alive"),
        ("mortality", "dead", "alive"),
        ("y", "yes", "no"),
        ("y", "Y", "N"),
        ("y", "TRUE", "FALSE"),
        ("y", "true", "false"),
        ("y", "ja", "nein"),
        ("y", "wahr", "falsch"),
        ("y", "예", "아니오"),
        ("결과", "합격", "불합격"),
        ("결과", "생존", "사망"),
        ("group", "case", "control"),
        ("smoking", "smoker", "non-smoker"),
        ("smoking", "Smoker", "Never smoker"),
        ("work", "employed", "unemployed"),
        ("y", "disease", "no disease"),
        ("y", "improved", "not improved"),
        ("test", "positive", "negative"),
        ("exam", "pass", "fail"),
        ("event", "event", "censored"),
        ("state", "healthy", "ill"),
        ("disease", "diseased", "healthy"),
        ("y", "2", "1"),
        ("y", "1", "0"),
        ("y", "1", "-1"),
        ("visit", "gestern da", "no"),
        ("colour", "red", "blue"),
    ],
)
def test_which_value_counts(name, counted, other):
    order = sorted((counted, other), key=lambda v: (v not in ("0", "-1", "1"), v))
    if counted.isdigit():
        order = [other, counted]
    assert success_of(name, order).value == counted
    if counted != "red":
        assert "want of a better reason" not in success_of(name, order).because


@pytest.mark.parametrize(
    ("levels", "reference"),
    [
        (("A", "B"), "A"),
        (("0", "1"), "0"),
        (("1", "2", "3"), "1"),
        (("drug", "placebo"), "placebo"),
        (("aspirin", "standard care", "statin"), "standard care"),
        (("active control", "control", "drug"), "active control"),  # two controls: the first by the alphabet
        (("no", "yes"), "no"),
        (("ja", "nein"), "nein"),
        (("insured", "uninsured"), "uninsured"),
        (("non-smoker", "smoker"), "non-smoker"),
        (("Behandlung", "Kontrolle"), "Kontrolle"),
    ],
)
def test_which_treatment_others_are_compared_with(levels, reference):
    assert reference_of(levels).value == reference


@given(st.text(), st.lists(st.text(), min_size=2, max_size=2, unique=True))
def test_the_rule_chooses_one_of_the_values_whatever_their_order(name, levels):
    chosen = success_of(name, levels)
    assert chosen.value in levels
    assert chosen.because
    assert reference_of(levels).value in levels


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
