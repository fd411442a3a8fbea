"""Sections on tasks beyond classes of whole images: cases beside the truth, classes with their measures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from bayesight.bayes.rates import Estimate
from bayesight.formatting import NO_VALUE
from bayesight.language import marked, tr
from bayesight.report.blocks import Card, Cell, Column, Gallery, Section, TableBlock, Words
from bayesight.report.words import interval

_TITLES = (marked("best"), marked("typical"), marked("worst"))


def cases(found: Iterable[Card], words: str) -> Section:
    """Best, typical and worst answers beside the truth.

    Args:
        found: images with the truth and the answer drawn on them, in the order shown.
        words: what is drawn, in a sentence.
    """
    return Section(tr("Best, typical and worst"), [Words([words]), Gallery(list(found), wide=True)])


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
    columns = [Column(tr("class"), numeric=False), Column(unit), Column(measure, tr("95 % interval"))]
    table = []
    for name, e in rows.items():
        worth = Cell(NO_VALUE) if math.isnan(e.mean) else Cell(f"{e.mean:.3f}", interval(e))
        table.append([Cell(name), Cell(f"{counts[name]:,}"), worth])
    return Section(heading, [TableBlock(columns, table, heading)])
