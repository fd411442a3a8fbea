"""Expected information of an image's label about the classes, before anybody gives it.

The mutual information of the label y of an image x with the class means mu, given everything absorbed,

    I(y; mu | x) = H[E p(y | x, mu)] - E H[p(y | x, mu)],

expectations over the posterior mu_k | Sigma ~ N(m_k, Sigma / kappa_k), drawn. An image is worth labelling
where the possible means disagree about it: an image between two well-known classes has an uncertain label
that teaches little, an image of a class seen five times teaches much.

Source: N. Houlsby, F. Huszar, Z. Ghahramani and M. Lengyel, *Bayesian active learning for classification and
preference learning* (2011), eq. 2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bayesight.bayes import sharpness
from bayesight.bayes.head.predictive import Predictive, squared_distance
from bayesight.checks import check

_ROWS = 256


def label_information(
    ready: Predictive, features: Tensor, log_prior: Tensor, *, generator: torch.Generator, draws: int = 64
) -> Tensor:
    """(N,) nats a label of each image is expected to tell about the class means; at least 0, at most log K.

    Args:
        ready: the predictive; the same draws of its means serve every image.
        features: (N, D).
        log_prior: (K,) log class prior.
        generator: of the draws.
        draws: S; the standard error falls with its root.

    Raises:
        InvalidInput: features of another length, or fewer than two draws.

    Example:
        >>> from bayesight.bayes.head import gaussian
        >>> x = torch.tensor([[0.0, 0.1], [0.2, 0.0], [3.0, 3.1], [3.2, 2.9]])
        >>> head = gaussian.fit(x, torch.tensor([0, 0, 1, 1]), ("left", "right"))
        >>> ask, draws = torch.tensor([[0.1, 0.0], [1.6, 1.5]]), torch.Generator().manual_seed(0)
        >>> ready = gaussian.predictive(head)
        >>> one, between = label_information(ready, ask, torch.zeros(2), generator=draws)
        >>> bool(between > one)
        True
    """
    size = ready.whiten.shape[0]
    came = f"{tuple(features.shape)}"
    check(features.ndim == 2 and features.shape[1] == size, "features", came, f"(N, {size})")
    check(draws >= 2, "draws", f"got {draws}", "at least 2")
    count = len(ready.strength)
    noise = torch.randn(draws, count, size, generator=generator, dtype=torch.float64)
    shifted = ready.means + noise / ready.strength[:, None].sqrt()  # (S, K, D), whitened
    flat = shifted.reshape(-1, size)
    found = [_information(ready, rows, flat, log_prior.double(), draws) for rows in features.split(_ROWS)]
    return torch.cat(found) if found else features.new_zeros(0, dtype=torch.float64)


def _information(ready: Predictive, rows: Tensor, means: Tensor, log_prior: Tensor, draws: int) -> Tensor:
    x = ((rows.double() - ready.shift) / ready.scale) @ ready.whiten.T
    distance = squared_distance(x, means).clamp_min(0).reshape(len(rows), draws, len(log_prior))
    # With the means known what is left is a Student-t about each, at the temperature of the head.
    width, tail = sharpness.centre(ready.sharpness), (ready.dof + x.shape[1]) / 2
    log_p = -tail * torch.log1p(distance / (ready.dof * width)) + log_prior
    log_p = log_p.log_softmax(dim=-1)  # (N, S, K)
    mean = log_p.logsumexp(dim=1) - torch.tensor(float(draws)).double().log()
    return (_entropy(mean) - _entropy(log_p).mean(dim=1)).clamp_min(0)


def _entropy(log_p: Tensor) -> Tensor:
    return -(log_p.exp() * log_p.clamp_min(-1e300)).sum(dim=-1)
