"""Lines over an axis: learning, precision against base rate, posterior against prevalence."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bayesight.checks import check
from bayesight.evaluation.arrays import floats
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
    even_ticks,
    grid,
    horizontal_axis,
    padded,
    plain,
    rule,
)
from bayesight.report.figures.drawing import picture, text
from bayesight.report.words import rate
from bayesight.types import FloatArray

__all__ = ["Curve", "learning_curve", "rate_curve"]

_COLOURS = ("c1", "c2", "c3", "c4")
_DASHES = ("", "5 2", "1 1.5", "6.4 1.6 1 1.6")
_TOP = 1.02  # a curve at 1 is not cut in half


@dataclass(frozen=True)
class Curve:
    """A line with an optional band.

    Attributes:
        y: heights (G,), fractions in [0, 1].
        low: lower edge of the band (G,), or None.
        high: its upper edge (G,), or None.
    """

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
    ticks = even_ticks(axes.y.low, axes.y.high, 7)
    epochs_shown = even_ticks(axes.x.low, axes.x.high, 7, whole=True)
    parts = grid(axes, ticks, quantity, rate if quantity == "accuracy" else plain(ticks))
    parts += horizontal_axis(axes, epochs_shown, "epoch", plain(epochs_shown))
    for y, role, dash in lines:
        parts.append(curve(axes, x, y, role, dash=dash))
        if np.isfinite(y).sum() == 1:
            only = int(np.flatnonzero(np.isfinite(y))[0])
            parts.append(dot(axes, float(x[only]), float(y[only]), role, 3))
    if best_epoch is not None:
        parts.append(rule(axes, best_epoch, "muted", dash="2 2"))
    kept = f"; the weights of epoch {best_epoch} were kept" if best_epoch is not None else ""
    said = f"{quantity} over {len(x)} epochs on training and validation data{kept}"
    return picture(WIDTH, HEIGHT, said, parts)


def rate_curve(
    base_rate: npt.ArrayLike,
    curves: list[Curve],
    axis: tuple[str, str],
    *,
    marks: dict[str, float] | None = None,
    log: bool = True,
) -> str:
    """Fractions against a base rate, as precision is against prevalence.

    Args:
        base_rate: base rates (G,), ascending, in [0, 1]; above 0 on a logarithmic axis.
        curves: up to four lines over it, in the order of the colours; the second is dashed.
        axis: labels of the horizontal and the vertical axis, and what a screen reader says.
        marks: base rates to point out by name: a vertical line, and a dot where it meets the first curve.
        log: a logarithmic horizontal axis, for base rates that are far apart.

    Returns:
        An SVG element.
    """
    x = floats(base_rate)
    marks = {name: value for name, value in (marks or {}).items() if x[0] <= value <= x[-1]}
    top = 36 + (0, 18, 32)[min(len(marks), 2)]
    height = HEIGHT + top - 36
    axes = axes_of(Scale(float(x[0]), float(x[-1]), log), Scale(0, _TOP), height=height, top=top)
    parts = grid(axes, [0, 0.25, 0.5, 0.75, 1], axis[1])
    parts += horizontal_axis(axes, _base_rate_ticks(axes.x), axis[0])
    for line, role, dash in zip(curves, _COLOURS, _DASHES, strict=False):
        if line.low is not None and line.high is not None:
            parts.append(area(axes, x, (line.low, line.high), role, 0.18))
        parts.append(curve(axes, x, line.y, role, width=2.2, dash=dash))
    parts += _marked(axes, x, floats(curves[0].y), marks)
    points = "; ".join(f"{name} {rate(value)}" for name, value in marks.items())
    said = f"{axis[1]} against {axis[0]}" + (f"; marked: {points}" if points else "")
    return picture(WIDTH, height, said, parts)


def _marked(axes: Axes, x: FloatArray, y: FloatArray, marks: dict[str, float]) -> list[ET.Element]:
    """A vertical line with its name above the chart, and a dot on the curve, for each mark."""
    parts: list[ET.Element] = []
    taken: list[float] = []
    for name, value in sorted(marks.items(), key=lambda item: item[1]):
        along = float(axes.x.share(value))
        height = float(np.interp(along, axes.x.share(x), y))
        parts.append(rule(axes, value, "muted", dash="2 2", top=_TOP))
        parts.append(dot(axes, value, height, "c1", 3.5, edge="paper"))
        level = sum(abs(along - other) < 0.3 for other in taken)
        side = "start" if along < 0.12 else "end" if along > 0.88 else "middle"
        above = axes.top - 3 - 14 * level
        at = float(axes.across(value))
        parts.append(text(at, above, name, role="muted", anchor=side, size=TEXT - 1))
        taken.append(along)
    return parts


def _base_rate_ticks(scale: Scale) -> list[float]:
    """Decades when logarithmic."""
    if not scale.log:
        return even_ticks(scale.low, scale.high, 6)
    decades = (1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1)
    return [tick for tick in decades if scale.low <= tick <= scale.high * (1 + 1e-9)]
