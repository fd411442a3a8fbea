"""Optimizers by name, with weight decay only where it belongs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, TypeAlias

import torch
from torch import nn

from bayesight.checks import check
from bayesight.optim.muon import Muon, muon_groups
from bayesight.registry import Registry
from bayesight.values import BelowOne, Each, Share, Within

OPTIMIZERS: Registry[Callable[..., torch.optim.Optimizer]] = Registry("optimizer")


def build_optimizer(
    name: str,
    model: nn.Module,
    *,
    lr: float,
    weight_decay: float = 0.0,
    backbone_lr: float | None = None,
    **options: Any,
) -> torch.optim.Optimizer:
    """An optimizer over the parameters of ``model`` that require a gradient.

    Args:
        name: a registered name, ``OPTIMIZERS.names()`` lists them.
        model: its matrices and kernels decay, its biases and norm scales do not.
        lr: base learning rate, > 0.
        backbone_lr: that of all parameters below ``model.head``, > 0; None for the same.
        weight_decay: >= 0; decoupled from the gradient in ``adamw`` and ``muon``, added to it elsewhere.
        options: the optimizer's own (``momentum``, ``betas``, ``eps``, ``alpha``, ``adam_share``).

    Raises:
        UnknownName: no such optimizer.
        InvalidConfig: options it does not have.
        InvalidInput: a rate or decay out of range.

    Example:
        >>> build_optimizer("nesterov", nn.Linear(3, 2), lr=0.1).param_groups[0]["nesterov"]
        True
    """
    check(lr > 0, "optimization.lr", f"got {lr:g}", "a positive learning rate")
    check(weight_decay >= 0, "optimization.weight_decay", f"got {weight_decay:g}", "0 or more")
    made: torch.optim.Optimizer = OPTIMIZERS.build(name, model, weight_decay, lr, **options)
    if backbone_lr is not None:
        check(backbone_lr > 0, "optimization.backbone_lr", f"got {backbone_lr:g}", "a positive learning rate")
        _give_backbone_rate(made, getattr(model, "head", model), backbone_lr)
    return made


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two parameter groups: those with two or more dimensions decay, vectors (biases, scales) do not."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


Momentum: TypeAlias = Annotated[float, Within(0, 1, above=True, below=True)]
Rate: TypeAlias = Annotated[float, Within(0, 1e6, above=True)]
Epsilon: TypeAlias = Annotated[float, Within(0, 1)]
Betas: TypeAlias = Annotated[Sequence[float], Each(Within(0, 1, below=True), 2, 2)]


@OPTIMIZERS.register("sgd")
def sgd(model: nn.Module, decay: float, lr: float, *, momentum: BelowOne = 0.0) -> torch.optim.Optimizer:
    """Stochastic gradient descent, with heavy-ball momentum if asked for."""
    return torch.optim.SGD(decay_groups(model, decay), lr=lr, momentum=momentum, fused=True)


@OPTIMIZERS.register("nesterov")
def nesterov(model: nn.Module, decay: float, lr: float, *, momentum: Momentum = 0.9) -> torch.optim.Optimizer:
    """Gradient descent with Nesterov's look-ahead momentum (Sutskever et al. 2013)."""
    return torch.optim.SGD(decay_groups(model, decay), lr=lr, momentum=momentum, nesterov=True, fused=True)


@OPTIMIZERS.register("adagrad")
def adagrad(model: nn.Module, decay: float, lr: float, *, eps: Epsilon = 1e-10) -> torch.optim.Optimizer:
    """Step sizes divided by the root of all squared gradients so far (Duchi et al. 2011)."""
    return torch.optim.Adagrad(decay_groups(model, decay), lr=lr, eps=eps)


@OPTIMIZERS.register("rmsprop")
def rmsprop(
    model: nn.Module,
    decay: float,
    lr: float,
    *,
    alpha: Share = 0.99,
    momentum: BelowOne = 0.0,
    eps: Epsilon = 1e-8,
) -> torch.optim.Optimizer:
    """Step sizes divided by the root of a moving mean of squared gradients (Tieleman, Hinton 2012)."""
    return torch.optim.RMSprop(decay_groups(model, decay), lr=lr, alpha=alpha, momentum=momentum, eps=eps)


@OPTIMIZERS.register("adam")
def adam(
    model: nn.Module, decay: float, lr: float, *, betas: Betas = (0.9, 0.999), eps: Epsilon = 1e-8
) -> torch.optim.Optimizer:
    """Moving means of gradient and squared gradient, corrected for their start (Kingma, Ba 2014)."""
    return torch.optim.Adam(decay_groups(model, decay), lr=lr, betas=_pair(betas), eps=eps, fused=True)


@OPTIMIZERS.register("adamw")
def adamw(
    model: nn.Module, decay: float, lr: float, *, betas: Betas = (0.9, 0.999), eps: Epsilon = 1e-8
) -> torch.optim.Optimizer:
    """Adam with weight decay taken out of the gradient (Loshchilov, Hutter 2019)."""
    return torch.optim.AdamW(decay_groups(model, decay), lr=lr, betas=_pair(betas), eps=eps, fused=True)


@OPTIMIZERS.register("muon")
def muon(
    model: nn.Module,
    decay: float,
    lr: float,
    *,
    momentum: BelowOne = 0.95,
    adam_share: Rate = 0.1,
    betas: Betas = (0.9, 0.95),
    eps: Epsilon = 1e-8,
) -> torch.optim.Optimizer:
    """Orthogonalised momentum for hidden matrices, Adam at a share of the rate for the rest (2024)."""
    return Muon(
        muon_groups(model, decay), lr, momentum=momentum, adam_share=adam_share, betas=_pair(betas), eps=eps
    )


def _give_backbone_rate(optimizer: torch.optim.Optimizer, head: nn.Module, lr: float) -> None:
    """Give what is not in the head groups of its own, otherwise like those it was in."""
    own = {id(p) for p in head.parameters()}
    for group in list(optimizer.param_groups):
        below = [p for p in group["params"] if id(p) not in own]
        group["params"] = [p for p in group["params"] if id(p) in own]
        if below:
            optimizer.add_param_group({**group, "params": below, "lr": lr})
    optimizer.param_groups[:] = [group for group in optimizer.param_groups if group["params"]]


def _pair(betas: Iterable[float]) -> tuple[float, float]:
    values = tuple(betas)
    came = f"got {list(values)}"
    check(len(values) == 2 and all(0 <= b < 1 for b in values), "betas", came, "two numbers in [0, 1)")
    return values[0], values[1]
