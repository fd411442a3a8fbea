"""Natural frequencies: whole people who add up, nearest to what is expected, and enough of them."""

import itertools
from dataclasses import astuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.bayes.frequencies import LARGEST, NaturalFrequencies, natural_frequencies
from bayesight.errors import InvalidInput

RATE = st.floats(0, 1)


def cells(prevalence, sensitivity, false_alarm):
    p, s, f = prevalence, sensitivity, false_alarm
    return p * s, p * (1 - s), (1 - p) * f, (1 - p) * (1 - f)


def test_the_worked_example():
    rates = {"prevalence": 0.10, "sensitivity": 0.99, "false_alarm": 0.10}
    found = natural_frequencies(**rates)
    assert found == NaturalFrequencies(tp=99, fn=1, fp=90, tn=810)
    assert (found.people, found.ill, found.positives) == (1000, 100, 189)
    # 14.5 of the ill are found and 10.5 missed: halves go to those who are judged rightly.
    tied = natural_frequencies(prevalence=0.025, sensitivity=0.58, false_alarm=0.1)
    assert (tied.tp, tied.fn, tied.ill) == (15, 10, 25)


@given(RATE, RATE, RATE, st.integers(1, 100_000))
@settings(deadline=None, max_examples=300)
def test_no_other_whole_numbers_are_nearer(p, s, f, people):
    found = natural_frequencies(prevalence=p, sensitivity=s, false_alarm=f, people=people)
    expected = [people * cell for cell in cells(p, s, f)]
    assert sum(astuple(found)) == found.people == people

    def off(counts):
        return sum(abs(n - x) for n, x in zip(counts, expected, strict=True))

    assert all(abs(n - x) < 1 + 1e-6 and n >= 0 for n, x in zip(astuple(found), expected, strict=True))
    assert abs(found.ill - people * p) <= 1 + 1e-6
    for one, other in itertools.permutations(range(4), 2):
        moved = list(astuple(found))
        moved[one], moved[other] = moved[one] - 1, moved[other] + 1
        assert off(astuple(found)) <= off(moved) + 1e-6


@given(RATE, st.integers(1, 400), st.integers(1, 400))
@settings(deadline=None, max_examples=100)
def test_where_the_ill_are_whole_people_so_many_are_ill(s, ill, alarmed):
    found = natural_frequencies(prevalence=ill / 1000, sensitivity=s, false_alarm=alarmed / 1000, people=1000)
    assert found.ill == ill


@given(st.tuples(*[st.one_of(RATE, st.floats(-8, 0).map(lambda e: 10**e))] * 3))
@settings(deadline=None, max_examples=300)
def test_the_population_is_the_least_power_of_ten_that_leaves_nobody_out(rates):
    found = natural_frequencies(**dict(zip(("prevalence", "sensitivity", "false_alarm"), rates, strict=True)))
    least = min(x for x in cells(*rates) if x > 0)
    assert str(found.people).rstrip("0") == "1"
    assert 1000 <= found.people <= LARGEST
    for n, x in zip(astuple(found), cells(*rates), strict=True):
        assert (n >= 1) == (x > 0) or found.people == LARGEST
    if found.people < LARGEST:
        assert found.people * least > 1 - 1e-6
    if found.people > 1000:
        assert found.people / 10 * least < 1


@pytest.mark.parametrize(
    ("rates", "people", "message"),
    [
        ((10, 0.9, 0.1), None, r"prevalence: got 10; .* write 0\.1"),
        ((0.1, 0.9, float("nan")), None, "false_alarm: got nan"),
        ((0.1, 0.9, 0.1), 0, "people: got 0; expected at least 1"),
    ],
)
def test_bad_input_is_named(rates, people, message):
    names = ("prevalence", "sensitivity", "false_alarm")
    with pytest.raises(InvalidInput, match=message):
        natural_frequencies(**dict(zip(names, rates, strict=True)), people=people)


def test_rates_are_given_by_name():
    with pytest.raises(TypeError):
        natural_frequencies(0.1, 0.99, 0.1)
