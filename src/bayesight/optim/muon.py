"""Muon (Jordan et al. 2024): momentum whose matrix is made orthogonal before it is taken as a step.

A matrix's gradient is dominated by few directions. Muon takes M = U S V^T, the momentum, and steps along
U V^T: every direction counts the same. Embeddings, the last layer, gains and biases are no such maps, and
follow Adam with decoupled decay.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients of x, x^3 and x^5: steep at zero, and after five turns within .3 of 1."""


def orthogonalised(matrices: Tensor, turns: int = 5) -> Tensor:
    """U S' V^T of matrices U S V^T with singular values S' from .7 to 1.2, by Newton-Schulz iterations.

    Args:
        matrices: (..., R, C), floating point.
        turns: iterations; singular values below about 1e-3 of the Frobenius norm stay smaller.
    """
    a, b, c = QUINTIC
    wide = matrices.shape[-2] <= matrices.shape[-1]
    x: Tensor = matrices if wide else matrices.mT
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    for _ in range(turns):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x if wide else x.mT


def muon_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Three parameter groups: hidden matrices and kernels, the ends of the network, and vectors.

    The ends are embeddings and the layer ``model.head``; like hidden matrices they decay, vectors do not.
    """
    embeddings = [part for part in model.modules() if isinstance(part, nn.Embedding)]
    head = getattr(model, "head", None)
    ends = {id(p) for part in (*embeddings, head) if isinstance(part, nn.Module) for p in part.parameters()}
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {
            "params": [p for p in trained if p.dim() >= 2 and id(p) not in ends],
            "weight_decay": weight_decay,
            "orthogonal": True,
        },
        {"params": [p for p in trained if p.dim() >= 2 and id(p) in ends], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


class Muon(torch.optim.Optimizer):
    """Orthogonalised momentum for groups with ``orthogonal``, Adam for the others.

    With gradient G, momentum mu and rate eta, of a matrix with R rows and C columns:
    B = mu B + G; W -= eta sqrt(max(1, R / C)) orthogonalised(G + mu B). A kernel is the matrix of its output
    channels by all else. Weight decay is decoupled: W *= 1 - eta decay.

    Args:
        groups: of parameters.
        lr: base learning rate of the matrices.
        momentum: mu, in [0, 1).
        adam_share: Adam's rate as a share of ``lr``.
        betas: of Adam.
        eps: of Adam.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        lr: float,
        *,
        momentum: float = 0.95,
        adam_share: float = 0.1,
        betas: Sequence[float] = (0.9, 0.95),
        eps: float = 1e-8,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "adam_share": adam_share,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": 0.0,
            "orthogonal": False,
        }
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            moved = [p for p in group["params"] if p.grad is not None]
            (self._orthogonal if group["orthogonal"] else self._adam)(moved, group)
        return loss

    def _orthogonal(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        """Matrices of one shape are taken together: many small products cost more than one of all."""
        same: defaultdict[tuple[int, int], list[tuple[Tensor, Tensor]]] = defaultdict(list)
        mu, lr = group["momentum"], group["lr"]
        for p in parameters:
            assert p.grad is not None
            momentum = self.state[p].setdefault("momentum", torch.zeros_like(p))
            momentum.mul_(mu).add_(p.grad)
            ahead = p.grad.add(momentum, alpha=mu).flatten(1)
            same[ahead.shape[0], ahead.shape[1]].append((p, ahead))
        for (rows, columns), pairs in same.items():
            steps = orthogonalised(torch.stack([ahead for _, ahead in pairs]))
            for (p, _), step in zip(pairs, steps, strict=True):
                p.mul_(1 - lr * group["weight_decay"])
                p.sub_(step.reshape(p.shape), alpha=lr * math.sqrt(max(1.0, rows / columns)))

    def _adam(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        beta1, beta2 = group["betas"]
        lr = group["lr"] * group["adam_share"]
        for p in parameters:
            assert p.grad is not None
            state = self.state[p]
            if not state:
                state["step"] = torch.zeros(())
                state["first"], state["second"] = torch.zeros_like(p), torch.zeros_like(p)
            state["step"] += 1
            t = float(state["step"])
            state["first"].lerp_(p.grad, 1 - beta1)
            state["second"].mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
            scale = (state["second"] / (1 - beta2**t)).sqrt_().add_(group["eps"])
            p.mul_(1 - lr * group["weight_decay"])
            p.addcdiv_(state["first"], scale, value=-lr / (1 - beta1**t))
