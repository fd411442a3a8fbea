"""Several lines over the same axis, each named where it ends: what was watched while something trained."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bayesight.checks import check
from bayesight.evaluation.arrays import floats
from bayesight.report.figures.canvas import (
    TEXT,
    Axes,
    Scale,
    area,
    curve,
    even_ticks,
    grid,
    horizontal_axis,
    padded,
    plain,
)
from bayesight.report.figures.drawing import node, picture, shorten, text, text_width
from bayesight.report.figures.ink import css

__all__ = ["Line", "line_chart"]

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 620, 320, 62, 34, 48
_ROLES = ("c1", "c2", "c3", "c4")
_DASHES = ("", "5 2", "1 1.5", "6.4 1.6 1 1.6")
_LOG_SPAN = 20.0  # the largest value over the smallest from which an axis counts factors
_GAP = 16.0
_LONGEST_NAME = 22


@dataclass(frozen=True)
class Line:
    """A line with an optional band.

    Args:
        name: said where the line ends.
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
    axes = Axes(x_scale, y_scale, _LEFT, _WIDTH - right, _TOP, _HEIGHT - _BOTTOM)
    ticks = _ticks(y_scale)
    counted = all(bool((floats(line.x) % 1 == 0).all()) for line in drawn)
    x_ticks = even_ticks(x_scale.low, x_scale.high, 6, whole=counted)
    words = (lambda value: f"{value:g}") if y_scale.log else plain(ticks)
    parts = grid(axes, ticks, y_label, words)
    parts += horizontal_axis(axes, x_ticks, x_label, plain(x_ticks))
    for number, line in enumerate(drawn):
        parts += _drawn(axes, line, *_style(number))
    parts += _names(axes, drawn)
    said = "; ".join(f"{line.name} ends at {floats(line.y)[-1]:.3g}" for line in drawn)
    return picture(_WIDTH, _HEIGHT, f"{y_label} over {x_label}: {said}", parts)


def _vertical(values: list[npt.NDArray[np.float64]]) -> Scale:
    together = np.concatenate(values)
    finite = together[np.isfinite(together)]
    if finite.size and finite.min() > 0 and finite.max() / finite.min() >= _LOG_SPAN:
        return Scale(float(finite.min()) / 1.15, float(finite.max()) * 1.15, log=True)
    return padded(values, 0.06)


def _ticks(scale: Scale) -> list[float]:
    if not scale.log:
        return even_ticks(scale.low, scale.high, 6)
    exponents = range(int(np.floor(np.log10(scale.low))), int(np.ceil(np.log10(scale.high))) + 1)
    steps = (1, 3) if scale.high / scale.low < 1e4 else (1,)
    ticks = [float(f"{step}e{e}") for e in exponents for step in steps]
    return [tick for tick in ticks if scale.low <= tick <= scale.high]


def _style(number: int) -> tuple[str, str]:
    """Colour and dashes of the n-th line: all colours first, then all again with the next dashes."""
    turn = number // len(_ROLES)
    return _ROLES[number % len(_ROLES)], _DASHES[(number + turn) % len(_DASHES)]


def _drawn(axes: Axes, line: Line, role: str, dash: str) -> list[ET.Element]:
    parts = []
    if line.low is not None and line.high is not None:
        low, high = (np.maximum(floats(edge), axes.y.low) for edge in (line.low, line.high))
        parts.append(area(axes, line.x, (low, np.minimum(high, axes.y.high)), role, 0.15))
    parts.append(curve(axes, line.x, line.y, role, width=2.0, dash=dash))
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
        lengths = " ".join(f"{float(part) * 2:g}" for part in dash.split())
        style = f"stroke:{css(role)};stroke-width:2"
        more = {"stroke_dasharray": lengths} if dash else {}
        parts.append(node("line", x1=axes.right + 3, y1=y, x2=axes.right + 13, y2=y, style=style, **more))
        parts.append(text(axes.right + 16, y + 4.5, _short(lines[number]), size=TEXT))
    return parts


def _short(line: Line) -> str:
    return shorten(line.name, _LONGEST_NAME)
