"""From a belief and the costs of being wrong to the action to take, and to what one more reading is worth.

The best action has the least expected cost, Σ_h P(h)·cost(action, h). Two further actions are not rows of the
cost table, for their cost does not depend on the truth alone:

* *hand to a person* costs a fixed amount whatever the truth is (with costs of 0 for right and 1 for wrong
  this is the reject option of Chow 1970, On Optimum Recognition Error and Reject Tradeoff);
* *ask for another reading* costs the reading and then the best action afterwards, averaged over its results
  (Raiffa and Schlaifer 1961, Applied Statistical Decision Theory, the preposterior analysis of chapter 4).

What a reading tells is its mutual information with the hypothesis, in bits; what it is worth is the expected
cost it saves. A reading can be informative and worth nothing: when no result would change the action.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bayesight.bayes.theorem import Belief
from bayesight.checks import check, probability
from bayesight.language import marked

ASK = marked("ask for another reading")
HAND_OVER = marked("hand to a person")


@dataclass(frozen=True)
class Costs:
    """The cost of each action under each hypothesis, in any unit; a gain is a negative cost.

    Args:
        table: (A, K) finite numbers.
        actions: A different names.
        names: the K hypotheses, in the belief's order.

    Raises:
        InvalidInput: shapes and names that do not fit, or a cost that is not finite.

    Example:
        >>> costs = Costs.from_mapping({"treat": {"ill": 0, "healthy": 2}, "wait": {"ill": 10, "healthy": 0}})
        >>> costs.table.tolist()
        [[0.0, 2.0], [10.0, 0.0]]
    """

    table: Tensor
    actions: tuple[str, ...]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        shape, wanted = tuple(self.table.shape), (len(self.actions), len(self.names))
        check(shape == wanted and min(wanted) >= 1, "Costs", f"a table of shape {shape}", f"{wanted}")
        check(len(set(self.actions)) == wanted[0], "Costs", "one action named twice", "different names")
        taken = {ASK, HAND_OVER} & set(self.actions)
        check(not taken, "Costs", f"an action called {', '.join(taken)}", "another name", "It is built in.")
        check(bool(self.table.isfinite().all()), "Costs", "a cost that is not finite", "finite numbers")

    @classmethod
    def from_mapping(cls, costs: Mapping[str, Mapping[str, float]]) -> Costs:
        """Costs as {action: {hypothesis: cost}}; every action names the same hypotheses."""
        check(bool(costs), "Costs", "no action", "at least one")
        names = tuple(next(iter(costs.values())))
        for action, row in costs.items():
            came = f"{action!r} has costs for {', '.join(row)}"
            check(set(row) == set(names), "Costs", came, f"costs for {', '.join(names)}")
        table = [[float(row[name]) for name in names] for row in costs.values()]
        return cls(torch.tensor(table, dtype=torch.float64), tuple(costs), names)

    @classmethod
    def zero_one(cls, names: Sequence[str]) -> Costs:
        """One action a hypothesis, namely to believe it: 0 when right and 1 when wrong."""
        return cls(1 - torch.eye(len(names), dtype=torch.float64), tuple(names), tuple(names))


@dataclass(frozen=True)
class Reading:
    """One more reading whose R possible results have known probabilities.

    Args:
        log_likelihood: (R, K) log P(result | hypothesis), nats; every column sums to 1 as probabilities.
        cost: of taking it, in the unit of the costs; >= 0.
        results: R names; "0", "1", ... when left out.

    Raises:
        InvalidInput: a column that is no distribution, or a negative cost.
    """

    log_likelihood: Tensor
    cost: float = 0.0
    results: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = tuple(self.log_likelihood.shape)
        check(len(shape) == 2 and min(shape) >= 1, "Reading", f"shape {shape}", "(results, hypotheses)")
        total = self.log_likelihood.exp().sum(0)
        worst = total[(total - 1).abs().argmax()].item()
        came = f"probabilities of the results that sum to {worst:g} under one hypothesis"
        check(abs(worst - 1) <= 1e-6, "Reading", came, "1 under each")
        check(math.isfinite(self.cost) and self.cost >= 0, "Reading", f"a cost of {self.cost:g}", "0 or more")
        names = tuple(self.results) or tuple(map(str, range(shape[0])))
        check(len(names) == shape[0], "Reading", f"{len(names)} names", f"{shape[0]} results")
        object.__setattr__(self, "results", names)

    @classmethod
    def from_rates(cls, sensitivity: float, false_alarm: float, cost: float = 0.0) -> Reading:
        """A test with results + and -; the first hypothesis is the one it looks for.

        Example:
            >>> Reading.from_rates(0.75, 0.5).log_likelihood.exp()
            tensor([[0.7500, 0.5000],
                    [0.2500, 0.5000]], dtype=torch.float64)
        """
        s, f = probability(sensitivity, "sensitivity"), probability(false_alarm, "false alarm")
        p = torch.tensor([[s, f], [1 - s, 1 - f]], dtype=torch.float64)
        return cls(p.log(), cost, ("+", "-"))


@dataclass(frozen=True)
class Decision:
    """The chosen action for each belief of a batch.

    Args:
        actions: the names of all actions, those built in at the end.
        expected_cost: (..., A) of each.
        chosen: (...) index of the least; the first of equals.
    """

    actions: tuple[str, ...]
    expected_cost: Tensor
    chosen: Tensor

    @property
    def action(self) -> str:
        """The chosen action's name, when the belief is a single one."""
        check(
            self.chosen.ndim == 0, "Decision.action", f"a batch of {tuple(self.chosen.shape)}", "one belief"
        )
        return self.actions[int(self.chosen)]


@dataclass(frozen=True)
class ReadingValue:
    """The expected gain of one more reading, for each belief of a batch.

    Args:
        bits: mutual information of result and hypothesis, >= 0.
        saving: expected cost saved by deciding after it rather than now, >= 0, its own cost not deducted.
        net: saving less its cost; take the reading where this is above 0.
    """

    bits: Tensor
    saving: Tensor
    net: Tensor


def decide(
    belief: Belief, costs: Costs, *, reading: Reading | None = None, hand_over: float | None = None
) -> Decision:
    """The action of least expected cost.

    Args:
        belief: log_p (..., K).
        costs: of the ordinary actions, over the same hypotheses.
        reading: a reading that may be asked for first, once; None when there is none.
        hand_over: the cost of handing the case to a person; None when nobody is there.

    Raises:
        InvalidInput: the hypotheses of belief, costs and reading differ.

    Example:
        >>> ill = Belief.from_probabilities({"ill": 0.2, "healthy": 0.8})
        >>> costs = Costs.from_mapping({"treat": {"ill": 0, "healthy": 2}, "wait": {"ill": 10, "healthy": 0}})
        >>> decide(ill, costs).action
        'treat'
        >>> decide(ill, costs, reading=Reading.from_rates(0.9, 0.1, cost=0.3)).action
        'ask for another reading'
        >>> decide(ill, costs, hand_over=0.5).action
        'hand to a person'
    """
    expected = _expected(belief, costs)
    columns, actions = [expected], list(costs.actions)
    if reading is not None:
        columns.append((_after(belief, costs, reading) + reading.cost)[..., None])
        actions.append(ASK)
    if hand_over is not None:
        check(math.isfinite(hand_over), "hand_over", f"got {hand_over:g}", "a finite cost")
        columns.append(torch.full_like(expected[..., :1], hand_over))
        actions.append(HAND_OVER)
    every = torch.cat(columns, -1)
    return Decision(tuple(actions), every, every.argmin(-1))


def expected_information(belief: Belief, reading: Reading) -> Tensor:
    """Mutual information (...) of the reading's result and the hypothesis, in bits.

    Example:
        >>> even = Belief.uniform(["ill", "healthy"])
        >>> round(expected_information(even, Reading.from_rates(1.0, 0.0)).item(), 12)
        1.0
    """
    _check_reading(belief, reading)
    p, likelihood = belief.p, reading.log_likelihood.exp().to(belief.log_p.dtype)
    within = -torch.special.xlogy(likelihood, likelihood).sum(0)
    results = p @ likelihood.T
    total = -torch.special.xlogy(results, results).sum(-1)
    bits: Tensor = (total - p @ within) / math.log(2)
    return bits.clamp(min=0)


def value_of_reading(belief: Belief, costs: Costs, reading: Reading) -> ReadingValue:
    """The expected gain of one more reading, in bits and in cost.

    Raises:
        InvalidInput: the hypotheses of belief, costs and reading differ.

    Example:
        >>> ill = Belief.from_probabilities({"ill": 0.2, "healthy": 0.8})
        >>> costs = Costs.from_mapping({"treat": {"ill": 0, "healthy": 2}, "wait": {"ill": 10, "healthy": 0}})
        >>> value = value_of_reading(ill, costs, Reading.from_rates(0.9, 0.1, cost=0.3))
        >>> round(value.bits.item(), 3), round(value.saving.item(), 3), round(value.net.item(), 3)
        (0.358, 1.24, 0.94)
    """
    now = _expected(belief, costs).amin(-1)
    saving = (now - _after(belief, costs, reading)).clamp(min=0)
    return ReadingValue(expected_information(belief, reading), saving, saving - reading.cost)


def _expected(belief: Belief, costs: Costs) -> Tensor:
    came = f"costs for {', '.join(costs.names)}"
    check(
        costs.names == belief.names, "decision", came, f"costs for {', '.join(belief.names)}, in this order"
    )
    return belief.p @ costs.table.to(belief.log_p.dtype).T


def _after(belief: Belief, costs: Costs, reading: Reading) -> Tensor:
    """Expected cost (...) of the best action after the reading.

    P(result) · min_a E[cost | result] = min_a Σ_h P(h)·P(result | h)·cost: no posterior is needed.
    """
    _check_reading(belief, reading)
    joint = belief.p[..., None, :] * reading.log_likelihood.exp().to(belief.log_p.dtype)
    return (joint @ costs.table.to(joint.dtype).T).amin(-1).sum(-1)


def _check_reading(belief: Belief, reading: Reading) -> None:
    k, wanted = reading.log_likelihood.shape[1], len(belief.names)
    check(k == wanted, "Reading", f"likelihoods for {k} hypotheses", f"{wanted}: {', '.join(belief.names)}")
