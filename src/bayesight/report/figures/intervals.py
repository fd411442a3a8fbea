"""Numbers with intervals, two for each name: one answer as a ring, the other as a dot."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence

import numpy as np

from bayesight.bayes.rates import Estimate
from bayesight.checks import check
from bayesight.report.figures.canvas import even_ticks, padded, plain
from bayesight.report.figures.drawing import node, picture, shorten, text, text_width
from bayesight.report.figures.ink import css
from bayesight.report.words import rate

__all__ = ["interval_rows"]

_WIDTH, _ROW, _TOP, _BOTTOM, _NAME = 420.0, 46.0, 8.0, 30.0, 20


def interval_rows(
    names: Sequence[str],
    answers: Sequence[Sequence[Estimate]],
    *,
    fraction: bool = False,
    zero: bool = False,
) -> str:
    """One row a name, in it one mark with its interval for each answer: a ring for the first, then dots.

    Args:
        names: of the rows (K,).
        answers: one or two, each with K numbers.
        fraction: whether the axis is in per cent.
        zero: mark 0, where there is no effect.

    Returns:
        An SVG element.

    Raises:
        InvalidInput: answers of another length than the names, or no or more than two of them.

    Example:
        >>> rows = [[Estimate(0.78, 0.73, 0.82)], [Estimate(0.83, 0.79, 0.87)]]
        >>> interval_rows(["A"], rows, fraction=True).count("<circle")
        2
    """
    lengths = [len(a) for a in answers]
    fits = 1 <= len(answers) <= 2 and set(lengths) == {len(names)}
    check(fits, "interval_rows", f"{len(names)} names, answers of {lengths}", "one or two of that length")
    ends = [[e.low, e.high, e.mean] for a in answers for e in a]
    scale = padded([*ends, [0.0] if zero else []], 0.05)
    left = max(text_width(shorten(n, _NAME)) for n in names) + 14
    bottom = _TOP + _ROW * len(names)
    ticks = even_ticks(scale.low, scale.high, 5)
    words: Callable[[float], str] = rate if fraction else plain(ticks)

    def across(value: float) -> float:
        return left + float(scale.share([value])[0]) * (_WIDTH - 16 - left)

    parts = _axis(ticks, words, across, bottom)
    if zero:
        parts.append(_line(across(0), _TOP, across(0), bottom, "ink", 1.2))
    for i, name in enumerate(names):
        middle = _TOP + _ROW * (i + 0.5)
        parts.append(text(left - 12, middle + 4.5, shorten(name, _NAME), anchor="end"))
        offsets = (-9.0, 9.0) if len(answers) == 2 else (0.0,)
        for which, (answer, offset) in enumerate(zip(answers, offsets, strict=True)):
            parts += _mark(answer[i], middle + offset, across, ring=which == 0 and len(answers) == 2)
    said = "; ".join(f"{n}: {', '.join(words(a[i].mean) for a in answers)}" for i, n in enumerate(names))
    return picture(_WIDTH, bottom + _BOTTOM, f"Numbers with intervals. {said}", parts)


def _axis(
    ticks: Sequence[float], words: Callable[[float], str], across: Callable[[float], float], bottom: float
) -> list[ET.Element]:
    parts = []
    for tick in ticks:
        parts.append(_line(across(tick), _TOP, across(tick), bottom, "grid", 0.8))
        parts.append(text(across(tick), bottom + 18, words(tick), role="muted", anchor="middle"))
    return parts


def _mark(e: Estimate, y: float, across: Callable[[float], float], *, ring: bool) -> list[ET.Element]:
    role = "c2" if ring else "c1"
    fill = css("paper") if ring else css(role)
    style = f"fill:{fill};stroke:{css(role)};stroke-width:2"
    low, high = (e.low, e.high) if np.isfinite([e.low, e.high]).all() else (e.mean, e.mean)
    whisker = _line(across(low), y, across(high), y, role, 2.4)
    return [whisker, node("circle", cx=across(e.mean), cy=y, r=5, style=style)]


def _line(x1: float, y1: float, x2: float, y2: float, role: str, width: float) -> ET.Element:
    style = f"stroke:{css(role)};stroke-width:{width:g};stroke-linecap:round"
    return node("line", x1=x1, y1=y1, x2=x2, y2=y2, style=style)
