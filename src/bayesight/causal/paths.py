"""Ways between two variables of a graph: every path, whether it is open, and the least that closes all.

A path carries association unless it is blocked: by a variable on it that is held fixed, or by a collider
(``-> C <-``) of which neither it nor any effect is held fixed (Pearl 2009, section 1.2.3).

A set d-separates two variables of a directed graph exactly if it separates them in the moral graph of their
ancestors (Lauritzen et al. 1990), and every minimal d-separator lies among those ancestors. What may not be
held fixed is taken out of the moral graph by joining its neighbours (van der Zander, Liśkiewicz and Textor
2014, Constructing Separators and Adjustment Sets in Ancestral Graphs, section 4). Minimal separators of an
undirected graph are then listed one from another, each in polynomial time, from the first variable towards
the second (Sheng and Liang 1997, Efficient enumeration of all minimal separators).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import cast

import networkx as nx

from bayesight.causal.graph import Dag
from bayesight.checks import check
from bayesight.language import marked

LIMIT = 1000
"""Paths listed at most; a dense graph has more than anyone can read."""

_MOST_STEPS = 300_000
"""Steps of the search at most: a second or so."""

_KINDS = (marked("causal"), marked("back-door"), marked("collider"))


@dataclass(frozen=True)
class Path:
    """A way from one variable to another along arrows, in whichever direction they point.

    Attributes:
        nodes: the variables on it, in order (n,).
        forward: for each step whether the arrow points along it (n - 1,).
    """

    nodes: tuple[str, ...]
    forward: tuple[bool, ...]

    @property
    def kind(self) -> str:
        """``causal``: all arrows point along; ``back-door``: the first points back; else ``collider``.

        A path of the last kind begins as a cause and must turn at a collider. A back-door path may run
        through colliders too; ``colliders`` tells.
        """
        return _KINDS[0] if all(self.forward) else _KINDS[2] if self.forward[0] else _KINDS[1]

    @property
    def colliders(self) -> tuple[str, ...]:
        """Variables on it that both neighbours point at."""
        turns = pairwise(self.forward)
        return tuple(self.nodes[i + 1] for i, (into, out) in enumerate(turns) if into and not out)

    def __str__(self) -> str:
        arrows = (" -> " if f else " <- " for f in self.forward)
        return self.nodes[0] + "".join(a + n for a, n in zip(arrows, self.nodes[1:], strict=True))


@dataclass(frozen=True)
class Paths:
    """The paths found: causal ones first, then back-door, each kind from short to long.

    Attributes:
        found: at most the limit.
        complete: False when there are more than the limit.
    """

    found: tuple[Path, ...]
    complete: bool


def all_paths(dag: Dag, start: str, end: str, limit: int = LIMIT) -> Paths:
    """All paths between two variables that visit nothing twice.

    Raises:
        UnknownName: a name that is no node.
        InvalidInput: both ends are one.

    Example:
        >>> from bayesight.causal.graph import parse
        >>> dag = parse("Z -> T -> Y, Z -> Y, T -> C <- Y")
        >>> [f"{p}: {p.kind}" for p in all_paths(dag, "T", "Y").found]
        ['T -> Y: causal', 'T <- Z -> Y: back-door', 'T -> C <- Y: collider']
    """
    check(dag.require(start) != dag.require(end), "paths", f"from {start!r} to itself", "two variables")
    found, complete = _simple_ways(_block(dag, start, end), start, end, limit)
    edges = set(dag.edges)
    paths = [Path(p, tuple((a, b) in edges for a, b in pairwise(p))) for p in found]
    paths.sort(key=lambda p: (_KINDS.index(p.kind), len(p.nodes), p.nodes))
    return Paths(tuple(paths), complete)


def blocked_by(dag: Dag, path: Path, given: Iterable[str] = ()) -> tuple[str, ...]:
    """The variables that block the path; none when it is open.

    Example:
        >>> from bayesight.causal.graph import parse
        >>> dag = parse("T <- A -> C <- B -> Y, T -> Y")
        >>> longest = all_paths(dag, "T", "Y").found[-1]
        >>> blocked_by(dag, longest), blocked_by(dag, longest, ["C"]), blocked_by(dag, longest, ["A", "C"])
        (('C',), (), ('A',))
    """
    held = frozenset(dag.require(n) for n in given)
    opened = dag.ancestors(held)
    colliders = set(path.colliders)
    return tuple(n for n in path.nodes[1:-1] if (n not in opened if n in colliders else n in held))


def is_open(dag: Dag, path: Path, given: Iterable[str] = ()) -> bool:
    """True of a path that carries association when these variables are held fixed."""
    return not blocked_by(dag, path, given)


def _block(dag: Dag, start: str, end: str) -> dict[str, list[str]]:
    """Neighbours within the part of the graph that paths between the two can visit.

    Only what lies on a cycle with both ends, were they joined, can lie on a path between them.
    """
    graph = nx.Graph(dag.edges)
    graph.add_edge(start, end)
    blocks = cast("Iterable[set[str]]", nx.biconnected_components(graph))
    block = next(b for b in blocks if start in b and end in b)
    near: dict[str, list[str]] = {n: [] for n in block}
    for a, b in dag.edges:
        if a in block and b in block:
            near[a].append(b)
            near[b].append(a)
    return near


def _simple_ways(
    near: dict[str, list[str]], start: str, end: str, limit: int
) -> tuple[list[tuple[str, ...]], bool]:
    """Simple paths, the shortest first, and whether these are all.

    Length by length, never going where the end is too far to be reached in time; so the short ones come soon
    even where there are more than could ever be listed.
    """
    far = _distances(near, end)
    found: list[tuple[str, ...]] = []
    steps = 0
    for length in range(1, len(near)):
        stack: list[tuple[str, ...]] = [(start,)]
        while stack:
            way = stack.pop()
            steps += 1
            if way[-1] == end:
                found.append(way)
                if len(found) > limit:
                    return found[:limit], False
                continue
            if steps > _MOST_STEPS:
                return found, False
            left = length - len(way)
            stack.extend(
                (*way, n)
                for n in near[way[-1]]
                if n in far and n not in way and (left == 0 if n == end else 0 < far[n] <= left)
            )
    return found, True


def _distances(near: dict[str, list[str]], end: str) -> dict[str, int]:
    far, rim = {end: 0}, [end]
    for n in rim:  # grows while it is gone through
        for m in near[n]:
            if m not in far:
                far[m] = far[n] + 1
                rim.append(m)
    return far


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
