"""Calibration: one temperature, or with it a bias per class (bias-corrected temperature scaling, BCTS).

Sources: C. Guo et al., *On calibration of modern neural networks* (2017), section 4.2; A. Alexandari, A.
Kundaje and A. Shrikumar, *Maximum likelihood with bias-corrected calibration is hard-to-beat at label shift
adaptation* (2020), section 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bayesight.checks import check

__all__ = ["Calibration", "apply", "fit_bcts"]


@dataclass(frozen=True)
class Calibration:
    """log p = log_softmax(scores / temperature + bias).

    Args:
        temperature: > 0.
        bias: (K,) nats, sums to 0.
    """

    temperature: float
    bias: Tensor


def fit_bcts(
    scores: Tensor, labels: Tensor, *, bias: bool = True, weights: Tensor | None = None, ridge: float = 10.0
) -> Calibration:
    """Maximum-likelihood temperature and bias per class, by Newton's method in float64.

    Args:
        scores: (N, K) logits or log posteriors of images that trained nothing.
        labels: (N,) class indices.
        bias: False fits the temperature alone.
        weights: (N,) >= 0, for instance bootstrap counts.
        ridge: precision of a Gaussian prior on the biases about 0 and on the inverse temperature about 1; it
            keeps a class that is absent, or perfectly separated, from running to infinity.

    Example:
        >>> scores = torch.tensor([[8.0, 0.0]] * 400 + [[0.0, 8.0]] * 400)  # sure of itself
        >>> right_three_times_in_four = torch.tensor([0, 0, 0, 1] * 100 + [1, 1, 1, 0] * 100)
        >>> round(fit_bcts(scores, right_three_times_in_four).temperature, 1)
        7.2

    Raises:
        InvalidInput: no rows, or shapes that do not match.
    """
    shapes = f"{tuple(scores.shape)} and {tuple(labels.shape)}"
    good = scores.ndim == 2 and len(scores) > 0 and labels.shape == scores.shape[:1]
    check(good, "scores and labels", shapes, "(N, K) and (N,) with N >= 1")
    z = scores.double() - scores.double().logsumexp(1, keepdim=True)
    z = z.clamp_min(-700.0)
    w = torch.ones(len(z), dtype=torch.float64) if weights is None else weights.double()
    design = _design(z, bias)
    prior = ridge
    centre = torch.zeros(design.shape[-1], dtype=torch.float64)
    centre[0] = 1.0
    theta = centre.clone()
    value = _objective(design, labels, w, theta, centre, prior)
    for _ in range(50):
        p = torch.softmax(design @ theta, dim=1)
        given = design[torch.arange(len(z)), labels]
        mean = (p[..., None] * design).sum(1)
        gradient = ((mean - given) * w[:, None]).sum(0) + prior * (theta - centre)
        weighted = design * (p * w[:, None])[..., None]
        hessian = torch.einsum("nkp,nkq->pq", weighted, design) - (mean * w[:, None]).T @ mean
        hessian.diagonal().add_(prior)
        step = torch.linalg.solve(hessian, gradient)
        size, decrement = 1.0, float(gradient @ step)
        while size > 1e-6:
            proposed = theta - size * step
            trial = _objective(design, labels, w, proposed, centre, prior)
            if proposed[0] > 1e-4 and trial <= value - 1e-4 * size * decrement:
                break
            size /= 2
        else:
            break
        theta, value = proposed, trial
        if decrement < 1e-10 * max(1.0, abs(value)):
            break
    shift = torch.cat([theta[1:], theta.new_zeros(1)]) if bias else theta.new_zeros(z.shape[1])
    return Calibration(float(1 / theta[0]), shift - shift.mean())


def apply(calibration: Calibration, scores: Tensor) -> Tensor:
    """Calibrated log posterior, nats, (N, K)."""
    z = scores.double() - scores.double().logsumexp(-1, keepdim=True)
    return torch.log_softmax(z.clamp_min(-700.0) / calibration.temperature + calibration.bias, dim=-1)


def _design(z: Tensor, bias: bool) -> Tensor:
    """(N, K, P): the score times the inverse temperature, and an indicator for every class but the last."""
    count = z.shape[1]
    columns = [z[..., None]]
    if bias:
        columns.append(torch.eye(count, dtype=torch.float64)[:, :-1].expand(len(z), count, count - 1))
    return torch.cat(columns, dim=-1)


def _objective(
    design: Tensor, labels: Tensor, weights: Tensor, theta: Tensor, centre: Tensor, prior: float
) -> float:
    log_p = torch.log_softmax(design @ theta, dim=1)
    loss = -(log_p.gather(1, labels[:, None])[:, 0] * weights).sum()
    return float(loss + 0.5 * prior * (theta - centre).square().sum())
