"""Sections on data that shift: accuracy as an association turns round."""

from __future__ import annotations

from dataclasses import dataclass

from bayesight.language import tr
from bayesight.report.blocks import Block, Cell, Chart, Column, Items, Section, TableBlock, Words, line_keys
from bayesight.report.figures import Line, rate_curve
from bayesight.report.words import joined, percent, percents, plural, rate

__all__ = ["ShiftMethod", "shift_table"]


@dataclass(frozen=True)
class ShiftMethod:
    """One way of training, measured wherever it was; medians over the seeds, accuracies being fractions.

    Attributes:
        name: short.
        title: in words.
        sees: what it was told beyond images and labels.
        train: accuracy in each training environment (E,).
        test: accuracy at each agreement (G,).
        low: least over the seeds (G,).
        high: greatest (G,).
        published: (training, test) accuracy of the paper, or None.
    """

    name: str
    title: str
    sees: str
    train: tuple[float, ...]
    test: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    published: tuple[float, float] | None = None


def shift_table(
    methods: tuple[ShiftMethod, ...],
    trained_at: tuple[float, ...],
    tested_at: tuple[float, ...],
    drawn: tuple[str, ...],
    *,
    chosen: str | None = None,
    ceiling: float = 1.0,
    seeds: int = 1,
) -> Section:
    """Several ways of training as the association they could lean on turns round.

    Args:
        methods: in the order of the table.
        trained_at: agreement of attribute and label in each training environment (E,).
        tested_at: agreements (G,), ascending.
        drawn: names of up to four methods for the curves.
        chosen: the method chosen without looking at a test environment.
        ceiling: the best accuracy that does not rest on the attribute.
        seeds: repetitions.
    """
    named = {method.name: method for method in methods}
    curves = [named[name] for name in drawn if name in named]
    here = tested_at[0]
    blocks: list[Block] = [Words(_said(named, trained_at, here, ceiling, named.get(chosen or "")))]
    if curves:
        lines = [Line(m.title, tested_at, m.test, m.low, m.high) for m in curves]
        marks = {tr("trained here"): sum(trained_at) / len(trained_at)}
        over = tr("images whose colour agrees with the label")
        blocks.append(
            Chart(rate_curve(lines, over, tr("accuracy"), marks=marks, log=False), line_keys(lines))
        )
    columns = (
        Column("", numeric=False),
        Column(tr("training"), " / ".join(rate(a) for a in trained_at)),
        Column(tr("test"), rate(here)),
        Column(tr("published"), tr("training / test")),
    )
    rows = tuple(_row(method) for method in methods)
    told = tuple(f"{method.title}: {method.sees}." for method in methods)
    repeated = plural(seeds, "repetition")
    meaning = tr(
        "Medians of {repeated}, and the span from the least to the greatest. Training: letters "
        "of the training environments that were held out; in the head of a column, how often "
        "colour and label agree.",
        repeated=repeated,
    )
    table = TableBlock(columns, rows, tr("Accuracy in the training environments and at test"))
    return Section(
        tr("Which of them holds"),
        (
            *blocks,
            table,
            Words((meaning, tr("What each was told beyond images and labels:")), quiet=True),
            Items(told),
        ),
    )


def _said(
    methods: dict[str, ShiftMethod],
    trained_at: tuple[float, ...],
    here: float,
    ceiling: float,
    best: ShiftMethod | None,
) -> tuple[str, ...]:
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
    ordinary = methods.get("ordinary")
    if ordinary is not None:
        mean = sum(ordinary.train) / len(ordinary.train)
        said.append(
            tr(
                "Ordinary training is right in {mean} while nothing changes, and in {test} when the "
                "colour has turned round.",
                mean=rate(mean),
                test=rate(ordinary.test[0]),
            )
        )
    if best is not None:
        mean = sum(best.train) / len(best.train)
        said.append(
            tr(
                "Chosen on the training environments alone: {title}, right in {mean} there and in "
                "{test} after the shift.",
                title=best.title,
                mean=rate(mean),
                test=rate(best.test[0]),
            )
        )
    return tuple(said)


def _row(method: ShiftMethod) -> tuple[Cell, ...]:
    spread = percents((method.low[0], method.high[0]), "–")
    paper = "–" if method.published is None else percents(method.published)
    return (
        Cell(method.title),
        Cell(percents(method.train)),
        Cell(percent(method.test[0]), spread),
        Cell(paper),
    )
