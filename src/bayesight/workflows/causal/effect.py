"""The causal job: a table and a graph in, seeing beside doing out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from bayesight.causal import Dag, Effect, EffectEstimate, Sample, estimate, explain_forbidden
from bayesight.causal.cross_products import add, begin
from bayesight.causal.effect import estimate_from_cross_products
from bayesight.causal.examples import example
from bayesight.causal.posterior import credible_answer
from bayesight.causal.refute import Refutation, refute
from bayesight.checks import check
from bayesight.data.counts import CountsColumn, find_counts
from bayesight.data.samples import ReadOptions, TableRead, TooLarge, read_parts, read_sample
from bayesight.data.tables import Table
from bayesight.errors import InvalidInput
from bayesight.progress import reporter
from bayesight.types import Progress, ShownProgress
from bayesight.workflows.causal.answer import CausalAnswer
from bayesight.workflows.causal.columns import (
    CATEGORIES,
    LINE,
    SLOPE,
    ColumnUse,
    column_uses,
    held_kinds,
    suggest_counts,
)
from bayesight.workflows.causal.request import CausalRequest, complete, graph_of, read_options

__all__ = ["causal_effect"]

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
    return CausalAnswer(
        found,
        dag,
        _forbidden(found, dag),
        _bayes(request, found) if request.bayes else None,
        _refuted(request, read.sample, dag, found) if request.refute else (),
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


def _refuted(request: CausalRequest, sample: Sample, dag: Dag, found: Effect) -> tuple[Refutation, ...]:
    # Distinct rows decide the time of one repetition.
    draws = 20 if len(sample.n) <= 100_000 else 6
    return refute(sample, dag, found, seed=request.seed, draws=draws)
