"""Multivariate normal with unknown mean and covariance, normal-inverse-Wishart prior.

    prior:     Σ ~ InverseWishart(ν0, Ψ0),   μ | Σ ~ Normal(m0, Σ/k0)
    posterior: kn = k0 + n,  νn = ν0 + n,  mn = (k0·m0 + n·x̄)/kn,
               Ψn = Ψ0 + S + k0·n/kn·(x̄ - m0)(x̄ - m0)ᵀ,   S = Σ (x - x̄)(x - x̄)ᵀ

The reference prior p(μ, Σ) ∝ |Σ|^(-(D + 1)/2) is its limit k0 = 0, ν0 = -1, Ψ0 = 0: the interval of each mean
is a t interval with n - D degrees of freedom, in whatever units. It has no evidence, being no distribution.

Predictive: Student t with νn - D + 1 degrees of freedom at mn, scale Ψn·(kn + 1)/(kn·(νn - D + 1)). Evidence:
π^(-nD/2) · Γ_D(νn/2)/Γ_D(ν0/2) · |Ψ0|^(ν0/2)/|Ψn|^(νn/2) · (k0/kn)^(D/2). Source: Murphy (2007), Conjugate
Bayesian Analysis of the Gaussian Distribution, eqs. 250-266.
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
class Wishart:
    """Prior and moments of the data, float64.

    Args:
        prior_mean: m0 (D,).
        prior_strength: k0, in observations.
        prior_df: ν0 > D - 1.
        prior_scale: Ψ0 (D, D), positive definite; the prior covariance is about Ψ0 / ν0.
        data: moments of dimension D.
    """

    prior_mean: Tensor
    prior_strength: Tensor
    prior_df: Tensor
    prior_scale: Tensor
    data: Moments

    @property
    def strength(self) -> Tensor:
        """The posterior's kn."""
        return self.prior_strength + self.data.count

    @property
    def df(self) -> Tensor:
        """The posterior's νn."""
        return self.prior_df + self.data.count

    @property
    def centre(self) -> Tensor:
        """The posterior's mn (D,)."""
        share = self.data.count / self.strength.clamp_min(1e-300)
        return self.prior_mean + (self.data.mean - self.prior_mean) * share

    @property
    def scale(self) -> Tensor:
        """The posterior's Ψn (D, D)."""
        gap = self.data.mean - self.prior_mean
        weight = self.prior_strength * self.data.count / self.strength.clamp_min(1e-300)
        between = torch.outer(gap, gap) * weight
        return self.prior_scale + self.data.scatter + between


def reference(d: int, strength: float = 0.0) -> Wishart:
    """The belief that says nothing of the covariance, and nothing of the mean where ``strength`` is 0.

    Args:
        d: dimension.
        strength: of the mean 0, in observations.

    Raises:
        InvalidInput: a negative strength.
    """
    ok = math.isfinite(strength) and strength >= 0
    check(ok, "wishart.reference", f"strength {strength}", "a strength of 0 or more")
    k0, nu, nothing = torch.tensor([strength, 0.0 if strength else -1.0, 0.0], dtype=torch.float64)
    return Wishart(nothing.expand(d), k0, nu, nothing.expand(d, d), zero(d))


def prior(
    mean: Tensor, strength: float = 1.0, df: float | None = None, scale: Tensor | None = None
) -> Wishart:
    """A belief before any data.

    Args:
        mean: (D,).
        strength: in observations, > 0.
        df: degrees of freedom, > D - 1; D + 2 when None, the least for which the mean covariance exists.
        scale: (D, D) positive definite; the identity when None.

    Raises:
        InvalidInput: a number out of range, or a scale that is not positive definite.
    """
    m0 = torch.as_tensor(mean, dtype=torch.float64)
    check(m0.ndim == 1 and bool(m0.isfinite().all()), "wishart.prior", f"mean {m0.tolist()}", "finite (D,)")
    d = len(m0)
    nu = torch.tensor(d + 2 if df is None else df, dtype=torch.float64)
    k0 = torch.tensor(strength, dtype=torch.float64)
    ok = bool(k0 > 0) and bool(k0.isfinite()) and bool(nu > d - 1) and bool(nu.isfinite())
    check(ok, "wishart.prior", f"strength {k0:g}, df {nu:g}", f"strength above 0 and df above {d - 1}")
    psi = torch.eye(d, dtype=torch.float64) if scale is None else torch.as_tensor(scale, dtype=torch.float64)
    fits = psi.shape == (d, d) and bool(torch.allclose(psi, psi.T))
    definite = fits and int(torch.linalg.cholesky_ex(psi).info) == 0
    check(definite, "wishart.prior", f"a scale of shape {tuple(psi.shape)}", f"positive definite ({d}, {d})")
    return Wishart(m0, k0, nu, psi, zero(d))


def update(state: Wishart, data: Tensor) -> tuple[Wishart, Tensor]:
    """Take vectors in.

    Args:
        state: the belief so far.
        data: (N, D), one observation a row.

    Returns:
        The new state, and the log-evidence of these data given the earlier ones, nats.

    Raises:
        InvalidInput: another shape, NaN or an infinity.

    Example:
        >>> cloud, _ = update(prior(torch.zeros(2)), torch.tensor([[1.0, 0.0], [3.0, 4.0]]))
        >>> mean(cloud)["mean"]
        tensor([1.3333, 1.3333], dtype=torch.float64)
    """
    rows = as_rows(data, len(state.prior_mean), "wishart")
    new = replace(state, data=add(state.data, of_rows(rows)))
    return new, log_evidence(new) - log_evidence(state)


def downdate(state: Wishart, data: Tensor) -> Wishart:
    """Take vectors out again.

    Raises:
        InvalidInput: they were never taken in, as far as count, mean and scatter can tell.
    """
    gone = of_rows(as_rows(data, len(state.prior_mean), "wishart"))
    return replace(state, data=subtract(state.data, gone, "wishart.downdate"))


def merge(one: Wishart, other: Wishart) -> Wishart:
    """The posterior of both states' data.

    Raises:
        InvalidInput: the priors differ.
    """
    names = ("prior_mean", "prior_strength", "prior_df", "prior_scale")
    same = all(torch.equal(getattr(one, n), getattr(other, n)) for n in names)
    check(same, "wishart.merge", "two priors", "one prior")
    return replace(one, data=add(one.data, other.data))


def mean(state: Wishart) -> dict[str, Tensor]:
    """Posterior means of ``mean`` (D,) and ``covariance`` (D, D); infinite while df is D + 1 or less.

    Raises:
        InvalidInput: after a reference prior, too few different rows to settle the covariance.
    """
    _check_settled(state)
    spare = state.df - len(state.prior_mean) - 1
    spread = state.scale / spare if spare > 0 else torch.full_like(state.scale, math.inf)
    return {"mean": state.centre, "covariance": spread}


def interval(state: Wishart, level: float = 0.95) -> dict[str, tuple[Tensor, Tensor]]:
    """Equal-tailed marginal credible intervals of ``mean`` (D,) and ``variance`` (D,), the diagonal of Σ.

    Raises:
        InvalidInput: as ``mean``.
    """
    _check_settled(state)
    df, diagonal = state.df - len(state.prior_mean) + 1, state.scale.diagonal()
    scale = (diagonal / (state.strength * df)).sqrt()
    return {
        "mean": student_interval(state.centre, scale, df, level),
        "variance": inverse_gamma_interval(df / 2, diagonal / 2, level),
    }


def log_predictive(state: Wishart, data: Tensor) -> Tensor:
    """Log-density (N,) of each row as the next one, nats."""
    d = len(state.prior_mean)
    rows, df = as_rows(data, d, "wishart"), state.df - d + 1
    root = torch.linalg.cholesky(state.scale * ((state.strength + 1) / (state.strength * df)))
    white = torch.linalg.solve_triangular(root, (rows - state.centre).T, upper=False)
    return log_student(white.square().sum(0), 2 * root.diagonal().log().sum(), df, d)


def log_evidence(state: Wishart) -> Tensor:
    """Log marginal likelihood of all vectors taken in, nats; NaN after a reference prior, which has none."""
    if state.prior_strength == 0 or not bool(state.prior_scale.any()):
        return torch.full_like(state.df, math.nan)
    d, n = len(state.prior_mean), state.data.count
    gammas: Tensor = torch.special.multigammaln(state.df / 2, d)
    gammas = gammas - torch.special.multigammaln(state.prior_df / 2, d)
    before, after = torch.logdet(state.prior_scale), torch.logdet(state.scale)
    scales = (state.prior_df * before - state.df * after) / 2
    strengths = d / 2 * (state.prior_strength.log() - state.strength.log())
    return gammas + scales + strengths - n * d / 2 * math.log(math.pi)


def maximum_likelihood(state: Wishart) -> dict[str, Tensor]:
    """The data's own ``mean`` and ``covariance`` (divisor n).

    Raises:
        InvalidInput: no vector was taken in.
    """
    check(bool(state.data.count > 0), "maximum likelihood", "no data", "at least one row")
    return {"mean": state.data.mean, "covariance": state.data.scatter / state.data.count}


def _check_settled(state: Wishart) -> None:
    d = len(state.prior_mean)
    settled = bool((state.strength > 0) & (state.df > d - 1))
    settled = settled and int(torch.linalg.matrix_rank(state.scale, hermitian=True)) == d
    check_settled(settled, "wishart", state.data.count, f"{d + 1} rows in no common plane, or more")
