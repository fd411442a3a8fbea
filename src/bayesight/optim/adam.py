"""Adam, as its paper writes it (Kingma, Ba 2014, "Adam: A Method for Stochastic Optimization", algorithm 1).

    m = b1 m + (1 - b1) g          v = b2 v + (1 - b2) g^2
    w = w - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)

The numbers are those of ``torch.optim.Adam``, which the factory takes for its fused kernel; this one is for
reading, and for what needs a pure function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bayesight.checks import check

__all__ = ["Adam", "Moments", "init", "update"]


@dataclass(frozen=True)
class Moments:
    """What Adam remembers of one parameter.

    Args:
        first: moving mean of the gradient, of the parameter's shape; zeros at the start.
        second: moving mean of its square.
        step: updates so far.
    """

    first: Tensor
    second: Tensor
    step: int


def init(parameter: Tensor) -> Moments:
    """Moments before any update."""
    return Moments(torch.zeros_like(parameter), torch.zeros_like(parameter), 0)


def update(
    gradient: Tensor,
    moments: Moments,
    *,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> tuple[Tensor, Moments]:
    """One step of algorithm 1.

    Returns:
        What is added to the parameter, and the new moments.

    Example:
        >>> step, _ = update(torch.tensor([5.0, -0.1]), init(torch.zeros(2)), lr=0.01)
        >>> [round(s, 6) for s in step.tolist()]  # the first step is lr in every direction
        [-0.01, 0.01]
    """
    beta1, beta2 = betas
    step = moments.step + 1
    first = moments.first.lerp(gradient, 1 - beta1)
    second = moments.second * beta2 + gradient * gradient * (1 - beta2)
    scale = second.sqrt() / (1 - beta2**step) ** 0.5 + eps
    return first / scale * (-lr / (1 - beta1**step)), Moments(first, second, step)


class Adam(torch.optim.Optimizer):
    """``update`` over parameter groups.

    Args:
        params: tensors or groups, as every optimizer takes them; ``weight_decay`` is added to the gradient.
        lr: learning rate, > 0.
        betas: decay of the two moving means, in [0, 1).
        eps: added to the root, > 0.
        weight_decay: >= 0.

    Raises:
        InvalidInput: a rate that is not positive.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        check(lr > 0, "adam.lr", f"got {lr:g}", "a positive learning rate")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                gradient = parameter.grad
                if group["weight_decay"]:
                    gradient = gradient.add(parameter, alpha=group["weight_decay"])
                kept = self.state[parameter]
                count = torch.zeros(()) if not kept else kept["step"]
                before = Moments(kept["first"], kept["second"], int(count)) if kept else init(parameter)
                change, after = update(
                    gradient, before, lr=group["lr"], betas=group["betas"], eps=group["eps"]
                )
                parameter.add_(change)
                # the step as a tensor, for a checkpoint keeps tensors
                kept["first"], kept["second"], kept["step"] = after.first, after.second, count + 1
        return loss
