"""Figures a script moves, drawn with the report's pen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from bayesight.bayes.frequencies import SMALLEST, NaturalFrequencies, natural_frequencies
from bayesight.checks import check
from bayesight.language import tr
from bayesight.report.figures import people_dots
from bayesight.report.figures.axes import HEIGHT, QUARTERS, WIDTH, Axes, Axis
from bayesight.report.figures.drawing import dot, node, picture, rect, text
from bayesight.report.words import count, rate
from bayesight.types import FloatArray

__all__ = ["RARE", "counted", "novelty_strip", "posterior_curves", "share_dots"]

RARE = 1e-6
"""The smallest base rate a slider reaches; 1 - RARE is the largest."""

_POINTS = 161
_STRIP_HEIGHT = 74


def share_dots(share: float, name: str) -> Markup:
    """A thousand images as dots, ``share`` of them of one class.

    Args:
        share: in [0, 1].
        name: what the filled ones are, for a screen reader.
    """
    people = counted(share, SMALLEST)
    said = tr("{count} of 1,000 dots are filled: {name}", count=count(people.tp), name=name)
    return people_dots(people, label=said)


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
    prevalence = Axis(
        RARE, 1, tr("how common it is here (prevalence)"), (1e-6, 1e-4, 1e-3, 1e-2, 0.1, 1), log=True
    )
    axes = Axes(prevalence, Axis(0, 1.02, tr("probability of being ill"), QUARTERS), top=32)
    now = float(_after(np.array([here]), sensitivity, false_alarm)[0])
    moving = {
        "here": axes.rule(here, "muted", dash="2 2"),
        "negative": axes.curve(x, _after(x, 1 - sensitivity, 1 - false_alarm), "c2", 2.2, dash="5 2"),
        "positive": axes.curve(x, _after(x, sensitivity, false_alarm), "c1", 2.4),
        "now": axes.dot(here, now, "c1", 5),
    }
    for name, element in moving.items():
        element.set("class", name)
    places = {
        "left": axes.left,
        "right": axes.right,
        "bottom": axes.bottom,
        "one": axes.down(1.0),
        "low": RARE,
    }
    said = tr(
        "Probability of being ill against prevalence; at {here}, {now} after a positive",
        here=rate(here),
        now=rate(now),
    )
    data = {f"data_{name}": f"{value:g}" for name, value in places.items()}
    return picture(WIDTH, HEIGHT, said, [*axes.frame(), *moving.values()], **data)


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
    axes = Axes(Axis(low, high), Axis(0, 1), left=8, right=WIDTH - 8, top=18, bottom=_STRIP_HEIGHT - 26)
    shown = known[(known >= low) & (known <= high)]
    ticks = "".join(f"M{x:.1f} {axes.top + 3:.1f}V{axes.bottom - 3:.1f}" for x in axes.across(shown))
    border, at = axes.across([limit, min(here, high - 0.3)]).tolist()
    words = tr("this image →") if here > high - 0.3 else tr("this image")
    below = min(max(at, axes.left + 36), axes.right - 40), _STRIP_HEIGHT - 6
    parts = [
        rect(border, axes.top, axes.right - border, axes.bottom - axes.top, fill="c2", fill_opacity=0.16),
        node("path", d=ticks, stroke="c1", stroke_width=1.2, stroke_opacity=0.32),
        axes.rule(limit, "c2", 1.5),
        dot(at, (axes.top + axes.bottom) / 2, "ink", 6.5),
        text(axes.left, 12, tr("like those it learned from"), role="muted"),
        text(axes.right, 12, tr("unknown"), role="muted", anchor="end"),
        text(*below, words, anchor="middle"),
    ]
    said = tr(
        "Novelty {here:.1f}; unknown begins at {limit:.1f}; known images lie around 0", here=here, limit=limit
    )
    return picture(WIDTH, _STRIP_HEIGHT, said, parts)


def _after(prevalence: FloatArray, if_ill: float, if_well: float) -> FloatArray:
    """P(ill | result) at every prevalence; NaN where the result cannot happen."""
    ill, well = prevalence * if_ill, (1 - prevalence) * if_well
    with np.errstate(invalid="ignore"):
        after: FloatArray = ill / (ill + well)
    return after
