"""An effect from a table: the question as it is asked, what has to be read for it, and the answer."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from bayesight.causal import (
    AdjustFor,
    Dag,
    Effect,
    EffectEstimate,
    EffectQuestion,
    FrontDoor,
    Instrument,
    estimate,
    explain_forbidden,
    identify,
    parse,
)
from bayesight.causal.cross_products import add, begin
from bayesight.causal.effect import estimate_from_cross_products
from bayesight.causal.examples import Example, example
from bayesight.causal.refute import refute
from bayesight.causal.strata import credible_answer
from bayesight.checks import check, existing_path
from bayesight.data.columns import CountsColumn, find_counts
from bayesight.data.samples import ReadOptions, TableRead, TooLarge, read_parts, read_sample
from bayesight.data.tables import Table
from bayesight.errors import InvalidInput, UnknownName, nearest
from bayesight.files import reading
from bayesight.progress import reporter
from bayesight.types import Progress, ShownProgress
from bayesight.workflows.causal.answer import (
    CATEGORIES,
    LINE,
    SLOPE,
    CausalAnswer,
    ColumnUse,
    column_uses,
    held_kinds,
    suggest_counts,
)


@dataclass(frozen=True)
class CausalRequest:
    """A question about cause and effect, and the table it is asked of.

    Attributes:
        table: a CSV or Parquet file, or ``example:NAME``.
        treatment: column that would be set; an example knows its own, as it does for the next three.
        outcome: column that is looked at.
        graph: arrows, DOT, or a file that holds either.
        reference: the treatment others are compared with.
        success: the outcome that counts, where it is no number.
        adjust: hold these fixed whatever the graph says.
        direct: only the direct effect.
        unobserved: variables of the graph that nobody measured.
        counts: column that says how many rows each stands for; "none" where each line is one row; when empty,
            a column that is plainly one is taken.
        weights: column of sampling weights.
        numeric: columns that are continuous whatever their values.
        text: columns whose values are names even where they look like numbers.
        drop_missing: leave rows with missing values out.
        level: probability inside each interval.
        bayes: also the Bayesian answer.
        refute: also try to break the answer.
        seed: every random choice follows from it.
        effect: on whom: ``ate``, ``att``, ``atc`` or ``overlap``.
    """

    table: str | os.PathLike[str]
    treatment: str = ""
    outcome: str = ""
    graph: str = ""
    reference: str = ""
    success: str = ""
    adjust: tuple[str, ...] | None = None
    direct: bool = False
    unobserved: tuple[str, ...] = ()
    counts: str = ""
    weights: str = ""
    numeric: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    drop_missing: bool = False
    level: float = 0.95
    bayes: bool = False
    refute: bool = False
    seed: int = 0
    effect: str = "ate"

    @property
    def question(self) -> EffectQuestion:
        """The question without its table."""
        return EffectQuestion(**{part.name: getattr(self, part.name) for part in fields(EffectQuestion)})


def complete(request: CausalRequest, known: Example | None) -> CausalRequest:
    """Fill in an example's own question where nothing else was said.

    Raises:
        InvalidInput: no treatment, outcome or graph, or counts and weights in one.
    """
    if known is not None:
        same = request.treatment in ("", known.treatment) and request.outcome in ("", known.outcome)
        request = replace(
            request,
            treatment=request.treatment or known.treatment,
            outcome=request.outcome or known.outcome,
            graph=request.graph or known.graph,
            reference=request.reference or (known.reference if same else ""),
            success=request.success or (known.success if same else ""),
            direct=request.direct or (known.direct and same and not request.graph),
        )
    for option in ("treatment", "outcome", "graph"):
        said = bool(getattr(request, option))
        check(said, "effect", f"no --{option}", "treatment, outcome and graph", "Examples know theirs.")
    check(not (request.counts and request.weights), "effect", "--counts and --weights", "one of them")
    return request


def read_graph(graph: str) -> str:
    """Give a graph's text, read from a file where it names one."""
    if len(graph) < 4096 and "\n" not in graph and Path(graph).suffix in (".dot", ".gv", ".txt", ".dagitty"):
        path = existing_path(graph)
        with reading(path):
            return path.read_text(encoding="utf-8-sig", errors="replace")
    return graph


def graph_of(request: CausalRequest, columns: Sequence[str]) -> Dag:
    """Read the graph; what the table does not hold is said to be unobserved, or refused.

    A name that begins with U is a column where the table has one, unless it is said to be unobserved.
    """
    first = parse(read_graph(request.graph))
    present = [n for n in first.nodes if n.startswith("U") and n in columns and n not in request.unobserved]
    dag = parse(first, unobserved=request.unobserved, observed=present)
    for name, role in ((request.treatment, "treatment"), (request.outcome, "outcome")):
        if name not in columns:
            raise UnknownName("column", name, columns)
        if name not in dag.nodes:
            hint = nearest(name, dag.nodes)
            meant = f" Did you mean {hint!r}?" if hint else ""
            raise InvalidInput(
                f"graph: the {role} {name!r} is not in it; expected a variable of the graph.{meant}"
            )
    lacking = [n for n in dag.observed if n not in columns]
    if lacking:
        hint = nearest(lacking[0], columns)
        meant = f"; did you mean {hint!r}?" if hint else f"; the columns are {', '.join(columns)}."
        raise InvalidInput(
            f"graph: {lacking[0]!r} is no column of the table{meant} "
            f"If nobody measured it, say --unobserved {lacking[0]}, or give it a name that begins with U."
        )
    return dag


def read_options(request: CausalRequest, dag: Dag, columns: Sequence[str]) -> ReadOptions:
    """Name the columns that the answer needs, and no others."""
    known = identify(dag, request.treatment, request.outcome, direct=request.direct)
    needed: tuple[str, ...] = ()
    if request.adjust is not None:
        needed = request.adjust
    elif isinstance(known, AdjustFor):
        needed = known.variables
    elif isinstance(known, FrontDoor):
        needed = known.mediators
    elif isinstance(known, Instrument):
        needed = (known.variable, *known.given)
    for name in needed:
        if name not in columns:
            raise UnknownName("column", name, columns)
    return ReadOptions(
        tuple(dict.fromkeys([request.treatment, request.outcome, *needed])),
        request.outcome,
        request.counts,
        request.weights,
        request.numeric,
        request.text,
        request.drop_missing,
        tuple(name for name in needed if name not in (request.treatment, request.outcome)),
        request.treatment,
        bool(request.reference),
    )


EXAMPLE = "example:"
NONE = "none"


def causal_effect(request: CausalRequest, progress: ShownProgress = None) -> CausalAnswer:
    """Answer a causal question from a table.

    Args:
        request: what is asked.
        progress: called with (lines read, None).

    Raises:
        InvalidInput: a graph with a cycle, missing values, text where numbers belong, a treatment that never
            varies, no overlap.
        UnknownName: a column, level or example that is not there; the message suggests the nearest.
        SourceNotFound: no such file.
        SourceUnreadable: no table.

    Example:
        >>> found = causal_effect(CausalRequest("example:kidney-stones"))
        >>> found.effect.held, round(found.effect.adjusted.effect.mean, 3)
        (('size',), 0.054)
    """
    progress = reporter(progress, "reading", "rows")
    table = os.fspath(request.table)
    known = example(table.removeprefix(EXAMPLE)) if table.startswith(EXAMPLE) else None
    request = complete(request, known)
    whole = known.make() if known else None
    columns = tuple(whole.columns) if whole else Table.of(request.table).names
    dag = graph_of(request, columns)
    guess: CountsColumn | None = None
    if whole is None and not (request.counts or request.weights):
        guess = find_counts(request.table, columns, {*dag.nodes, *(request.adjust or ())})
    if request.counts == NONE and NONE not in columns:
        request = replace(request, counts="")
    elif guess is not None and guess.certain:
        request = replace(request, counts=guess.name)
    if whole is not None:
        read = TableRead(whole, int(whole.total), 0, {})
    else:
        options = read_options(request, dag, columns)
        try:
            read = read_sample(request.table, options, progress)
        except TooLarge as large:
            if request.treatment not in large.numeric or request.bayes or request.refute:
                raise
            return _streamed(request, options, large.numeric, dag, progress)
    found = estimate(read.sample, dag, request.question)
    draws = 20 if len(read.sample.n) <= 100_000 else 6  # distinct rows decide the time of one repetition
    return CausalAnswer(
        found,
        dag,
        _forbidden(found, dag),
        _bayes(request, found) if request.bayes else None,
        refute(read.sample, dag, found, seed=request.seed, draws=draws) if request.refute else (),
        read.rows,
        read.dropped,
        known.title if known else "",
        known.source if known else "",
        held_kinds(found, read.sample),
        column_uses(request.counts, found, read, guess),
        (*read.notes, *suggest_counts(guess)),
    )


def _streamed(
    request: CausalRequest, options: ReadOptions, numeric: Sequence[str], dag: Dag, progress: Progress | None
) -> CausalAnswer:
    """The answer for a continuous treatment from a table that no memory holds, by adding up its moments."""
    names = options.columns
    moments, rows = None, 0.0
    for part in read_parts(request.table, options, numeric, progress):
        moments = add(moments or begin(part, names), part, names)
        rows += len(part.n)
    if moments is None:
        raise InvalidInput(f"{request.table}: no rows are left; expected at least one.")
    found = estimate_from_cross_products(moments, dag, request.question)
    return CausalAnswer(
        found,
        dag,
        explain_forbidden(dag, request.treatment, request.outcome),
        rows=int(rows),
        held={name: (LINE if name in numeric else CATEGORIES, 0) for name in found.held or ()},
        columns=(
            ColumnUse(request.treatment, "treatment", "quantity", because=SLOPE),
            ColumnUse(request.outcome, "outcome", "quantity"),
            *(
                ColumnUse(name, "held fixed", "quantity" if name in numeric else "categories")
                for name in found.held or ()
            ),
        ),
    )


def _forbidden(found: Effect, dag: Dag) -> dict[str, str]:
    """Variables better left alone; those the answer rightly holds fixed, beside others, are none of them."""
    question = found.question
    why = explain_forbidden(dag, question.treatment, question.outcome)
    spared = found.held or () if question.adjust is None else ()
    return {name: reason for name, reason in why.items() if name not in spared}


def _bayes(request: CausalRequest, found: Effect) -> EffectEstimate:
    check(request.effect == "ate", "Bayesian intervals", f"--effect {request.effect}", "--effect ate")
    if found.strata is None:
        raise InvalidInput(
            "Bayesian intervals: the answer does not come from strata; expected a discrete treatment and "
            "discrete variables held fixed. Leave --bayes out."
        )
    levels = tuple(found.conditional.means)
    last = found.conditional.difference
    reference = last.versus if last else levels[0]
    return credible_answer(found.strata, levels, reference, seed=request.seed, level=request.level)
