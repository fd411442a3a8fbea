"""Dirichlet-categorical: the probabilities of K outcomes.

    prior p ~ Dirichlet(α);   posterior p ~ Dirichlet(α + counts)

Evidence of a sequence: B(α + counts) / B(α), with B(α) = Π Γ(α_k) / Γ(Σ α_k) (Gelman et al., Bayesian Data
Analysis, 3rd ed., section 3.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from scipy.special import betaincinv
from torch import Tensor

from bayesight.bayes.conjugate._moments import as_rows
from bayesight.checks import check, probability


@dataclass(frozen=True)
class Dirichlet:
    """Prior concentration (K,) and counts (K,), float64."""

    prior_alpha: Tensor
    counts: Tensor

    @property
    def alpha(self) -> Tensor:
        """Posterior concentration (K,)."""
        return self.prior_alpha + self.counts


def prior(alpha: Sequence[float] | Tensor) -> Dirichlet:
    """A Dirichlet(alpha) before any data; all ones is uniform, all 1/2 Jeffreys' prior.

    Raises:
        InvalidInput: fewer than two outcomes, or a concentration not finite and above 0.
    """
    values = torch.as_tensor(alpha, dtype=torch.float64)
    ok = values.ndim == 1 and len(values) >= 2 and bool((values.isfinite() & (values > 0)).all())
    check(ok, "dirichlet.prior", f"{values.tolist()}", "two or more finite concentrations above 0")
    return Dirichlet(values, torch.zeros_like(values))


def update(state: Dirichlet, data: Tensor) -> tuple[Dirichlet, Tensor]:
    """Take outcomes in.

    Args:
        state: the belief so far.
        data: (N,) whole numbers 0 ... K-1.

    Returns:
        The new state, and the log-evidence of these outcomes given the earlier ones, nats.

    Raises:
        InvalidInput: anything but whole numbers below K.

    Example:
        >>> die, _ = update(prior([1, 1, 1]), torch.tensor([0, 2, 2]))
        >>> mean(die)["probabilities"]
        tensor([0.3333, 0.1667, 0.5000], dtype=torch.float64)
    """
    new = replace(state, counts=state.counts + _counts(state, data))
    return new, log_evidence(new) - log_evidence(state)


def downdate(state: Dirichlet, data: Tensor) -> Dirichlet:
    """Take outcomes out again.

    Raises:
        InvalidInput: more of one outcome than was taken in.
    """
    left = state.counts - _counts(state, data)
    worst = int(left.argmin())
    came = f"{-left[worst]:g} too many of outcome {worst} to remove"
    check(bool(left[worst] >= 0), "dirichlet.downdate", came, "outcomes that were taken in before")
    return replace(state, counts=left)


def merge(one: Dirichlet, other: Dirichlet) -> Dirichlet:
    """The posterior of both states' outcomes.

    Raises:
        InvalidInput: the priors differ.
    """
    same = torch.equal(one.prior_alpha, other.prior_alpha)
    check(same, "dirichlet.merge", "two priors", "one prior")
    return replace(one, counts=one.counts + other.counts)


def mean(state: Dirichlet) -> dict[str, Tensor]:
    """Posterior mean: ``probabilities`` (K,)."""
    return {"probabilities": state.alpha / state.alpha.sum()}


def interval(state: Dirichlet, level: float = 0.95) -> dict[str, tuple[Tensor, Tensor]]:
    """Equal-tailed credible interval of each of the ``probabilities``, from its Beta marginal."""
    tail = (1 - probability(level, "level", open_interval=True)) / 2
    a, rest = state.alpha.numpy(), (state.alpha.sum() - state.alpha).numpy()
    low, high = (torch.as_tensor(betaincinv(a, rest, q)) for q in (tail, 1 - tail))
    return {"probabilities": (low, high)}


def log_predictive(state: Dirichlet, data: Tensor) -> Tensor:
    """Log-probability (N,) of each outcome as the next one, nats."""
    _counts(state, data)
    return (state.alpha.log() - state.alpha.sum().log())[torch.as_tensor(data).long()]


def log_evidence(state: Dirichlet) -> Tensor:
    """Log-probability of all outcomes taken in, in their order, nats."""
    return _log_beta(state.alpha) - _log_beta(state.prior_alpha)


def maximum_likelihood(state: Dirichlet) -> dict[str, Tensor]:
    """The observed ``probabilities``.

    Raises:
        InvalidInput: no outcome was taken in.
    """
    n = state.counts.sum()
    check(bool(n > 0), "maximum likelihood", "no data", "at least one outcome")
    return {"probabilities": state.counts / n}


def _counts(state: Dirichlet, data: Tensor) -> Tensor:
    rows, k = as_rows(data, 1, "dirichlet")[:, 0], len(state.counts)
    whole = bool(((rows == rows.round()) & (rows >= 0) & (rows < k)).all())
    check(whole, "dirichlet", "outcomes that are no index", f"whole numbers from 0 to {k - 1}")
    return torch.bincount(rows.long(), minlength=k).to(torch.float64)


def _log_beta(alpha: Tensor) -> Tensor:
    return torch.lgamma(alpha).sum() - torch.lgamma(alpha.sum())
