"""Decisions against Chow's rule, enumeration, and the laws of information."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score

from bayesight.bayes.decision import (
    ASK,
    HAND_OVER,
    Costs,
    Reading,
    decide,
    expected_information,
    value_of_reading,
)
from bayesight.bayes.theorem import Belief, update
from bayesight.errors import InvalidInput

F64 = torch.float64
NAMES = ("A", "B", "C")


def random_case(seed, batch=()):
    rng = torch.Generator().manual_seed(seed)
    belief = Belief(torch.randn(*batch, 3, generator=rng, dtype=F64).log_softmax(-1), NAMES)
    costs = Costs(torch.rand(4, 3, generator=rng, dtype=F64) * 10, ("a", "b", "c", "d"), NAMES)
    reading = Reading((torch.randn(5, 3, generator=rng, dtype=F64) * 2).log_softmax(0), cost=0.4)
    return belief, costs, reading


def slow_value(p, costs, reading):
    """Cost of deciding after the reading: update on every result, choose, average."""
    total = 0.0
    for row in reading.log_likelihood.exp().tolist():
        joint = [a * b for a, b in zip(p, row, strict=True)]
        evidence = sum(joint)
        posterior = [j / evidence for j in joint]
        total += evidence * min(sum(c * q for c, q in zip(line, posterior, strict=True)) for line in costs)
    return total


@pytest.mark.parametrize("seed", range(5))
def test_values_equal_enumeration(seed):
    belief, costs, reading = random_case(seed)
    p, table = belief.p.tolist(), costs.table.tolist()
    now = min(sum(c * q for c, q in zip(line, p, strict=True)) for line in table)
    value = value_of_reading(belief, costs, reading)
    assert value.saving.item() == pytest.approx(now - slow_value(p, table, reading), abs=1e-12)
    assert value.net.item() == pytest.approx(value.saving.item() - 0.4)
    chosen = decide(belief, costs, reading=reading, hand_over=2.0)
    assert chosen.expected_cost.tolist()[:4] == pytest.approx(
        [sum(c * q for c, q in zip(r, p, strict=True)) for r in table]
    )
    assert chosen.expected_cost[4].item() == pytest.approx(slow_value(p, table, reading) + 0.4)
    assert chosen.actions[-2:] == (ASK, HAND_OVER)
    assert chosen.action == chosen.actions[int(chosen.expected_cost.argmin())]


def test_information_against_scikit_learn():
    # A contingency table of whole counts gives scikit-learn the joint distribution exactly.
    counts = torch.tensor([[30, 5, 2], [10, 40, 8]], dtype=F64)
    rows, columns = [], []
    for r in range(2):
        for k in range(3):
            rows += [r] * int(counts[r, k])
            columns += [k] * int(counts[r, k])
    belief = Belief.from_counts(counts.sum(0), NAMES)
    reading = Reading((counts / counts.sum(0)).log())
    assert expected_information(belief, reading).item() == pytest.approx(
        mutual_info_score(rows, columns) / math.log(2), abs=1e-12
    )


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=40)
def test_laws_of_information_and_value(seed):
    belief, costs, reading = random_case(seed, batch=(7,))
    value = value_of_reading(belief, costs, reading)
    entropy = -(belief.p * belief.log_p).sum(-1) / math.log(2)
    assert bool((value.bits >= 0).all())
    assert bool((value.bits <= entropy + 1e-12).all())
    known = belief.p @ costs.table.to(F64).amin(0)  # what the truth would cost
    certainty = (belief.p @ costs.table.to(F64).T).amin(-1) - known
    assert bool((value.saving <= certainty + 1e-12).all())
    useless = Reading(torch.full((2, 3), 0.5, dtype=F64).log())
    nothing = value_of_reading(belief, costs, useless)
    assert torch.allclose(nothing.bits, torch.zeros(7, dtype=F64), atol=1e-12)
    assert torch.allclose(nothing.saving, torch.zeros(7, dtype=F64), atol=1e-12)
    perfect = Reading(torch.eye(3, dtype=F64).log())
    sure = value_of_reading(belief, costs, perfect)
    assert torch.allclose(sure.bits, entropy, atol=1e-12)
    assert torch.allclose(sure.saving, certainty, atol=1e-12)


def test_expected_information_is_the_expected_fall_in_entropy():
    belief, _, reading = random_case(11)

    def entropy(b):
        return -(b.p * b.log_p).sum(-1) / math.log(2)

    posterior, log_evidence = update(belief, reading.log_likelihood)
    fall = entropy(belief) - (log_evidence.exp() * entropy(posterior)).sum()
    assert expected_information(belief, reading).item() == pytest.approx(fall.item(), abs=1e-12)


@pytest.mark.parametrize("reject", [0.05, 0.2, 0.45])
def test_handing_over_is_chows_rule(reject):
    rng = torch.Generator().manual_seed(4)
    belief = Belief((torch.randn(500, 3, generator=rng, dtype=F64) * 3).log_softmax(-1), NAMES)
    decision = decide(belief, Costs.zero_one(NAMES), hand_over=reject)
    top, which = belief.p.max(-1)
    expected = torch.where(top < 1 - reject, 3, which)
    assert torch.equal(decision.chosen, expected)
    with pytest.raises(InvalidInput, match=r"a batch of \(500,\)"):
        _ = decision.action


def test_a_reading_can_inform_and_be_worth_nothing():
    belief = Belief.from_probabilities({"ill": 0.001, "healthy": 0.999})
    costs = Costs.from_mapping({"treat": {"ill": 0, "healthy": 1}, "wait": {"ill": 1, "healthy": 0}})
    value = value_of_reading(belief, costs, Reading.from_rates(0.8, 0.2))
    assert value.bits.item() > 0
    assert value.saving.item() == 0
    assert decide(belief, costs, reading=Reading.from_rates(0.8, 0.2, cost=0.01)).action == "wait"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Costs(torch.zeros(2, 2), ("a",), ("A", "B")),
            r"a table of shape \(2, 2\); expected \(1, 2\)",
        ),
        (lambda: Costs(torch.tensor([[math.inf]]), ("a",), ("A",)), "not finite"),
        (lambda: Costs(torch.zeros(2, 1), ("a", "a"), ("A",)), "named twice"),
        (lambda: Costs(torch.zeros(1, 1), (ASK,), ("A",)), "built in"),
        (lambda: Costs.from_mapping({}), "no action"),
        (
            lambda: Costs.from_mapping({"a": {"A": 1}, "b": {"B": 1}}),
            "'b' has costs for B; expected costs for A",
        ),
        (lambda: Reading(torch.tensor([[0.5, 0.6], [0.5, 0.6]]).log()), "sum to 1.2 under one hypothesis"),
        (lambda: Reading(torch.zeros(3)), "shape"),
        (lambda: Reading.from_rates(0.9, 0.1, cost=-1), "a cost of -1"),
        (lambda: Reading.from_rates(1.2, 0.1), "sensitivity"),
        (lambda: Reading(torch.zeros(1, 2), results=("+", "-")), "2 names; expected 1 results"),
        (
            lambda: decide(Belief.uniform(["B", "A"]), Costs.zero_one(["A", "B"])),
            "costs for A, B; expected .* B, A",
        ),
        (
            lambda: expected_information(Belief.uniform(3), Reading.from_rates(0.9, 0.1)),
            "2 hypotheses; expected 3",
        ),
        (lambda: decide(Belief.uniform(["A"]), Costs.zero_one(["A"]), hand_over=math.nan), "hand_over"),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()
