"""The target of Q-learning by hand, its limits, and what double Q-learning changes."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bayesight.errors import InvalidInput
from bayesight.losses import td_loss, td_target

REWARDS = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
NEXT = torch.tensor([[1.0, 3.0], [4.0, -1.0], [2.0, 2.5]], dtype=torch.float64)


def test_targets_of_fixed_transitions():
    ended = torch.tensor([False, True, False])
    found = td_target(REWARDS, ended, NEXT, 0.9)
    assert found.tolist() == pytest.approx([1 + 0.9 * 3, -2.0, 0.5 + 0.9 * 2.5])


def test_double_learning_takes_the_action_of_one_and_the_value_of_the_other():
    ours = torch.tensor([[5.0, 0.0], [0.0, 1.0], [0.0, 1.0]], dtype=torch.float64)
    found = td_target(REWARDS, torch.zeros(3, dtype=torch.bool), NEXT, 0.9, chosen_by=ours)
    assert found.tolist() == pytest.approx([1 + 0.9 * 1, -2 - 0.9, 0.5 + 0.9 * 2.5])


def test_without_a_future_it_is_regression_on_rewards():
    values = torch.tensor([[0.3, 9.0], [9.0, -1.0], [0.0, 9.0]], dtype=torch.float64, requires_grad=True)
    actions = torch.tensor([0, 1, 0])
    targets = td_target(REWARDS, torch.zeros(3, dtype=torch.bool), NEXT, 0.0)
    assert torch.equal(targets, REWARDS)
    literal = [0.5 * e * e if abs(e) < 1 else abs(e) - 0.5 for e in (0.3 - 1, -1 + 2, 0.0 - 0.5)]
    loss = td_loss(values, actions, targets)
    assert loss.item() == pytest.approx(sum(literal) / 3)
    loss.backward()
    assert values.grad.tolist() == [
        pytest.approx(row) for row in ([-0.7 / 3, 0.0], [0.0, 1 / 3], [-0.5 / 3, 0.0])
    ]


def test_what_follows_a_terminated_step_is_not_looked_at():
    broken = torch.full((3, 2), math.nan, dtype=torch.float64)
    assert torch.equal(td_target(REWARDS, torch.ones(3, dtype=torch.bool), broken, 0.9), REWARDS)


def test_no_gradient_passes_through_a_target():
    following = NEXT.clone().requires_grad_()
    assert not td_target(REWARDS, torch.zeros(3, dtype=torch.bool), following, 0.9).requires_grad


@given(
    st.lists(st.floats(-5, 5), min_size=4, max_size=4),
    st.lists(st.floats(-5, 5), min_size=4, max_size=4),
    st.floats(0, 1),
)
def test_double_targets_are_never_above_single_ones(ours, theirs, discount):
    reward, ended = torch.zeros(1, dtype=torch.float64), torch.tensor([False])
    theirs, ours = (torch.tensor([row], dtype=torch.float64) for row in (theirs, ours))
    single = td_target(reward, ended, theirs, discount)
    assert td_target(reward, ended, theirs, discount, chosen_by=ours) <= single
    assert torch.equal(td_target(reward, ended, theirs, discount, chosen_by=theirs), single)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(InvalidInput, match=r"expected \(B,\), \(B,\) and \(B, A\)"):
        td_target(REWARDS[:2], torch.ones(3, dtype=torch.bool), NEXT, 0.9)
    with pytest.raises(InvalidInput, match="discount"):
        td_target(REWARDS, torch.ones(3, dtype=torch.bool), NEXT, 1.5)
