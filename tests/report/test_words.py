"""Numbers and names as people read them."""

import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.bayes.rates import Estimate
from bayesight.formatting import THIN
from bayesight.report import words

fractions = st.floats(0, 1)


def number(text: str) -> float:
    return float(text.replace(THIN, "").rstrip("%").lstrip("<>").replace(",", ""))


@settings(deadline=None, max_examples=200)
@given(fractions, st.integers(0, 4))
def test_a_fraction_short_of_0_or_1_is_never_written_as_0_or_100(value, digits):
    shown = words.percent(value, digits)
    assert abs(number(shown) / 100 - value) <= 10.0 ** -(digits + 2) * 1.001
    if 0 < value < 1:
        assert number(shown) not in (0, 100) or shown.startswith(("<", ">"))


@settings(deadline=None, max_examples=200)
@given(fractions)
def test_a_rate_keeps_two_figures_of_the_smaller_side(value):
    shown = number(words.rate(value)) / 100
    rest = min(value, 1 - value)
    assert abs(shown - value) <= max(0.06 * rest, 1e-8)


@settings(deadline=None, max_examples=100)
@given(fractions)
def test_of_hundred_tells_the_same_fraction(value):
    base, part, spread = words.of_hundred(value)
    assert abs(number(part) / number(base) - value) <= 0.5 / number(base) + 1e-12
    assert spread == ""


def test_of_hundred_scales_its_interval():
    assert words.of_hundred(Estimate(mean=0.97, low=0.95, high=0.98)) == ("100", "97", "95–98")
    assert words.of_hundred(Estimate(mean=0.9962, low=0.9931, high=0.9987)) == ("1,000", "996", "993–999")
    assert words.of_hundred(0.9995)[:2] == ("10,000", "9,995")


@settings(deadline=None, max_examples=300)
@given(st.text(st.characters(), max_size=30))
def test_clean_text_can_be_stored_and_shown_and_stays_as_it_is(name):
    shown = words.clean(name)
    assert len(shown) == len(name)
    assert words.clean(shown) == shown
    element = ET.Element("t")
    element.text = shown
    assert ET.fromstring(ET.tostring(element, encoding="utf-8")).text in (shown, None)


def test_letters_of_any_script_stay():
    assert words.clean("Größe 猫 кот ñ é 🐈") == "Größe 猫 кот ñ é 🐈"


@pytest.mark.parametrize("call", [words.percent, words.rate, words.ratio])
def test_what_is_unknown_is_a_dash(call):
    assert call(math.nan) == "–"
    assert words.interval(Estimate(mean=0.5, low=math.nan, high=math.nan)) == ""


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1e-9, "< 0.001"),
        (0.00512, "0.0051"),
        (9.96, "10."),
        (350_000, "> 100,000"),
        (0, "0.0"),
        (math.inf, "infinite"),
    ],
)
def test_ratios_stay_short(value, shown):
    assert words.ratio(value) == shown


def test_sums_of_weights_are_counts_too():
    assert words.plural(2.5, "image") == "2.5 images"
    assert words.joined([]) == "none"
    assert words.duration(59.96) == f"60.0{THIN}s"
    assert words.duration(119.7) == f"2{THIN}min 0{THIN}s"
    assert words.signed(-0.00001) == "0.0"
