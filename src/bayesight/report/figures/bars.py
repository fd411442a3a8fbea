"""One row a name: belief from step to step, counts, values before and after, and numbers with intervals."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from bayesight.bayes.rates import Estimate
from bayesight.checks import check
from bayesight.evaluation.arrays import floats
from bayesight.language import tr
from bayesight.report.figures.canvas import WIDTH, even_ticks, padded, plain
from bayesight.report.figures.drawing import group, node, picture, shorten, stroke, text, text_width
from bayesight.report.figures.ink import css
from bayesight.report.words import count, rate
from bayesight.types import FloatArray

__all__ = ["belief_bars", "change_rows", "count_bars", "interval_rows"]

_ROW, _TALL_ROW, _TOP, _BOTTOM = 24, 46.0, 8.0, 30.0
_NAME = 20
_ROUND = "stroke-linecap:round"
_SHOWN_BELIEFS = 12
_SHOWN_COUNTS = 60


def belief_bars(hypotheses: Sequence[str], steps: Sequence[tuple[str, npt.ArrayLike]]) -> str:
    """How belief in each hypothesis moves from step to step; a tick marks where it stood the step before.

    With more than twelve hypotheses, those never believed in most are drawn as one row.

    Args:
        hypotheses: their names (K,).
        steps: what was learned ("prior", "1st positive") and the probabilities after it (K,), in order.

    Returns:
        An SVG element.

    Raises:
        InvalidInput: a step with another number of probabilities, or none at all.

    Example:
        >>> drawn = belief_bars(["ill", "healthy"], [("prior", [0.1, 0.9]), ("positive", [0.9167, 0.0833])])
        >>> "91.7" in drawn
        True
    """
    p = np.stack([floats(values) for _, values in steps]) if steps else np.zeros((0, 0))
    came = f"{len(hypotheses)} names for probabilities of shape {p.shape}"
    check(
        p.ndim == 2 and p.shape[1] == len(hypotheses) > 0, "belief_bars", came, "one for each, at every step"
    )
    names, p = _most_believed(hypotheses, p)
    left = max(text_width(name) for name in names) + 12
    full, y, parts = WIDTH - left - 66, 0.0, []
    for number, (title, _) in enumerate(steps):
        parts.append(text(0, y + 15, shorten(title, 56), role="muted"))
        y += 24
        for k, name in enumerate(names):
            before = float(p[number - 1, k]) if number else None
            parts.append(_belief_row(name, float(p[number, k]), before, left, full, y))
            y += _ROW
        y += 14
    said = "; ".join(f"{title}: {_spoken(names, p[i])}" for i, (title, _) in enumerate(steps))
    return picture(WIDTH, y - 10, tr("Belief from step to step. {said}", said=said), parts)


def count_bars(counts: Mapping[str, int]) -> str:
    """How many examples each class has; beyond sixty classes, the thirty largest and the thirty smallest.

    Args:
        counts: class name to number of examples.

    Returns:
        An SVG element.

    Example:
        >>> "800" in count_bars({"A": 800, "B": 640})
        True
    """
    rows = list(counts.items())
    if len(rows) > _SHOWN_COUNTS:
        rows.sort(key=lambda row: -row[1])
        half = _SHOWN_COUNTS // 2
        rows = [*rows[:half], (tr("… {count} more …", count=len(rows) - 2 * half), -1), *rows[-half:]]
    names = [shorten(name, _NAME) for name, _ in rows]
    left, most = max(map(text_width, names), default=0) + 12, max(max(counts.values(), default=1), 1)
    full, parts = WIDTH - left - 66, []
    for i, (name, (_, value)) in enumerate(zip(names, rows, strict=True)):
        y = i * _ROW
        parts.append(text(left - 10, y + 16, name, anchor="end", role="muted" if value < 0 else "ink"))
        if value >= 0:
            parts.append(_bar(left, y, full * value / most, "c1"))
            parts.append(text(left + full * value / most + 7, y + 16, count(value), role="muted"))
    total = count(sum(counts.values()))
    return picture(
        WIDTH,
        len(rows) * _ROW + 2,
        tr("{total} examples in {classes} classes", total=total, classes=len(counts)),
        parts,
    )


def change_rows(
    names: Sequence[str],
    before: npt.ArrayLike,
    after: npt.ArrayLike,
    *,
    low: npt.ArrayLike | None = None,
    high: npt.ArrayLike | None = None,
    quantity: str = "",
) -> str:
    """A fraction before (ring) and after (dot) for each name, with an interval around the second if known.

    Args:
        names: one for each row (K,).
        before: fractions in [0, 1] (K,); NaN where there was none, as for a new class.
        after: fractions in [0, 1] (K,).
        low: lower ends of the intervals of ``after`` (K,).
        high: their upper ends (K,).
        quantity: what the fractions are, for a screen reader.

    Returns:
        An SVG element.

    Raises:
        InvalidInput: lengths differ.
    """
    a, b = floats(before), floats(after)
    check(
        a.shape == b.shape == (len(names),),
        "change_rows",
        f"{len(names)} names, {a.shape}, {b.shape}",
        "equal",
    )
    ends = [floats(end) for end in (low, high) if end is not None]
    floor, ceiling = _span(np.concatenate([a, b, *ends]))
    labels = [shorten(name, _NAME) for name in names]
    left = max(map(text_width, labels), default=0) + 16
    full = WIDTH - left - 22

    def place(value: float) -> float:
        return left + full * (value - floor) / (ceiling - floor)

    bottom = len(labels) * _ROW + 6
    parts = _axis(np.linspace(floor, ceiling, 5).tolist(), rate, place, (0, bottom))
    for i, name in enumerate(labels):
        y = i * _ROW + 14.0
        parts.append(text(left - 14, y + 4, name, anchor="end"))
        if low is not None and high is not None:
            wide = f"{_ROUND};stroke-opacity:0.28"
            parts.append(stroke((place(ends[0][i]), y), (place(ends[1][i]), y), "c1", 5, more=wide))
        if np.isfinite(a[i]):
            parts.append(stroke((place(a[i]), y), (place(b[i]), y), "muted", 1.4, more=_ROUND))
            parts.append(_dot(place(a[i]), y, "muted", ring=True))
        if np.isfinite(b[i]):
            parts.append(_dot(place(b[i]), y, "c1"))
    return picture(
        WIDTH,
        bottom + 26,
        tr("{quantity} before and after, for {rows} rows", quantity=quantity, rows=len(labels)).strip(),
        parts,
    )


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
    bottom = _TOP + _TALL_ROW * len(names)
    ticks = even_ticks(scale.low, scale.high, 5)
    words: Callable[[float], str] = rate if fraction else plain(ticks)

    def across(value: float) -> float:
        return left + float(scale.share([value])[0]) * (WIDTH - 16 - left)

    parts = _axis(ticks, words, across, (_TOP, bottom))
    if zero:
        parts.append(stroke((across(0), _TOP), (across(0), bottom), "ink", 1.2, more=_ROUND))
    for i, name in enumerate(names):
        middle = _TOP + _TALL_ROW * (i + 0.5)
        parts.append(text(left - 12, middle + 4.5, shorten(name, _NAME), anchor="end"))
        offsets = (-9.0, 9.0) if len(answers) == 2 else (0.0,)
        for which, (answer, offset) in enumerate(zip(answers, offsets, strict=True)):
            parts += _mark(answer[i], middle + offset, across, ring=which == 0 and len(answers) == 2)
    said = "; ".join(f"{n}: {', '.join(words(a[i].mean) for a in answers)}" for i, n in enumerate(names))
    return picture(WIDTH, bottom + _BOTTOM, tr("Numbers with intervals. {said}", said=said), parts)


def _belief_row(
    name: str, now: float, before: float | None, left: float, full: float, y: float
) -> ET.Element:
    """One hypothesis at one step: name, bar, tick of the step before, figure."""
    track = node(
        "rect", x=left, y=y + 4, width=full, height=_ROW - 8, rx=3, style=f"fill:{css('grid')}", opacity=0.35
    )
    row = [text(left - 10, y + 16, name, anchor="end"), track, _bar(left, y, full * now, "c1")]
    if before is not None:
        x = left + full * before
        row.append(stroke((x, y + 1), (x, y + _ROW - 1), "ink", 1.6))
    figure = rate(now) if now >= 1e-4 or now == 0 else "< 0.01 %"
    row.append(text(WIDTH - 2, y + 16, figure, anchor="end"))
    return group(row)


def _bar(x: float, y: float, width: float, role: str) -> ET.Element:
    """A bar of one row."""
    return node("rect", x=x, y=y + 4, width=max(width, 0), height=_ROW - 8, rx=3, style=f"fill:{css(role)}")


def _axis(
    ticks: Iterable[float],
    words: Callable[[float], str],
    across: Callable[[float], float],
    span: tuple[float, float],
) -> list[ET.Element]:
    """Grid lines from upper to lower end, with their numbers below."""
    parts, (top, bottom) = [], span
    for tick in ticks:
        parts.append(stroke((across(tick), top), (across(tick), bottom), "grid", 0.8, more=_ROUND))
        parts.append(text(across(tick), bottom + 18, words(tick), role="muted", anchor="middle"))
    return parts


def _mark(e: Estimate, y: float, across: Callable[[float], float], *, ring: bool) -> list[ET.Element]:
    role = "c2" if ring else "c1"
    low, high = (e.low, e.high) if np.isfinite([e.low, e.high]).all() else (e.mean, e.mean)
    whisker = stroke((across(low), y), (across(high), y), role, 2.4, more=_ROUND)
    return [whisker, _dot(across(e.mean), y, role, ring=ring)]


def _dot(x: float, y: float, role: str, *, ring: bool = False) -> ET.Element:
    """A round mark, filled or as a ring."""
    style = f"fill:{css('paper' if ring else role)};stroke:{css(role)};stroke-width:2"
    return node("circle", cx=x, cy=y, r=5, style=style)


def _span(values: FloatArray) -> tuple[float, float]:
    """A range in [0, 1] of round steps that holds every value."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    for step in (0.01, 0.02, 0.05, 0.1, 0.125, 0.2, 0.25):
        floor = np.floor(low / step + 1e-9) * step
        if floor + 4 * step >= high - 1e-9:
            return float(min(floor, 1 - 4 * step)), float(min(floor, 1 - 4 * step) + 4 * step)
    return 0.0, 1.0


def _most_believed(names: Sequence[str], p: FloatArray) -> tuple[list[str], FloatArray]:
    """At most twelve rows, the rest summed into one."""
    if len(names) <= _SHOWN_BELIEFS:
        return [shorten(name, _NAME) for name in names], p
    kept = np.sort(np.argsort(-p.max(axis=0), kind="stable")[: _SHOWN_BELIEFS - 1])
    rest = np.delete(p, kept, axis=1).sum(axis=1, keepdims=True)
    shown = [shorten(names[k], _NAME) for k in kept]
    return [*shown, tr("{count} others", count=len(names) - len(kept))], np.concatenate(
        [p[:, kept], rest], axis=1
    )


def _spoken(names: Sequence[str], p: FloatArray) -> str:
    """The three most believed, in words."""
    return ", ".join(f"{names[k]} {rate(float(p[k]))}" for k in np.argsort(-p, kind="stable")[:3])
