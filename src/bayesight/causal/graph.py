"""Causal graphs: directed, without cycles, some variables never observed.

An arrow says *causes directly, given the others named*; a missing arrow is the stronger claim. Names that
begin with a capital U are unobserved by convention, ``A <-> B`` is short for an unobserved common cause of A
and B (Pearl, Causality, 2nd ed. 2009, sections 1.2 and 3.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import networkx as nx

from bayesight.causal.notation import GraphText, is_dot, read_arrows, read_dot
from bayesight.checks import check
from bayesight.errors import InvalidInput, UnknownName

if TYPE_CHECKING:
    from typing import Self


@dataclass(frozen=True)
class Dag:
    """A directed acyclic graph.

    Attributes:
        nodes: names, each once.
        edges: (cause, effect), each once.
        unobserved: the nodes nobody measured.

    Raises:
        InvalidInput: a cycle (which is named), a name twice or empty.
        UnknownName: an edge or an unobserved variable whose name is no node.
    """

    nodes: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    unobserved: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        check(
            len(self.nodes) > 0, "graph", "no variables", "at least one", 'Write one as "Z->T, Z->Y, T->Y".'
        )
        check(all(self.nodes), "graph", "an empty name", "a name")
        check(len(set(self.nodes)) == len(self.nodes), "graph", "a name twice among the nodes", "each once")
        for name in {n for edge in self.edges for n in edge} | self.unobserved:
            self.require(name)
        cycle = _cycle(self.edges)
        check(
            not cycle,
            "graph",
            f"{' -> '.join(cycle)} is a cycle",
            "a graph in which nothing causes itself",
            "Remove or turn one of these arrows; what acts back later is a variable of its own.",
        )

    @cached_property
    def network(self) -> nx.DiGraph[str]:
        """The same graph for networkx; not to be changed."""
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(self.nodes)
        graph.add_edges_from(self.edges)
        return graph

    @property
    def observed(self) -> tuple[str, ...]:
        """The variables that can be measured, in their order."""
        return tuple(n for n in self.nodes if n not in self.unobserved)

    def require(self, name: str) -> str:
        """The name, when it is a node.

        Raises:
            UnknownName: it is none; the message suggests the nearest.
        """
        if name not in self.nodes:
            raise UnknownName("variable of the graph", name, self.nodes)
        return name

    def parents(self, name: str) -> tuple[str, ...]:
        """Direct causes."""
        return tuple(a for a, b in self.edges if b == name)

    def children(self, name: str) -> tuple[str, ...]:
        """Direct effects."""
        return tuple(b for a, b in self.edges if a == name)

    def ancestors(self, names: Iterable[str]) -> frozenset[str]:
        """The named variables and all their causes, direct and indirect."""
        start = set(names)
        return frozenset(start.union(*(nx.ancestors(self.network, n) for n in start)))

    def descendants(self, name: str) -> frozenset[str]:
        """The variable and all its effects, direct and indirect."""
        return frozenset({name} | nx.descendants(self.network, name))

    def without(self, edges: Iterable[tuple[str, str]]) -> Self:
        """The graph with some arrows removed."""
        gone = set(edges)
        return type(self)(self.nodes, tuple(e for e in self.edges if e not in gone), self.unobserved)

    def __str__(self) -> str:
        alone = [n for n in self.nodes if not any(n in e for e in self.edges)]
        return ", ".join([*(f"{a} -> {b}" for a, b in self.edges), *alone])


def parse(
    source: str | Mapping[str, Iterable[str]] | nx.DiGraph[Any] | Dag,
    *,
    unobserved: Iterable[str] = (),
    observed: Iterable[str] = (),
) -> Dag:
    """A graph from text, DOT, a dictionary or networkx.

    Args:
        source: arrows (``"Z->T, Z->Y, T->Y"``, chains, ``<-``, ``<->``), DOT or dagitty text, a mapping from
            each cause to its effects, or a ``networkx.DiGraph`` whose names become text.
        unobserved: further variables nobody measured, beside those whose name begins with U.
        observed: variables that are measured although their name begins with U.

    Raises:
        InvalidInput: text that cannot be read, or a cycle.
        UnknownName: an unobserved or observed variable that is no node.

    Example:
        >>> dag = parse("Z -> T -> Y, Z -> Y, T <-> Y")
        >>> dag.observed, sorted(dag.unobserved)
        (('Z', 'T', 'Y'), ['U_T_Y'])
    """
    if isinstance(source, Dag):
        written = GraphText(source.nodes, source.edges, latent=tuple(source.unobserved))
    elif isinstance(source, str):
        written = read_dot(source) if is_dot(source) else read_arrows(source)
    elif isinstance(source, nx.Graph):
        written = _from_networkx(source)
    elif isinstance(source, Mapping):
        written = _from_mapping(source)
    else:
        raise InvalidInput(
            f"graph: got {type(source).__name__}; expected text, DOT, a dictionary of effects or networkx."
        )
    nodes, edges, hidden = dict.fromkeys(written.nodes), dict.fromkeys(written.edges), set(written.latent)
    for a, b in written.two_headed:
        name = f"U_{a}_{b}"
        nodes[name] = edges[(name, a)] = edges[(name, b)] = None
        hidden.add(name)
    seen = set(observed)
    by_name = {n for n in nodes if n.startswith("U")} - seen
    for name in (*unobserved, *seen):
        if name not in nodes:
            raise UnknownName("variable of the graph", name, nodes)
    return Dag(tuple(nodes), tuple(edges), frozenset((hidden - seen) | by_name | set(unobserved)))


def d_separated(dag: Dag, one: str, other: str, given: Iterable[str] = ()) -> bool:
    """True where the graph implies that two variables are independent given others (Pearl 2009, def. 1.2.3).

    Raises:
        InvalidInput: the two are one, or are among the given.
        UnknownName: a name that is no node.

    Example:
        >>> dag = parse("A -> C <- B")
        >>> d_separated(dag, "A", "B"), d_separated(dag, "A", "B", ["C"])
        (True, False)
    """
    held = {dag.require(n) for n in given}
    apart = dag.require(one) != dag.require(other) and not {one, other} & held
    came = f"{one!r}, {other!r} given {sorted(held)}"
    check(apart, "d_separated", came, "two different variables, neither of them given")
    return bool(nx.is_d_separator(dag.network, {one}, {other}, held))


def _cycle(edges: tuple[tuple[str, str], ...]) -> list[str]:
    try:
        found = nx.find_cycle(nx.DiGraph(list(edges)))
    except nx.NetworkXNoCycle:
        return []
    return [str(found[0][0]), *(str(edge[1]) for edge in found)]


def _from_mapping(source: Mapping[str, Iterable[str]]) -> GraphText:
    edges = []
    for cause, effects in source.items():
        one_name = isinstance(effects, str)
        check(not one_name, "graph", f"{cause!r}: {effects!r}", "a list of effects", f"Write [{effects!r}].")
        edges += [(str(cause), str(effect)) for effect in effects]
    nodes = dict.fromkeys([*map(str, source), *(b for _, b in edges)])
    return GraphText(tuple(nodes), tuple(dict.fromkeys(edges)))


def _from_networkx(source: nx.Graph[Any]) -> GraphText:
    check(source.is_directed(), "graph", "an undirected networkx graph", "a networkx.DiGraph")
    edges = dict.fromkeys((str(a), str(b)) for a, b in source.edges())
    return GraphText(tuple(dict.fromkeys(map(str, source.nodes()))), tuple(edges))
