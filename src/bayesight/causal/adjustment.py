"""Which variables to hold fixed, read off the graph; or that none will do.

    P(y | do(t)) = Σ_z P(y | t, z) P(z)          if z blocks every back-door path and is no effect of t

(Pearl 2009, theorem 3.3.2). Where no such set can be measured, the front door (theorem 3.3.4) or an
instrument may help; where nothing does, that is an answer of its own type.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations, islice
from typing import TypeAlias

import networkx as nx

from bayesight.causal.graph import Dag, d_separated
from bayesight.causal.paths import all_paths, is_open, minimal_d_separators
from bayesight.checks import check
from bayesight.language import marked

LIMIT = 200
"""Minimal sets listed at most."""

_MOST_TRIED = 3000
"""Sets of mediators tried at most."""

RULE = "of the minimal sets the smallest; among equals the one nearest to the outcome, then by the alphabet"
"""The rule by which one set is picked. Near the outcome it explains more of what is left to chance, and
costs precision nowhere (Henckel, Perković and Maathuis 2022, Graphical criteria for efficient total effect
estimation)."""


@dataclass(frozen=True)
class AdjustFor:
    """The effect is identified by holding these variables fixed; an empty set means as things stand.

    Attributes:
        variables: the chosen set, sorted; see ``RULE``.
        minimal: all minimal sets, the chosen one first.
        complete: False when there are more minimal sets than were listed.
    """

    variables: tuple[str, ...]
    minimal: tuple[tuple[str, ...], ...]
    complete: bool = True


@dataclass(frozen=True)
class FrontDoor:
    """The effect is identified through what lies between treatment and outcome.

    Attributes:
        mediators: they carry the whole effect and share no unobserved cause with either end.
    """

    mediators: tuple[str, ...]


@dataclass(frozen=True)
class Instrument:
    """The effect is identified only under a further assumption about its form.

    Attributes:
        variable: moves the treatment and reaches the outcome by no other way.
        given: what has to be held fixed for that.
    """

    variable: str
    given: tuple[str, ...] = ()

    @property
    def assumption(self) -> str:
        """The condition that has to hold beside the graph."""
        return marked(
            "the effect is linear and the same for everyone (or, for a yes/no treatment, it is the effect on "
            "those whom the instrument moves)"
        )


@dataclass(frozen=True)
class NotIdentified:
    """Nothing that is measured tells the effect apart from confounding.

    Attributes:
        reason: one sentence.
    """

    reason: str


Identification: TypeAlias = AdjustFor | FrontDoor | Instrument | NotIdentified


def identify(
    dag: Dag, treatment: str, outcome: str, *, direct: bool = False, limit: int = LIMIT
) -> Identification:
    """Identify the effect of ``treatment`` on ``outcome`` from what can be observed.

    Args:
        dag: the causal graph.
        treatment: an observed variable.
        outcome: another.
        direct: ask only for what the treatment does not do by way of other variables of the graph (the
            single-door criterion, Pearl 2009, theorem 5.3.1): these are held fixed too.
        limit: minimal sets listed at most.

    Raises:
        InvalidInput: treatment and outcome are one, or one of them is unobserved.
        UnknownName: one of them is no variable of the graph.

    Example:
        >>> from bayesight.causal.graph import parse
        >>> identify(parse("Z -> T -> Y, Z -> Y"), "T", "Y").variables
        ('Z',)
        >>> identify(parse("T -> Y"), "T", "Y").variables
        ()
        >>> print(identify(parse("T -> Y, U -> T, U -> Y"), "T", "Y").reason)
        T <- U -> Y is open and nothing measured blocks it; there is neither a front door nor an instrument
    """
    _require_query(dag, treatment, outcome)
    cut = _without_effect(dag, treatment, outcome, direct)
    never = dag.descendants(outcome) if direct else dag.descendants(treatment) | {outcome}
    allowed = frozenset(dag.observed) - never - {treatment}
    sets, complete = minimal_d_separators(cut, treatment, outcome, allowed, limit)
    if sets:
        order = sorted(sets, key=lambda s: _preference(dag, outcome, s))
        minimal = tuple(tuple(sorted(s)) for s in order)
        return AdjustFor(minimal[0], minimal, complete)
    if direct:
        return NotIdentified(
            marked(
                f"nothing measured blocks every way from {treatment} to {outcome} beside the arrow "
                "between them"
            )
        )
    if treatment in dag.descendants(outcome):
        return NotIdentified(
            marked(
                f"in this graph {outcome} is a cause of {treatment}, so {treatment} has no effect on "
                "it at all; the two may be the wrong way round"
            )
        )
    if outcome not in dag.descendants(treatment):
        return NotIdentified(
            marked(
                f"no causal path leads from {treatment} to {outcome}, so by this graph the effect is 0; "
                "the data cannot check it, for nothing measured blocks their common causes"
            )
        )
    return (
        _front_door(dag, treatment, outcome)
        or _instrument(dag, treatment, outcome)
        or NotIdentified(_why_not(dag, treatment, outcome, allowed))
    )


def objection(
    dag: Dag, treatment: str, outcome: str, variables: Iterable[str], *, direct: bool = False
) -> str:
    """Why holding these variables fixed does not give the effect; empty when it does.

    Back-door criterion: no effect of the treatment, and every back-door path blocked.

    Example:
        >>> from bayesight.causal.graph import parse
        >>> print(objection(parse("T -> Y, T -> C, Y -> C"), "T", "Y", ["C"]))
        C is an effect of the treatment T
    """
    _require_query(dag, treatment, outcome)
    held = {dag.require(v) for v in variables}
    for name in sorted(held):
        check(name not in (treatment, outcome), "adjustment", f"{name!r}", "neither treatment nor outcome")
        check(
            name not in dag.unobserved, "adjustment", f"{name!r} is unobserved", "variables that are measured"
        )
    role, source = ("outcome", outcome) if direct else ("treatment", treatment)
    effects = sorted(held & dag.descendants(source))
    if effects:
        names = " and ".join(effects)
        if len(effects) == 1:
            return marked(f"{names} is an effect of the {role} {source}")
        return marked(f"{names} are effects of the {role} {source}")
    if d_separated(_without_effect(dag, treatment, outcome, direct), treatment, outcome, held):
        return ""
    for path in all_paths(dag, treatment, outcome).found:
        if (path.kind != "causal" or (direct and len(path.nodes) > 2)) and is_open(dag, path, held):
            return (
                marked(f"{path} stays open")
                if not path.colliders
                else marked(f"{path} is opened by holding a collider fixed")
            )
    return marked("a back-door path stays open")


def explain_forbidden(dag: Dag, treatment: str, outcome: str) -> dict[str, str]:
    """Variables better left alone, each with the reason in a sentence.

    Effects of the treatment are forbidden; a collider is harmful unless something beside it is held fixed
    too; a variable that reaches the
    outcome only through the treatment costs precision and makes remaining confounding worse.

    Example:
        >>> from bayesight.causal.graph import parse
        >>> dag = parse("T -> M -> Y, T <- A -> C <- B -> Y")
        >>> for name, why in explain_forbidden(dag, "T", "Y").items():
        ...     print(f"{name}: {why}")
        M: lies on a causal path from T to Y; holding it fixed removes that part of the effect
        A: reaches Y only through the treatment T; holding it fixed costs precision
        C: is a collider; holding it fixed opens T <- A -> C <- B -> Y
    """
    _require_query(dag, treatment, outcome)
    effects, causes = dag.descendants(treatment) - {treatment, outcome}, dag.ancestors({outcome})
    after = dag.descendants(outcome) - {outcome}
    cut = _back_door_graph(dag, treatment, outcome)
    closed = [(p, frozenset(p.colliders)) for p in all_paths(dag, treatment, outcome).found if p.colliders]
    found: dict[str, str] = {}
    for name in dag.observed:
        if name in effects and name in causes:
            found[name] = marked(
                f"lies on a causal path from {treatment} to {outcome}; "
                "holding it fixed removes that part of the effect"
            )
        elif name in after:
            found[name] = marked(
                f"is an effect of the outcome {outcome}; holding it fixed selects on the outcome"
            )
        elif name in effects:
            found[name] = marked(f"is an effect of the treatment {treatment}")
        elif name not in (treatment, outcome):
            above = dag.ancestors({name})
            # Held fixed alone, it opens the paths all of whose colliders are it or its causes.
            opened = next((p for p, c in closed if c <= above and name not in set(p.nodes) - c), None)
            if opened is not None:
                found[name] = (
                    marked(f"is a collider; holding it fixed opens {opened}")
                    if name in opened.colliders
                    else marked(f"is an effect of a collider; holding it fixed opens {opened}")
                )
            elif name in dag.parents(treatment) and d_separated(cut, name, outcome):
                found[name] = marked(
                    f"reaches {outcome} only through the treatment {treatment}; "
                    "holding it fixed costs precision"
                )
    return found


def _require_query(dag: Dag, treatment: str, outcome: str) -> None:
    check(
        dag.require(treatment) != dag.require(outcome),
        "effect",
        f"of {treatment!r} on itself",
        "two variables",
    )
    for name, role in ((treatment, "treatment"), (outcome, "outcome")):
        mend = "A name that begins with U is unobserved unless it is said to be observed."
        check(
            name not in dag.unobserved, role, f"{name!r} is unobserved", "a variable that is measured", mend
        )


def _back_door_graph(dag: Dag, treatment: str, outcome: str) -> Dag:
    """The graph without the first arrow of each causal path: what still joins the two is confounding."""
    ways = dag.ancestors({outcome})
    return dag.without((treatment, child) for child in dag.children(treatment) if child in ways)


def _without_effect(dag: Dag, treatment: str, outcome: str, direct: bool) -> Dag:
    return dag.without([(treatment, outcome)]) if direct else _back_door_graph(dag, treatment, outcome)


def _preference(dag: Dag, outcome: str, variables: frozenset[str]) -> tuple[int, int, tuple[str, ...]]:
    far = nx.single_source_shortest_path_length(dag.network.to_undirected(as_view=True), outcome)
    return len(variables), sum(far.get(v, len(dag.nodes)) for v in variables), tuple(sorted(variables))


def _front_door(dag: Dag, treatment: str, outcome: str) -> FrontDoor | None:
    """A small set of mediators that meets Pearl's definition 3.3.3.

    Up to three are tried in all combinations, a few thousand at most; then all together, less those that can
    be spared.
    """
    between = (dag.descendants(treatment) & dag.ancestors({outcome})) - {treatment, outcome}
    cut = dag.without((treatment, c) for c in dag.children(treatment))
    clean = tuple(m for m in sorted(between - dag.unobserved) if d_separated(cut, treatment, m))

    def works(mediators: tuple[str, ...]) -> bool:
        return _intercepts(dag, treatment, outcome, mediators) and _sheltered(
            dag, treatment, outcome, mediators
        )

    for size in (1, 2, 3):
        for mediators in islice(combinations(clean, size), _MOST_TRIED):
            if works(mediators):
                return FrontDoor(mediators)
    if not clean or not works(clean):
        return None
    kept = clean
    for m in clean:
        fewer = tuple(n for n in kept if n != m)
        kept = fewer if fewer and works(fewer) else kept
    return FrontDoor(kept)


def _intercepts(dag: Dag, treatment: str, outcome: str, mediators: tuple[str, ...]) -> bool:
    left = dag.network.subgraph(set(dag.nodes) - set(mediators))
    return not nx.has_path(left, treatment, outcome)


def _sheltered(dag: Dag, treatment: str, outcome: str, mediators: tuple[str, ...]) -> bool:
    """True where the treatment blocks every back-door path from the mediators together to the outcome."""
    cut = dag.without((m, c) for m in mediators for c in dag.children(m))
    return bool(nx.is_d_separator(cut.network, set(mediators), {outcome}, {treatment}))


def _instrument(dag: Dag, treatment: str, outcome: str) -> Instrument | None:
    """A variable that reaches the outcome only through the treatment, given others where that is needed.

    Instrumental sets after van der Zander, Textor and Liśkiewicz 2015, Efficiently finding conditional
    instruments for causal inference: what is held fixed is looked for among minimal separators.
    """
    cut = _back_door_graph(dag, treatment, outcome)
    candidates = [v for v in dag.observed if v not in dag.descendants(treatment) and v != outcome]
    found = []
    for variable in candidates:
        allowed = frozenset(candidates) - {variable}
        for given in minimal_d_separators(cut, variable, outcome, allowed, 20)[0]:
            if not d_separated(dag, variable, treatment, given):
                found.append(Instrument(variable, tuple(sorted(given))))
                break
    return min(found, key=lambda i: (len(i.given), i.variable)) if found else None


def _why_not(dag: Dag, treatment: str, outcome: str, allowed: frozenset[str]) -> str:
    held = allowed & dag.ancestors({treatment, outcome})
    paths = [p for p in all_paths(dag, treatment, outcome).found if p.kind == "back-door"]
    bare = [p for p in paths if is_open(dag, p) and not set(p.nodes) & held]
    witness = next(iter([*bare, *(p for p in paths if is_open(dag, p, held))]), None)
    what = (
        marked(f"{witness} is open and nothing measured blocks it")
        if witness
        else marked("confounding cannot be blocked")
    )
    return marked(f"{what}; there is neither a front door nor an instrument")
