"""The paths of a graph between two variables, and what to hold fixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
from bayesight.workflows.causal.answer import graph_dict, identification_dict
from bayesight.workflows.causal.request import read_graph

__all__ = ["PathsAnswer", "causal_paths"]


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
