"""Natural frequencies: a thousand people as dots."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from bayesight.checks import check, probability
from bayesight.report.figures.drawing import node, picture
from bayesight.report.figures.ink import css

__all__ = ["People", "natural_frequencies", "people_dots"]

_PITCH = 10.5
_RADIUS = 3.8


@dataclass(frozen=True)
class People:
    """How many of a number of people fall into each of the four cells of a test.

    Attributes:
        found: affected, and the test says so (true positives).
        missed: affected, and the test does not say so (false negatives).
        false_alarms: not affected, and the test says they are (false positives).
        cleared: not affected, and the test says so (true negatives).
    """

    found: int
    missed: int
    false_alarms: int
    cleared: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.found + self.missed + self.false_alarms + self.cleared


def natural_frequencies(
    prevalence: float, sensitivity: float, false_alarm: float, people: int = 1000
) -> People:
    """Rates as whole people: first the affected are rounded, then each of the two groups is divided.

    Args:
        prevalence: P(affected), in [0, 1].
        sensitivity: P(positive | affected), in [0, 1].
        false_alarm: P(positive | not affected), in [0, 1].
        people: how many there are in all.

    Raises:
        InvalidInput: a rate outside [0, 1], or nobody.

    Example:
        >>> natural_frequencies(0.10, 0.99, 0.10)
        People(found=99, missed=1, false_alarms=90, cleared=810)
    """
    for name, value in (
        ("prevalence", prevalence),
        ("sensitivity", sensitivity),
        ("false_alarm", false_alarm),
    ):
        probability(value, name)
    check(people >= 1, "natural_frequencies people", f"got {people}", "at least 1")
    affected = _nearest(people * prevalence)
    found = _nearest(affected * sensitivity)
    alarms = _nearest((people - affected) * false_alarm)
    return People(found, affected - found, alarms, people - affected - alarms)


def people_dots(people: People, columns: int = 40) -> str:
    """Every person a dot: found and false alarms filled, the missed as rings, the cleared pale.

    Args:
        people: the four counts, a few thousand at most.
        columns: dots in a row.

    Returns:
        An SVG element.

    Raises:
        InvalidInput: more than 10,000 people.
    """
    check(people.total <= 10_000, "people_dots", f"got {people.total} people", "at most 10,000")
    places = ((_PITCH * (i % columns + 0.5), _PITCH * (i // columns + 0.5)) for i in range(people.total))
    parts = [
        _filled(islice(places, people.found), "c1", 2 * _RADIUS),
        _rings(islice(places, people.missed), "c1"),
        _filled(islice(places, people.false_alarms), "c2", 2 * _RADIUS),
        _filled(islice(places, people.cleared), "grid", 2 * _RADIUS - 1.6),
    ]
    rows = -(-people.total // columns)
    label = (
        f"{people.total} people as dots: {people.found} affected and found, {people.missed} affected and "
        f"missed, {people.false_alarms} false alarms, {people.cleared} rightly cleared"
    )
    return picture(_PITCH * columns, _PITCH * rows, label, parts)


def _filled(places: Iterable[tuple[float, float]], role: str, width: float) -> ET.Element:
    """Dots as strokes of no length with round ends: one short path for all of them."""
    d = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in places)
    return node(
        "path", d=d, style=f"stroke:{css(role)};stroke-width:{width:g};stroke-linecap:round;fill:none"
    )


def _rings(places: Iterable[tuple[float, float]], role: str) -> ET.Element:
    """Hollow dots."""
    r = _RADIUS - 0.8
    arc = f"a{r:g} {r:g} 0 1 0 {2 * r:g} 0a{r:g} {r:g} 0 1 0 {-2 * r:g} 0"
    d = "".join(f"M{x - r:.1f} {y:.1f}{arc}" for x, y in places)
    return node("path", d=d, style=f"stroke:{css(role)};stroke-width:1.6;fill:none")


def _nearest(value: float) -> int:
    """The nearest whole number, halves upwards: a rounding error must not turn 4.5 into 4."""
    return int(value + 0.5 + 1e-9)
