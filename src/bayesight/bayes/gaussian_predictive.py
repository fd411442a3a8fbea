"""What a Gaussian head says of a feature vector: likelihood, posterior, and the evidence of all it absorbed.

Parameters are integrated out: the predictive of each class is a Student-t, the evidence a ratio of Wishart
normalisers.

Source: K. P. Murphy, *Conjugate Bayesian analysis of the Gaussian distribution* (2007), section 9.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from bayesight.bayes import sharpness
from bayesight.bayes.gaussian_state import (
    GaussianHead,
    check_features,
    check_finite,
    once_a_head,
    within,
)

__all__ = [
    "Predictive",
    "class_log_prior",
    "density_at",
    "log_density",
    "log_evidence",
    "log_likelihood",
    "log_posterior",
    "predictive",
    "squared_distance",
]

_HALF_SHARE = 50.0
_VALUES = 1 << 20  # densities held at once


@dataclass(frozen=True)
class Predictive:
    """The Student-t predictive of every class, ready for many queries (it took one D x D factorisation).

    Args:
        shift: (D,) of the head.
        scale: (D,) of the head.
        whiten: (D, D) lower triangular; whiten @ (x - mean) has unit predictive scale but for the class's own
            factor.
        means: (K, D) whitened class means.
        strength: (K,) rows behind each class mean, counts + mean_strength.
        dof: degrees of freedom.
        log_det: log determinant of the shared scale matrix in the units of the features.
        sharpness: (S, 3) of the head.
        log_prior: (K,) log prior of the classes that have rows, nats; -inf for the others.
    """

    shift: Tensor
    scale: Tensor
    whiten: Tensor
    means: Tensor
    strength: Tensor
    dof: float
    log_det: float
    sharpness: Tensor
    log_prior: Tensor


@once_a_head
def predictive(head: GaussianHead) -> Predictive:
    """The Student-t predictive of each class (Murphy 2007, eq. 232), parameters integrated out."""
    strength = head.prior.mean_strength + head.counts
    means = head.sums / strength[:, None]
    scatter = _balanced_scatter(head)
    dof = head.prior.extra_dof + 2.0 + float(head.counts.sum())  # nu_n - D + 1 with nu_0 = D + 1 + extra_dof
    factor = torch.linalg.cholesky(scatter / dof)
    eye = torch.eye(head.dimension, dtype=torch.float64, device=factor.device)
    whiten = torch.linalg.solve_triangular(factor, eye, upper=False)
    log_det = 2 * float(factor.diagonal().log().sum() + head.scale.log().sum())
    known = head.counts > 0
    log_prior = class_log_prior(head)
    if bool(known.any()):
        log_prior = log_prior.masked_fill(~known, -math.inf).log_softmax(dim=0)
    return Predictive(
        head.shift, head.scale, whiten, means @ whiten.T, strength, dof, log_det, head.sharpness, log_prior
    )  # fmt: skip


def log_density(ready: Predictive, features: Tensor, temperature: float | Tensor | None = None) -> Tensor:
    """Log p(x | class), nats, (N, K).

    At one temperature it is a normalised density over features. The scale matrix of class k is
    S (T + 1 / kappa_k): the temperature T widens the scatter of an image about its class mean, and the
    uncertainty of the mean itself comes on top. Near the data this acts like the likelihood to the power
    1 / T; unlike that power it is a density, so evidence and posterior keep their meaning, and a class of few
    rows is not pushed out by a volume term that the temperature has left behind.

    Without a temperature it is what the head stands for: its evidence at the mean temperature, shared among
    the classes so that the posterior under the head's own class prior is the average over its sharpness.

    Args:
        ready: from ``predictive``.
        features: (N, D) as the network gives them.
        temperature: in place of the head's sharpness; a (G,) tensor gives (G, N, K).
    """
    return density_at(ready, squared_distance(ready, features), temperature)


def squared_distance(ready: Predictive, features: Tensor) -> Tensor:
    """Squared distance of each image from each class mean in the metric of the scatter, (N, K)."""
    x = ((features.double() - ready.shift) / ready.scale) @ ready.whiten.T
    return x.square().sum(1, keepdim=True) - 2 * x @ ready.means.T + ready.means.square().sum(1)


def density_at(ready: Predictive, distance: Tensor, temperature: float | Tensor | None = None) -> Tensor:
    """``log_density`` of rows at these squared distances (N, K), which no temperature changes."""
    if temperature is None:
        return _averaged_density(ready, distance)
    width = torch.as_tensor(temperature, dtype=torch.float64, device=distance.device)[..., None, None]
    width = width + 1 / ready.strength  # (..., 1, K)
    size, dof = ready.whiten.shape[0], ready.dof
    constant = math.lgamma((dof + size) / 2) - math.lgamma(dof / 2) - size / 2 * math.log(dof * math.pi)
    log_scale = ready.log_det + size * width.log()
    return constant - 0.5 * log_scale - (dof + size) / 2 * torch.log1p(distance.clamp_min(0) / (dof * width))


def log_likelihood(head: GaussianHead, features: Tensor) -> Tensor:
    """Log p(x | class), nats, (N, K): ``log_density`` of ``predictive``."""
    check_features(head, features)
    check_finite(features)
    return log_density(predictive(head), features)


def class_log_prior(head: GaussianHead, concentration: float = 1.0) -> Tensor:
    """(K,) log class prior: the frequencies of the founding classes, and for each later class their average.

    How many images of a new class somebody has labelled says little about how often it will be met.
    """
    counts = head.counts + concentration
    counts[head.founding :] = counts[: head.founding].mean()
    return (counts / counts.sum()).log()


def log_posterior(head: GaussianHead, features: Tensor, log_prior: Tensor | None = None) -> Tensor:
    """Log p(class | x), nats, (N, K).

    Args:
        head: the state.
        features: (N, D).
        log_prior: (K,) log class prior; ``class_log_prior`` when left out.
    """
    prior = class_log_prior(head) if log_prior is None else log_prior.double()
    return torch.log_softmax(log_likelihood(head, features) + prior, dim=-1)


@once_a_head
def log_evidence(head: GaussianHead) -> float:
    """Log p(all rows absorbed | their labels), nats, in the units of the features (Murphy 2007, eq. 266).

    It ignores the temperature: it is the evidence of the model itself.
    """
    size, total = head.dimension, float(head.counts.sum())
    strength = head.prior.mean_strength + head.counts
    scatter = within(head, head.prior.mean_strength).sum(0)
    scatter.diagonal().add_(head.prior.scatter)
    dof = size + 1 + head.prior.extra_dof
    log_det = 2 * float(torch.linalg.cholesky(scatter).diagonal().log().sum())
    gammas = torch.special.multigammaln(torch.tensor([(dof + total) / 2, dof / 2], dtype=torch.float64), size)
    return float(
        -0.5 * total * size * math.log(math.pi)
        + 0.5 * size * (head.prior.mean_strength / strength).log().sum()
        + 0.5 * dof * size * math.log(head.prior.scatter)
        - 0.5 * (dof + total) * log_det
        + gammas[0]
        - gammas[1]
        - total * head.scale.log().sum()
    )


def _averaged_density(ready: Predictive, distance: Tensor) -> Tensor:
    """Log p(x | class), nats, (N, K): evidence times posterior over prior, all under the head's own.

    A class without rows was never among those judged; it keeps its plain density.
    """
    at_centre = density_at(ready, distance, sharpness.centre(ready.sharpness))
    if len(ready.sharpness) == 1 and ready.sharpness[0, 2] == 0:
        return at_centre
    log_evidence = torch.logsumexp(at_centre + ready.log_prior, dim=-1, keepdim=True)
    log_posterior = [
        sharpness.averaged(
            ready.sharpness, density_at(ready, rows, ready.sharpness[:, 0]) + ready.log_prior, ready.log_prior
        )
        for rows in distance.split(max(1, _VALUES // (len(ready.sharpness) * distance.shape[1])))
    ]
    shared = log_evidence + torch.cat(log_posterior) - ready.log_prior
    return torch.where(ready.log_prior.isneginf(), at_centre, shared)


def _balanced_scatter(head: GaussianHead) -> Tensor:
    """Prior scatter plus the tied scatter, in which classes added later weigh as classes and not as rows.

    A network gathers the classes it was trained on into tight clusters and leaves others wide. Pooling rows
    would let thousands of old images hide how wide a new class is, so the later classes as a group get the
    share of their number of classes, reached gradually as rows come in (half of it at ``_HALF_SHARE`` rows a
    class).
    """
    old, new = within(head, head.prior.mean_strength)
    total, late = float(head.counts.sum()), head.counts[head.founding :]
    present, rows = int((late > 0).sum()), float(late.sum())
    degrees = rows - present
    pooled: Tensor = old + new
    if degrees > 0 and total > rows:
        share = present / (present + int((head.counts[: head.founding] > 0).sum()))
        share *= degrees / (degrees + _HALF_SHARE * present)
        share = max(share, rows / total)
        pooled = total * ((1 - share) * old / (total - rows) + share * new / degrees)
    pooled.diagonal().add_(head.prior.scatter)
    return pooled
