"""The confusion matrix as a heat map."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from bayesight.checks import check
from bayesight.evaluation import accuracy
from bayesight.evaluation.arrays import floats
from bayesight.language import tr
from bayesight.report.figures.drawing import node, picture, rect, shorten, text, text_width
from bayesight.report.words import count, rate
from bayesight.types import FloatArray

LARGEST = 60
"""Classes beyond which cells are too small to read; the page then shows the classes with most mistakes."""

_STRONG = 0.55  # from this opacity on, a number is written in the colour of the paper
_SIZES = ((3, 60), (6, 48), (12, 36), (20, 28), (32, 20), (10**9, 14))  # classes, size of a cell


def confusion_heat_map(matrix: npt.ArrayLike, classes: Sequence[str]) -> Markup:
    """Rows are true classes, columns predicted; right answers in the first colour, mistakes in the second.

    A cell is as strong as its share of the row; for mistakes by the square root of it, so that few are seen
    too. Counts are written where cells are large enough, and each cell tells its own when pointed at.

    Args:
        matrix: counts (K, K), rows true.
        classes: their names (K,).

    Raises:
        InvalidInput: as many names as rows are expected.
    """
    m = floats(matrix)
    came = f"{len(classes)} names for a matrix of shape {m.shape}"
    square = m.shape == (len(classes), len(classes))
    check(square, "confusion_heat_map", came, "one name for each row and column")
    cell = next(size for limit, size in _SIZES if len(m) <= limit)
    size = min(13.0, cell * 0.72)
    names = [shorten(name, 18) for name in classes]
    widest = max(text_width(name, size) for name in names)
    upright = widest > cell * 0.9
    left, top, side = widest + 34, (widest if upright else size) + 34, cell * len(m)
    middle = top + side / 2
    parts = [
        text(left + side / 2, 14, tr("called"), role="muted", anchor="middle"),
        text(14, middle, tr("truly"), role="muted", anchor="middle", transform=f"rotate(-90 14 {middle:g})"),
        rect(left, top, side, side, fill="grid", rx=3, opacity=0.3),
    ]
    for i, name in enumerate(names):
        along = (i + 0.5) * cell
        parts.append(text(left - 7, top + along + size * 0.35, name, anchor="end", size=size))
        x, y = left + along + (size * 0.35 if upright else 0), top - 8
        turned = {"transform": f"rotate(-90 {x:g} {y:g})"} if upright else {}
        parts.append(text(x, y, name, anchor="start" if upright else "middle", size=size, **turned))
    parts.append(node("g", *_cells(m, classes, cell, size), transform=f"translate({left:g} {top:g})"))
    total = tr("no images")
    if m.sum():
        total = tr("{accuracy} of {count} on the diagonal", accuracy=rate(accuracy(m)), count=count(m.sum()))
    label = tr(
        "Confusion matrix of {classes} classes, rows true, columns predicted; {total}",
        classes=len(m),
        total=total,
    )
    return picture(left + side + 2, top + side + 2, label, parts)


def _cells(m: FloatArray, classes: Sequence[str], cell: float, size: float) -> list[ET.Element]:
    """The cells that hold something, each saying what, and the counts of those that have room for them."""
    row = m / np.maximum(m.sum(axis=1, keepdims=True), 1e-300)
    strength = np.where(np.eye(len(m), dtype=bool), 0.12 + 0.83 * row, 0.14 + 0.81 * np.sqrt(row))
    right, wrong, numbers = node("g", fill="c1"), node("g", fill="c2"), node("g", pointer_events="none")
    for i, j in zip(*(at.tolist() for at in np.nonzero(m > 0)), strict=True):
        opacity = float(strength[i, j])
        square = rect(j * cell + 0.75, i * cell + 0.75, cell - 1.5, cell - 1.5, fill_opacity=opacity)
        said = tr("{true} called {called}: {count}", true=classes[i], called=classes[j], count=count(m[i, j]))
        square.append(node("title", said))
        (right if i == j else wrong).append(square)
        written = _brief(float(m[i, j]))
        fitting = min(size, 0.94 * cell / text_width(written, 1.0))
        if cell >= 20 and fitting >= 8:
            role, y = "on-fill" if opacity >= _STRONG else "ink", (i + 0.5) * cell + fitting * 0.36
            numbers.append(text((j + 0.5) * cell, y, written, role=role, anchor="middle", size=fitting))
    return [right, wrong, numbers]


def _brief(value: float) -> str:
    """A count in at most four characters or so."""
    if value >= 10_000:
        return f"{value / 1000:.0f}k" if value < 1e6 else f"{value / 1e6:.1f}M"
    return f"{value:.0f}" if value >= 10 or value.is_integer() else f"{value:.1f}"
