"""Calibration: one temperature, or with it a bias per class (bias-corrected temperature scaling, BCTS).

Sources: C. Guo et al., *On calibration of modern neural networks* (2017), section 4.2; A. Alexandari, A.
Kundaje and A. Shrikumar, *Maximum likelihood with bias-corrected calibration is hard-to-beat at label shift
adaptation* (2020), section 3.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from bayesight.bayes.newton import minimise
from bayesight.checks import check

_VALUES = 1 << 18  # scores worked on at once: what is made of them stays in the cache


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
    z = _log_shares(scores)
    w = torch.ones(len(z), dtype=torch.float64) if weights is None else weights.double()
    centre = torch.zeros(z.shape[1] if bias else 1, dtype=torch.float64)
    centre[0] = 1.0
    rows = max(1, _VALUES // z.shape[1])
    blocks = list(zip(z.split(rows), labels.split(rows), w.split(rows), strict=True))

    def loss(at: Tensor) -> float:
        if at[0] <= 1e-4:
            return math.inf
        total = 0.5 * ridge * (at - centre).square().sum()
        for some, named, counted in blocks:
            log_p = torch.log_softmax(_softened(some, at), dim=1)
            total = total - (log_p.gather(1, named[:, None])[:, 0] * counted).sum()
        return float(total)

    def newton(at: Tensor) -> tuple[Tensor, Tensor]:
        parts = [_derivatives(*block, at) for block in blocks]
        gradient, hessian = (functools.reduce(Tensor.add_, part) for part in zip(*parts, strict=True))
        hessian.diagonal().add_(ridge)
        gradient += ridge * (at - centre)
        return gradient, torch.linalg.solve(hessian, gradient)

    theta = minimise(loss, newton, centre, tolerance=1e-10 * max(1.0, loss(centre)))
    shift = torch.cat([theta[1:], theta.new_zeros(1)]) if bias else theta.new_zeros(z.shape[1])
    return Calibration(float(1 / theta[0]), shift - shift.mean())


def apply(calibration: Calibration, scores: Tensor) -> Tensor:
    """Calibrated log posterior, nats, (N, K)."""
    z = _log_shares(scores)
    return torch.log_softmax(z / calibration.temperature + calibration.bias, dim=-1)


def _log_shares(scores: Tensor) -> Tensor:
    """Normalised scores, nats, float64, none so low that its product with a weight of 0 is no number."""
    z = scores.double()
    return (z - z.logsumexp(-1, keepdim=True)).clamp_min_(-700.0)


def _softened(z: Tensor, theta: Tensor) -> Tensor:
    """Scores (N, K) at an inverse temperature, plus the biases, if any, of every class but the last."""
    softened = z * theta[0]
    softened[:, : len(theta) - 1] += theta[1:]
    return softened


def _derivatives(z: Tensor, labels: Tensor, weights: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient (P,) and Hessian (P, P) of the summed log-loss.

    The design has a column of scores and one of indicators a class; only their products are ever formed, so
    that memory follows N x K and P^2, not N x K x P.
    """
    count = len(theta) - 1
    p = _softened(z, theta).softmax(dim=1)
    mean = (p * z).sum(1)
    given = z.gather(1, labels[:, None])[:, 0]
    weighted = p * weights[:, None]
    hessian = torch.empty(count + 1, count + 1, dtype=torch.float64)
    spread = weighted * (z - mean[:, None])  # of the score about its mean, at each class
    hessian[0, 0] = (spread * z).sum()
    hessian[0, 1:] = hessian[1:, 0] = spread.sum(0)[:count]
    hessian[1:, 1:] = -(weighted.T[:count] @ p[:, :count])
    hessian.diagonal()[1:] += weighted.sum(0)[:count]
    observed = torch.zeros(z.shape[1], dtype=torch.float64).index_add_(0, labels, weights)
    return torch.cat([((mean - given) @ weights)[None], (weighted.sum(0) - observed)[:count]]), hessian
