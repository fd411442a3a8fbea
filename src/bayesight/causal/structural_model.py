"""Worlds with a known answer: data drawn from a graph, and the true effect computed from the same numbers.

* ``linear``: each variable is a weighted sum of its causes plus Gaussian noise; the effect is the sum over
  causal paths of the products of their weights (Wright 1921).
* ``discrete``: each variable is 0 or 1 with a probability of its own for every combination of its causes; the
  effect is P(y | do(t=1)) - P(y | do(t=0)) by the truncated factorisation (Pearl 2009, eq. 3.10), exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import networkx as nx
import numpy as np

from bayesight.causal.graph import Dag
from bayesight.checks import check
from bayesight.errors import InvalidInput, UnknownName
from bayesight.seeding import numpy_generator
from bayesight.types import FloatArray

KINDS = ("linear", "discrete")
_MOST_BINARY = 22
"""Ancestors of a discrete outcome at most: their joint table is enumerated."""


@dataclass(frozen=True)
class StructuralModel:
    """A graph with numbers on it.

    Attributes:
        dag: the graph.
        kind: ``linear`` or ``discrete``.
        order: the variables, causes first.
        weights: linear: for each variable the weights of its causes, in the order of ``dag.parents``.
        noise: linear: standard deviation of each variable's own noise.
        tables: discrete: for each variable P(1 | causes), (2,) * number of causes.
    """

    dag: Dag
    kind: str
    order: tuple[str, ...]
    weights: Mapping[str, FloatArray]
    noise: Mapping[str, float]
    tables: Mapping[str, FloatArray]


def make_model(dag: Dag, kind: str, seed: int) -> StructuralModel:
    """Random numbers for a graph.

    Linear: weights of size 0.3 to 1.2 with either sign, noise of size 0.5 to 1.5. Discrete: probabilities
    evenly spread over [0.05, 0.95].

    Raises:
        UnknownName: no such kind.
        InvalidInput: a discrete variable with more than 16 causes.

    Example:
        >>> from bayesight.causal import parse
        >>> world = make_model(parse("Z -> T, Z -> Y, T -> Y"), "discrete", seed=1)
        >>> columns = draw(world, rows=1000, seed=1)
        >>> float(columns["T"].mean().round(1)), round(true_effect(world, "T", "Y"), 2)
        (0.6, -0.63)
    """
    if kind not in KINDS:
        raise UnknownName("kind of world", kind, KINDS)
    rng = numpy_generator(seed, "world", kind)
    order = tuple(nx.lexicographical_topological_sort(dag.network, key=dag.nodes.index))
    weights: dict[str, FloatArray] = {}
    noise: dict[str, float] = {}
    tables: dict[str, FloatArray] = {}
    for name in order:
        causes = len(dag.parents(name))
        if kind == "linear":
            weights[name] = rng.uniform(0.3, 1.2, causes) * rng.choice([-1.0, 1.0], causes)
            noise[name] = float(rng.uniform(0.5, 1.5))
        else:
            check(
                causes <= 16,
                "simulate",
                f"{name!r} has {causes} causes",
                "at most 16 for a discrete variable",
            )
            tables[name] = rng.uniform(0.05, 0.95, (2,) * causes)
    return StructuralModel(dag, kind, order, weights, noise, tables)


def draw(world: StructuralModel, rows: int, seed: int) -> dict[str, FloatArray]:
    """Rows from a world, every variable among them, the unobserved too.

    Returns:
        name to values (rows,); zeros and ones in a discrete world.

    Raises:
        InvalidInput: fewer than one row.
    """
    check(rows >= 1, "rows", f"got {rows}", "at least 1")
    rng = numpy_generator(seed, "rows", world.kind)
    columns: dict[str, FloatArray] = {}
    for name in world.order:
        causes = [columns[p] for p in world.dag.parents(name)]
        if world.kind == "linear":
            own = world.noise[name] * rng.standard_normal(rows)
            columns[name] = sum((w * c for w, c in zip(world.weights[name], causes, strict=True)), own)
        else:
            p = world.tables[name][tuple(c.astype(np.int64) for c in causes)]
            columns[name] = (rng.random(rows) < p).astype(np.float64)
    return {name: columns[name] for name in world.dag.nodes}


def true_effect(world: StructuralModel, treatment: str, outcome: str) -> float:
    """The effect itself: slope in a linear world, difference of probabilities in a discrete one.

    Raises:
        InvalidInput: a discrete outcome with more than 22 ancestors, whose table would not fit.
    """
    world.dag.require(treatment)
    world.dag.require(outcome)
    if world.kind == "linear":
        total = {treatment: 1.0}
        for name in world.order:
            if name != treatment:
                ways = zip(world.weights[name], world.dag.parents(name), strict=True)
                total[name] = float(sum(w * total.get(p, 0.0) for w, p in ways))
        return total[outcome]
    one, zero = (_probability(world, outcome, {treatment: value}) for value in (1, 0))
    return one - zero


def _probability(world: StructuralModel, outcome: str, do: Mapping[str, int]) -> float:
    """P(outcome = 1 | do(...)), by enumerating every combination of the outcome's ancestors."""
    cut = world.dag.without((p, name) for name in do for p in world.dag.parents(name))
    kept = [name for name in world.order if name in cut.ancestors({outcome})]
    if len(kept) > _MOST_BINARY:
        raise InvalidInput(
            f"simulate: {outcome!r} has {len(kept) - 1} ancestors; expected at most {_MOST_BINARY - 1}, "
            "for the true effect is found by going through all their combinations. Use --kind linear."
        )
    joint = np.ones((1,) * len(kept))
    for name in kept:
        axis = kept.index(name)
        causes = list(world.dag.parents(name))
        if name in do:
            table, causes = np.array([1.0 - do[name], float(do[name])]), []
        else:
            p = world.tables[name]
            table = np.stack([1 - p, p], axis=-1)
        axes = [*map(kept.index, causes), axis]
        shape = [2 if i in axes else 1 for i in range(len(kept))]
        joint = joint * table.transpose(np.argsort(axes)).reshape(shape)
    return float(joint.take(1, axis=kept.index(outcome)).sum())
