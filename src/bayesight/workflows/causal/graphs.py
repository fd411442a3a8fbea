"""Jobs on a graph alone: the paths between two variables, and a table drawn from it with its true effect."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bayesight.causal import (
    AdjustFor,
    Dag,
    Identification,
    all_paths,
    blocked_by,
    explain_forbidden,
    identify,
    parse,
)
from bayesight.causal.structural_model import draw, make_model, true_effect
from bayesight.checks import check
from bayesight.files import write_atomic
from bayesight.workflows.causal.answer import graph_dict, identification_dict
from bayesight.workflows.causal.effect import read_graph


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
            **graph_dict(self.dag),
            "treatment": self.treatment,
            "outcome": self.outcome,
            "given": list(self.given),
            "paths": list(self.paths),
            "complete": self.complete,
            **identification_dict(known),
            "adjustment_set": list(known.variables) if isinstance(known, AdjustFor) else None,
            "forbidden": self.forbidden,
        }


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
    dag = parse(read_graph(graph), unobserved=unobserved)
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
        tree = {name: value for name, value in vars(self).items() if name != "effect"}
        return tree | {"path": str(self.path), "columns": list(self.columns), "true_effect": self.effect}


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
        InvalidInput: as for ``parse``, a graph of unobserved variables alone, or a name of another format.
        StorageFailed: the file cannot be written.
    """
    dag = parse(read_graph(graph), unobserved=unobserved)
    check(bool(dag.observed), "simulate", "every variable is unobserved", "at least one that is observed")
    path = Path(out).expanduser().absolute()
    ending = path.suffix.lower()
    known = ending in ("", ".csv", ".txt", ".parquet", ".pq")
    check(known, "--out", f"got {str(out)!r}", "a name that ends in .csv or .parquet")
    treatment = treatment or ("T" if "T" in dag.nodes else "")
    outcome = outcome or ("Y" if "Y" in dag.nodes else "")
    world = make_model(dag, kind, seed)
    effect = true_effect(world, treatment, outcome) if treatment and outcome else None
    columns = {name: values for name, values in draw(world, rows, seed).items() if name in dag.observed}
    write_atomic(path, _table_bytes(columns, kind, ending in (".parquet", ".pq")))
    return SimulatedTable(path, rows, tuple(columns), kind, treatment, outcome, effect)


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
