"""Minimal separators: what must be held fixed so that two variables have nothing to do with each other.

A set d-separates two variables of a directed graph exactly if it separates them in the moral graph of their
ancestors (Lauritzen et al. 1990), and every minimal d-separator lies among those ancestors. What may not be
held fixed is taken out of the moral graph by joining its neighbours (van der Zander, Liśkiewicz and Textor
2014, Constructing Separators and Adjustment Sets in Ancestral Graphs, section 4). Minimal separators of an
undirected graph are then listed one from another, each in polynomial time, from the first variable towards
the second (Sheng and Liang 1997, Efficient enumeration of all minimal separators).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Set
from itertools import combinations

from bayesight.causal.graph import Dag

__all__ = ["minimal_d_separators"]


def minimal_d_separators(
    dag: Dag, one: str, other: str, allowed: Set[str], limit: int
) -> tuple[tuple[frozenset[str], ...], bool]:
    """All minimal sets among ``allowed`` that d-separate two variables.

    Args:
        dag: the graph.
        one: a variable.
        other: another.
        allowed: what may be held fixed.
        limit: sets listed at most.

    Returns:
        The sets (none when the two cannot be separated; the empty set alone when nothing needs to be held
        fixed), and whether these are all.

    Example:
        >>> from bayesight.causal.graph import parse
        >>> dag = parse("T <- A -> B -> Y")
        >>> sets, complete = minimal_d_separators(dag, "T", "Y", {"A", "B"}, limit=10)
        >>> sorted(map(sorted, sets)), complete
        ([['A'], ['B']], True)
    """
    near = _reduced(_moral(dag, dag.ancestors({one, other})), allowed | {one, other})
    if other in near[one]:
        return (), True
    first = _towards(near, frozenset({one}), other)
    found, waiting = {first: None}, deque([first])
    while waiting and len(found) <= limit:
        separator = waiting.popleft()
        side = _component(near, one, separator)
        for x in sorted(separator):
            grown = side | {x}
            if other in near[x]:
                continue
            further = _towards(near, grown, other)
            if further not in found:
                found[further] = None
                waiting.append(further)
    return tuple(found)[:limit], len(found) <= limit


def _moral(dag: Dag, kept: Set[str]) -> dict[str, set[str]]:
    """Neighbours of each ancestor, with the parents of a common child joined."""
    near: dict[str, set[str]] = {n: set() for n in kept}
    parents: dict[str, list[str]] = {n: [] for n in kept}
    for a, b in dag.edges:
        if b in kept:
            parents[b].append(a)
    for child, causes in parents.items():
        for a, b in combinations([child, *causes], 2):
            near[a].add(b)
            near[b].add(a)
    return near


def _reduced(near: Mapping[str, Set[str]], allowed: Set[str]) -> dict[str, set[str]]:
    """The graph on ``allowed``, where two are joined if a way through none of the allowed joins them."""
    kept = {n: {m for m in near[n] if m in allowed} for n in near if n in allowed}
    left = set(near) - allowed
    while left:
        group = _component(near, next(iter(left)), allowed)
        left -= group
        rim = {m for n in group for m in near[n]} - group
        for a, b in combinations(rim, 2):
            kept[a].add(b)
            kept[b].add(a)
    return kept


def _component(near: Mapping[str, Set[str]], start: str, walls: Set[str]) -> frozenset[str]:
    """The variables reached from ``start`` without entering ``walls``."""
    seen, waiting = {start}, [start]
    while waiting:
        for n in near[waiting.pop()]:
            if n not in seen and n not in walls:
                seen.add(n)
                waiting.append(n)
    return frozenset(seen)


def _towards(near: Mapping[str, Set[str]], side: frozenset[str], other: str) -> frozenset[str]:
    """The minimal separator nearest to ``side``: the part of its rim that ``other`` can reach."""
    rim = {m for n in side for m in near[n]} - side
    reached = _component(near, other, rim)
    return frozenset(m for n in reached for m in near[n] if m in rim)
