"""Sections on data that shift: accuracy as an association turns round."""

from __future__ import annotations

from bayesight.report.blocks import Block, Cell, Chart, Column, Items, Key, Table, Words
from bayesight.report.figures import Curve, rate_curve
from bayesight.report.shift import ShiftMethod, ShiftTable
from bayesight.report.words import THIN, joined, percent, plural, rate

__all__ = ["shift_table"]

_MARKS = (("c1", "line"), ("c2", "dashes"), ("c3", "dashes"), ("c4", "dashes"))


def shift_table(section: ShiftTable, uid: str) -> tuple[Block, ...]:
    """The curves of a few methods, and every figure of all of them."""
    methods = {method.name: method for method in section.methods}
    drawn = [methods[name] for name in section.drawn if name in methods][: len(_MARKS)]
    here = section.tested_at[0]
    blocks: list[Block] = [Words(_said(section, methods, here))]
    if drawn:
        svg = rate_curve(
            section.tested_at,
            [Curve(method.test, method.low, method.high) for method in drawn],
            ("images whose colour agrees with the label", "accuracy"),
            marks={"trained here": sum(section.trained_at) / len(section.trained_at)},
            log=False,
        )
        keys = tuple(
            Key(role, mark, method.title) for (role, mark), method in zip(_MARKS, drawn, strict=False)
        )
        blocks.append(Chart(svg, keys))
    columns = (
        Column("", numeric=False),
        Column("training", " / ".join(rate(a) for a in section.trained_at)),
        Column("test", rate(here)),
        Column("published", "training / test"),
    )
    rows = tuple(_row(method) for method in section.methods)
    told = tuple(f"{method.title}: {method.sees}." for method in section.methods)
    repeated = plural(section.seeds, "repetition")
    meaning = (
        f"Medians of {repeated}, and the span from the least to the greatest. Training: letters of the "
        "training environments that were held out; in the head of a column, how often colour and label agree."
    )
    table = Table(columns, rows, "Accuracy in the training environments and at test")
    return (
        *blocks,
        table,
        Words((meaning, "What each was told beyond images and labels:"), quiet=True),
        Items(told),
    )


def _said(section: ShiftTable, methods: dict[str, ShiftMethod], here: float) -> tuple[str, ...]:
    said = [
        f"In training the colour agrees with the label in {joined([rate(a) for a in section.trained_at])} of "
        f"the images, at test in {rate(here)}. Without the colour no one can be right more often than "
        f"{rate(section.ceiling)}, for the other labels are wrong."
    ]
    ordinary = methods.get("ordinary")
    if ordinary is not None:
        mean = sum(ordinary.train) / len(ordinary.train)
        said.append(
            f"Ordinary training is right in {rate(mean)} while nothing changes, and in "
            f"{rate(ordinary.test[0])} when the colour has turned round."
        )
    best = methods.get(section.chosen or "")
    if best is not None:
        mean = sum(best.train) / len(best.train)
        said.append(
            f"Chosen on the training environments alone: {best.title}, right in {rate(mean)} there and in "
            f"{rate(best.test[0])} after the shift."
        )
    return tuple(said)


def _row(method: ShiftMethod) -> tuple[Cell, ...]:
    spread = _listed((method.low[0], method.high[0]), "–")
    paper = "–" if method.published is None else _listed(method.published)
    return (
        Cell(method.title),
        Cell(_listed(method.train)),
        Cell(percent(method.test[0]), spread),
        Cell(paper),
    )


def _listed(accuracies: tuple[float, ...], between: str = " / ") -> str:
    return between.join(percent(accuracy).removesuffix(f"{THIN}%") for accuracy in accuracies) + f"{THIN}%"
