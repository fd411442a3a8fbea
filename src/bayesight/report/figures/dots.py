"""Natural frequencies: a thousand people as dots."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from itertools import islice

from bayesight.bayes.frequencies import NaturalFrequencies
from bayesight.checks import check
from bayesight.language import tr
from bayesight.report.figures.drawing import node, picture
from bayesight.report.figures.ink import css

__all__ = ["people_dots"]

_PITCH = 10.5
_RADIUS = 3.8


def people_dots(counts: NaturalFrequencies, columns: int = 40) -> str:
    """Every person a dot: found and false alarms filled, the missed as rings, the cleared pale.

    Args:
        counts: of people, a few thousand at most.
        columns: dots in a row.

    Returns:
        An SVG element.

    Raises:
        InvalidInput: more than 10,000 people.
    """
    people = counts.people
    check(people <= 10_000, "people_dots", f"got {people} people", "at most 10,000")
    places = ((_PITCH * (i % columns + 0.5), _PITCH * (i // columns + 0.5)) for i in range(people))
    parts = [
        _filled(islice(places, counts.tp), "c1", 2 * _RADIUS),
        _rings(islice(places, counts.fn), "c1"),
        _filled(islice(places, counts.fp), "c2", 2 * _RADIUS),
        _filled(islice(places, counts.tn), "grid", 2 * _RADIUS - 1.6),
    ]
    rows = -(-people // columns)
    label = tr(
        "{people} people as dots: {tp} affected and found, {fn} affected and missed, {fp} "
        "false alarms, {tn} rightly cleared",
        people=people,
        tp=counts.tp,
        fn=counts.fn,
        fp=counts.fp,
        tn=counts.tn,
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
