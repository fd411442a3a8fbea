"""Bayesian linear regression with unknown noise, normal-inverse-gamma prior.

    y = x·β + ε,  ε ~ Normal(0, σ²);   prior: σ² ~ InverseGamma(a0, b0),  β | σ² ~ Normal(m0, σ²·Λ0⁻¹)
    posterior: Λn = Λ0 + XᵀX,  mn = m0 + Λn⁻¹·Xᵀ(y - X·m0),  an = a0 + n/2,
               bn = b0 + (|y - X·mn|² + (mn - m0)ᵀΛ0(mn - m0))/2

The reference prior p(β, σ²) ∝ 1/σ² is its limit Λ0 = 0, a0 = -P/2, b0 = 0: coefficients and intervals are
those of least squares, in whatever units. It has no evidence, for it is no distribution.

Predictive: Student t with 2·an degrees of freedom at x·mn, squared scale bn/an·(1 + x·Λn⁻¹·x). Evidence:
Γ(an)/Γ(a0) · b0^a0/bn^an · √(|Λ0|/|Λn|) · (2π)^(-n/2). Source: Bishop (2006), Pattern Recognition and Machine
Learning, exercises 3.12 and 3.23. bn is written as a sum of squares, so that it cannot come out negative.

With an intercept, the first coefficient is the intercept and the others are the slopes.
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
class Regression:
    """Prior and moments of the data, float64. P coefficients, the intercept among them.

    Args:
        prior_mean: m0 (P,).
        prior_precision: Λ0 (P, P), positive definite, in units of 1/σ².
        prior_shape: a0, half the observations the prior noise is worth.
        prior_rate: b0; the prior noise variance is about b0 / a0.
        intercept: whether the first coefficient is one.
        data: moments of the rows (features, response).
    """

    prior_mean: Tensor
    prior_precision: Tensor
    prior_shape: Tensor
    prior_rate: Tensor
    intercept: bool
    data: Moments

    @property
    def precision(self) -> Tensor:
        """The posterior's Λn (P, P)."""
        u = self._extend(self.data.mean[:-1], 1.0)
        return self.prior_precision + self.data.count * torch.outer(u, u) + self._pad(self.data.scatter)

    @property
    def centre(self) -> Tensor:
        """The posterior's mn (P,)."""
        if not bool(self.prior_precision.any()):
            return maximum_likelihood(self)["coefficients"]
        u, v = self._extend(self.data.mean[:-1], 1.0), self._contrast(self.prior_mean)
        within = self._extend((self.data.scatter @ v)[:-1], 0.0)
        pull = self.data.count * u * (self.data.mean[-1] - u @ self.prior_mean) + within
        step: Tensor = torch.linalg.solve(self.precision, pull)
        return self.prior_mean + step

    @property
    def covariance(self) -> Tensor:
        """The posterior's Λn⁻¹ (P, P), in units of σ²."""
        if bool(self.prior_precision.any()) or not self.intercept:
            inverse: Tensor = torch.linalg.inv(self.precision)
            return inverse
        # Features far from 0 and a free intercept: about their means, the two do not interfere.
        slopes, mean = torch.linalg.inv(self.data.scatter[:-1, :-1]), self.data.mean[:-1]
        across = -(slopes @ mean)
        corner = (1 / self.data.count - mean @ across)[None, None]
        return torch.cat([torch.cat([corner, across[None]], 1), torch.cat([across[:, None], slopes], 1)])

    @property
    def shape(self) -> Tensor:
        """The posterior's an."""
        return self.prior_shape + self.data.count / 2

    @property
    def rate(self) -> Tensor:
        """The posterior's bn."""
        centre = self.centre
        moved = centre - self.prior_mean
        return self.prior_rate + (self.squares(centre) + moved @ self.prior_precision @ moved) / 2

    def squares(self, coefficients: Tensor) -> Tensor:
        """Sum of squared residuals of the data at these coefficients."""
        v = self._contrast(coefficients)
        miss = self.data.mean[-1] - self._extend(self.data.mean[:-1], 1.0) @ coefficients
        return v @ self.data.scatter @ v + self.data.count * miss.square()

    def design(self, features: Tensor) -> Tensor:
        """Features (N, D) with the intercept's column of ones where there is one: (N, P)."""
        return torch.cat([torch.ones_like(features[:, :1]), features], 1) if self.intercept else features

    def _extend(self, x: Tensor, first: float) -> Tensor:
        return torch.cat([x.new_full((1,), first), x]) if self.intercept else x

    def _pad(self, scatter: Tensor) -> Tensor:
        inner = scatter[:-1, :-1]
        return torch.nn.functional.pad(inner, (1, 0, 1, 0)) if self.intercept else inner

    def _contrast(self, coefficients: Tensor) -> Tensor:
        """The v for which v·(features, response) is response - slopes·features."""
        slopes = coefficients[1:] if self.intercept else coefficients
        return torch.cat([-slopes, slopes.new_ones(1)])


def reference(features: int = 1, *, precision: float = 0.0, intercept: bool = True) -> Regression:
    """The belief that says nothing of the noise, and nothing of the coefficients where ``precision`` is 0.

    Args:
        features: D, columns before the response.
        precision: of every coefficient about 0, in units of 1/σ².
        intercept: whether to add one.

    Raises:
        InvalidInput: no coefficient, or a negative precision.
    """
    p = features + intercept
    ok = p >= 1 and math.isfinite(precision) and precision >= 0
    came = f"{features} features and precision {precision}"
    check(ok, "regression.reference", came, "at least one coefficient, and a precision of 0 or more")
    nothing = torch.zeros(p, dtype=torch.float64)
    shape = torch.tensor(0.0 if precision else -p / 2, dtype=torch.float64)
    return Regression(
        nothing,
        precision * torch.eye(p, dtype=torch.float64),
        shape,
        nothing.sum(),
        intercept,
        zero(features + 1),
    )


def prior(
    mean: Tensor | None = None,
    precision: Tensor | float = 1.0,
    *,
    features: int = 1,
    intercept: bool = True,
    shape: float = 1.0,
    rate: float = 1.0,
) -> Regression:
    """A belief before any data.

    Args:
        mean: (P,) coefficients expected; zeros when None.
        precision: (P, P) positive definite, or one number for a diagonal.
        features: D, columns before the response.
        intercept: whether to add one, so that P = D + 1.
        shape: a0 > 0.
        rate: b0 > 0.

    Raises:
        InvalidInput: shapes that do not fit, or a number out of range.
    """
    p = features + intercept
    check(p >= 1, "regression.prior", f"{features} features", "at least one coefficient")
    m0 = torch.zeros(p, dtype=torch.float64) if mean is None else torch.as_tensor(mean, dtype=torch.float64)
    given = torch.as_tensor(precision, dtype=torch.float64)
    lam = given * torch.eye(p, dtype=torch.float64) if given.ndim == 0 else given
    fits = m0.shape == (p,) and lam.shape == (p, p) and bool(m0.isfinite().all())
    came = f"mean {tuple(m0.shape)} and precision {tuple(lam.shape)}"
    check(fits, "regression.prior", came, f"finite ({p},) and ({p}, {p})")
    definite = bool(torch.allclose(lam, lam.T)) and int(torch.linalg.cholesky_ex(lam).info) == 0
    check(definite, "regression.prior", "this precision", "a positive definite matrix")
    noise = torch.tensor([shape, rate], dtype=torch.float64)
    ok = bool((noise.isfinite() & (noise > 0)).all())
    check(ok, "regression.prior", f"shape {shape:g}, rate {rate:g}", "both finite and above 0")
    return Regression(m0, lam, noise[0], noise[1], intercept, zero(features + 1))


def update(state: Regression, data: Tensor) -> tuple[Regression, Tensor]:
    """Take rows in.

    Args:
        state: the belief so far.
        data: (N, D + 1): the features, and the response last.

    Returns:
        The new state, and the log-evidence of these responses given the earlier rows, nats.

    Raises:
        InvalidInput: another shape, NaN or an infinity.

    Example:
        >>> points = torch.tensor([[0.0, 1.0], [1.0, 3.0], [2.0, 5.0], [3.0, 7.0]])
        >>> line, _ = update(prior(precision=0.01), points)
        >>> [round(c, 2) for c in mean(line)["coefficients"].tolist()]
        [1.0, 2.0]
    """
    new = replace(state, data=add(state.data, of_rows(_rows(state, data))))
    return new, log_evidence(new) - log_evidence(state)


def downdate(state: Regression, data: Tensor) -> Regression:
    """Take rows out again.

    Raises:
        InvalidInput: they were never taken in, as far as count, mean and scatter can tell.
    """
    return replace(state, data=subtract(state.data, of_rows(_rows(state, data)), "regression.downdate"))


def merge(one: Regression, other: Regression) -> Regression:
    """The posterior of both states' rows.

    Raises:
        InvalidInput: the priors differ.
    """
    names = ("prior_mean", "prior_precision", "prior_shape", "prior_rate")
    same = all(torch.equal(getattr(one, n), getattr(other, n)) for n in names)
    check(same and one.intercept == other.intercept, "regression.merge", "two priors", "one prior")
    return replace(one, data=add(one.data, other.data))


def mean(state: Regression) -> dict[str, Tensor]:
    """Posterior means of ``coefficients`` (P,) and ``variance``, infinite while the shape is 1 or less.

    Raises:
        InvalidInput: after a reference prior, too few different rows to settle the coefficients.
    """
    _check_settled(state)
    spread = state.rate / (state.shape - 1).clamp(min=0)
    return {"coefficients": state.centre, "variance": spread}


def interval(state: Regression, level: float = 0.95) -> dict[str, tuple[Tensor, Tensor]]:
    """Equal-tailed marginal credible intervals of ``coefficients`` (P,) and ``variance``.

    Raises:
        InvalidInput: as ``mean``.
    """
    _check_settled(state)
    rate = state.rate
    scale = (rate / state.shape * state.covariance.diagonal()).sqrt()
    return {
        "coefficients": student_interval(state.centre, scale, 2 * state.shape, level),
        "variance": inverse_gamma_interval(state.shape, rate, level),
    }


def log_predictive(state: Regression, data: Tensor) -> Tensor:
    """Log-density (N,) of each row's response given its features, as the next row, nats."""
    rows = _rows(state, data)
    x, y = state.design(rows[:, :-1]), rows[:, -1]
    leverage = (x @ state.covariance * x).sum(1)
    scale2 = state.rate / state.shape * (1 + leverage)
    return log_student((y - x @ state.centre).square() / scale2, scale2.log(), 2 * state.shape)


def log_evidence(state: Regression) -> Tensor:
    """Log marginal likelihood of all responses, given their features, nats; NaN after a reference prior."""
    if state.prior_rate == 0 or not bool(state.prior_precision.any()):
        return torch.full_like(state.shape, math.nan)
    shapes = torch.lgamma(state.shape) - torch.lgamma(state.prior_shape)
    rates = state.prior_shape * state.prior_rate.log() - state.shape * state.rate.log()
    volumes = (torch.logdet(state.prior_precision) - torch.logdet(state.precision)) / 2
    return shapes + rates + volumes - state.data.count / 2 * math.log(2 * math.pi)


def maximum_likelihood(state: Regression) -> dict[str, Tensor]:
    """Least squares: ``coefficients`` (P,) and the residuals' ``variance`` (divisor n).

    Raises:
        InvalidInput: too few different rows to settle the coefficients.
    """
    u = state._extend(state.data.mean[:-1], 1.0)
    if state.intercept:
        gram, target = state.data.scatter[:-1, :-1], state.data.scatter[:-1, -1]
    else:
        gram = state.data.scatter[:-1, :-1] + state.data.count * torch.outer(u, u)
        target = state.data.scatter[:-1, -1] + state.data.count * u * state.data.mean[-1]
    enough = bool(state.data.count >= len(u)) and int(torch.linalg.matrix_rank(gram)) == len(gram)
    check(enough, "maximum likelihood", f"{state.data.count:g} rows", f"{len(u)} or more that differ")
    slopes = torch.linalg.solve(gram, target)
    offset = (state.data.mean[-1] - state.data.mean[:-1] @ slopes)[None]
    coefficients = torch.cat([offset, slopes]) if state.intercept else slopes
    return {"coefficients": coefficients, "variance": state.squares(coefficients) / state.data.count}


def _rows(state: Regression, data: Tensor) -> Tensor:
    return as_rows(data, len(state.data.mean), "regression")


def _check_settled(state: Regression) -> None:
    p = len(state.prior_mean)
    if bool(state.prior_precision.any()):
        settled = bool((state.shape > 0) & (state.rate > 0))
    else:
        spread = state.data.scatter[:-1, :-1] if state.intercept else state.precision
        settled = bool(state.shape > 0) and int(torch.linalg.matrix_rank(spread)) == len(spread)
        settled = settled and bool(state.rate > 1e-24 * state.data.scatter[-1, -1])
    check_settled(settled, "regression", state.data.count, f"{p + 1} rows on no common line, or more")
