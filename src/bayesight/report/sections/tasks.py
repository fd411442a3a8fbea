"""Sections on tasks beyond classes of whole images: cases beside the truth, classes with their measures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bayesight.bayes.rates import Estimate
from bayesight.language import marked, tr
from bayesight.report.blocks import Card, Cell, Column, Gallery, Section, TableBlock, Words
from bayesight.report.pictures import data_uri
from bayesight.report.words import spread
from bayesight.types import ImageArray

__all__ = ["Case", "cases", "measures_by_class", "telling"]

_TITLES = (marked("best"), marked("typical"), marked("worst"))
_LARGEST = 480  # pixels of a picture's longest side


@dataclass(frozen=True, eq=False)
class Case:
    """An image with the truth and the answer drawn on it.

    Args:
        title: such as "worst".
        picture: uint8 (H, W, 3).
        path: of the image.
        line: its measure in words.
    """

    title: str
    picture: ImageArray
    path: str
    line: str


def cases(found: Sequence[Case], words: str) -> Section:
    """Best, typical and worst answers beside the truth.

    Args:
        found: in the order shown.
        words: what is drawn, in a sentence.
    """
    cards = tuple(
        Card(data_uri(one.picture, _LARGEST), f"{one.title}: {one.path}", one.title, (one.line,), one.path)
        for one in found
    )
    return Section(tr("Best, typical and worst"), (Words((words,)), Gallery(cards)))


def telling(values: Sequence[float]) -> Iterator[tuple[str, int]]:
    """The two best, most typical and worst rows of a measure, each once with its title; NaN is none of them.

    Example:
        >>> list(telling([0.2, 0.9, math.nan, 0.5]))
        [('best', 1), ('best', 3), ('worst', 0)]
    """
    known = [row for row, value in enumerate(values) if not math.isnan(value)]
    order = sorted(known, key=lambda row: -values[row])
    middle, shown = max(0, len(order) // 2 - 1), set()
    for title, rows in zip(_TITLES, (order[:2], order[middle : middle + 2], order[-2:]), strict=True):
        for row in rows:
            if row not in shown:
                shown.add(row)
                yield tr(title), row


def measures_by_class(
    heading: str, rows: Mapping[str, Estimate], counts: Mapping[str, int], measure: str, unit: str
) -> Section:
    """A measure of each class with its 95 % interval.

    Args:
        heading: of the section.
        rows: the measure by class.
        counts: how many of the unit are truly of each class.
        measure: its name.
        unit: in the plural.
    """
    columns = (Column(tr("class"), numeric=False), Column(unit), Column(measure, tr("95 % interval")))
    table = tuple(
        (Cell(name), Cell(f"{counts[name]:,}"), Cell(*_estimate(value))) for name, value in rows.items()
    )
    return Section(heading, (TableBlock(columns, table, heading),))


def _estimate(value: Estimate) -> tuple[str, str]:
    if math.isnan(value.mean):
        return "–", ""
    return f"{value.mean:.3f}", spread((value.low, value.high))
