"""Figures a script moves, drawn with the report's pen; and any figure made fit for a page without styles.

The content security policy of the page forbids style attributes. Every property a figure sets is also a
presentation attribute of SVG, so it is written as one.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from bayesight.bayes.frequencies import SMALLEST, NaturalFrequencies, natural_frequencies
from bayesight.checks import check
from bayesight.language import tr
from bayesight.report.figures import people_dots
from bayesight.report.figures.canvas import (
    HEIGHT,
    TEXT,
    WIDTH,
    Scale,
    axes_of,
    curve,
    dot,
    grid,
    horizontal_axis,
    rule,
)
from bayesight.report.figures.drawing import node, picture, text
from bayesight.report.figures.ink import css
from bayesight.report.words import count, rate
from bayesight.types import FloatArray

__all__ = ["RARE", "counted", "novelty_strip", "posterior_curves", "share_dots", "unstyled"]

RARE = 1e-6
"""The smallest base rate a slider reaches; 1 - RARE is the largest."""

_POINTS = 161
_LEFT_TO_CSS = ("font-family", "font-variant-numeric")
_STRIP_HEIGHT = 74


def unstyled(svg: str, *, label: str = "") -> Markup:
    """A figure with attributes where it had style; the page's stylesheet says fonts.

    Args:
        svg: an SVG element of our own.
        label: what a screen reader says in its place; empty keeps what it says.

    Example:
        >>> print(unstyled('<svg xmlns="http://www.w3.org/2000/svg"><path style="fill:none;x:2"/></svg>'))
        <svg xmlns="http://www.w3.org/2000/svg"><path fill="none" x="2" /></svg>
    """
    root = ET.fromstring(svg)  # noqa: S314  # drawn by us a moment ago
    for element in root.iter():
        for declaration in element.attrib.pop("style", "").split(";"):
            name, separator, value = declaration.partition(":")
            if separator and name.strip() not in _LEFT_TO_CSS:
                element.set(name.strip(), value.strip())
    if label:
        root.set("aria-label", label)
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704  # serialised, so escaped


def share_dots(share: float, name: str) -> Markup:
    """A thousand images as dots, ``share`` of them of one class.

    Args:
        share: in [0, 1].
        name: what the filled ones are, for a screen reader.
    """
    people = counted(share, SMALLEST)
    return unstyled(
        people_dots(people),
        label=tr("{count} of 1,000 dots are filled: {name}", count=count(people.tp), name=name),
    )


def counted(share: float, people: int | None = None) -> NaturalFrequencies:
    """A share as whole images: those of the class are the true positives, the others the true negatives."""
    return natural_frequencies(prevalence=share, sensitivity=1.0, false_alarm=0.0, people=people)


def posterior_curves(sensitivity: float, false_alarm: float, here: float) -> Markup:
    """Probability of being affected after a positive and after a negative, against the prevalence.

    Both curves, the line at ``here`` and the dot on it carry classes, and the figure the places of its axes,
    for a script to move them.

    Args:
        sensitivity: P(positive | affected).
        false_alarm: P(positive | not affected).
        here: the prevalence that applies, in [RARE, 1 - RARE].
    """
    x = 1 / (1 + np.exp(-np.linspace(np.log(RARE / (1 - RARE)), 0, _POINTS)))
    x = np.concatenate([x, 1 - x[-2::-1]])
    axes = axes_of(Scale(RARE, 1, log=True), Scale(0, 1.02), top=32)
    positive = _after(x, sensitivity, false_alarm)
    negative = _after(x, 1 - sensitivity, 1 - false_alarm)
    parts = grid(axes, [0, 0.25, 0.5, 0.75, 1], tr("probability of being ill"))
    parts += horizontal_axis(axes, [1e-6, 1e-4, 1e-3, 1e-2, 0.1, 1], tr("how common it is here (prevalence)"))
    now = float(_after(np.array([here]), sensitivity, false_alarm)[0])
    moving = {
        "here": rule(axes, here, "muted", dash="2 2", top=1.0),
        "negative": curve(axes, x, negative, "c2", width=2.2, dash="5 2"),
        "positive": curve(axes, x, positive, "c1", width=2.4),
        "now": dot(axes, here, now, "c1", 5, edge="paper"),
    }
    for name, element in moving.items():
        element.set("class", name)
    places = {"left": axes.left, "right": axes.right, "bottom": axes.bottom}
    places |= {"one": float(axes.down(1.0)), "low": RARE}
    root = ET.fromstring(  # noqa: S314  # drawn by us a moment ago
        picture(WIDTH, HEIGHT, "", [*parts, *moving.values()])
    )
    for name, value in places.items():
        root.set(f"data-{name}", f"{value:g}")
    said = tr(
        "Probability of being ill against prevalence; at {here}, {now} after a positive",
        here=rate(here),
        now=rate(now),
    )
    return unstyled(ET.tostring(root, encoding="unicode"), label=said)


def novelty_strip(scores: Sequence[float] | FloatArray, here: float, limit: float) -> Markup:
    """An image's novelty among images of known kinds, and the threshold of the unknown.

    Args:
        scores: novelty of images of known kinds (V,), standard deviations.
        here: novelty of this image.
        limit: from which an image is called unknown.
    """
    known = np.sort(np.asarray(scores, dtype=np.float64))
    check(known.size > 0, "novelty_strip", "no scores", "at least one")
    low = min(float(known[0]), here) - 0.3
    high = max(float(np.quantile(known, 0.995)), limit + 1.5, min(here, limit + 12)) + 0.3
    size = (WIDTH, _STRIP_HEIGHT)
    axes = axes_of(Scale(low, high), Scale(0, 1), size=size, left=8, right=8, top=18, bottom=26)
    shown = known[(known >= low) & (known <= high)]
    middle = (axes.top + axes.bottom) / 2
    ticks = "".join(f"M{x:.1f} {axes.top + 3:.1f}V{axes.bottom - 3:.1f}" for x in axes.across(shown))
    border = float(axes.across(limit))
    unknown = node(
        "rect", x=border, y=axes.top, width=axes.right - border, height=axes.bottom - axes.top,
        style=f"fill:{css('c2')};fill-opacity:0.16",
    )  # fmt: skip
    marks = node("path", d=ticks, style=f"stroke:{css('c1')};stroke-width:1.2;stroke-opacity:0.32")
    edge = rule(axes, limit, "c2", width=1.5)
    at = float(axes.across(min(here, high - 0.3)))
    ring = f"fill:{css('ink')};stroke:{css('paper')};stroke-width:2"
    me = node("circle", cx=at, cy=middle, r=6.5, style=ring)
    beyond = here > high - 0.3
    words = [
        text(axes.left, 12, tr("like those it learned from"), role="muted", size=TEXT),
        text(axes.right, 12, tr("unknown"), role="muted", anchor="end", size=TEXT),
        text(
            min(max(at, axes.left + 36), axes.right - 40), _STRIP_HEIGHT - 6,
            tr("this image →") if beyond else tr("this image"), anchor="middle", size=TEXT,
        ),
    ]  # fmt: skip
    said = tr(
        "Novelty {here:.1f}; unknown begins at {limit:.1f}; known images lie around 0", here=here, limit=limit
    )
    return unstyled(picture(*size, said, [unknown, marks, edge, me, *words]))


def _after(prevalence: FloatArray, if_ill: float, if_well: float) -> FloatArray:
    """P(ill | result) at every prevalence; NaN where the result cannot happen."""
    ill, well = prevalence * if_ill, (1 - prevalence) * if_well
    with np.errstate(invalid="ignore"):
        after: FloatArray = ill / (ill + well)
    return after
