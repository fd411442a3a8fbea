"""Beta-Bernoulli: the rate of a yes/no outcome.

    prior rate ~ Beta(a, b);   posterior rate ~ Beta(a + successes, b + failures)

Evidence of a sequence: B(a + successes, b + failures) / B(a, b), with B the beta function (Gelman et al.,
Bayesian Data Analysis, 3rd ed., section 2.4).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from scipy.special import betaincinv
from torch import Tensor

from bayesight.bayes.conjugate._moments import as_rows
from bayesight.checks import check, probability


@dataclass(frozen=True)
class Beta:
    """Prior shapes and counts; all float64 scalars."""

    prior_a: Tensor
    prior_b: Tensor
    successes: Tensor
    failures: Tensor

    @property
    def a(self) -> Tensor:
        """Posterior shape of success."""
        return self.prior_a + self.successes

    @property
    def b(self) -> Tensor:
        """Posterior shape of failure."""
        return self.prior_b + self.failures


def prior(a: float = 0.5, b: float = 0.5) -> Beta:
    """A Beta(a, b) before any data; (1/2, 1/2) is Jeffreys' prior, (1, 1) the uniform.

    Raises:
        InvalidInput: a shape not finite and above 0.
    """
    shapes = torch.tensor([a, b], dtype=torch.float64)
    ok = bool((shapes.isfinite() & (shapes > 0)).all())
    check(ok, "beta.prior", f"Beta({a:g}, {b:g})", "two finite shapes above 0")
    nothing = torch.zeros((), dtype=torch.float64)
    return Beta(shapes[0], shapes[1], nothing, nothing)


def update(state: Beta, data: Tensor) -> tuple[Beta, Tensor]:
    """Take outcomes in.

    Args:
        state: the belief so far.
        data: (N,) zeros and ones.

    Returns:
        The new state, and the log-evidence of these outcomes given the earlier ones, nats.

    Raises:
        InvalidInput: anything but zeros and ones.

    Example:
        >>> coin, log_evidence = update(prior(1, 1), torch.tensor([1, 1, 0, 1]))
        >>> round(mean(coin)["rate"].item(), 4), round(log_evidence.exp().item(), 4)
        (0.6667, 0.05)
    """
    successes, failures = _counts(data)
    new = replace(state, successes=state.successes + successes, failures=state.failures + failures)
    return new, log_evidence(new) - log_evidence(state)


def downdate(state: Beta, data: Tensor) -> Beta:
    """Take outcomes out again.

    Raises:
        InvalidInput: more successes or failures than were taken in.
    """
    successes, failures = _counts(data)
    left = (state.successes - successes, state.failures - failures)
    came = f"{successes:g} successes and {failures:g} failures to remove"
    held = f"at most the {state.successes:g} and {state.failures:g} taken in"
    check(bool(left[0] >= 0) and bool(left[1] >= 0), "beta.downdate", came, held)
    return replace(state, successes=left[0], failures=left[1])


def merge(one: Beta, other: Beta) -> Beta:
    """The posterior of both states' outcomes.

    Raises:
        InvalidInput: the priors differ.
    """
    same = bool(one.prior_a == other.prior_a) and bool(one.prior_b == other.prior_b)
    came = f"Beta({one.prior_a:g}, {one.prior_b:g}) and Beta({other.prior_a:g}, {other.prior_b:g})"
    check(same, "beta.merge", came, "one prior")
    return replace(one, successes=one.successes + other.successes, failures=one.failures + other.failures)


def mean(state: Beta) -> dict[str, Tensor]:
    """Posterior mean: ``rate``."""
    return {"rate": state.a / (state.a + state.b)}


def interval(state: Beta, level: float = 0.95) -> dict[str, tuple[Tensor, Tensor]]:
    """Equal-tailed credible interval of ``rate``."""
    tail = (1 - probability(level, "level", open_interval=True)) / 2
    low, high = (betaincinv(float(state.a), float(state.b), q) for q in (tail, 1 - tail))
    return {"rate": (torch.tensor(low, dtype=torch.float64), torch.tensor(high, dtype=torch.float64))}


def log_predictive(state: Beta, data: Tensor) -> Tensor:
    """Log-probability (N,) of each outcome as the next one, nats."""
    _counts(data)
    outcomes = torch.as_tensor(data, dtype=torch.float64)
    return torch.where(outcomes == 1, state.a, state.b).log() - (state.a + state.b).log()


def log_evidence(state: Beta) -> Tensor:
    """Log-probability of all outcomes taken in, in their order, nats."""
    return _log_beta(state.a, state.b) - _log_beta(state.prior_a, state.prior_b)


def maximum_likelihood(state: Beta) -> dict[str, Tensor]:
    """The observed ``rate``.

    Raises:
        InvalidInput: no outcome was taken in.
    """
    n = state.successes + state.failures
    check(bool(n > 0), "maximum likelihood", "no data", "at least one outcome")
    return {"rate": state.successes / n}


def _counts(data: Tensor) -> tuple[Tensor, Tensor]:
    rows = as_rows(data, 1, "beta")
    binary = bool(((rows == 0) | (rows == 1)).all())
    check(binary, "beta", "outcomes other than 0 and 1", "zeros and ones")
    return rows.sum(), (1 - rows).sum()


def _log_beta(a: Tensor, b: Tensor) -> Tensor:
    return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)
