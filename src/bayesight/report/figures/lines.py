"""Lines over an axis: learning, precision against base rate, and named lines, as a loss while it falls."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bayesight.checks import check
from bayesight.evaluation.arrays import floats
from bayesight.language import tr
from bayesight.report.figures.canvas import (
    HEIGHT,
    TEXT,
    WIDTH,
    Axes,
    Scale,
    area,
    axes_of,
    curve,
    dot,
    grid,
    horizontal_axis,
    padded,
    plain,
    rule,
    ticks_of,
)
from bayesight.report.figures.drawing import picture, shorten, stroke, text, text_width
from bayesight.report.words import rate
from bayesight.types import FloatArray

__all__ = ["Line", "learning_curve", "line_chart", "rate_curve"]

_WIDE = (620, 320)
_ROLES = ("c1", "c2", "c3", "c4")
_DASHES = ("", "5 2", "1 1.5", "6.4 1.6 1 1.6")
_ONE = 1.02  # a curve at 1 is not cut in half
_LOG_SPAN = 20.0  # the largest value over the smallest from which an axis counts factors
_GAP = 16.0
_LONGEST_NAME = 22


@dataclass(frozen=True)
class Line:
    """A line with an optional band.

    Args:
        name: said where the line ends, in a chart of named lines.
        x: (G,) ascending.
        y: (G,).
        low: lower edge of the band (G,), or None.
        high: its upper edge (G,), or None.
    """

    name: str
    x: npt.ArrayLike
    y: npt.ArrayLike
    low: npt.ArrayLike | None = None
    high: npt.ArrayLike | None = None


def learning_curve(
    epochs: npt.ArrayLike,
    train: npt.ArrayLike | None,
    validation: npt.ArrayLike | None,
    quantity: str,
    *,
    best_epoch: int | None = None,
) -> str:
    """One quantity over the epochs: training dashed in the second colour, validation solid in the first.

    Args:
        epochs: epoch numbers (E,).
        train: the quantity on training data (E,), NaN where unknown, or None.
        validation: the same on validation data.
        quantity: "accuracy" (a fraction, shown in per cent) or the label of the axis.
        best_epoch: the epoch whose weights were kept, marked.

    Returns:
        An SVG element.
    """
    x = floats(epochs)
    both = ((train, "c2", "4 2"), (validation, "c1", ""))
    lines = [(floats(y), role, dash) for y, role, dash in both if y is not None]
    for y, _, _ in lines:
        check(y.shape == x.shape, "learning_curve", f"{y.shape} for {x.shape} epochs", "one value an epoch")
    axes = axes_of(padded([x], 0.02), padded([y for y, _, _ in lines], 0.08))
    ticks = ticks_of(axes.y, 7)
    epochs_shown = ticks_of(axes.x, 7, whole=True)
    parts = grid(axes, ticks, quantity, rate if quantity == tr("accuracy") else plain(ticks))
    parts += horizontal_axis(axes, epochs_shown, tr("epoch"), plain(epochs_shown))
    for y, role, dash in lines:
        parts.append(curve(axes, x, y, role, dash=dash))
        if np.isfinite(y).sum() == 1:
            only = int(np.flatnonzero(np.isfinite(y))[0])
            parts.append(dot(axes, float(x[only]), float(y[only]), role, 3))
    if best_epoch is not None:
        parts.append(rule(axes, best_epoch, "muted", dash="2 2"))
    kept = (
        tr("; the weights of epoch {best_epoch} were kept", best_epoch=best_epoch)
        if best_epoch is not None
        else ""
    )
    said = tr(
        "{quantity} over {epochs} epochs on training and validation data{kept}",
        quantity=quantity,
        epochs=len(x),
        kept=kept,
    )
    return picture(WIDTH, HEIGHT, said, parts)


def rate_curve(
    curves: Sequence[Line],
    axis: tuple[str, str],
    *,
    marks: dict[str, float] | None = None,
    log: bool = True,
) -> str:
    """Fractions against a base rate, as precision is against prevalence.

    Args:
        curves: up to four lines, told apart by colours and dashes, over the same base rates in [0, 1], which
            are above 0 on a logarithmic axis.
        axis: labels of the horizontal and the vertical axis, and what a screen reader says.
        marks: base rates to point out by name: a vertical line, and a dot where it meets the first curve.
        log: a logarithmic horizontal axis, for base rates that are far apart.

    Returns:
        An SVG element.
    """
    x = floats(curves[0].x)
    marks = {name: value for name, value in (marks or {}).items() if x[0] <= value <= x[-1]}
    top = 36 + (0, 18, 32)[min(len(marks), 2)]
    height = HEIGHT + top - 36
    axes = axes_of(Scale(float(x[0]), float(x[-1]), log), Scale(0, _ONE), size=(WIDTH, height), top=top)
    parts = grid(axes, [0, 0.25, 0.5, 0.75, 1], axis[1])
    parts += horizontal_axis(axes, ticks_of(axes.x, 6), axis[0])
    for number, line in enumerate(curves):
        parts += _drawn(axes, line, *_style(number))
    parts += _marked(axes, x, floats(curves[0].y), marks)
    points = "; ".join(f"{name} {rate(value)}" for name, value in marks.items())
    said = tr("{quantity} against {over}", quantity=axis[1], over=axis[0]) + (
        tr("; marked: {points}", points=points) if points else ""
    )
    return picture(WIDTH, height, said, parts)


def line_chart(lines: Sequence[Line], x_label: str, y_label: str) -> str:
    """Lines told apart by colour, by dashes, and by their names at the right.

    The vertical axis counts factors where all values are positive and the largest is twenty times the
    smallest. The horizontal one has whole numbers where all values are.

    Args:
        lines: at least one with a point.
        x_label: of the horizontal axis.
        y_label: of the vertical axis.

    Returns:
        An SVG element.

    Raises:
        InvalidInput: nothing to draw.
    """
    drawn = [line for line in lines if floats(line.y).size]
    check(bool(drawn), "line_chart", "no line with a point", "at least one")
    right = 16 + max(text_width(_short(line)) for line in drawn)
    y_scale = _vertical([floats(line.y) for line in drawn])
    x_scale = padded([floats(line.x) for line in drawn], 0.0)
    axes = axes_of(x_scale, y_scale, size=_WIDE, left=62, right=right, top=34)
    ticks = ticks_of(y_scale, 6)
    counted = all(bool((floats(line.x) % 1 == 0).all()) for line in drawn)
    x_ticks = ticks_of(x_scale, 6, whole=counted)
    words = (lambda value: f"{value:g}") if y_scale.log else plain(ticks)
    parts = grid(axes, ticks, y_label, words)
    parts += horizontal_axis(axes, x_ticks, x_label, plain(x_ticks))
    for number, line in enumerate(drawn):
        parts += _drawn(axes, line, *_style(number))
    parts += _names(axes, drawn)
    said = "; ".join(
        tr("{name} ends at {last:.3g}", name=line.name, last=floats(line.y)[-1]) for line in drawn
    )
    return picture(
        *_WIDE, tr("{y_label} over {x_label}: {said}", y_label=y_label, x_label=x_label, said=said), parts
    )


def _vertical(values: list[npt.NDArray[np.float64]]) -> Scale:
    together = np.concatenate(values)
    finite = together[np.isfinite(together)]
    if finite.size and finite.min() > 0 and finite.max() / finite.min() >= _LOG_SPAN:
        return Scale(float(finite.min()) / 1.15, float(finite.max()) * 1.15, log=True)
    return padded(values, 0.06)


def _marked(axes: Axes, x: FloatArray, y: FloatArray, marks: dict[str, float]) -> list[ET.Element]:
    """A vertical line with its name above the chart, and a dot on the curve, for each mark."""
    parts: list[ET.Element] = []
    taken: list[float] = []
    for name, value in sorted(marks.items(), key=lambda item: item[1]):
        along = float(axes.x.share(value))
        height = float(np.interp(along, axes.x.share(x), y))
        parts.append(rule(axes, value, "muted", dash="2 2", top=_ONE))
        parts.append(dot(axes, value, height, "c1", 3.5, edge="paper"))
        level = sum(abs(along - other) < 0.3 for other in taken)
        side = "start" if along < 0.12 else "end" if along > 0.88 else "middle"
        above = axes.top - 3 - 14 * level
        at = float(axes.across(value))
        parts.append(text(at, above, name, role="muted", anchor=side, size=TEXT - 1))
        taken.append(along)
    return parts


def _style(number: int) -> tuple[str, str]:
    """Colour and dashes of the n-th line: all colours first, then all again with the next dashes."""
    turn = number // len(_ROLES)
    return _ROLES[number % len(_ROLES)], _DASHES[(number + turn) % len(_DASHES)]


def _drawn(axes: Axes, line: Line, role: str, dash: str) -> list[ET.Element]:
    parts = []
    if line.low is not None and line.high is not None:
        low, high = (np.maximum(floats(edge), axes.y.low) for edge in (line.low, line.high))
        parts.append(area(axes, line.x, (low, np.minimum(high, axes.y.high)), role, 0.15))
    parts.append(curve(axes, line.x, line.y, role, dash=dash))
    return parts


def _names(axes: Axes, lines: Sequence[Line]) -> list[ET.Element]:
    """Each name beside its line's end, moved apart where ends are close, with a stroke of the line."""
    ends = [float(axes.down(floats(line.y)[-1:])[0]) for line in lines]
    order = np.argsort(ends, kind="stable")
    places = np.array(ends)[order]
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + _GAP)
    overflow = max(0.0, float(places[-1]) - axes.bottom)
    places = places - overflow
    for i in range(len(places) - 2, -1, -1):
        places[i] = min(places[i], places[i + 1] - _GAP)
    parts: list[ET.Element] = []
    for number, y in zip(order.tolist(), places.tolist(), strict=True):
        role, dash = _style(number)
        parts.append(stroke((axes.right + 3, y), (axes.right + 13, y), role, 2, dash=dash))
        parts.append(text(axes.right + 16, y + 4.5, _short(lines[number]), size=TEXT))
    return parts


def _short(line: Line) -> str:
    return shorten(line.name, _LONGEST_NAME)
