"""Natural frequencies: the rates of a test as whole people."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bayesight.bayes.rates import Rates
from bayesight.checks import check

SMALLEST, LARGEST = 1000, 10**15
"""Populations that are chosen; beyond the largest, floating-point numbers do not count people any more."""

_NOISE = 1e-9


@dataclass(frozen=True)
class NaturalFrequencies:
    """Whole people: ill and positive, ill and negative, healthy and positive, healthy and negative."""

    tp: int
    fn: int
    fp: int
    tn: int

    @property
    def people(self) -> int:
        """All of them."""
        return self.tp + self.fn + self.fp + self.tn

    @property
    def ill(self) -> int:
        """Those who have it."""
        return self.tp + self.fn

    @property
    def positives(self) -> int:
        """Those who test positive."""
        return self.tp + self.fp


def natural_frequencies(
    *, prevalence: float, sensitivity: float, false_alarm: float, people: int | None = None
) -> NaturalFrequencies:
    """Expected numbers of people, rounded to whole ones that add up, by largest remainders.

    Rates told this way are understood by far more readers (Gigerenzer and Hoffrage 1995, How to Improve
    Bayesian Reasoning Without Instruction). Of equal remainders those who are judged rightly come first. The
    page of the service does the same arithmetic in ``page/static/bayes.js``.

    Args:
        prevalence: P(ill), in [0, 1].
        sensitivity: P(positive | ill), in [0, 1].
        false_alarm: P(positive | healthy), in [0, 1].
        people: how many there are; None takes the smallest power of ten, of 1,000 to 10**15, in which whoever
            may occur is at least one person.

    Raises:
        InvalidInput: a rate outside [0, 1], or no people.

    Example:
        >>> natural_frequencies(prevalence=0.10, sensitivity=0.99, false_alarm=0.10)
        NaturalFrequencies(tp=99, fn=1, fp=90, tn=810)
        >>> natural_frequencies(prevalence=1e-6, sensitivity=0.9, false_alarm=0.01).people
        10000000
    """
    rates = Rates(sensitivity, false_alarm, prevalence)
    p, s, f = rates.prevalence, rates.sensitivity, rates.false_alarm
    cells = (p * s, p * (1 - s), (1 - p) * f, (1 - p) * (1 - f))
    if people is None:
        people = SMALLEST
        while people < LARGEST and any(0 < people * cell < 1 - _NOISE for cell in cells):
            people *= 10
    check(people >= 1, "people", f"got {people}", "at least 1")
    whole = [math.floor(people * cell + _NOISE) for cell in cells]
    left = [math.floor((people * cell - n) / _NOISE + 0.5) for cell, n in zip(cells, whole, strict=True)]
    # sorted() keeps the order of equals.
    for cell in sorted((0, 3, 2, 1), key=lambda i: -left[i])[: people - sum(whole)]:
        whole[cell] += 1
    return NaturalFrequencies(*whole)
