"""Replay memory: the latest transitions of play, from which batches are drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bayesight.checks import check

__all__ = ["ReplayBuffer", "Transitions"]


@dataclass(frozen=True)
class Transitions:
    """Steps of play, N of them.

    Args:
        observations: (N, *shape), before the step.
        actions: (N,) int64.
        rewards: (N,) float32.
        terminated: (N,) bool: nothing follows, so that the value of what follows is 0. False where only a
            limit of time ended the episode: there is a value beyond it.
        following: (N, *shape), what is observed after the step; at an episode's end its last observation,
            never the next one's first.
    """

    observations: npt.NDArray[np.generic]
    actions: npt.NDArray[np.int64]
    rewards: npt.NDArray[np.float32]
    terminated: npt.NDArray[np.bool_]
    following: npt.NDArray[np.generic]

    def __len__(self) -> int:
        return len(self.actions)

    def tensors(self) -> tuple[Tensor, ...]:
        """The five arrays as tensors, which share their memory."""
        return tuple(torch.from_numpy(getattr(self, name)) for name in self.__dataclass_fields__)


class ReplayBuffer:
    """The latest transitions in arrays that are written round and round (Lin 1992).

    Args:
        capacity: transitions kept; the oldest give way.
        observation_shape: of one observation.
        dtype: of observations as they are kept: one byte a number for bool and uint8.

    Raises:
        InvalidInput: a capacity below 1.

    Example:
        >>> buffer = ReplayBuffer(2, (), np.uint8)
        >>> for seen in (1, 2, 3):
        ...     row = np.array([seen], np.uint8)
        ...     buffer.add(Transitions(row, np.array([0]), np.ones(1, np.float32), np.array([False]), row))
        >>> len(buffer), sorted(buffer.sample(2, np.random.default_rng(0)).observations.tolist())
        (2, [2, 3])
    """

    def __init__(self, capacity: int, observation_shape: Sequence[int], dtype: npt.DTypeLike) -> None:
        check(capacity >= 1, "replay buffer", f"a capacity of {capacity}", "at least 1")
        shape = (capacity, *observation_shape)
        self.kept = Transitions(
            np.zeros(shape, dtype),
            np.zeros(capacity, np.int64),
            np.zeros(capacity, np.float32),
            np.zeros(capacity, np.bool_),
            np.zeros(shape, dtype),
        )
        self.capacity, self.added = capacity, 0

    def __len__(self) -> int:
        return min(self.added, self.capacity)

    def add(self, new: Transitions) -> None:
        """Keep transitions, in their order; of more than the capacity the last."""
        count = min(len(new), self.capacity)
        places = (self.added + len(new) - count + np.arange(count)) % self.capacity
        for name in new.__dataclass_fields__:
            getattr(self.kept, name)[places] = getattr(new, name)[len(new) - count :]
        self.added += len(new)

    def sample(self, count: int, generator: np.random.Generator) -> Transitions:
        """Draw transitions uniformly, with replacement; all there are, each once, where they are no more.

        Raises:
            InvalidInput: nothing has been added.
        """
        check(len(self) >= 1, "replay buffer", "it is empty", "play before a batch is drawn")
        rows = generator.integers(len(self), size=count) if len(self) > count else np.arange(len(self))
        return Transitions(*(getattr(self.kept, name)[rows] for name in self.kept.__dataclass_fields__))
