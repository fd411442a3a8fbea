"""Adjustment sets against every subset tried, against pgmpy, and against graphs with known answers."""

import itertools
import logging
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.causal.adjustment import (
    AdjustFor,
    FrontDoor,
    Instrument,
    NotIdentified,
    explain_forbidden,
    identify,
    objection,
)
from bayesight.causal.graph import parse
from bayesight.causal.paths import all_paths, is_open
from bayesight.errors import InvalidInput, UnknownName


def valid_by_paths(dag, held):
    """Pearl's back-door criterion word for word: no effect of T, and no open path into T."""
    if set(held) & dag.descendants("T"):
        return False
    return not any(p.kind == "back-door" and is_open(dag, p, held) for p in all_paths(dag, "T", "Y").found)


def minimal_by_trying(dag):
    """Every valid set of observed variables that has no valid subset."""
    others = [v for v in dag.observed if v not in ("T", "Y")]
    subsets = [frozenset(s) for r in range(len(others) + 1) for s in itertools.combinations(others, r)]
    valid = [s for s in subsets if valid_by_paths(dag, s)]
    return {s for s in valid if not any(other < s for other in valid)}


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 100_000), st.sampled_from([0.25, 0.4, 0.6]), st.sampled_from([0.0, 0.3]))
def test_minimal_sets_are_exactly_those_found_by_trying_all(random_dag, seed, density, hidden):
    dag = random_dag(seed, 8, density, hidden)
    found = identify(dag, "T", "Y")
    expected = minimal_by_trying(dag)
    if isinstance(found, AdjustFor):
        assert {frozenset(s) for s in found.minimal} == expected
        assert found.complete
        assert len(found.variables) == min(map(len, expected))
    else:
        assert not expected


@pytest.mark.filterwarnings("ignore:.*is_valid_backdoor:FutureWarning")
def test_sets_are_valid_by_pgmpy(random_dag):
    """An independent library agrees on every set, and finds none where we say there is none."""
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pgmpy.inference import CausalInference
        from pgmpy.models import DiscreteBayesianNetwork
    checked = {"sets": 0, "none": 0}
    for seed in range(60):
        dag = random_dag(seed, 7, 0.4, 0.3)
        found = identify(dag, "T", "Y")
        network = DiscreteBayesianNetwork()
        network.add_nodes_from(dag.nodes)
        network.add_edges_from(dag.edges)
        judge = CausalInference(network)
        if isinstance(found, AdjustFor):
            for variables in found.minimal:
                assert judge.is_valid_backdoor_adjustment_set("T", "Y", list(variables))
                checked["sets"] += 1
        else:
            others = [v for v in dag.observed if v not in ("T", "Y") and v not in dag.descendants("T")]
            for r in range(len(others) + 1):
                for held in itertools.combinations(others, r):
                    assert not judge.is_valid_backdoor_adjustment_set("T", "Y", list(held))
            checked["none"] += 1
    logging.disable(logging.NOTSET)
    assert checked["sets"] > 30
    assert checked["none"] > 3


@pytest.mark.parametrize(
    ("graph", "chosen"),
    [
        ("T -> Y", ()),
        ("Z -> T, Z -> Y, T -> Y", ("Z",)),
        ("T <- A -> B -> Y, T -> Y", ("B",)),  # A would do; B is nearer to the outcome
        ("T <- A -> C <- B -> Y, T -> Y", ()),  # M: the collider blocks by itself
        ("T <- A -> C <- B -> Y, C -> T, C -> Y, T -> Y", ("B", "C")),
        ("T -> M -> Y, T -> Y", ()),
        ("T -> Y, T -> C <- Y", ()),
        ("T, Y", ()),
    ],
)
def test_known_graphs(graph, chosen):
    found = identify(parse(graph), "T", "Y")
    assert isinstance(found, AdjustFor)
    assert found.variables == chosen


def test_an_empty_set_and_cannot_are_different_answers():
    assert identify(parse("T -> Y"), "T", "Y") == AdjustFor((), ((),))
    cannot = identify(parse("T -> Y, T <-> Y"), "T", "Y")
    assert isinstance(cannot, NotIdentified)
    assert "T <- U_T_Y -> Y is open and nothing measured blocks it" in cannot.reason


def test_front_door_and_its_limits():
    assert identify(parse("T -> M -> Y, T <-> Y"), "T", "Y") == FrontDoor(("M",))
    assert identify(parse("T -> M -> Y, T -> N -> Y, T <-> Y"), "T", "Y") == FrontDoor(("M", "N"))
    for broken in (
        "T -> M -> Y, T <-> Y, T -> Y",
        "T -> M -> Y, T <-> Y, M <-> Y",
        "T -> M -> Y, T <-> Y, T <-> M",
    ):
        assert isinstance(identify(parse(broken), "T", "Y"), NotIdentified), broken


def test_a_front_door_of_many_mediators():
    many = ", ".join(f"T -> M{i} -> Y" for i in range(6)) + ", T <-> Y, T -> N, N -> M0"
    found = identify(parse(many), "T", "Y")
    assert isinstance(found, FrontDoor)
    assert set(found.mediators) == {f"M{i}" for i in range(6)}


def test_instruments_also_given_another_variable():
    assert identify(parse("Z -> T -> Y, T <-> Y"), "T", "Y") == Instrument("Z")
    found = identify(parse("Z -> T -> Y, T <-> Y, W -> Z, W -> Y"), "T", "Y")
    assert found == Instrument("Z", ("W",))
    assert "linear" in found.assumption
    proxy = identify(parse("U1 -> Z, U1 -> T, T -> Y, T <-> Y"), "T", "Y")
    assert proxy == Instrument("Z")
    assert isinstance(identify(parse("Z -> T -> Y, T <-> Y, Z -> Y"), "T", "Y"), NotIdentified)
    assert isinstance(identify(parse("Z -> T -> Y, T <-> Y, Z <-> Y"), "T", "Y"), NotIdentified)


def test_turned_round_and_no_path():
    assert "wrong way round" in identify(parse("Y -> T"), "T", "Y").reason
    assert "effect is 0" in identify(parse("T <-> Y"), "T", "Y").reason


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 10_000), st.sets(st.sampled_from([f"V{i}" for i in range(5)])))
def test_an_objection_is_raised_exactly_against_invalid_sets(random_dag, seed, held):
    dag = random_dag(seed, 7, 0.4, 0.0)
    assert (objection(dag, "T", "Y", held) == "") == valid_by_paths(dag, held)


def test_objections_name_what_is_wrong():
    dag = parse("Z -> T, Z -> Y, T -> M -> Y, T -> C, Y -> C, T <- A -> K <- B -> Y")
    assert objection(dag, "T", "Y", ["Z"]) == ""
    assert objection(dag, "T", "Y", []) == "T <- Z -> Y stays open"
    assert (
        objection(dag, "T", "Y", ["Z", "K"]) == "T <- A -> K <- B -> Y is opened by holding a collider fixed"
    )
    assert objection(dag, "T", "Y", ["Z", "M"]) == "M is an effect of the treatment T"
    assert objection(dag, "T", "Y", ["C", "M"]) == "C and M are effects of the treatment T"


def test_forbidden_variables_are_explained():
    dag = parse("Z -> T, Z -> Y, T -> M -> Y -> E, T -> D, T <- A -> K <- B -> Y, K -> L, I -> T")
    why = explain_forbidden(dag, "T", "Y")
    assert set(why) == {"M", "E", "D", "A", "K", "L", "I"}
    assert "removes that part of the effect" in why["M"]
    assert "selects on the outcome" in why["E"]
    assert why["D"] == "is an effect of the treatment T"
    assert why["K"] == "is a collider; holding it fixed opens T <- A -> K <- B -> Y"
    assert why["L"].startswith("is an effect of a collider")
    assert "costs precision" in why["I"]


def test_wrong_queries_are_refused():
    dag = parse("U -> T -> Y")
    with pytest.raises(InvalidInput, match="on itself"):
        identify(dag, "T", "T")
    with pytest.raises(InvalidInput, match="outcome: 'U' is unobserved"):
        identify(dag, "T", "U")
    with pytest.raises(UnknownName, match="no variable of the graph is called 'Q'"):
        identify(dag, "T", "Q")
    with pytest.raises(InvalidInput, match="'U' is unobserved"):
        objection(dag, "T", "Y", ["U"])
