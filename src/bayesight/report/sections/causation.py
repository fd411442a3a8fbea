"""Sections about cause and effect: the graph, both answers, the strata."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from bayesight.bayes.rates import Estimate
from bayesight.language import tr
from bayesight.report import figures
from bayesight.report.blocks import Block, Cell, Chart, Column, Grid, Items, Key, Section, TableBlock, Words
from bayesight.report.words import count, percent, rate, signed

if TYPE_CHECKING:  # networkx is a fifth of a second, and most reports have no graph
    from bayesight.causal import Dag, EffectEstimate, Strata

__all__ = ["causal_graph", "seeing_and_doing", "strata_table"]

_SHOWN = 40


def causal_graph(
    dag: Dag, treatment: str, outcome: str, *, held: Sequence[str] = (), sentences: Sequence[str] = ()
) -> Section:
    """The graph, drawn, with what has to be held fixed, and what follows from it.

    Args:
        dag: the graph.
        treatment: the variable that would be set.
        outcome: the variable that is looked at.
        held: what is held fixed.
        sentences: what follows from the graph, in words.
    """
    keys = [Key("c1", "band", tr("treatment")), Key("c2", "band", tr("outcome"))]
    if held:
        keys.append(Key("c3", "ring", tr("held fixed")))
    if dag.unobserved:
        keys.append(Key("muted", "dashes", tr("unobserved")))
    svg = figures.causal_graph(
        dag.nodes, dag.edges, treatment=treatment, outcome=outcome, held=held, unobserved=dag.unobserved
    )
    drawn = Chart(svg, tuple(keys), scrolls=len(dag.nodes) > 6)
    said = (Items(tuple(sentences)),) if sentences else ()
    return Section(tr("Who causes whom"), (drawn, *said))


def seeing_and_doing(
    outcome: str,
    answers: Mapping[str, EffectEstimate],
    *,
    fraction: bool = False,
    headline: str = "",
    others: Mapping[str, Estimate] = MappingProxyType({}),
    sentences: Sequence[str] = (),
    level: float = 0.95,
) -> Section:
    """Both answers side by side as marks on an axis and in a table, and how far they can be trusted.

    Args:
        outcome: what the numbers are a mean of.
        answers: title to answer, the conditional one first; an effect that cannot be known is not among them.
        fraction: whether the means are probabilities, to be shown in per cent.
        headline: what to remember, such as a reversal.
        others: second opinions: method to effect.
        sentences: what else to know.
        level: probability inside each interval.
    """
    values = {title: {**answer.means, **_gaps(answer)} for title, answer in answers.items()}
    told = _Told(fraction, _digits(values))
    first = next(iter(answers.values()))
    titles = list(answers)
    keys = [Key("c2", "ring", titles[0])] if len(titles) > 1 else []
    keys += [Key("c1", "dot", titles[-1])]
    what = tr("share with {outcome}", outcome=outcome) if fraction else tr("mean {outcome}", outcome=outcome)
    charts = []
    for candidates, zero in ((first.means, False), (_gaps(first), True)):
        names = [n for n in candidates if all(n in shown for shown in values.values())]
        if names:
            rows = [[shown[n] for n in names] for shown in values.values()]
            svg = figures.interval_rows(names, rows, fraction=fraction, zero=zero)
            charts.append(Chart(svg, tuple(keys), tr("change of the {what}", what=what) if zero else what))
    blocks: list[Block] = [Words((headline,))] if headline else []
    blocks += [Grid(tuple(charts)), _numbers(answers, told, level)]
    if others:
        said = tuple(f"{name}: {told.effect(e)}" for name, e in others.items())
        blocks += [Words((tr("Beside it:"),), quiet=True), Items(said)]
    if sentences:
        blocks.append(Items(tuple(sentences)))
    return Section(tr("Seeing and doing"), tuple(blocks))


def strata_table(strata: Strata, treatments: Sequence[str]) -> Section:
    """Like compared with like, stratum by stratum, the largest 40; what never occurs in one is named.

    Args:
        strata: rows and mean outcomes.
        treatments: names (K,).
    """
    columns = [Column(tr("stratum"), numeric=False)]
    columns += [Column(t, tr("mean outcome, rows")) for t in treatments]
    columns.append(Column(tr("overlap"), numeric=False))
    rows = []
    order = np.argsort(-strata.n.sum(axis=0), kind="stable").tolist()
    for s in order[:_SHOWN]:
        pairs = list(zip(strata.n[:, s].tolist(), strata.mean[:, s].tolist(), strict=True))
        missing = [t for t, (n, _) in zip(treatments, pairs, strict=True) if n == 0]
        cells = [
            Cell(_plain(mean, strata.binary) if n else "–", tr("{n} rows", n=count(n))) for n, mean in pairs
        ]
        overlap = Cell(tr("no {treatments}", treatments=tr(" or ").join(missing)) if missing else tr("yes"))
        rows.append((Cell(strata.label(s)), *cells, overlap))
    words = [
        tr(
            "{share} of the rows lie in strata where every treatment occurs; the answer is about them.",
            share=rate(strata.share),
        )
    ]
    if len(order) > _SHOWN:
        words.append(tr("{count} smaller strata are not shown.", count=count(len(order) - _SHOWN)))
    return Section(
        tr("Like compared with like"),
        (Words(tuple(words)), TableBlock(tuple(columns), tuple(rows), tr("Strata"))),
    )


@dataclass(frozen=True)
class _Told:
    """Means and effects in words.

    Attributes:
        fraction: whether they are in per cent.
        digits: decimals of per cent.
    """

    fraction: bool
    digits: int

    def mean(self, e: Estimate) -> Cell:
        """A mean above its interval."""
        if self.fraction:
            low, high = percent(e.low, self.digits), percent(e.high, self.digits)
            return Cell(percent(e.mean, self.digits), tr("{low} to {high}", low=low, high=high))
        return Cell(
            _plain(e.mean, False),
            tr("{low} to {high}", low=_plain(e.low, False), high=_plain(e.high, False)),
        )

    def gap(self, e: Estimate) -> Cell:
        """A difference above its interval."""
        if not self.fraction:
            return self.mean(e)
        low, high = signed(e.low, self.digits), signed(e.high, self.digits)
        return Cell(
            tr("{change} points", change=signed(e.mean, self.digits)),
            tr("{low} to {high}", low=low, high=high),
        )

    def effect(self, e: Estimate) -> str:
        """A difference with its interval in a sentence."""
        cell = self.gap(e)
        return f"{cell.text} ({cell.detail})"


def _gaps(answer: EffectEstimate) -> dict[str, Estimate]:
    """The differences, or the slope, by name."""
    gaps = {f"{d.of} − {d.versus}": d.estimate for d in answer.differences}
    return gaps if answer.slope is None else gaps | {tr("one more unit"): answer.slope}


def _digits(values: Mapping[str, Mapping[str, Estimate]]) -> int:
    """Decimals of per cent that tell the narrowest interval's ends apart."""
    widths = [e.high - e.low for shown in values.values() for e in shown.values() if e.high > e.low]
    return 1 if not widths else min(max(1, 1 - math.floor(math.log10(100 * min(widths)))), 4)


def _numbers(answers: Mapping[str, EffectEstimate], told: _Told, level: float) -> TableBlock:
    cells = [
        {n: told.mean(e) for n, e in a.means.items()} | {n: told.gap(e) for n, e in _gaps(a).items()}
        for a in answers.values()
    ]
    names = list(dict.fromkeys(n for shown in cells for n in shown))
    interval = tr("{level} interval", level=percent(level, 0))
    columns = (Column("", numeric=False), *(Column(title, interval) for title in answers))
    rows = tuple((Cell(n), *(shown.get(n, Cell("–")) for shown in cells)) for n in names)
    return TableBlock(columns, rows, tr("Both answers"))


def _plain(value: float, fraction: bool) -> str:
    if math.isnan(value):
        return "–"
    return percent(value) if fraction else f"{value:.4g}".replace("-", "−")
