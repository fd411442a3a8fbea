"""A last-layer Laplace posterior over the softmax: the second head, whose likelihood is p(class | image).

The weights of the last layer have a Gaussian posterior centred at the maximum a posteriori, with the
curvature there as its precision, one (P, P) block a class. The posterior of one batch is the prior of the
next.

Sources: D. MacKay, *The evidence framework applied to classification networks*, Neural Computation 4 (1992),
for the approximation and the predictive; D. Spiegelhalter and S. Lauritzen, *Networks* 20 (1990), for
sequential updates.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bayesight.bayes.newton import minimise
from bayesight.checks import check


@dataclass(frozen=True)
class LaplaceHead:
    """Gaussian belief about the weights of a softmax layer, float64; the last weight of a class is its bias.

    Args:
        shift: (D,) subtracted from a feature vector.
        scale: (D,) > 0, divides it then.
        mean: (K, D + 1) the most probable weights.
        precision: (K, D + 1, D + 1) curvature about them, one block a class.
    """

    shift: Tensor
    scale: Tensor
    mean: Tensor
    precision: Tensor


def empty(shift: Tensor, scale: Tensor, classes: int, precision: float = 10.0) -> LaplaceHead:
    """A head that has seen nothing: every weight is N(0, 1 / precision).

    Args:
        shift: (D,) centre of the features.
        scale: (D,) their scale.
        classes: K >= 2.
        precision: > 0; weight decay by another name.
    """
    check(classes >= 2, "classes", f"got {classes}", "at least 2")
    good = math.isfinite(precision) and precision > 0
    check(good, "precision", f"got {precision}", "a finite number > 0")
    good = shift.ndim == 1 and shift.shape == scale.shape and bool((scale > 0).all())
    check(good, "shift and scale", f"{tuple(shift.shape)} and {tuple(scale.shape)}", "two (D,), scale > 0")
    size = len(shift) + 1
    block = torch.eye(size, dtype=torch.float64) * precision
    mean = torch.zeros(classes, size, dtype=torch.float64)
    return LaplaceHead(shift.double(), scale.double(), mean, block.expand(classes, size, size).clone())


def absorb(
    head: LaplaceHead, features: Tensor, labels: Tensor, *, steps: int = 30, tolerance: float = 1e-5
) -> LaplaceHead:
    """The posterior after labelled rows, by Newton's method from the prior's mode.

    Each step solves with the full curvature by conjugate gradients, the class blocks as preconditioner.

    Args:
        head: the prior.
        features: (N, D).
        labels: (N,) indices below K.
        steps: at most this many of Newton's.
        tolerance: the last step is one that promises to gain no more than this many nats.

    Example:
        >>> x = torch.tensor([[-2.0], [-1.0], [1.0], [2.0]])
        >>> head = absorb(empty(torch.zeros(1), torch.ones(1), 2, 0.1), x, torch.tensor([0, 0, 1, 1]))
        >>> log_posterior(head, torch.tensor([[-1.5], [1.5]])).argmax(1).tolist()
        [0, 1]

    Raises:
        InvalidInput: shapes or labels that break the contract, or features that are not finite.
    """
    x = _design(head, features)
    good = labels.shape == (len(x),) and not labels.is_floating_point()
    check(good, "labels", f"{labels.dtype} {tuple(labels.shape)}", f"{len(x)} integers")
    if len(x) == 0:
        return head
    inside = bool((labels.min() >= 0) & (labels.max() < len(head.mean)))
    check(inside, "labels", "an index outside the classes", f"0 to {len(head.mean) - 1}")

    def newton(mean: Tensor) -> tuple[Tensor, Tensor]:
        p = torch.softmax(x @ mean.T, dim=1)
        error = p.scatter_add(1, labels[:, None], torch.full_like(p[:, :1], -1.0))
        gradient = error.T @ x + _apply(head.precision, mean - head.mean)
        return gradient, _newton(head.precision, x, p, gradient)

    loss = functools.partial(_loss, head, x, labels)
    mean = minimise(loss, newton, head.mean, tolerance=tolerance, steps=steps)
    p = torch.softmax(x @ mean.T, dim=1)
    return replace(head, mean=mean, precision=head.precision + _blocks(x, p))


def log_posterior(
    head: LaplaceHead, features: Tensor, *, samples: int = 0, generator: torch.Generator | None = None
) -> Tensor:
    """Log p(class | x), nats, (N, K), the weights integrated out.

    Args:
        head: the belief.
        features: (N, D).
        samples: 0 for MacKay's approximation, which divides each logit by sqrt(1 + pi v / 8), v its variance;
            more for that many Monte Carlo draws of the logits.
        generator: of the draws; required with ``samples``.
    """
    x = _design(head, features)
    logits = x @ head.mean.T
    variance = torch.stack(
        [torch.linalg.solve_triangular(torch.linalg.cholesky(b), x.T, upper=False).square().sum(0)
         for b in head.precision], dim=1,
    )  # fmt: skip
    if samples == 0:
        return torch.log_softmax(logits / (1 + math.pi / 8 * variance).sqrt(), dim=1)
    check(generator is not None, "generator", "none", "a torch.Generator", "Sampling needs one.")
    noise = torch.randn(samples, *logits.shape, generator=generator, dtype=torch.float64)
    draws = torch.log_softmax(logits + noise * variance.sqrt(), dim=2)
    return draws.logsumexp(0) - math.log(samples)


def _design(head: LaplaceHead, features: Tensor) -> Tensor:
    """Standardised features with a column of ones, (N, D + 1)."""
    fits = features.ndim == 2 and features.shape[1] == len(head.shift)
    check(fits, "features", f"shape {tuple(features.shape)}", f"(N, {len(head.shift)})")
    check(bool(torch.isfinite(features).all()), "features", "NaN or infinity", "finite numbers")
    x = (features.double() - head.shift) / head.scale
    return torch.cat([x, x.new_ones(len(x), 1)], dim=1)


def _loss(head: LaplaceHead, x: Tensor, labels: Tensor, mean: Tensor) -> float:
    """Negative log joint density up to a constant, nats."""
    log_p = torch.log_softmax(x @ mean.T, dim=1).gather(1, labels[:, None]).sum()
    off = mean - head.mean
    return float(0.5 * (off * _apply(head.precision, off)).sum() - log_p)


def _apply(blocks: Tensor, weights: Tensor) -> Tensor:
    """Each class's block times its weights, (K, P)."""
    return torch.einsum("kpq,kq->kp", blocks, weights)


def _blocks(x: Tensor, p: Tensor) -> Tensor:
    """Curvature of the log-likelihood within each class, (K, P, P)."""
    return torch.stack([x.T @ (x * (q * (1 - q))[:, None]) for q in p.T])


def _newton(precision: Tensor, x: Tensor, p: Tensor, gradient: Tensor) -> Tensor:
    """The Newton direction (K, P) by preconditioned conjugate gradients."""
    factors = torch.linalg.cholesky(precision + _blocks(x, p))

    def curvature(v: Tensor) -> Tensor:
        logits = x @ v.T
        return ((logits - (p * logits).sum(1, keepdim=True)) * p).T @ x + _apply(precision, v)

    def precondition(r: Tensor) -> Tensor:
        return torch.cholesky_solve(r[..., None], factors)[..., 0]

    solution, residual = torch.zeros_like(gradient), gradient
    ready = precondition(residual)
    search, power = ready, float((residual * ready).sum())
    first = power
    for _ in range(50):
        bent = curvature(search)
        step = power / max(float((search * bent).sum()), 1e-300)
        solution, residual = solution + step * search, residual - step * bent
        ready = precondition(residual)
        previous, power = power, float((residual * ready).sum())
        if power < 1e-6 * first:
            break
        search = ready + power / previous * search
    return solution
