"""Networks that value actions, by name: ``build_q_network("perceptron", (4,), 2)``."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from bayesight.checks import check
from bayesight.models.outline import initial_weights
from bayesight.registry import Registry
from bayesight.values import Width, Widths

Q_NETWORKS: Registry[Any] = Registry("Q-network")


def build_q_network(
    name: str, observation_shape: Sequence[int], actions: int, *, seed: int = 0, **options: Any
) -> QNetwork:
    """A freshly initialised network: observations (B, *shape) to values (B, actions).

    Args:
        name: a registered name, ``Q_NETWORKS.names()`` lists them.
        observation_shape: of one observation.
        actions: that can be taken, at least 1.
        seed: initial weights follow from it; the global generator is left as it was.
        options: the network's own keyword arguments.

    Raises:
        UnknownName: no such network; the message suggests the nearest.
        InvalidConfig: options it does not have.
        InvalidInput: observations of another kind than the network takes, or no action.

    Example:
        >>> import torch
        >>> build_q_network("convolution", (7, 10, 10), 3)(torch.zeros(2, 7, 10, 10)).shape
        torch.Size([2, 3])
    """
    check(actions >= 1, f"Q-network {name!r}", f"{actions} actions", "at least one")
    with initial_weights(seed):
        network: QNetwork = Q_NETWORKS.build(name, tuple(observation_shape), actions, **options)
    return network


class QNetwork(nn.Module):
    """The value of every action from features of what is observed.

    Args:
        body: observations as floats to features (B, features).
        features: their number.
        actions: A.
        dueling: value of the state and advantages of the actions apart, Q = V + A - mean A (Wang et al.
            2016, "Dueling network architectures for deep reinforcement learning", eq. 9).
    """

    def __init__(self, body: nn.Module, features: int, actions: int, *, dueling: bool = False) -> None:
        super().__init__()
        self.body = body
        self.advantage = nn.Linear(features, actions)
        self.state = nn.Linear(features, 1) if dueling else None

    def forward(self, observations: Tensor) -> Tensor:
        """(B, *shape), of any type, to the values (B, A)."""
        features = self.body(observations.float())
        values: Tensor = self.advantage(features)
        if self.state is not None:
            values = self.state(features) + values - values.mean(1, keepdim=True)
        return values


@Q_NETWORKS.register("perceptron")
def perceptron(
    observation_shape: tuple[int, ...],
    actions: int,
    *,
    hidden: Widths = (256, 256),
    dueling: bool = False,
) -> QNetwork:
    """Layers of rectified units over observations of any shape."""
    widths = [math.prod(observation_shape), *hidden]
    layers = [part for a, b in itertools.pairwise(widths) for part in (nn.Linear(a, b), nn.ReLU())]
    return QNetwork(nn.Sequential(nn.Flatten(), *layers), widths[-1], actions, dueling=dueling)


@Q_NETWORKS.register("convolution")
def convolution(
    observation_shape: tuple[int, ...],
    actions: int,
    *,
    filters: Width = 16,
    hidden: Width = 128,
    dueling: bool = False,
) -> QNetwork:
    """One layer of 3x3 filters and one of units over (C, H, W): the network of MinAtar (Young, Tian 2019)."""
    came = f"observations of shape {observation_shape}"
    right = len(observation_shape) == 3 and min(observation_shape[1:]) >= 3
    check(right, "Q-network 'convolution'", came, "(C, H, W) of at least 3x3", "Use 'perceptron'.")
    channels, height, width = observation_shape
    body = nn.Sequential(
        nn.Conv2d(channels, filters, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(filters * (height - 2) * (width - 2), hidden),
        nn.ReLU(),
    )
    return QNetwork(body, hidden, actions, dueling=dueling)
