"""The causal job: a table and a graph in, seeing beside doing out."""

from __future__ import annotations

import csv
import io
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bayesight.causal import (
    AdjustFor,
    Dag,
    Effect,
    EffectEstimate,
    EffectQuestion,
    FrontDoor,
    Identification,
    Instrument,
    Sample,
    all_paths,
    blocked_by,
    estimate,
    explain_forbidden,
    identify,
    parse,
)
from bayesight.causal.adjustment import RULE
from bayesight.causal.coding import reference_of
from bayesight.causal.cross_products import add, begin
from bayesight.causal.effect import estimate_from_cross_products
from bayesight.causal.exact import ExactTest, exact_test
from bayesight.causal.examples import Example, example
from bayesight.causal.posterior import credible_answer
from bayesight.causal.refute import Refutation, refute
from bayesight.causal.sample import MAX_LEVELS, Discrete
from bayesight.causal.structural_model import draw, make_model, true_effect
from bayesight.checks import check
from bayesight.data.counts import CountsColumn, find_counts
from bayesight.data.samples import ReadOptions, TableRead, TooLarge, read_parts, read_sample
from bayesight.data.tables import column_names
from bayesight.errors import InvalidInput, UnknownName, listed, nearest
from bayesight.files import write_atomic
from bayesight.progress import reporter
from bayesight.types import Progress, ShownProgress

__all__ = [
    "CausalAnswer",
    "CausalRequest",
    "ColumnUse",
    "PathsAnswer",
    "SimulatedTable",
    "causal_effect",
    "causal_paths",
    "causal_simulate",
]

EXAMPLE = "example:"
NONE = "none"
CATEGORIES, LINE, QUANTITY = "categories", "a straight line", "a quantity"
_SLOPE = "its effect is a straight line's slope"


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


@dataclass(frozen=True)
class ColumnUse:
    """The kind a column of the table was taken for.

    Attributes:
        name: of the column.
        role: ``treatment``, ``outcome``, ``held fixed``, ``mediator``, ``instrument`` or ``counts``.
        kind: ``categories``, ``quantity``, ``yes or no`` or ``rows a line``.
        values: how many different ones it has; 0 where that was not counted.
        detail: the value that counts as 1, or that the others are compared with; empty if there is none.
        because: the part of the rule that decided, where that is not plain.
        change: the option that changes it; empty if none does.
    """

    name: str
    role: str
    kind: str
    values: int = 0
    detail: str = ""
    because: str = ""
    change: str = ""

    @property
    def sentence(self) -> str:
        """Role, kind, reason and the option that changes it, in one line."""
        values = f"{self.values:,} " if self.values and self.kind == "categories" else ""
        kind = {"quantity": "a quantity", "rows a line": "how many rows each line stands for"}
        said = f"{self.name}: {self.role}, {kind.get(self.kind, values + self.kind)}"
        if self.detail:
            said += f", {self.detail} counts" if self.role == "outcome" else f", against {self.detail}"
        reason = "; ".join(part for part in (self.because, self.change) if part)
        return f"{said} ({reason})" if reason else said

    def as_dict(self) -> dict[str, Any]:
        """All of it, as a dictionary; ``as`` is the kind."""
        return {
            "name": self.name,
            "role": self.role,
            "as": self.kind,
            "values": self.values or None,
            "value": self.detail or None,
            "because": self.because or None,
            "change": self.change or None,
        }


@dataclass(frozen=True)
class CausalAnswer:
    """The answer with everything it rests on.

    Attributes:
        effect: both answers.
        dag: the graph.
        forbidden: variable to why it is better left alone.
        bayes: the Bayesian answer, if asked for.
        refutations: attempts to break it, if asked for.
        rows: lines read.
        dropped: lines left out for missing values.
        title: what the table is about, for an example.
        source: where its numbers come from.
        held: each variable that is held fixed: "categories", "a quantity" (which may bend) or, in a table
            read by parts, "a straight line", and how many values it has.
        columns: what each column was taken for, treatment and outcome first.
        notes: rows that were left out, spellings that are one, and a column that might hold counts.
    """

    effect: Effect
    dag: Dag
    forbidden: dict[str, str]
    bayes: EffectEstimate | None = None
    refutations: tuple[Refutation, ...] = ()
    rows: int = 0
    dropped: int = 0
    title: str = ""
    source: str = ""
    held: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    columns: tuple[ColumnUse, ...] = ()
    notes: tuple[str, ...] = ()

    @cached_property
    def exact(self) -> ExactTest | None:
        """The exact test of no effect in any stratum, of two treatments and a yes or no counted in strata."""
        strata, last = self.effect.strata, self.effect.conditional.difference
        if strata is None or last is None or len(strata.n) != 2:
            return None
        versus = strata.treatments.index(last.versus)
        return exact_test(strata, 1 - versus, versus, self.effect.question.level)

    @property
    def held_words(self) -> str:
        """A sentence or two on the quantities and the many categories; empty where there are none."""
        lines = [name for name, (kind, _) in self.held.items() if kind == LINE]
        bent = [name for name, (kind, _) in self.held.items() if kind == QUANTITY]
        many = [
            f"{n} ({k} values)" for n, (kind, k) in self.held.items() if kind == CATEGORIES and k > MAX_LEVELS
        ]
        said = [f"as straight lines: {listed(lines)} (--text makes categories of one)"] if lines else []
        said += [f"as quantities, which may bend: {listed(bent)} (--text makes categories of one)"] * bool(
            bent
        )
        said += [f"as categories: {listed(many)} (--numeric makes a line of one)"] if many else []
        held = [f"Held fixed {'; '.join(said)}."] if said else []
        return " ".join([self._slope_words, *held] if self._slope_words else held)

    @property
    def _slope_words(self) -> str:
        """A sentence on a treatment whose effect is a straight line's slope; empty where it is not."""
        name = self.effect.question.treatment
        if self.effect.conditional.slope is None:
            return ""
        return (
            f"{name} is taken as a quantity: its effect is a straight line (--text makes categories of it)."
        )

    def as_dict(self) -> dict[str, Any]:
        """The document of ``--json``."""
        e, known = self.effect, self.effect.identification
        return {
            "treatment": e.question.treatment,
            "outcome": e.question.outcome,
            "effect": "direct" if e.question.direct else "total",
            "graph": str(self.dag),
            "unobserved": sorted(self.dag.unobserved),
            "rows": self.rows,
            "dropped": self.dropped,
            **identification_dict(known),
            "adjustment_set": None if e.held is None else list(e.held),
            "treatment_as": CATEGORIES if e.conditional.slope is None else LINE,
            "held": {name: {"as": kind, "values": n} for name, (kind, n) in self.held.items()},
            "columns": [column.as_dict() for column in self.columns],
            "success": e.counted.value if e.counted else None,
            "reference": e.conditional.difference.versus if e.conditional.difference else None,
            "exact": self.exact.as_dict() if self.exact else None,
            "forbidden": self.forbidden,
            "conditional": e.conditional.as_dict(),
            "on": e.question.effect,
            "warning": e.warning or None,
            "adjusted": e.adjusted.as_dict() if e.adjusted else None,
            "instead": [a.as_dict() for a in e.instead],
            "others": [a.as_dict() for a in e.others],
            "bayes": self.bayes.as_dict() if self.bayes else None,
            "simpson": e.reversal.as_dict() if e.reversal else None,
            "overlap": e.overlap.as_dict() if e.overlap else None,
            "models": {name: dict(share) for name, share in e.models.items()} or None,
            "e_value": e.e_value.as_dict() if e.e_value else None,
            "refutations": [r.as_dict() for r in self.refutations],
            "level": e.question.level,
            "notes": [*self.notes, *e.notes],
            "source": self.source,
        }


@dataclass(frozen=True)
class PathsAnswer:
    """All paths of a graph between two variables, and what follows.

    Attributes:
        dag: the graph.
        treatment: where they begin.
        outcome: where they end.
        given: what is held fixed.
        paths: each with its kind, its colliders, and what blocks it.
        complete: False when there are more paths than are listed.
        identification: what to hold fixed.
        forbidden: variable to why it is better left alone.
    """

    dag: Dag
    treatment: str
    outcome: str
    given: tuple[str, ...]
    paths: tuple[dict[str, Any], ...]
    complete: bool
    identification: Identification
    forbidden: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """The document of ``--json``."""
        known = self.identification
        return {
            "graph": str(self.dag),
            "unobserved": sorted(self.dag.unobserved),
            "treatment": self.treatment,
            "outcome": self.outcome,
            "given": list(self.given),
            "paths": list(self.paths),
            "complete": self.complete,
            **identification_dict(known),
            "adjustment_set": list(known.variables) if isinstance(known, AdjustFor) else None,
            "forbidden": self.forbidden,
        }


@dataclass(frozen=True)
class SimulatedTable:
    """A table that was drawn, and its truth.

    Attributes:
        path: the file.
        rows: lines in it.
        columns: its columns; the unobserved are not among them.
        kind: ``linear`` or ``discrete``.
        treatment: of the true effect; empty when none was asked for.
        outcome: of the true effect.
        effect: slope, or difference of probabilities; None without treatment and outcome.
    """

    path: Path
    rows: int
    columns: tuple[str, ...]
    kind: str
    treatment: str
    outcome: str
    effect: float | None

    def as_dict(self) -> dict[str, Any]:
        """The document of ``--json``."""
        return {
            "path": str(self.path),
            "rows": self.rows,
            "columns": list(self.columns),
            "kind": self.kind,
            "treatment": self.treatment,
            "outcome": self.outcome,
            "true_effect": self.effect,
        }


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
    known: Example | None = None
    if table.startswith(EXAMPLE):
        known = example(table.removeprefix(EXAMPLE))
        request = _completed(request, known)
    for value, option in (
        (request.treatment, "--treatment"), (request.outcome, "--outcome"), (request.graph, "--graph"),
    ):  # fmt: skip
        check(bool(value), "effect", f"no {option}", "treatment, outcome and graph", "Examples know theirs.")
    check(not (request.counts and request.weights), "effect", "--counts and --weights", "one of them")
    whole = known.make() if known else None
    columns = tuple(whole.columns) if whole else column_names(request.table)
    dag = _graph_of(request, columns)
    question = _question(request)
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
        options = _read_options(request, dag, columns)
        try:
            read = read_sample(request.table, options, progress)
        except TooLarge as large:
            if request.treatment not in large.numeric or request.bayes or request.refute:
                raise
            return _streamed(request, options, large.numeric, dag, progress)
    found = estimate(read.sample, dag, question)
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
        _held(found, read.sample),
        _columns(request, found, read, guess),
        (*read.notes, *_suggestion(guess)),
    )


def causal_paths(
    graph: str,
    treatment: str,
    outcome: str,
    *,
    given: Sequence[str] = (),
    unobserved: Sequence[str] = (),
    direct: bool = False,
) -> PathsAnswer:
    """List the paths between two variables, and say what to hold fixed.

    Args:
        graph: arrows, DOT, or a file that holds either.
        treatment: where paths begin.
        outcome: where they end.
        given: what is held fixed.
        unobserved: variables nobody measured, beside those that begin with U.
        direct: identify the direct effect.

    Raises:
        InvalidInput: a graph that cannot be read or has a cycle.
        UnknownName: a variable that is not there.

    Example:
        >>> found = causal_paths("Z -> T -> Y, Z -> Y", "T", "Y")
        >>> [(p["path"], p["kind"], p["open"]) for p in found.paths]
        [('T -> Y', 'causal', True), ('T <- Z -> Y', 'back-door', True)]
    """
    dag = parse(_graph_text(graph), unobserved=unobserved)
    paths = all_paths(dag, treatment, outcome)
    rows = []
    for path in paths.found:
        blocking = blocked_by(dag, path, given)
        rows.append(
            {
                "path": str(path),
                "nodes": list(path.nodes),
                "kind": path.kind,
                "colliders": list(path.colliders),
                "open": not blocking,
                "blocked_by": list(blocking),
            }
        )
    return PathsAnswer(
        dag,
        treatment,
        outcome,
        tuple(given),
        tuple(rows),
        paths.complete,
        identify(dag, treatment, outcome, direct=direct),
        explain_forbidden(dag, treatment, outcome),
    )


def causal_simulate(
    graph: str,
    out: str | os.PathLike[str],
    *,
    rows: int,
    kind: str,
    seed: int,
    treatment: str = "",
    outcome: str = "",
    unobserved: Sequence[str] = (),
) -> SimulatedTable:
    """Draw a table from a graph and compute the true effect.

    Args:
        graph: arrows, DOT, or a file that holds either.
        out: the CSV or Parquet file to write; the unobserved are left out of it.
        rows: lines to draw.
        kind: ``linear`` or ``discrete``.
        seed: every random choice follows from it.
        treatment: of the true effect; ``T`` when empty and there is one.
        outcome: of the true effect; ``Y`` when empty and there is one.
        unobserved: variables to be left out, beside those that begin with U.

    Raises:
        InvalidInput: as for ``parse``, or a graph whose every variable is unobserved.
        StorageFailed: the file cannot be written.
    """
    dag = parse(_graph_text(graph), unobserved=unobserved)
    check(bool(dag.observed), "simulate", "every variable is unobserved", "at least one that is observed")
    treatment = treatment or ("T" if "T" in dag.nodes else "")
    outcome = outcome or ("Y" if "Y" in dag.nodes else "")
    world = make_model(dag, kind, seed)
    effect = true_effect(world, treatment, outcome) if treatment and outcome else None
    columns = {name: values for name, values in draw(world, rows, seed).items() if name in dag.observed}
    path = Path(out).expanduser().absolute()
    write_atomic(path, _table_bytes(columns, kind, path.suffix.lower() in (".parquet", ".pq")))
    return SimulatedTable(path, rows, tuple(columns), kind, treatment, outcome, effect)


def identification_dict(known: Identification) -> dict[str, Any]:
    """``identified``, ``strategy`` and what belongs to it."""
    if isinstance(known, AdjustFor):
        return {
            "identified": True,
            "strategy": "adjustment",
            "minimal_sets": [list(s) for s in known.minimal],
            "all_minimal_sets_listed": known.complete,
            "rule": RULE,
        }
    if isinstance(known, FrontDoor):
        return {"identified": True, "strategy": "front-door", "mediators": list(known.mediators)}
    if isinstance(known, Instrument):
        return {
            "identified": True,
            "strategy": "instrument",
            "instrument": known.variable,
            "given": list(known.given),
            "assumption": known.assumption,
        }
    return {"identified": False, "strategy": None, "reason": known.reason}


def _streamed(
    request: CausalRequest, options: ReadOptions, numeric: Sequence[str], dag: Dag, progress: Progress | None
) -> CausalAnswer:
    """The answer for a continuous treatment from a table that no memory holds, by adding up its moments."""
    names = (request.treatment, request.outcome, *(n for n in options.columns[2:]))
    moments, rows = None, 0.0
    for part in read_parts(request.table, options, numeric, progress):
        moments = add(moments or begin(part, names), part, names)
        rows += len(part.n)
    if moments is None:
        raise InvalidInput(f"{request.table}: no rows are left; expected at least one.")
    found = estimate_from_cross_products(moments, dag, _question(request))
    return CausalAnswer(
        found,
        dag,
        explain_forbidden(dag, request.treatment, request.outcome),
        rows=int(rows),
        held={name: (LINE if name in numeric else CATEGORIES, 0) for name in found.held or ()},
        columns=(
            ColumnUse(request.treatment, "treatment", "quantity", because=_SLOPE),
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


def _completed(request: CausalRequest, known: Example) -> CausalRequest:
    """The request with the example's own question where nothing else was said."""
    same = request.treatment in ("", known.treatment) and request.outcome in ("", known.outcome)
    return replace(
        request,
        treatment=request.treatment or known.treatment,
        outcome=request.outcome or known.outcome,
        graph=request.graph or known.graph,
        reference=request.reference or (known.reference if same else ""),
        success=request.success or (known.success if same else ""),
        direct=request.direct or (known.direct and same and not request.graph),
    )


def _question(request: CausalRequest) -> EffectQuestion:
    return EffectQuestion(
        request.treatment,
        request.outcome,
        request.reference,
        request.success,
        request.adjust,
        request.direct,
        request.level,
        request.effect,
    )


def _graph_of(request: CausalRequest, columns: Sequence[str]) -> Dag:
    """The graph, with what the table does not hold said to be unobserved or refused.

    A name that begins with U is a column where the table has one, unless it is said to be unobserved.
    """
    first = parse(_graph_text(request.graph))
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


def _read_options(request: CausalRequest, dag: Dag, columns: Sequence[str]) -> ReadOptions:
    """The columns the answer needs, and no others."""
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


def _held(found: Effect, sample: Sample) -> dict[str, tuple[str, int]]:
    """Each variable held fixed, how, and how many values it has."""
    columns = {name: sample.column(name) for name in found.held or ()}
    return {
        name: (CATEGORIES, len(column.levels))
        if isinstance(column, Discrete)
        else (QUANTITY, len(np.unique(column.values)))
        for name, column in columns.items()
    }


def _columns(
    request: CausalRequest, found: Effect, read: TableRead, guess: CountsColumn | None
) -> tuple[ColumnUse, ...]:
    """The kind each column was taken for, with the option that changes it."""
    uses = [_treatment_use(found, read), _outcome_use(found, read)]
    known = found.identification
    roles = dict.fromkeys(found.held or (), "held fixed")
    if found.held is None and isinstance(known, FrontDoor):
        roles = dict.fromkeys(known.mediators, "mediator")
    elif found.held is None and isinstance(known, Instrument):
        roles = {known.variable: "instrument"} | dict.fromkeys(known.given, "held fixed")
    uses += [_plain_use(name, role, read) for name, role in roles.items()]
    if request.counts:
        guessed = guess is not None and guess.certain
        because = "named so, and every combination of the other columns comes once" if guessed else ""
        change = "--counts none takes each line as one row" if guessed else ""
        uses.append(ColumnUse(request.counts, "counts", "rows a line", because=because, change=change))
    return tuple(uses)


def _treatment_use(found: Effect, read: TableRead) -> ColumnUse:
    name = found.question.treatment
    use = _plain_use(name, "treatment", read)
    if found.conditional.difference is None:
        because = "; ".join(part for part in (use.because, _SLOPE) if part)
        change = f"--text {shlex.quote(name)} makes categories of it"
        return replace(use, kind="quantity", because=because, change=change)
    levels, against = tuple(found.conditional.means), found.conditional.difference.versus
    if found.question.reference:
        return replace(use, detail=against)
    other = next(level for level in levels if level != against)
    reason = reference_of(levels).because
    reason = (
        "" if reason == "the smallest number" else f"{reason}; --reference {shlex.quote(other)} changes it"
    )
    return replace(use, detail=against, because="; ".join(r for r in (use.because, reason) if r))


def _outcome_use(found: Effect, read: TableRead) -> ColumnUse:
    name = found.question.outcome
    counted = found.counted
    if counted is None:
        kind, one = ("yes or no", "1") if found.binary else ("quantity", "")
        return ColumnUse(name, "outcome", kind, detail=one)
    levels = read.sample.discrete(name).levels
    other = next((level for level in levels if level != counted.value), "")
    change = f"--success {shlex.quote(other)} turns it round" if not found.question.success and other else ""
    return ColumnUse(name, "outcome", "yes or no", len(levels), counted.value, counted.because, change)


def _plain_use(name: str, role: str, read: TableRead) -> ColumnUse:
    column, kind = read.sample.column(name), read.kinds.get(name)
    because = kind.because if kind else ""
    quoted = shlex.quote(name)
    if not isinstance(column, Discrete):
        values = len(np.unique(column.values))
        change = f"--text {quoted} makes categories of it" if because else ""
        return ColumnUse(name, role, "quantity", values, because=because, change=change)
    numbers = len(column.levels) > 2 and column.numbers is not None
    change = f"--numeric {quoted} makes a quantity of it" if numbers else ""
    return ColumnUse(name, role, CATEGORIES, len(column.levels), because=because, change=change)


def _suggestion(guess: CountsColumn | None) -> tuple[str, ...]:
    if guess is None or guess.certain:
        return ()
    name = shlex.quote(guess.name)
    said = (
        f"{guess.name} is named like a number of rows: if each line stands for so many, say --counts {name}."
    )
    return (said,)


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


def _graph_text(graph: str) -> str:
    """The graph's text, read from a file where it names one."""
    if len(graph) < 4096 and "\n" not in graph and Path(graph).suffix in (".dot", ".gv", ".txt", ".dagitty"):
        from bayesight.checks import existing_path

        return existing_path(graph).read_text(encoding="utf-8-sig", errors="replace")
    return graph


def _table_bytes(columns: dict[str, Any], kind: str, parquet: bool) -> bytes:
    if parquet:
        import pyarrow as pa
        import pyarrow.parquet as pq

        sink = pa.BufferOutputStream()
        pq.write_table(pa.table(columns), sink)
        return bytes(sink.getvalue())
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    shown = [[f"{v:.0f}" if kind == "discrete" else f"{v:.6g}" for v in c.tolist()] for c in columns.values()]
    writer.writerows(zip(*shown, strict=True))
    return out.getvalue().encode()
