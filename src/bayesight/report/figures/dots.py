"""Natural frequencies: a thousand people as dots."""

from __future__ import annotations

from itertools import islice

from markupsafe import Markup

from bayesight.bayes.frequencies import NaturalFrequencies
from bayesight.checks import check
from bayesight.language import tr
from bayesight.report.figures.drawing import node, picture

_PITCH, _COLUMNS = 10.5, 40
_RADIUS = 3.8
_RING = "a3 3 0 1 0 6 0a3 3 0 1 0 -6 0"


def people_dots(counts: NaturalFrequencies, *, label: str = "") -> Markup:
    """Every person a dot: found and false alarms filled, the missed as rings, the cleared pale.

    A dot is a stroke of no length with round ends, so that one short path holds all of a kind.

    Args:
        counts: of people, 10,000 at most.
        label: what a screen reader says in its place, if not all four counts.

    Raises:
        InvalidInput: more than 10,000 people.
    """
    people = counts.people
    check(people <= 10_000, "people_dots", f"got {people} people", "at most 10,000")
    places = ((_PITCH * (i % _COLUMNS + 0.5), _PITCH * (i // _COLUMNS + 0.5)) for i in range(people))
    kinds = (
        (counts.tp, "c1", 2 * _RADIUS, 0, "h0"),
        (counts.fn, "c1", 1.6, 3, _RING),
        (counts.fp, "c2", 2 * _RADIUS, 0, "h0"),
        (counts.tn, "grid", 2 * _RADIUS - 1.6, 0, "h0"),
    )
    parts = []
    for n, role, width, left, mark in kinds:
        d = "".join(f"M{x - left:.1f} {y:.1f}{mark}" for x, y in islice(places, n))
        parts.append(node("path", d=d, stroke=role, stroke_width=width, stroke_linecap="round", fill="none"))
    label = label or tr(
        "{people} people as dots: {tp} affected and found, {fn} affected and missed, {fp} "
        "false alarms, {tn} rightly cleared",
        people=people,
        tp=counts.tp,
        fn=counts.fn,
        fp=counts.fp,
        tn=counts.tn,
    )
    return picture(_PITCH * _COLUMNS, _PITCH * -(-people // _COLUMNS), label, parts)
