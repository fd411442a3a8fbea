"""A chart with axes: what stands where, ticks, grid, and marks placed by their values.

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
from bayesight.report.figures.drawing import dashes, dot, node, stroke, text
from bayesight.report.words import rate
from bayesight.types import FloatArray

WIDTH, HEIGHT = 420, 290
"""Size of a chart in CSS pixels; the page scales it down on a narrow screen."""

QUARTERS = (0, 0.25, 0.5, 0.75, 1)
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0, 20.0)


@dataclass(frozen=True)
class Axis:
    """Values along one side of a chart.

    Args:
        low: the value where the axis begins.
        high: where it ends, above ``low``.
        label: what the values are.
        ticks: the values written beside it.
        words: how one is written; fractions in per cent by default.
        log: equal factors, not equal differences, are equally far apart; both ends are above 0 then.
    """

    low: float
    high: float
    label: str = ""
    ticks: Sequence[float] = ()
    words: Callable[[float], str] = rate
    log: bool = False

    def share(self, values: npt.ArrayLike) -> FloatArray:
        """The share of the axis that lies before each value, 0 at ``low`` and 1 at ``high``.

        Example:
            >>> Axis(0.01, 1, log=True).share([0.01, 0.1, 1]).tolist()
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
        x: axis from its left to its right side.
        y: axis from its bottom to its top.
        left: CSS pixels, as all sides; room for the ticks of ``y`` lies beside it.
        right: right side, with room for half a tick's words beside it.
        top: upper side, with room for the label of ``y`` above it.
        bottom: lower side, with room for the ticks and the label of ``x`` below it.
    """

    x: Axis
    y: Axis
    left: float = 58
    right: float = WIDTH - 22
    top: float = 36
    bottom: float = HEIGHT - 48

    def across(self, values: npt.ArrayLike) -> FloatArray:
        """The places of values of the horizontal axis on the page."""
        return self.left + self.x.share(values) * (self.right - self.left)

    def down(self, values: npt.ArrayLike) -> FloatArray:
        """The places of values of the vertical axis on the page."""
        return self.bottom + self.y.share(values) * (self.top - self.bottom)

    def frame(self) -> list[ET.Element]:
        """Lines at the ticks of both axes, their words and labels; a chart of rows has upright lines."""
        middle, parts = (self.left + self.right) / 2, []
        if self.y.label:
            parts.append(text(4, 14, self.y.label))
        if self.x.label:
            parts.append(text(middle, self.bottom + 40, self.x.label, anchor="middle"))
        for value, y in zip(self.y.ticks, self.down(self.y.ticks), strict=True):
            parts.append(stroke((self.left, y), (self.right, y), "grid", 0.8))
            parts.append(text(self.left - 7, y + 4.5, self.y.words(value), role="muted", anchor="end"))
        for value, x in zip(self.x.ticks, self.across(self.x.ticks), strict=True):
            if not self.y.ticks:
                parts.append(stroke((x, self.top), (x, self.bottom), "grid", 0.8))
            parts.append(text(x, self.bottom + 18, self.x.words(value), role="muted", anchor="middle"))
        if self.y.ticks:
            parts.append(stroke((self.left, self.bottom), (self.right, self.bottom), "muted", 0.8))
        return parts

    def curve(
        self, x: npt.ArrayLike, y: npt.ArrayLike, role: str, width: float = 2.0, *, dash: str = ""
    ) -> ET.Element:
        """A line through the points (G,); where a value is not finite it is interrupted."""
        look = {"fill": "none", "stroke": role, "stroke_linejoin": "round", **dashes(dash, width)}
        return node("path", d=_path(self.across(x), self.down(y)), stroke_width=width, **look)

    def area(
        self, x: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike, role: str, opacity: float
    ) -> ET.Element:
        """The surface between two lines over the same horizontal values (G,), inside the axes."""
        across, ends = self.across(x), [np.clip(floats(end), self.y.low, self.y.high) for end in (low, high)]
        good = np.isfinite(ends).all(axis=0)
        there, back = (self.down(end[good]) for end in ends)
        around = np.concatenate([across[good], across[good][::-1]]), np.concatenate([there, back[::-1]])
        return node("path", d=_path(*around) + ("z" if good.any() else ""), fill=role, fill_opacity=opacity)

    def dot(self, x: float, y: float, role: str, radius: float = 4) -> ET.Element:
        """A round mark at (x, y)."""
        return dot(float(self.across(x)), float(self.down(y)), role, radius)

    def rule(self, x: float, role: str, width: float = 1.0, *, dash: str = "") -> ET.Element:
        """A vertical line at ``x`` from the lower to the upper side."""
        across = float(self.across(x))
        return stroke((across, self.bottom), (across, self.top), role, width, dash=dash)


def numbers(
    low: float,
    high: float,
    label: str = "",
    most: int = 7,
    *,
    whole: bool = False,
    log: bool = False,
    words: Callable[[float], str] | None = None,
) -> Axis:
    """An axis with round ticks: at equal distances, or powers of ten, with three times each where few.

    Args:
        low: the value where the axis begins.
        high: where it ends.
        label: what the values are.
        most: intervals at most; of a logarithmic axis with more, powers of ten alone.
        whole: ticks are whole numbers.
        log: equal factors are equally far apart.
        words: how a tick is written; None as a number.

    Example:
        >>> for axis in (numbers(0.01, 1, log=True), numbers(-0.6, 0.6, most=3), numbers(1, 3e3)):
        ...     print(*map(axis.words, axis.ticks))
        0.01 0.03 0.1 0.3 1
        −0.5 0.0 0.5
        500 1,000 1,500 2,000 2,500 3,000
    """
    if not log:
        ticks = _even_ticks(low, high, most, whole=whole)
        return Axis(low, high, label, ticks, words or _words(ticks))
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [float(f"{step}e{e}") for e in exponents for step in (1, 3)]
    inside = [t for t in ticks if low * (1 - 1e-9) <= t <= high * (1 + 1e-9)]
    inside = inside if len(inside) <= most else [t for t in inside if t in ticks[::2]]
    return Axis(low, high, label, inside, words or "{:g}".format, log=True)


def spanned(values: Iterable[npt.ArrayLike], share: float = 0.0) -> tuple[float, float]:
    """Ends of an axis that holds every finite value, with ``share`` of its length free at either end."""
    together = np.concatenate([np.zeros(0), *(np.ravel(floats(part)) for part in values)])
    finite = together[np.isfinite(together)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if low == high:
        low, high = low - max(0.05 * abs(low), 0.05), high + max(0.05 * abs(high), 0.05)
    room = share * (high - low)
    return low - room, high + room


def _even_ticks(low: float, high: float, most: int, *, whole: bool) -> list[float]:
    unit = 10.0 ** math.floor(math.log10((high - low) / most))
    sizes = [unit * step for step in _STEPS if not whole or (unit * step).is_integer()]
    step = next((size for size in sizes if (high - low) / size <= most), 1.0)
    inside = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return [round(number * step, 12) + 0.0 for number in inside]


def _words(ticks: Sequence[float]) -> Callable[[float], str]:
    """Numbers like these with the same decimals, as few as tell them apart."""
    decimals = next((d for d in range(12) if all(abs(t - round(t, d)) < 1e-12 for t in ticks)), 12)
    form = ".3g" if max((abs(t) for t in ticks), default=0.0) >= 1e6 else f",.{decimals}f"
    return lambda value: format(value, form).replace("-", "−")


def _path(x: FloatArray, y: FloatArray) -> str:
    """Lines from point to point, begun anew after one that is not finite."""
    parts, drawing = [], False
    for across, down in zip(np.broadcast_to(x, y.shape).tolist(), y.tolist(), strict=True):
        good = math.isfinite(across) and math.isfinite(down)
        if good:
            parts.append(f"{'L' if drawing else 'M'}{across:.2f} {down:.2f}")
        drawing = good
    return "".join(parts)
