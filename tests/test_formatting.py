"""A probability is written so that what may happen is never 0, and what may fail never 1."""

import json
import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.formatting import decimal, fraction, from_percent, is_number, json_text, percent, short_of_1

RARE = st.floats(-250, 0).map(lambda e: 10**e)
PROBABILITY = st.one_of(st.floats(0, 1), RARE, RARE.map(lambda p: 1 - p))


def number(text: str) -> float:
    return float(text.removeprefix("> ").removesuffix(" %"))


@given(PROBABILITY, st.integers(0, 5))
@settings(deadline=None, max_examples=500)
def test_two_figures_are_kept_of_the_smaller_side(p, decimals):
    for text, scale in ((percent(p, decimals), 100), (decimal(p, decimals), 1)):
        assert (number(text) == 0) == (p == 0)
        assert (number(text) == scale) == (p == 1)
        if text.startswith(">"):
            assert 0 < 1 - p < 1e-9
            continue
        rest = min(p, 1 - p)
        assert abs(number(text) / scale - p) <= 0.0501 * rest + 1e-16
        part = re.sub(r".*\.|\D.*", "", text) if "." in text else ""
        assert len(part) >= decimals or "e" in text
        assert len(part) <= decimals or not part.endswith("0")


@given(PROBABILITY)
@settings(deadline=None, max_examples=200)
def test_a_decimal_has_four_figures_and_a_percentage_is_read_back(p):
    if not (0 < 1 - p < 1.1e-9):
        assert float(decimal(p)) == pytest.approx(p, rel=5.01e-4)
        assert from_percent(percent(p)) == pytest.approx(p, rel=0.0501)


@pytest.mark.parametrize(
    ("value", "shown", "plain"),
    [
        (0.00001, "0.001 %", "0.00001"),
        (0.000001, "0.0001 %", "0.000001"),
        (0.99999, "99.999 %", "0.99999"),
        (0.52381, "52.4 %", "0.5238"),
        (0.9167, "91.7 %", "0.9167"),
        (0.0, "0.0 %", "0"),
        (1.0, "100.0 %", "1"),
        (0.0625, "6.3 %", "0.0625"),  # halves upwards, as browsers write them
        (3e-15, "3e-13 %", "3e-15"),
        (1 - 1e-12, "> 99.9999999 %", "> 0.999999999"),
        (-0.031, "−3.1 %", "−0.031"),
        (2.5, "250.0 %", "2.5"),
        (math.nan, "–", "–"),
    ],
)
def test_texts(value, shown, plain):
    assert percent(value) == shown
    assert decimal(value) == plain


@pytest.mark.parametrize("text", ["", "%", "much", "30 of 100", "1%%", "--3"])
def test_what_is_no_percentage_is_none(text):
    assert math.isnan(from_percent(text))


@pytest.mark.parametrize(
    ("text", "is_one"), [("1", True), ("-2.5e3", True), ("nan", True), ("", False), ("1,5", False)]
)
def test_what_reads_as_a_number(text, is_one):
    assert is_number(text) is is_one


@given(st.lists(st.floats(), max_size=5), st.text())
@settings(deadline=None)
def test_a_document_is_json_that_a_strict_reader_reads(numbers, text):
    def refuse(constant):
        raise AssertionError(constant)

    read = json.loads(json_text({"numbers": numbers, text: (text, None)}), parse_constant=refuse)
    assert read["numbers"] == [x if math.isfinite(x) else None for x in numbers]


def test_a_fraction_is_a_number_or_a_percentage_and_nothing_else():
    assert (fraction("12.5%"), fraction(" .125 ")) == (0.125, 0.125)
    for text in ("much", "much%", "nan%", "%"):
        with pytest.raises(ValueError, match=r"float|%"):
            fraction(text)


def test_what_is_1_by_rounding_alone_is_written_as_less():
    assert short_of_1([0.0, 1.0, 0.0]) == [0.0, 1.0, 0.0]
    assert [decimal(p) for p in short_of_1([1e-200, 1.0])] == ["1e-200", "> 0.999999999"]
