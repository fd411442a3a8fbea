"""Normal with unknown mean and variance, normal-inverse-gamma prior.

    prior:     σ² ~ InverseGamma(a0, b0),   μ | σ² ~ Normal(m0, σ²/k0)
    posterior: kn = k0 + n,  mn = (k0·m0 + n·x̄)/kn,  an = a0 + n/2,
               bn = b0 + S/2 + k0·n·(x̄ - m0)²/(2·kn),   S = Σ (x - x̄)²

The reference prior p(μ, σ²) ∝ 1/σ² is its limit k0 = 0, a0 = -1/2, b0 = 0: the interval of the mean is then
the t interval of the textbooks, in whatever units. It has no evidence, for it is no distribution.

Predictive: Student t with 2·an degrees of freedom at mn, squared scale bn·(kn + 1)/(an·kn). Evidence:
Γ(an)/Γ(a0) · b0^a0/bn^an · √(k0/kn) · (2π)^(-n/2). Source: Murphy (2007), Conjugate Bayesian Analysis of the
Gaussian Distribution, eqs. 85-100.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bayesight.bayes.conjugate._moments import Moments, add, as_rows, of_rows, subtract, zero
from bayesight.bayes.conjugate._student import (
    check_settled,
    inverse_gamma_interval,
    log_student,
    student_interval,
)
from bayesight.checks import check


@dataclass(frozen=True)
class Normal:
    """Prior and moments of the data; float64 scalars.

    Args:
        prior_mean: m0, where the mean is expected.
        prior_strength: k0, in observations.
        prior_shape: a0, half the observations the prior variance is worth.
        prior_rate: b0; the prior variance is about b0 / a0.
        data: moments of dimension 1.
    """

    prior_mean: Tensor
    prior_strength: Tensor
    prior_shape: Tensor
    prior_rate: Tensor
    data: Moments

    @property
    def strength(self) -> Tensor:
        """The posterior's kn."""
        return self.prior_strength + self.data.count

    @property
    def centre(self) -> Tensor:
        """The posterior's mn."""
        share = self.data.count / self.strength.clamp_min(1e-300)
        return self.prior_mean + (self.data.mean[0] - self.prior_mean) * share

    @property
    def shape(self) -> Tensor:
        """The posterior's an."""
        return self.prior_shape + self.data.count / 2

    @property
    def rate(self) -> Tensor:
        """The posterior's bn."""
        gap = (self.data.mean[0] - self.prior_mean).square()
        between = gap * (self.prior_strength * self.data.count / self.strength.clamp_min(1e-300))
        return self.prior_rate + (self.data.scatter[0, 0] + between) / 2


def reference(mean: float = 0.0, strength: float = 0.0) -> Normal:
    """The belief that says nothing of the variance, and nothing of the mean where ``strength`` is 0.

    Raises:
        InvalidInput: a number not finite, or a negative strength.
    """
    m0, k0 = torch.tensor([mean, strength], dtype=torch.float64)
    ok = bool(m0.isfinite()) and bool(k0.isfinite()) and strength >= 0
    check(ok, "normal.reference", f"{[mean, strength]}", "a finite mean, and a strength of 0 or more")
    return Normal(m0, k0, torch.tensor(0.0 if strength else -0.5).double(), torch.zeros(()).double(), zero(1))


def prior(mean: float = 0.0, strength: float = 1.0, shape: float = 1.0, rate: float = 1.0) -> Normal:
    """A belief before any data.

    Raises:
        InvalidInput: a number not finite, or strength, shape or rate not above 0.
    """
    values = torch.tensor([mean, strength, shape, rate], dtype=torch.float64)
    ok = bool(values.isfinite().all()) and bool((values[1:] > 0).all())
    check(ok, "normal.prior", f"{values.tolist()}", "a finite mean, and strength, shape and rate above 0")
    return Normal(values[0], values[1], values[2], values[3], zero(1))


def update(state: Normal, data: Tensor) -> tuple[Normal, Tensor]:
    """Take numbers in.

    Args:
        state: the belief so far.
        data: (N,) or (N, 1) numbers.

    Returns:
        The new state, and the log-evidence of these data given the earlier ones, nats.

    Raises:
        InvalidInput: another shape, NaN or an infinity.

    Example:
        >>> length, _ = update(prior(mean=0, strength=1), torch.tensor([1.0, 2.0, 3.0]))
        >>> mean(length)["mean"].item(), maximum_likelihood(length)["mean"].item()
        (1.5, 2.0)
    """
    new = replace(state, data=add(state.data, of_rows(as_rows(data, 1, "normal"))))
    return new, log_evidence(new) - log_evidence(state)


def downdate(state: Normal, data: Tensor) -> Normal:
    """Take numbers out again.

    Raises:
        InvalidInput: they were never taken in, as far as count, mean and spread can tell.
    """
    gone = of_rows(as_rows(data, 1, "normal"))
    return replace(state, data=subtract(state.data, gone, "normal.downdate"))


def merge(one: Normal, other: Normal) -> Normal:
    """The posterior of both states' data.

    Raises:
        InvalidInput: the priors differ.
    """
    names = ("prior_mean", "prior_strength", "prior_shape", "prior_rate")
    same = all(torch.equal(getattr(one, n), getattr(other, n)) for n in names)
    check(same, "normal.merge", "two priors", "one prior")
    return replace(one, data=add(one.data, other.data))


def mean(state: Normal) -> dict[str, Tensor]:
    """Posterior means of ``mean`` and ``variance``; the latter is infinite while the shape is 1 or less.

    Raises:
        InvalidInput: after a reference prior, fewer than two different numbers.
    """
    _check_settled(state)
    spread = state.rate / (state.shape - 1).clamp(min=0)
    return {"mean": state.centre, "variance": spread}


def interval(state: Normal, level: float = 0.95) -> dict[str, tuple[Tensor, Tensor]]:
    """Equal-tailed credible intervals of ``mean`` (Student t) and ``variance`` (inverse gamma).

    Raises:
        InvalidInput: as ``mean``.
    """
    _check_settled(state)
    scale = (state.rate / (state.shape * state.strength)).sqrt()
    return {
        "mean": student_interval(state.centre, scale, 2 * state.shape, level),
        "variance": inverse_gamma_interval(state.shape, state.rate, level),
    }


def log_predictive(state: Normal, data: Tensor) -> Tensor:
    """Log-density (N,) of each number as the next one, nats."""
    x = as_rows(data, 1, "normal")[:, 0]
    scale2 = state.rate * (state.strength + 1) / (state.shape * state.strength)
    return log_student((x - state.centre).square() / scale2, scale2.log(), 2 * state.shape)


def log_evidence(state: Normal) -> Tensor:
    """Log marginal likelihood of all numbers taken in, nats; NaN after a reference prior, which has none."""
    if state.prior_rate == 0 or state.prior_strength == 0:
        return torch.full_like(state.rate, math.nan)
    shapes = torch.lgamma(state.shape) - torch.lgamma(state.prior_shape)
    rates = state.prior_shape * state.prior_rate.log() - state.shape * state.rate.log()
    strengths = (state.prior_strength.log() - state.strength.log()) / 2
    return shapes + rates + strengths - state.data.count / 2 * math.log(2 * math.pi)


def maximum_likelihood(state: Normal) -> dict[str, Tensor]:
    """The data's own ``mean`` and ``variance`` (divisor n).

    Raises:
        InvalidInput: no number was taken in.
    """
    check(bool(state.data.count > 0), "maximum likelihood", "no data", "at least one number")
    return {"mean": state.data.mean[0], "variance": state.data.scatter[0, 0] / state.data.count}


def _check_settled(state: Normal) -> None:
    settled = bool((state.strength > 0) & (state.shape > 0) & (state.rate > 0))
    check_settled(settled, "normal", state.data.count, "two that differ, or more")
