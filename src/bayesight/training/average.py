"""An exponential moving average of the weights, which is what gets evaluated and kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bayesight.checks import probability


class WeightAverage:
    """A shadow of a model's floating-point parameters and buffers (Polyak, Juditsky 1992).

    After step s the shadow moves by ``1 - d`` of its distance to the weights, where
    d = min(decay, (1 + s) / (10 + s)): the start of training is forgotten quickly.

    Args:
        model: its weights are followed.
        decay: in [0, 1).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = probability(decay, "optimization.average")
        self.live = _floating(model)
        self.shadow = {name: value.detach().clone() for name, value in self.live.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Follow the weights after step ``step``."""
        decay = min(self.decay, (1 + step) / (10 + step))
        live = [value.detach() for value in self.live.values()]
        torch._foreach_lerp_(list(self.shadow.values()), live, 1 - decay)

    def restart(self) -> None:
        """Begin anew from the weights as they are now."""
        _copy({name: value.detach() for name, value in self.live.items()}, self.shadow)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model carries the averaged weights inside the block, its own again after it."""
        with torch.no_grad():
            own = {name: value.detach().clone() for name, value in self.live.items()}
            _copy(self.shadow, self.live)
            try:
                yield
            finally:
                _copy(own, self.live)


def _floating(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, themselves and not copies."""
    named = [*model.named_parameters(), *model.named_buffers()]
    return {name: value for name, value in named if value.is_floating_point()}


def _copy(source: dict[str, Tensor], target: dict[str, Tensor]) -> None:
    for name, value in target.items():
        value.copy_(source[name])
