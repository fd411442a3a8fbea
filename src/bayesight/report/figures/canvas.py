"""A chart with axes, drawn by hand as SVG: scales, ticks, grid, and marks placed by their values.

Drawing by hand keeps a page small and takes a thousandth of the time a plotting library needs to start.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bayesight.evaluation.arrays import floats
from bayesight.report.figures.drawing import dashes, node, stroke, text
from bayesight.report.figures.ink import css
from bayesight.report.words import rate
from bayesight.types import FloatArray

__all__ = [
    "HEIGHT",
    "TEXT",
    "WIDTH",
    "Axes",
    "Scale",
    "area",
    "axes_of",
    "curve",
    "dot",
    "even_ticks",
    "grid",
    "horizontal_axis",
    "padded",
    "plain",
    "rule",
    "ticks_of",
]

WIDTH, HEIGHT = 420, 290
"""Size of a chart in CSS pixels; the page scales it down on a narrow screen."""

TEXT = 13.0
"""Size of the text in a chart, in CSS pixels at its own size."""

_RIGHT = 22  # half of "100 %" below the last tick
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Scale:
    """Values from ``low`` to ``high`` along an axis.

    Args:
        low: the value where the axis begins.
        high: where it ends, above ``low``.
        log: equal factors, not equal differences, are equally far apart; both ends are above 0 then.
    """

    low: float
    high: float
    log: bool = False

    def share(self, values: npt.ArrayLike) -> FloatArray:
        """How far along the axis each value stands, 0 at ``low`` and 1 at ``high``.

        Example:
            >>> Scale(0.01, 1, log=True).share([0.01, 0.1, 1]).tolist()
            [0.0, 0.5, 1.0]
        """
        x, low, high = floats(values), self.low, self.high
        if self.log:
            x, low, high = np.log(x), math.log(low), math.log(high)
        along: FloatArray = (x - low) / (high - low)
        return along


@dataclass(frozen=True)
class Axes:
    """A rectangle on the page and what its sides mean.

    Args:
        x: scale from its left to its right side.
        y: scale from its bottom to its top.
        left: CSS pixels; so are the others.
        right: right side.
        top: upper side, smaller than ``bottom``.
        bottom: lower side.
    """

    x: Scale
    y: Scale
    left: float
    right: float
    top: float
    bottom: float

    def across(self, values: npt.ArrayLike) -> FloatArray:
        """Where values of the horizontal axis stand on the page."""
        return self.left + self.x.share(values) * (self.right - self.left)

    def down(self, values: npt.ArrayLike) -> FloatArray:
        """Where values of the vertical axis stand on the page."""
        return self.bottom + self.y.share(values) * (self.top - self.bottom)


def axes_of(
    x: Scale,
    y: Scale,
    *,
    size: tuple[float, float] = (WIDTH, HEIGHT),
    left: float = 58,
    right: float = _RIGHT,
    top: float = 36,
    bottom: float = 48,
) -> Axes:
    """The axes of a chart, with room for the words around it.

    Args:
        x: horizontal scale.
        y: vertical scale.
        size: width and height of the whole chart, in CSS pixels.
        left: room for what the ticks of the vertical axis mean.
        right: room for half a tick label, or for names of lines.
        top: room for the label of the vertical axis, and for names of marks below it.
        bottom: room for the tick labels and the label of the horizontal axis.
    """
    return Axes(x, y, left, size[0] - right, top, size[1] - bottom)


def grid(
    axes: Axes, ticks: Sequence[float], label: str, words: Callable[[float], str] = rate
) -> list[ET.Element]:
    """Lines at the ticks of the vertical axis, what they mean, and above them the label, upright."""
    parts = [text(4, 14, label, size=TEXT)]
    for value, y in zip(ticks, axes.down(ticks), strict=True):
        parts.append(stroke((axes.left, y), (axes.right, y), "grid", 0.8))
        parts.append(text(axes.left - 7, float(y) + 4.5, words(value), role="muted", anchor="end", size=TEXT))
    return parts


def horizontal_axis(
    axes: Axes, ticks: Sequence[float], label: str, words: Callable[[float], str] = rate
) -> list[ET.Element]:
    """The line below the axes; with a label, also what its ticks mean."""
    parts = [stroke((axes.left, axes.bottom), (axes.right, axes.bottom), "muted", 0.8)]
    if label:
        for value, x in zip(ticks, axes.across(ticks), strict=True):
            parts.append(
                text(float(x), axes.bottom + 18, words(value), role="muted", anchor="middle", size=TEXT)
            )
        middle = (axes.left + axes.right) / 2
        parts.append(text(middle, axes.bottom + 40, label, anchor="middle", size=TEXT))
    return parts


def curve(
    axes: Axes, x: npt.ArrayLike, y: npt.ArrayLike, role: str, *, width: float = 2.0, dash: str = ""
) -> ET.Element:
    """A line through the points; where a value is not finite it is interrupted.

    Args:
        axes: where.
        x: values of the horizontal axis (G,).
        y: values of the vertical axis (G,).
        role: its colour.
        width: in CSS pixels.
        dash: lengths of dashes and gaps, in widths of the line.
    """
    style = f"fill:none;stroke:{css(role)};stroke-width:{width:g};stroke-linejoin:round"
    more = {"stroke_dasharray": dashes(dash, width)} if dash else {"stroke_linecap": "round"}
    return node("path", d=_path(axes.across(x), axes.down(y)), style=style, **more)


def area(
    axes: Axes,
    x: npt.ArrayLike,
    edges: tuple[npt.ArrayLike, npt.ArrayLike],
    role: str,
    opacity: float,
) -> ET.Element:
    """The surface between two lines over the same horizontal values (G,), lower and upper."""
    across = axes.across(x)
    low, high = (axes.down(edge) for edge in edges)
    good = np.isfinite(low) & np.isfinite(high)
    outline = _path(
        np.concatenate([across[good], across[good][::-1]]), np.concatenate([low[good], high[good][::-1]])
    )
    return node(
        "path", d=outline + ("z" if outline else ""), style=f"fill:{css(role)};fill-opacity:{opacity:g}"
    )


def dot(axes: Axes, x: float, y: float, role: str, radius: float, *, edge: str = "") -> ET.Element:
    """A round mark at (x, y), with an edge in a colour of its own if one is given."""
    style = f"fill:{css(role)}" + (f";stroke:{css(edge)};stroke-width:1" if edge else "")
    return node("circle", cx=float(axes.across(x)), cy=float(axes.down(y)), r=radius, style=style)


def rule(
    axes: Axes, x: float, role: str, *, width: float = 1.0, dash: str = "", top: float | None = None
) -> ET.Element:
    """A vertical line at ``x`` from the lower side up to the value ``top``, or to the upper side."""
    across = float(axes.across(x))
    end = axes.top if top is None else float(axes.down(top))
    return stroke((across, axes.bottom), (across, end), role, width, dash=dash)


def even_ticks(low: float, high: float, most: int, *, whole: bool = False) -> list[float]:
    """Round numbers at equal distances inside [low, high].

    Args:
        low: where the axis begins.
        high: where it ends.
        most: intervals at most.
        whole: whole numbers only.

    Example:
        >>> even_ticks(0, 1.01, 6)
        [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
        >>> even_ticks(1, 60, 7, whole=True)
        [10.0, 20.0, 30.0, 40.0, 50.0, 60.0]
    """
    unit = 10.0 ** math.floor(math.log10((high - low) / most))
    sizes = [unit * step for step in (*_STEPS, 20.0) if not whole or (unit * step).is_integer()]
    fitting = [size for size in sizes if (high - low) / size <= most]
    step = fitting[0] if fitting else 1.0
    numbers = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return [round(number * step, 12) + 0.0 for number in numbers]


def ticks_of(scale: Scale, most: int, *, whole: bool = False) -> list[float]:
    """Round numbers along a scale: at equal distances, or powers of ten, with three times each where few.

    Example:
        >>> ticks_of(Scale(0.01, 1, log=True), 6)
        [0.01, 0.03, 0.1, 0.3, 1.0]
    """
    if not scale.log:
        return even_ticks(scale.low, scale.high, most, whole=whole)
    exponents = range(math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high)) + 1)
    steps = (1, 3) if scale.high / scale.low < 1e4 else (1,)
    ticks = [float(f"{step}e{e}") for e in exponents for step in steps]
    return [t for t in ticks if scale.low * (1 - 1e-9) <= t <= scale.high * (1 + 1e-9)]


def plain(ticks: Sequence[float]) -> Callable[[float], str]:
    """How numbers like these are written: all with the same decimals, as few as tell them apart.

    Example:
        >>> [plain([-0.5, 0.0, 0.5])(x) for x in (-0.5, 0.0)], plain([1000.0, 2000.0])(1000.0)
        (['−0.5', '0.0'], '1,000')
    """
    decimals = next((d for d in range(12) if all(abs(t - round(t, d)) < 1e-12 for t in ticks)), 12)
    large = max((abs(t) for t in ticks), default=0.0) >= 1e6

    def words(value: float) -> str:
        return (f"{value:.3g}" if large else f"{value:,.{decimals}f}").replace("-", "−")

    return words


def padded(values: Iterable[npt.ArrayLike], share: float) -> Scale:
    """The scale that holds every finite value, with ``share`` of its length free at either end."""
    together = np.concatenate([np.zeros(0), *(np.ravel(floats(part)) for part in values)])
    finite = together[np.isfinite(together)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if low == high:
        low, high = low - max(0.05 * abs(low), 0.05), high + max(0.05 * abs(high), 0.05)
    room = share * (high - low)
    return Scale(low - room, high + room)


def _path(x: FloatArray, y: FloatArray) -> str:
    """Lines from point to point, begun anew after one that is not finite."""
    parts, drawing = [], False
    for across, down in zip(np.broadcast_to(x, y.shape).tolist(), y.tolist(), strict=True):
        good = math.isfinite(across) and math.isfinite(down)
        if good:
            parts.append(f"{'L' if drawing else 'M'}{across:.2f} {down:.2f}")
        drawing = good
    return "".join(parts)
