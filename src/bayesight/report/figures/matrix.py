"""The confusion matrix as a heat map."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bayesight.checks import check
from bayesight.evaluation import accuracy
from bayesight.evaluation.arrays import floats
from bayesight.language import tr
from bayesight.report.figures.drawing import group, node, picture, shorten, text, text_width
from bayesight.report.figures.ink import css
from bayesight.report.words import clean, count, rate
from bayesight.types import FloatArray

__all__ = ["LARGEST", "confusion_heat_map"]

LARGEST = 60
"""Classes beyond which cells are too small to read; the page then shows the classes with most mistakes."""

_STRONG = 0.55  # from this opacity on, a number is written in the colour of the paper
_NAME = 18
_SIZES = ((3, 60), (6, 48), (12, 36), (20, 28), (32, 20), (10**9, 14))  # classes, size of a cell


def confusion_heat_map(matrix: npt.ArrayLike, classes: Sequence[str]) -> str:
    """Rows are true classes, columns predicted; right answers in the first colour, mistakes in the second.

    A cell is as strong as its share of the row; for mistakes by the square root of it, so that few are seen
    too. Counts are written where cells are large enough, and each cell tells its own when pointed at.

    Args:
        matrix: counts (K, K), rows true.
        classes: their names (K,).

    Returns:
        An SVG element.

    Raises:
        InvalidInput: as many names as rows are expected.
    """
    m = floats(matrix)
    came = f"{len(classes)} names for a matrix of shape {m.shape}"
    check(
        m.shape == (len(classes), len(classes)),
        "confusion_heat_map",
        came,
        "one name for each row and column",
    )
    cell = next(size for limit, size in _SIZES if len(m) <= limit)
    size = min(13.0, cell * 0.72)
    names = [shorten(name, _NAME) for name in classes]
    widest = max(text_width(name, size) for name in names)
    upright = widest > cell * 0.9
    left, top = widest + 34, (widest if upright else size) + 34
    side = cell * len(m)
    parts = [_frame(left, top, side), *_labels(names, cell, size, left, top, upright)]
    parts += [group(_cells(m, classes, cell), transform=f"translate({left:g} {top:g})")]
    if cell >= 20:
        parts += [group(_numbers(m, cell, size), transform=f"translate({left:g} {top:g})")]
    total = (
        tr("{accuracy} of {count} on the diagonal", accuracy=rate(accuracy(m)), count=count(m.sum()))
        if m.sum()
        else tr("no images")
    )
    label = tr(
        "Confusion matrix of {classes} classes, rows true, columns predicted; {total}",
        classes=len(m),
        total=total,
    )
    return picture(left + side + 2, top + side + 2, label, parts)


def _frame(left: float, top: float, side: float) -> ET.Element:
    """The ground of the cells, and the names of the two directions."""
    middle_x, middle_y = left + side / 2, top + side / 2
    turned = f"rotate(-90 14 {middle_y:g})"
    return group(
        [
            text(middle_x, 14, tr("called"), role="muted", anchor="middle"),
            text(14, middle_y, tr("truly"), role="muted", anchor="middle", transform=turned),
            node(
                "rect", x=left, y=top, width=side, height=side, rx=3, style=f"fill:{css('grid')}", opacity=0.3
            ),
        ]
    )


def _labels(
    names: list[str], cell: float, size: float, left: float, top: float, upright: bool
) -> list[ET.Element]:
    """Class names along the left and the top, turned where they are wider than a cell."""
    labels = []
    for i, name in enumerate(names):
        middle = (i + 0.5) * cell
        labels.append(text(left - 7, top + middle + size * 0.35, name, anchor="end", size=size))
        x, y = left + middle, top - 8
        if upright:
            turned = f"rotate(-90 {x + size * 0.35:g} {y:g})"
            labels.append(text(x + size * 0.35, y, name, size=size, transform=turned))
        else:
            labels.append(text(x, y, name, anchor="middle", size=size))
    return labels


def _strength(m: FloatArray) -> FloatArray:
    """Opacity of every cell in [0, 1]."""
    support = m.sum(axis=1, keepdims=True)
    share = np.divide(m, support, out=np.zeros_like(m), where=support > 0)
    right = np.eye(len(m), dtype=bool)
    return np.where(m > 0, np.where(right, 0.12 + 0.83 * share, 0.14 + 0.81 * np.sqrt(share)), 0.0)


def _cells(m: FloatArray, classes: Sequence[str], cell: float) -> list[ET.Element]:
    """The cells that hold something, each saying what."""
    strength, groups = _strength(m), []
    for role, chosen in (("c1", np.eye(len(m), dtype=bool)), ("c2", ~np.eye(len(m), dtype=bool))):
        squares = []
        for i, j in zip(*np.nonzero(chosen & (m > 0)), strict=True):
            place = {"x": j * cell + 0.75, "y": i * cell + 0.75, "width": cell - 1.5, "height": cell - 1.5}
            square = node("rect", **place, fill_opacity=float(strength[i, j]))
            hint = node("title")
            hint.text = clean(
                tr(
                    "{true} called {called}: {count}",
                    true=classes[i],
                    called=classes[j],
                    count=count(m[i, j]),
                )
            )
            square.append(hint)
            squares.append(square)
        groups.append(group(squares, style=f"fill:{css(role)}"))
    return groups


def _numbers(m: FloatArray, cell: float, size: float) -> list[ET.Element]:
    """The counts, in the cells that have room for them."""
    strength, numbers = _strength(m), []
    for i, j in zip(*np.nonzero(m > 0), strict=True):
        written = _brief(float(m[i, j]))
        fitting = min(size, 0.94 * cell / (text_width(written, 1.0) or 1))
        if fitting < 8:
            continue
        role = "on-fill" if strength[i, j] >= _STRONG else "ink"
        x, y = (j + 0.5) * cell, (i + 0.5) * cell + fitting * 0.36
        numbers.append(text(x, y, written, role=role, anchor="middle", size=fitting, pointer_events="none"))
    return numbers


def _brief(value: float) -> str:
    """A count in at most four characters or so."""
    if value >= 10_000:
        return f"{value / 1000:.0f}k" if value < 1e6 else f"{value / 1e6:.1f}M"
    return f"{value:.0f}" if value >= 10 or value.is_integer() else f"{value:.1f}"
