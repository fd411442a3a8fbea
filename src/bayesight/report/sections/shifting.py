"""Sections on data that shift: accuracy as an association turns round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from bayesight.formatting import NO_VALUE
from bayesight.language import tr
from bayesight.report.blocks import Block, Cell, Chart, Column, Items, Section, TableBlock, Words, line_keys
from bayesight.report.figures import Line, rate_curve
from bayesight.report.words import joined, percent, percents, plural, rate


def shift_table(
    methods: Mapping[str, Mapping[str, Any]],
    trained_at: Sequence[float],
    tested_at: Sequence[float],
    drawn: Sequence[str],
    *,
    chosen: str | None = None,
    ceiling: float,
    seeds: int,
) -> Section:
    """Several ways of training as the association they could lean on turns round.

    Args:
        methods: by name, in the order of the table: its ``title``, what it ``sees`` beyond images and labels,
            its accuracies (``median``, ``low`` and ``high`` over the seeds) on ``validation`` images of each
            training environment and on ``test`` images at each agreement, those ``published`` or None.
        trained_at: agreement of attribute and label in each training environment (E,).
        tested_at: agreements (G,), ascending.
        drawn: names of the methods for the curves.
        chosen: the method chosen without looking at a test environment.
        ceiling: the best accuracy that does not rest on the attribute.
        seeds: repetitions.
    """
    lines = []
    for method in (methods[name] for name in drawn if name in methods):
        spreads = method["test"].values()
        median, low, high = ([one[part] for one in spreads] for part in ("median", "low", "high"))
        lines.append(Line(method["title"], tested_at, median, low, high))
    blocks: list[Block] = [Words(_said(methods, trained_at, tested_at[0], ceiling, chosen))]
    if lines:
        marks = {tr("trained here"): fmean(trained_at)}
        over = tr("images whose colour agrees with the label")
        svg = rate_curve(lines, over, tr("accuracy"), marks=marks, log=False)
        blocks.append(Chart(svg, line_keys(lines)))
    columns = [
        Column("", numeric=False),
        Column(tr("training"), " / ".join(rate(a) for a in trained_at)),
        Column(tr("test"), rate(tested_at[0])),
        Column(tr("published"), tr("training / test")),
    ]
    rows = [_row(method) for method in methods.values()]
    meaning = tr(
        "Medians of {repeated}, and the span from the least to the greatest. Training: letters "
        "of the training environments that were held out; in the head of a column, how often "
        "colour and label agree.",
        repeated=plural(seeds, "repetition"),
    )
    table = TableBlock(columns, rows, tr("Accuracy in the training environments and at test"))
    told = [meaning, tr("What each was told beyond images and labels:")]
    hints = [f"{method['title']}: {method['sees']}." for method in methods.values()]
    return Section(tr("Which of them holds"), [*blocks, table, Words(told, quiet=True), Items(hints)])


def _said(
    methods: Mapping[str, Mapping[str, Any]],
    trained_at: Sequence[float],
    here: float,
    ceiling: float,
    chosen: str | None,
) -> list[str]:
    said = [
        tr(
            "In training the colour agrees with the label in {agreements} of the images, at test in "
            "{here}. Without the colour no one can be right more often than {ceiling}, for the "
            "other labels are wrong.",
            agreements=joined([rate(a) for a in trained_at]),
            here=rate(here),
            ceiling=rate(ceiling),
        )
    ]
    if "ordinary" in methods:
        train, test = _accuracies(methods["ordinary"])
        said.append(
            tr(
                "Ordinary training is right in {mean} while nothing changes, and in {test} when the "
                "colour has turned round.",
                mean=rate(fmean(train)),
                test=rate(test["median"]),
            )
        )
    if chosen is not None:
        train, test = _accuracies(methods[chosen])
        said.append(
            tr(
                "Chosen on the training environments alone: {title}, right in {mean} there and in "
                "{test} after the shift.",
                title=methods[chosen]["title"],
                mean=rate(fmean(train)),
                test=rate(test["median"]),
            )
        )
    return said


def _row(method: Mapping[str, Any]) -> list[Cell]:
    train, test = _accuracies(method)
    paper = method["published"]
    return [
        Cell(method["title"]),
        Cell(percents(train)),
        Cell(percent(test["median"]), percents((test["low"], test["high"]), "–")),
        Cell(NO_VALUE if paper is None else percents(list(paper.values()))),
    ]


def _accuracies(method: Mapping[str, Any]) -> tuple[list[float], Mapping[str, float]]:
    """Medians in the training environments, and the spread where the association has turned round most."""
    return [one["median"] for one in method["validation"].values()], next(iter(method["test"].values()))
