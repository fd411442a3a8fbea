"""One row a name: belief from step to step, counts, and numbers with intervals."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from bayesight.bayes.rates import Estimate
from bayesight.checks import check
from bayesight.evaluation.arrays import floats
from bayesight.language import tr
from bayesight.report.figures.axes import WIDTH, Axes, Axis, numbers, spanned
from bayesight.report.figures.drawing import dot, picture, rect, shorten, stroke, text, text_width
from bayesight.report.words import Number, count, rate
from bayesight.types import FloatArray

_ROW, _FIGURE = 24, 72
_SHOWN_BELIEFS = 12
_SHOWN_COUNTS = 60


def belief_bars(hypotheses: Sequence[str], steps: Mapping[str, npt.ArrayLike]) -> Markup:
    """Belief in each hypothesis from step to step; a tick marks where it stood the step before.

    With more than twelve hypotheses, those never believed in most are drawn as one row.

    Args:
        hypotheses: their names (K,).
        steps: what was learned ("prior", "1st positive") and the probabilities after it (K,), in order.

    Raises:
        InvalidInput: a step with another number of probabilities, or none at all.

    Example:
        >>> drawn = belief_bars(["ill", "healthy"], {"prior": [0.1, 0.9], "positive": [0.9167, 0.0833]})
        >>> "91.7" in drawn
        True
    """
    p = np.stack([floats(values) for values in steps.values()]) if steps else np.zeros((0, 0))
    came = f"{len(hypotheses)} names for probabilities of shape {p.shape}"
    fits = p.ndim == 2 and p.shape[1] == len(hypotheses) > 0
    check(fits, "belief_bars", came, "one for each, at every step")
    names, p = _most_believed(hypotheses, p)
    y, parts, said = 0.0, [], []
    for number, title in enumerate(steps):
        parts.append(text(0, y + 15, shorten(title, 56), role="muted"))
        figures = [rate(now) if now >= 1e-4 or now == 0 else "< 0.01 %" for now in p[number].tolist()]
        parts += _bars(names, p[number], figures, y + 24, p[number - 1] if number else None)
        best = np.argsort(-p[number], kind="stable")[:3]
        said.append(f"{title}: {', '.join(f'{names[k]} {rate(float(p[number, k]))}' for k in best)}")
        y += 38 + _ROW * len(names)
    return picture(WIDTH, y - 10, tr("Belief from step to step. {said}", said="; ".join(said)), parts)


def count_bars(counts: Mapping[str, int]) -> Markup:
    """The number of examples of each class; beyond sixty classes, the thirty largest and the thirty smallest.

    Args:
        counts: class name to number of examples.

    Example:
        >>> "800" in count_bars({"A": 800, "B": 640})
        True
    """
    rows, half = list(counts.items()), _SHOWN_COUNTS // 2
    if len(rows) > _SHOWN_COUNTS:
        rows.sort(key=lambda row: -row[1])
        rows = [*rows[:half], (tr("… {count} more …", count=len(rows) - 2 * half), -1), *rows[-half:]]
    names, values = [shorten(name, 20) for name, _ in rows], np.array([value for _, value in rows])
    most, total = max([1, *counts.values()]), count(sum(counts.values()))
    figures = [count(value) if value >= 0 else "" for value in values.tolist()]
    label = tr("{total} examples in {classes} classes", total=total, classes=len(counts))
    return picture(WIDTH, len(rows) * _ROW + 2, label, _bars(names, values / most, figures, 0))


def interval_rows(
    names: Sequence[str],
    answers: Sequence[Sequence[Number]],
    *,
    fraction: bool = False,
    zero: bool = False,
    change: bool = False,
) -> Markup:
    """One row a name, in it a mark with its interval for each answer: the last a dot, one before it a ring.

    Args:
        names: of the rows (K,).
        answers: one or two, each with K numbers; NaN where there is none.
        fraction: whether the axis is in per cent.
        zero: mark 0, where there is no effect.
        change: the second answer follows the first, and a stroke leads from ring to dot.

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
    drawn = [[e if isinstance(e, Estimate) else Estimate(e, np.nan, np.nan) for e in a] for a in answers]
    low, high = spanned([*([e.low, e.high, e.mean] for a in drawn for e in a), [0.0] if zero else []], 0.05)
    if fraction and not zero:
        low, high = max(low, -0.005), min(high, 1.005)
    scale = numbers(low, high, most=5, words=rate if fraction else None)
    labels = [shorten(name, 20) for name in names]
    row = _ROW if change else 46.0
    left = max(map(text_width, labels)) + 16
    axes = Axes(scale, Axis(0, 1), left=left, right=WIDTH - 22, top=4, bottom=4 + row * len(names))
    parts = [*axes.frame(), *([axes.rule(0, "ink", 1.2)] if zero else [])]
    apart = 9 if len(answers) == 2 and not change else 0
    for i, name in enumerate(labels):
        y = axes.top + row * (i + 0.5)
        parts.append(text(left - 12, y + 4.5, name, anchor="end"))
        ends = axes.across([answer[i].mean for answer in drawn])
        if change and np.isfinite(ends).all():
            parts.append(stroke((ends[0], y), (ends[-1], y), "muted", 1.4))
        looks = (("c2", -apart), ("c1", apart))[-len(drawn) :]
        for answer, x, (role, offset) in zip(drawn, ends, looks, strict=True):
            whisker = axes.across([answer[i].low, answer[i].high])
            if np.isfinite(whisker).all():
                parts.append(stroke((whisker[0], y + offset), (whisker[1], y + offset), role, 2.4))
            if np.isfinite(x):
                parts.append(dot(x, y + offset, role, ring=role == "c2"))
    told = (
        (n, [scale.words(a[i].mean) for a in drawn if np.isfinite(a[i].mean)]) for i, n in enumerate(names)
    )
    said = "; ".join(f"{name}: {', '.join(means)}" for name, means in told)
    return picture(WIDTH, axes.bottom + 28, tr("Numbers with intervals. {said}", said=said), parts)


def _bars(
    names: Sequence[str],
    shares: FloatArray,
    figures: Sequence[str],
    y: float,
    before: FloatArray | None = None,
) -> list[ET.Element]:
    """A row each: name, a bar as long as its share, a tick where it was before, its figure; none, no bar."""
    left = max(map(text_width, names), default=0) + 12
    full = WIDTH - left - _FIGURE
    parts = []
    for i, (name, share, figure) in enumerate(zip(names, shares.tolist(), figures, strict=True)):
        top = y + i * _ROW
        parts.append(text(left - 10, top + 16, name, anchor="end", role="ink" if figure else "muted"))
        if figure:
            parts.append(rect(left, top + 4, full, _ROW - 8, fill="grid", rx=3, opacity=0.35))
            parts.append(rect(left, top + 4, full * share, _ROW - 8, fill="c1", rx=3))
            parts.append(text(WIDTH - 2, top + 16, figure, anchor="end"))
        if before is not None:
            x = left + full * float(before[i])
            parts.append(stroke((x, top + 1), (x, top + _ROW - 1), "ink", 1.6))
    return parts


def _most_believed(names: Sequence[str], p: FloatArray) -> tuple[list[str], FloatArray]:
    """At most twelve rows, the rest summed into one."""
    if len(names) <= _SHOWN_BELIEFS:
        return [shorten(name, 20) for name in names], p
    kept = np.sort(np.argsort(-p.max(axis=0), kind="stable")[: _SHOWN_BELIEFS - 1])
    rest = np.delete(p, kept, axis=1).sum(axis=1, keepdims=True)
    shown = [shorten(names[k], 20) for k in kept]
    others = tr("{count} others", count=len(names) - len(kept))
    return [*shown, others], np.concatenate([p[:, kept], rest], axis=1)
