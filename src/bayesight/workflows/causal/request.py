"""A question about cause and effect as it is asked: the table, the graph, and what has to be read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from bayesight.causal import (
    AdjustFor,
    Dag,
    EffectQuestion,
    FrontDoor,
    Instrument,
    identify,
    parse,
)
from bayesight.causal.examples import Example
from bayesight.checks import check, existing_path
from bayesight.data.samples import ReadOptions
from bayesight.errors import InvalidInput, UnknownName, nearest
from bayesight.files import reading

__all__ = ["CausalRequest", "complete", "graph_of", "read_graph", "read_options"]


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
