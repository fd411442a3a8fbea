"""The loss of Q-learning: the value of an action against the reward and the value of what follows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bayesight.checks import check, probability


def td_target(
    rewards: Tensor,
    terminated: Tensor,
    next_values: Tensor,
    discount: float,
    *,
    chosen_by: Tensor | None = None,
) -> Tensor:
    """The one-step target of Q-learning: r + γ Q(s', a*), and r alone where the episode terminated.

    a* is the best action by ``next_values`` (Mnih et al. 2015, "Human-level control through deep
    reinforcement learning", Nature 518), or by ``chosen_by``, the values of the network that learns: double
    Q-learning, whose targets are not biased upward (van Hasselt, Guez, Silver 2016, eq. 4).

    Args:
        rewards: (B,) of the action taken.
        terminated: (B,) bool, nothing follows s'. An episode cut off by a limit of time is not terminated.
        next_values: (B, A) values of s' by the target network.
        discount: γ in [0, 1].
        chosen_by: (B, A) values of s' by the network that learns; None lets the target network choose.

    Returns:
        (B,), through which no gradient passes.

    Raises:
        InvalidInput: shapes that do not fit, or a discount outside [0, 1].

    Example:
        >>> ended = torch.tensor([False, True])
        >>> td_target(torch.tensor([1.0, 1.0]), ended, torch.tensor([[2.0, 4.0], [9.0, 9.0]]), 0.5)
        tensor([3., 1.])
    """
    probability(discount, "td_target.discount")
    came = f"got shapes {tuple(rewards.shape)}, {tuple(terminated.shape)} and {tuple(next_values.shape)}"
    fits = rewards.shape == terminated.shape == next_values.shape[:1]
    check(fits, "td_target", came, "(B,), (B,) and (B, A)")
    best = (next_values if chosen_by is None else chosen_by).argmax(1, keepdim=True)
    following = next_values.gather(1, best).squeeze(1)
    return torch.where(terminated, rewards, rewards + discount * following).detach()


def td_loss(values: Tensor, actions: Tensor, targets: Tensor) -> Tensor:
    """Mean Huber loss of the values of the actions taken: squares up to an error of 1, lines beyond.

    Args:
        values: (B, A) of every action.
        actions: (B,) int64, those taken.
        targets: (B,) by ``td_target``.

    Example:
        >>> round(td_loss(torch.tensor([[0.0, 5.0]]), torch.tensor([0]), torch.tensor([3.0])).item(), 3)
        2.5
    """
    return F.smooth_l1_loss(values.gather(1, actions[:, None]).squeeze(1), targets)
