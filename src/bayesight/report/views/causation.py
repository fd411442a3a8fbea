"""Sections about cause and effect: the graph, both answers, the strata."""

from __future__ import annotations

import math

from bayesight.bayes.rates import Estimate
from bayesight.report.blocks import Block, Cell, Chart, Column, Grid, Items, Key, Table, Words
from bayesight.report.causes import CausalGraph, SeeingAndDoing, StrataTable, TitledAnswer
from bayesight.report.figures import GraphMarks, causal_graph, interval_rows
from bayesight.report.words import count, percent, rate, signed

__all__ = ["graph", "seeing_and_doing", "strata"]

_SHOWN = 40


def graph(section: CausalGraph, uid: str) -> tuple[Block, ...]:
    """The drawing, its legend, and what follows from it."""
    marks = GraphMarks(
        section.treatment, section.outcome, frozenset(section.held), frozenset(section.unobserved)
    )
    keys = [Key("c1", "band", "treatment"), Key("c2", "band", "outcome")]
    if section.held:
        keys.append(Key("c3", "ring", "held fixed"))
    if section.unobserved:
        keys.append(Key("muted", "dashes", "unobserved"))
    svg = causal_graph(section.nodes, section.edges, marks)
    drawn = Chart(svg, tuple(keys), scrolls=len(section.nodes) > 6)
    return (drawn, Items(section.sentences)) if section.sentences else (drawn,)


def seeing_and_doing(section: SeeingAndDoing, uid: str) -> tuple[Block, ...]:
    """The headline, both answers as marks on one axis, the differences on another, all of it in a table."""
    blocks: list[Block] = [Words((section.headline,))] if section.headline else []
    keys = [Key("c2", "ring", section.answers[0].title)] if len(section.answers) > 1 else []
    keys += [Key("c1", "dot", section.answers[-1].title)]
    charts = []
    shared = [n for n in section.answers[0].values if all(n in a.values for a in section.answers)]
    gaps = [n for n in shared if n in section.answers[0].differences]
    for names, zero in (([n for n in shared if n not in gaps], False), (gaps, True)):
        if names:
            rows = [[a.values[n] for n in names] for a in section.answers]
            caption = _caption(section, zero)
            svg = interval_rows(names, rows, fraction=section.fraction, zero=zero)
            charts.append(Chart(svg, tuple(keys), caption))
    blocks += [Grid(tuple(charts)), _numbers(section)]
    if section.others:
        said = tuple(f"{name}: {_said(e, section)}" for name, e in section.others.items())
        blocks += [Words(("Beside it:",), quiet=True), Items(said)]
    if section.sentences:
        blocks.append(Items(section.sentences))
    return tuple(blocks)


def strata(section: StrataTable, uid: str) -> tuple[Block, ...]:
    """Rows and means of every stratum; where a treatment never occurs, that is said."""
    columns = [Column("stratum", numeric=False)]
    columns += [Column(t, "mean outcome, rows") for t in section.treatments]
    columns.append(Column("overlap", numeric=False))
    rows = []
    for s in section.strata[:_SHOWN]:
        missing = [t for t, n in zip(section.treatments, s.rows, strict=True) if n == 0]
        cells = [
            Cell(_plain(mean, section.fraction), f"{count(n)} rows")
            for mean, n in zip(s.means, s.rows, strict=True)
        ]
        rows.append((Cell(s.label), *cells, Cell(f"no {' or '.join(missing)}" if missing else "yes")))
    left = len(section.strata) - _SHOWN
    words = [
        f"{rate(section.share)} of the rows lie in strata where every treatment occurs; "
        "the answer is about them."
    ]
    if left > 0:
        words.append(f"{count(left)} smaller strata are not shown.")
    return Words(tuple(words)), Table(tuple(columns), tuple(rows), "Strata")


def _caption(section: SeeingAndDoing, change: bool) -> str:
    what = f"share with {section.outcome}" if section.fraction else f"mean {section.outcome}"
    return f"change of the {what}" if change else what


def _digits(section: SeeingAndDoing) -> int:
    """Decimals of per cent that tell the narrowest interval's ends apart."""
    widths = [e.high - e.low for a in section.answers for e in a.values.values() if e.high > e.low]
    return 1 if not widths else min(max(1, 1 - math.floor(math.log10(100 * min(widths)))), 4)


def _numbers(section: SeeingAndDoing) -> Table:
    names = list(dict.fromkeys(n for a in section.answers for n in a.values))
    interval = f"{percent(section.level, 0)} interval"
    columns = (Column("", numeric=False), *(Column(a.title, interval) for a in section.answers))
    rows = tuple((Cell(n), *(_cell(a, n, section) for a in section.answers)) for n in names)
    return Table(columns, rows, "Both answers")


def _cell(answer: TitledAnswer, name: str, section: SeeingAndDoing) -> Cell:
    e = answer.values.get(name)
    if e is None:
        return Cell("–")
    digits = _digits(section)
    if section.fraction and name in answer.differences:
        ends = f"{signed(e.low, digits)} to {signed(e.high, digits)}"
        return Cell(f"{signed(e.mean, digits)} points", ends)
    if section.fraction:
        return Cell(percent(e.mean, digits), f"{percent(e.low, digits)} to {percent(e.high, digits)}")
    return Cell(_plain(e.mean, False), f"{_plain(e.low, False)} to {_plain(e.high, False)}")


def _said(e: Estimate, section: SeeingAndDoing) -> str:
    if section.fraction:
        digits = _digits(section)
        low, high = signed(e.low, digits), signed(e.high, digits)
        return f"{signed(e.mean, digits)} points ({low} to {high})"
    return f"{_plain(e.mean, False)} ({_plain(e.low, False)} to {_plain(e.high, False)})"


def _plain(value: float, fraction: bool) -> str:
    if math.isnan(value):
        return "–"
    return percent(value) if fraction else f"{value:.4g}".replace("-", "−")
