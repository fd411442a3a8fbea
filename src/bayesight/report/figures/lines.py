"""Lines over an axis: learning, precision against base rate, a score's spread, the arms of a milestone."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from bayesight.checks import check
from bayesight.evaluation.arrays import floats
from bayesight.language import tr
from bayesight.report.figures.axes import HEIGHT, QUARTERS, WIDTH, Axes, Axis, numbers, spanned
from bayesight.report.figures.drawing import TEXT, picture, shorten, stroke, text, text_width
from bayesight.report.words import rate
from bayesight.types import FloatArray

_WIDE = (620, 320)
_ROLES = ("c1", "c2", "c3", "c4")
_DASHES = ("", "5 2", "1 1.5", "6.4 1.6 1 1.6")
_LOG_SPAN = 20.0  # the largest value over the smallest from which an axis counts factors
_GAP = 16.0
_LONGEST_NAME = 22


@dataclass(frozen=True)
class Line:
    """A line with an optional band.

    Args:
        name: what it is.
        x: (G,) ascending.
        y: (G,), NaN where unknown.
        low: lower edge of the band (G,), or None.
        high: its upper edge (G,), or None.
    """

    name: str
    x: npt.ArrayLike
    y: npt.ArrayLike
    low: npt.ArrayLike | None = None
    high: npt.ArrayLike | None = None

    def __post_init__(self) -> None:
        came = f"{np.shape(self.y)} values for {np.shape(self.x)}"
        check(np.shape(self.y) == np.shape(self.x), "Line", came, "one value for each")


def line_chart(
    lines: Sequence[Line],
    x: Axis | str,
    y: Axis | str,
    *,
    marks: Mapping[str, float] = MappingProxyType({}),
    named: bool = False,
) -> Markup:
    """Lines told apart by colour and by dashes, the first on top.

    An axis of which only the label is given fits the values: the vertical one counts factors where all values
    are positive and the largest is twenty times the smallest, the horizontal one has whole numbers where all
    values are.

    Args:
        lines: at least one with a point.
        x: the horizontal axis, or its label.
        y: the vertical axis, or its label.
        marks: values of ``x`` to point out by name: a vertical line, and a dot on the first line.
        named: write each name where its line ends, in a wider chart, for pages without a legend.

    Raises:
        InvalidInput: nothing to draw.
    """
    drawn = [line for line in lines if floats(line.y).size]
    check(bool(drawn), "line_chart", "no line with a point", "at least one")
    x, y = _fitting(drawn, x), _fitting(drawn, y, vertical=True)
    marks = {name: value for name, value in marks.items() if x.low <= value <= x.high}
    size = _WIDE if named else (WIDTH, HEIGHT)
    room = 16 + max(text_width(_short(line)) for line in drawn) if named else 22
    above = (0, 18, 32)[min(len(marks), 2)]
    axes = Axes(x, y, right=size[0] - room, top=36 + above, bottom=size[1] + above - 48)
    parts = axes.frame()
    for number, line in reversed(list(enumerate(drawn))):
        parts += _drawn(axes, line, *style_of(number))
    parts += _marked(axes, drawn[0], marks)
    parts += _names(axes, drawn) if named else []
    return picture(size[0], size[1] + above, _said(axes, drawn, marks), parts)


def rate_curve(
    lines: Sequence[Line],
    x_label: str,
    y_label: str,
    *,
    marks: Mapping[str, float] = MappingProxyType({}),
    log: bool = True,
) -> Markup:
    """Fractions against a rate, as precision is against prevalence; both axes are in per cent.

    Args:
        lines: over the same rates in [0, 1], which are above 0 on a logarithmic axis.
        x_label: of the horizontal axis.
        y_label: of the vertical axis.
        marks: rates to point out by name.
        log: a logarithmic horizontal axis, for rates that are far apart.
    """
    low, high = floats(lines[0].x)[[0, -1]].tolist()
    x = numbers(low, high, x_label, log=log, words=rate)
    return line_chart(lines, x, Axis(0, 1.02, y_label, QUARTERS), marks=marks)


def style_of(number: int) -> tuple[str, str]:
    """Colour and dashes of the n-th line: all colours first, then all again with the next dashes."""
    turn = number // len(_ROLES)
    return _ROLES[number % len(_ROLES)], _DASHES[(number + turn) % len(_DASHES)]


def _fitting(lines: Sequence[Line], axis: Axis | str, *, vertical: bool = False) -> Axis:
    if isinstance(axis, Axis):
        return axis
    values = [floats(line.y if vertical else line.x) for line in lines]
    low, high = spanned(values)
    if not vertical:
        return numbers(low, high, axis, whole=all((v % 1 == 0).all() for v in values))
    if low > 0 and high / low >= _LOG_SPAN:
        return numbers(low / 1.15, high * 1.15, axis, log=True)
    return numbers(*spanned(values, 0.06), axis)


def _drawn(axes: Axes, line: Line, role: str, dash: str) -> list[ET.Element]:
    x, y = floats(line.x), floats(line.y)
    parts = [axes.curve(x, y, role, dash=dash)]
    if line.low is not None and line.high is not None:
        parts.insert(0, axes.area(x, line.low, line.high, role, 0.15))
    known = np.flatnonzero(np.isfinite(y))
    return [*parts, axes.dot(x[known[0]], y[known[0]], role)] if len(known) == 1 else parts


def _marked(axes: Axes, line: Line, marks: Mapping[str, float]) -> list[ET.Element]:
    """A vertical line with its name above the chart, and a dot on the curve, for each mark."""
    parts: list[ET.Element] = []
    taken: list[float] = []
    for name, value in sorted(marks.items(), key=lambda item: item[1]):
        along = float(axes.x.share(value))
        parts.append(axes.rule(value, "muted", dash="2 2"))
        parts.append(axes.dot(value, float(np.interp(along, axes.x.share(line.x), floats(line.y))), "c1"))
        level = sum(abs(along - other) < 0.3 for other in taken)
        side = "start" if along < 0.12 else "end" if along > 0.88 else "middle"
        at = float(axes.across(value))
        parts.append(text(at, axes.top - 3 - 14 * level, name, role="muted", anchor=side, size=TEXT - 1))
        taken.append(along)
    return parts


def _names(axes: Axes, lines: Sequence[Line]) -> list[ET.Element]:
    """Each name beside its line's end, moved apart where ends are close, with a stroke of the line."""
    ends = axes.down([_last(line, axes.y.low) for line in lines])
    order = np.argsort(ends, kind="stable")
    places: FloatArray = ends[order]
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + _GAP)
    places -= max(0.0, float(places[-1]) - axes.bottom)
    for i in range(len(places) - 2, -1, -1):
        places[i] = min(places[i], places[i + 1] - _GAP)
    parts: list[ET.Element] = []
    for number, y in zip(order.tolist(), places.tolist(), strict=True):
        role, dash = style_of(number)
        parts.append(stroke((axes.right + 3, y), (axes.right + 13, y), role, 2, dash=dash))
        parts.append(text(axes.right + 16, y + 4.5, _short(lines[number])))
    return parts


def _said(axes: Axes, lines: Sequence[Line], marks: Mapping[str, float]) -> str:
    ends = ((line.name, _last(line, math.nan)) for line in lines)
    words = rate if axes.y.words is rate else "{:.3g}".format  # a tick's words may be coarse
    known = ((name, words(last)) for name, last in ends if math.isfinite(last))
    said = "; ".join(tr("{name} ends at {last}", name=name, last=last) for name, last in known)
    points = "; ".join(f"{name} {axes.x.words(value)}" for name, value in marks.items())
    return tr("{y_label} over {x_label}: {said}", y_label=axes.y.label, x_label=axes.x.label, said=said) + (
        tr("; marked: {points}", points=points) if points else ""
    )


def _last(line: Line, otherwise: float) -> float:
    """The last value that is known."""
    known = floats(line.y)[np.isfinite(floats(line.y))]
    return float(known[-1]) if known.size else otherwise


def _short(line: Line) -> str:
    return shorten(line.name, _LONGEST_NAME)
