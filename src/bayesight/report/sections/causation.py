"""Sections about cause and effect: the graph, both answers, the strata."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayesight.bayes.rates import Estimate
from bayesight.formatting import NO_VALUE
from bayesight.language import tr
from bayesight.report import figures
from bayesight.report.blocks import Block, Cell, Chart, Column, Grid, Items, Key, Section, TableBlock, Words
from bayesight.report.words import count, percent, rate, signed

if TYPE_CHECKING:  # networkx is a fifth of a second, and most reports have no graph
    from bayesight.causal import Dag, EffectEstimate, Strata

_SHOWN = 40


def causal_graph(
    dag: Dag, treatment: str, outcome: str, *, held: Sequence[str], sentences: Sequence[str]
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
    keys += [Key("c3", "ring", tr("held fixed"))] if held else []
    keys += [Key("muted", "dashes", tr("unobserved"))] if dag.unobserved else []
    svg = figures.causal_graph(
        dag.nodes, dag.edges, treatment=treatment, outcome=outcome, held=held, unobserved=dag.unobserved
    )
    drawn = Chart(svg, keys, scrolls=len(dag.nodes) > 6)
    return Section(tr("Who causes whom"), [drawn, Items(sentences)] if sentences else [drawn])


def seeing_and_doing(
    outcome: str,
    answers: Mapping[str, EffectEstimate],
    *,
    fraction: bool,
    headline: str,
    others: Mapping[str, Estimate],
    sentences: Sequence[str],
    level: float,
) -> Section:
    """Both answers side by side as marks on an axis and in a table, and how far they can be trusted.

    Args:
        outcome: what the numbers are a mean of.
        answers: title to answer, the conditional one first; an effect that cannot be known is not among them.
        fraction: whether the means are probabilities, to be shown in per cent.
        headline: what to remember, such as a reversal; empty without one.
        others: second opinions: method to effect.
        sentences: what else to know.
        level: probability inside each interval.
    """
    titles, means, gaps = (
        list(answers),
        [a.means for a in answers.values()],
        [_gaps(a) for a in answers.values()],
    )
    digits = _digits([e for one in (*means, *gaps) for e in one.values()])
    keys = [Key("c2", "ring", titles[0]), Key("c1", "dot", titles[-1])][-len(titles) :]
    what = tr("share with {outcome}", outcome=outcome) if fraction else tr("mean {outcome}", outcome=outcome)
    charts = []
    for numbers, said in ((means, what), (gaps, tr("change of the {what}", what=what))):
        names = [n for n in numbers[0] if all(n in one for one in numbers)]
        if names:
            rows = [[one[n] for n in names] for one in numbers]
            svg = figures.interval_rows(names, rows, fraction=fraction, zero=numbers is gaps)
            charts.append(Chart(svg, keys, said))
    cells = [
        {n: _mean(e, fraction, digits) for n, e in mean.items()}
        | {n: _gap(e, fraction, digits) for n, e in gap.items()}
        for mean, gap in zip(means, gaps, strict=True)
    ]
    meaning = tr("{level} interval", level=percent(level, 0))
    columns = [Column("", numeric=False), *(Column(title, meaning) for title in titles)]
    named = dict.fromkeys(n for shown in cells for n in shown)
    table = [[Cell(n), *(shown.get(n, Cell(NO_VALUE)) for shown in cells)] for n in named]
    blocks: list[Block] = [Words([headline])] if headline else []
    blocks += [Grid(charts), TableBlock(columns, table, tr("Both answers"))]
    if others:
        told = ((name, _gap(e, fraction, digits)) for name, e in others.items())
        second = [f"{name}: {cell.text} ({cell.detail})" for name, cell in told]
        blocks += [Words([tr("Beside it:")], quiet=True), Items(second)]
    blocks += [Items(sentences)] if sentences else []
    return Section(tr("Seeing and doing"), blocks)


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
        missing = tr(" or ").join(t for t, (n, _) in zip(treatments, pairs, strict=True) if n == 0)
        overlap = tr("no {treatments}", treatments=missing) if missing else tr("yes")
        means = ((_plain(mean, strata.binary) if n else NO_VALUE, n) for n, mean in pairs)
        cells = (Cell(mean, tr("{n} rows", n=count(n))) for mean, n in means)
        rows.append([Cell(strata.label(s)), *cells, Cell(overlap)])
    words = [
        tr(
            "{share} of the rows lie in strata where every treatment occurs; the answer is about them.",
            share=rate(strata.share),
        )
    ]
    if len(order) > _SHOWN:
        words.append(tr("{count} smaller strata are not shown.", count=count(len(order) - _SHOWN)))
    return Section(tr("Like compared with like"), [Words(words), TableBlock(columns, rows, tr("Strata"))])


def _gaps(answer: EffectEstimate) -> dict[str, Estimate]:
    """The differences, or the slope, by name."""
    gaps = {f"{d.of} − {d.versus}": d.estimate for d in answer.differences}
    return gaps if answer.slope is None else gaps | {tr("one more unit"): answer.slope}


def _digits(estimates: Sequence[Estimate]) -> int:
    """Decimals of per cent that tell the narrowest interval's ends apart."""
    widths = [e.high - e.low for e in estimates if e.high > e.low]
    return 1 if not widths else min(max(1, 1 - math.floor(math.log10(100 * min(widths)))), 4)


def _mean(e: Estimate, fraction: bool, digits: int) -> Cell:
    """A mean above its interval."""
    mean, low, high = (percent(x, digits) if fraction else _plain(x, False) for x in (e.mean, e.low, e.high))
    return Cell(mean, tr("{low} to {high}", low=low, high=high))


def _gap(e: Estimate, fraction: bool, digits: int) -> Cell:
    """A difference above its interval."""
    if not fraction:
        return _mean(e, fraction, digits)
    change, low, high = (signed(x, digits) for x in (e.mean, e.low, e.high))
    return Cell(tr("{change} points", change=change), tr("{low} to {high}", low=low, high=high))


def _plain(value: float, fraction: bool) -> str:
    if math.isnan(value):
        return NO_VALUE
    return percent(value) if fraction else f"{value:.4g}".replace("-", "−")
