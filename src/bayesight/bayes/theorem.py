"""Bayes' theorem over finite hypotheses, in log space and over any batch.

    posterior(h) = prior(h) · likelihood(h) / evidence,      evidence = Σ_h prior(h) · likelihood(h)

A posterior is the prior of the next reading, as long as the readings are independent once the hypothesis
is given. Two readings of one subject by one device seldom are: whatever made it err the first time (a
substance in the blood, an oddly written letter) is still there the second time. `sequence` and `pool` take
a ``dependence`` ρ, the correlation of readings given the hypothesis, and weigh n readings as

    log-likelihood of all = (Σ_r log-likelihood of r) / (1 + (n - 1)·ρ),

so that n equal readings count as n / (1 + (n - 1)·ρ) independent ones (Kish 1965, Survey Sampling, the
design effect). ρ = 0 is independence, ρ = 1 makes all of them count as one. For Gaussian readings with one
variance, and one correlation ρ between any two, this is exact: their mean is sufficient and its variance is
σ²·(1 + (n - 1)·ρ)/n, so every log-likelihood ratio is the independent one divided by 1 + (n - 1)·ρ.
Elsewhere it is a tempered likelihood: right at both ends, symmetric in the readings, and never more certain
than independence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bayesight.bayes._fused import fused_update
from bayesight.checks import check, probability
from bayesight.errors import Impossible, InvalidInput, UnknownName

Numbers: TypeAlias = Tensor | npt.ArrayLike
_SUM_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Belief:
    """Probabilities of K named hypotheses, as natural logarithms, over any batch.

    Build one with `from_probabilities`, `from_counts`, `uniform` or `from_odds`, which check their numbers;
    calling the class itself trusts ``log_p``, so that a batch of millions is not read twice.

    Args:
        log_p: (..., K) float tensor, nats; logsumexp over K is 0. -inf is an excluded hypothesis.
        names: K different names; "0", "1", ... when left out.

    Raises:
        InvalidInput: ``log_p`` is not a float tensor with K >= 1, or the names do not fit.

    Example:
        >>> weather = Belief.from_probabilities({"rain": 0.3, "dry": 0.7})
        >>> weather.names, weather.of("rain").item()
        (('rain', 'dry'), 0.3)
    """

    log_p: Tensor
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = tuple(self.log_p.shape)
        if not (self.log_p.is_floating_point() and len(shape) >= 1 and shape[-1] >= 1):
            came = f"a {str(self.log_p.dtype).removeprefix('torch.')} tensor of shape {shape}"
            check(False, "Belief", came, "log-probabilities (..., K) in floating point")
        names = tuple(self.names) or tuple(map(str, range(shape[-1])))
        different = len(set(names))
        if not different == len(names) == shape[-1]:
            check(False, "Belief", f"{different} different names for K = {shape[-1]}", "one name each")
        object.__setattr__(self, "names", names)

    @classmethod
    def from_probabilities(cls, p: Mapping[str, float] | Numbers, names: Sequence[str] = ()) -> Belief:
        """A belief from probabilities: a mapping from name to number, or an array (..., K).

        Raises:
            InvalidInput: a probability is negative, NaN or infinite, or they do not sum to 1 within 1e-6.

        Example:
            >>> Belief.from_probabilities([3, 7])
            Traceback (most recent call last):
            bayesight.errors.InvalidInput: Belief: probabilities sum to 10; expected 1 within 1e-06. These ...
        """
        values, names = _split(p, names)
        _check_weights(values, "probability")
        total = values.sum(-1)
        worst = total.flatten()[(total - 1).abs().argmax()].item()
        whole = bool((values == values.round()).all()) and worst > 1
        mend = "These look like counts" if whole else "If these are counts"
        mend += ": pass them to Belief.from_counts(...)."
        expected = f"1 within {_SUM_TOLERANCE:g}"
        summing = abs(worst - 1) <= _SUM_TOLERANCE
        check(summing, "Belief", f"probabilities sum to {worst:.7g}", expected, mend)
        return cls(values.log() - total.log()[..., None], tuple(names))

    @classmethod
    def from_counts(
        cls, counts: Mapping[str, float] | Numbers, names: Sequence[str] = (), *, pseudo: float = 0.0
    ) -> Belief:
        """A belief proportional to counts, ``pseudo`` added to each (1 is Laplace's rule, 1/2 Jeffreys').

        Raises:
            InvalidInput: a count is negative, NaN or infinite, or all of them are 0.

        Example:
            >>> round(Belief.from_counts({"A": 30, "B": 10}).of("A").item(), 12)
            0.75
        """
        values, names = _split(counts, names)
        _check_weights(values, "count")
        check(math.isfinite(pseudo) and pseudo >= 0, "pseudo", f"got {pseudo:g}", "a count of 0 or more")
        total = (values + pseudo).sum(-1)
        check(bool((total > 0).all()), "Belief", "counts that sum to 0", "at least one count above 0")
        return cls((values + pseudo).log() - total.log()[..., None], tuple(names))

    @classmethod
    def uniform(cls, names: Sequence[str] | int) -> Belief:
        """Equal probabilities for the given names, or for that many hypotheses."""
        k = names if isinstance(names, int) else len(names)
        check(k >= 1, "Belief.uniform", f"{k} hypotheses", "at least 1")
        log_p = torch.full((k,), -math.log(k), dtype=torch.float64)
        return cls(log_p, () if isinstance(names, int) else tuple(names))

    @classmethod
    def from_odds(cls, odds: float | Tensor, names: tuple[str, str] = ("yes", "no")) -> Belief:
        """Two hypotheses whose probabilities stand as ``odds`` to 1.

        Example:
            >>> round(Belief.from_odds(1 / 9).of("yes").item(), 12)
            0.1
        """
        values = torch.as_tensor(odds, dtype=torch.float64)
        check(bool(((values >= 0) & values.isfinite()).all()), "odds", f"got {odds}", "0 or more, finite")
        pair = torch.stack([values.log(), torch.zeros_like(values)], -1)
        return cls(pair - pair.logsumexp(-1, keepdim=True), names)

    @property
    def p(self) -> Tensor:
        """Probabilities (..., K)."""
        return self.log_p.exp()

    def of(self, name: str) -> Tensor:
        """Probability (...) of one hypothesis."""
        return self.log_p[..., self.index(name)].exp()

    def index(self, name: str) -> int:
        """Position of a hypothesis.

        Raises:
            UnknownName: no hypothesis is called so.
        """
        if name not in self.names:
            raise UnknownName("hypothesis", name, self.names)
        return self.names.index(name)


@dataclass(frozen=True)
class UpdateStep:
    """One reading of a sequence: the theorem's four terms.

    Args:
        prior: the belief before this reading.
        log_likelihood: (..., K) of this reading alone, undiscounted, nats.
        log_evidence: (...) of this reading given the earlier ones, nats. With dependence it is that of the
            discounted likelihood: fit to compare priors, not a frequency.
        posterior: the belief after it.
    """

    prior: Belief
    log_likelihood: Tensor
    log_evidence: Tensor
    posterior: Belief

    @property
    def effective_likelihood(self) -> Tensor:
        """(..., K) likelihood that was used, after any discount: posterior x evidence / prior.

        That of a hypothesis the prior excludes is the reading's own.
        """
        used = (self.posterior.log_p - self.prior.log_p + self.log_evidence.unsqueeze(-1)).exp()
        return torch.where(used.isnan(), self.log_likelihood.exp(), used)


def update(
    prior: Belief,
    log_likelihood: Numbers,
    *,
    out: tuple[Tensor, Tensor] | None = None,
) -> tuple[Belief, Tensor]:
    """The theorem: prior and likelihood in, posterior and evidence out.

    Args:
        prior: log_p (..., K).
        log_likelihood: (..., K) nats, broadcast against the prior's batch. Any constant may be added over K:
            it moves the evidence and leaves the posterior alone. -inf rules a hypothesis out.
        out: two contiguous tensors of the result's shape and dtype, (..., K) and (...), written in place.
            Spares the allocation, which for millions of rows costs as much as the arithmetic.

    Returns:
        The posterior, and log_evidence (...) = log Σ prior·likelihood, nats.

    Raises:
        InvalidInput: the likelihood has another K, or holds NaN or +inf.
        Impossible: no hypothesis the prior allows can have given the reading.

    Example:
        >>> ill = Belief.from_probabilities({"ill": 0.1, "healthy": 0.9})
        >>> positive = likelihoods(ill, {"ill": 0.99, "healthy": 0.10})
        >>> posterior, log_evidence = update(ill, positive)
        >>> round(posterior.of("ill").item(), 4), round(log_evidence.exp().item(), 3)
        (0.5238, 0.189)
    """
    ll = torch.as_tensor(log_likelihood)
    ll = ll if ll.is_floating_point() else ll.to(torch.float64)
    k = len(prior.names)
    if ll.ndim == 0 or ll.shape[-1] != k:
        classes = ", ".join(prior.names[:12]) + (", ..." if k > 12 else "")
        wanted = f"(..., {k}), one number for each of {classes}"
        check(False, "log_likelihood", f"shape {tuple(ll.shape)}", wanted)
    log_p, log_evidence, sound = fused_update(prior.log_p, ll, out)
    if not sound:
        _refuse(prior, ll, log_evidence)
    return Belief(log_p, prior.names), log_evidence


def sequence(
    prior: Belief, readings: Sequence[Numbers], *, dependence: float = 0.0
) -> tuple[UpdateStep, ...]:
    """Take readings one after another; each posterior is the next prior.

    Args:
        prior: log_p (..., K).
        readings: log-likelihoods (..., K), nats.
        dependence: correlation ρ of the readings given the hypothesis, in [0, 1]; see the head of this file.

    Returns:
        One step a reading. Whatever the order of the readings, the last posterior is the same.

    Raises:
        InvalidInput: ``dependence`` outside [0, 1], or as `update`.
        Impossible: as `update`.

    Example:
        >>> ill = Belief.from_probabilities({"ill": 0.1, "healthy": 0.9})
        >>> positive = likelihoods(ill, {"ill": 0.99, "healthy": 0.10})
        >>> [round(s.posterior.of("ill").item(), 4) for s in sequence(ill, [positive, positive])]
        [0.5238, 0.9159]
        >>> again = sequence(ill, [positive, positive], dependence=0.5)
        >>> [round(s.posterior.of("ill").item(), 4) for s in again]
        [0.5238, 0.7026]
    """
    rho = probability(dependence, "dependence")
    before, log_z = prior, torch.zeros((), dtype=prior.log_p.dtype)
    total: Tensor | None = None
    steps = []
    for n, reading in enumerate(readings, start=1):
        ll = torch.as_tensor(reading)
        if rho == 0:
            after, log_evidence = update(before, ll)
        else:
            total = ll if total is None else total + ll
            after, log_z_now = update(prior, total / (1 + (n - 1) * rho))
            log_evidence, log_z = log_z_now - log_z, log_z_now
        steps.append(UpdateStep(before, ll, log_evidence, after))
        before = after
    return tuple(steps)


def pool(log_likelihoods: Tensor, *, dependence: float = 0.0, dim: int = 0) -> Tensor:
    """The log-likelihood of n readings taken together.

    Args:
        log_likelihoods: the readings along ``dim``, the hypotheses last, nats.
        dependence: correlation of the readings given the hypothesis, in [0, 1].
        dim: the axis of the readings.

    Returns:
        The sum over ``dim``, divided by 1 + (n - 1)·dependence.

    Example:
        >>> pool(torch.tensor([[-1.0, -3.0], [-2.0, -3.0]]), dependence=1.0)
        tensor([-1.5000, -3.0000])
    """
    n, rho = log_likelihoods.shape[dim], probability(dependence, "dependence")
    return log_likelihoods.sum(dim) / (1 + (n - 1) * rho)


def effective_readings(n: int, dependence: float) -> float:
    """The number of independent readings that n dependent ones are worth: n / (1 + (n - 1)·dependence).

    Example:
        >>> effective_readings(2, 0.0), effective_readings(2, 0.5), effective_readings(100, 1.0)
        (2.0, 1.3333333333333333, 1.0)
    """
    check(n >= 1, "n", f"got {n}", "at least one reading")
    return n / (1 + (n - 1) * probability(dependence, "dependence"))


def likelihoods(belief: Belief, p: Mapping[str, float]) -> Tensor:
    """Log-likelihood (K,) from P(reading | hypothesis) by name, in the belief's order.

    Raises:
        UnknownName: a name the belief does not have: it has no prior.
        InvalidInput: a hypothesis was left out, or a value is not a probability.
    """
    for name in p:
        belief.index(name)
    left_out = [name for name in belief.names if name not in p]
    came = f"nothing for {', '.join(left_out)}"
    check(not left_out, "likelihood", came, "P(reading | hypothesis) for every hypothesis of the prior")
    values = [probability(p[name], f"likelihood of {name}") for name in belief.names]
    return torch.tensor(values, dtype=torch.float64).log()


def log_odds(belief: Belief, name: str) -> Tensor:
    """log(p / (1 - p)) of one hypothesis (...), exact also where p rounds to 1; nats.

    Example:
        >>> round(log_odds(Belief.from_odds(4.0), "yes").exp().item(), 12)
        4.0
    """
    at = belief.index(name)
    others = torch.cat([belief.log_p[..., :at], belief.log_p[..., at + 1 :]], -1)
    return belief.log_p[..., at] - others.logsumexp(-1)


def _split(p: Mapping[str, float] | Numbers, names: Sequence[str]) -> tuple[Tensor, Sequence[str]]:
    if isinstance(p, Mapping):
        check(not names, "Belief", "names beside a mapping", "names in one place only")
        p, names = list(p.values()), list(map(str, p))
    values = torch.as_tensor(p)
    values = values if values.is_floating_point() else values.to(torch.float64)
    # A list of Python floats deserves their precision, whatever torch's default dtype is.
    values = values if isinstance(p, Tensor) else torch.as_tensor(p, dtype=torch.float64)
    check(values.ndim >= 1 and values.shape[-1] >= 1, "Belief", "no hypothesis", "at least one")
    return values, names


def _check_weights(values: Tensor, what: str) -> None:
    bad = ~(values.isfinite() & (values >= 0))
    if bool(bad.any()):
        came = f"a {what} of {values[bad].flatten()[0].item():g}"
        raise InvalidInput(f"Belief: {came}; expected finite numbers of 0 or more.")


def _refuse(prior: Belief, ll: Tensor, log_evidence: Tensor) -> None:
    """Say what is wrong with the first row whose evidence is not a finite number."""
    shape = np.broadcast_shapes(prior.log_p.shape, ll.shape)
    bad = (~log_evidence.isfinite()).flatten().nonzero()
    row = int(bad[0])
    at = tuple(int(i) for i in np.unravel_index(row, shape[:-1])) if len(shape) > 1 else ()
    line, before = ll.expand(shape)[at], prior.log_p.expand(shape)[at]
    where = "log_likelihood" + (f" (row {row}, one of {len(bad)})" if log_evidence.ndim else "")
    for wrong, word in ((line.isnan(), "NaN"), (line == math.inf, "+inf")):
        if bool(wrong.any()):
            name = prior.names[int(wrong.nonzero()[0])]
            raise InvalidInput(
                f"{where}: {word} for {name}; expected a number below +inf, or -inf for impossible."
            )
    if bool(before.isnan().any()):
        raise InvalidInput(f"{where}: the prior holds NaN; expected log-probabilities.")
    allowed = [n for n, b in zip(prior.names, before, strict=True) if b > -math.inf]
    raise Impossible(
        f"{where}: the reading is impossible under every hypothesis the prior allows "
        f"({', '.join(allowed[:12])}); expected at least one with prior and likelihood above 0. "
        "Check the reading, or give the hypothesis that explains it a prior above 0."
    )
