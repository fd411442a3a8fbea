"""The value that counts and the reference: a table of cases, and the rule as a law."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesight.causal.coding import reference_of, success_of


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
        ("y", "O", "X"),
        ("회복", "o", "x"),
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
        (("O", "X"), "X"),
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
