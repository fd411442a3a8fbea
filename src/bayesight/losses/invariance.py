"""Invariance to a shift of the data: the mathematics of three remedies.

An attribute of the images (a colour, a hospital, a camera) that goes along with the label is a short cut for
whoever learns p(label | image), and a trap where it no longer does. Each remedy asks for an answer that does
not rest on it: by adjusting for it (``backdoor_weights``), by being optimal in every environment at once
(``invariance_penalty``), or by minding the group that fares worst (``exponentiated``).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bayesight.checks import check


def backdoor_weights(counts: Tensor) -> Tensor:
    """Weight of an image of each group that makes the label independent of the environment.

    An image of environment e and class k weighs p(e) p(k) / p(e, k): the inverse of how much more often the
    two meet than they would by chance. Weighted so, both shares stay as they were and their association is
    gone, as it would be had someone set the attribute by a coin: adjustment by the back-door formula, with
    stabilised inverse probability weights (Robins, Hernán and Brumback 2000, "Marginal Structural Models and
    Causal Inference in Epidemiology"; Pearl 2009, *Causality*, section 3.3).

    Args:
        counts: images (E, K) of each environment and class; their scale does not matter.

    Returns:
        (E, K) float64; the mean over all images is 1.

    Raises:
        InvalidInput: a count that is no number >= 0, or a group without images: what cannot be seen cannot be
            weighted up (positivity).

    Example:
        >>> backdoor_weights(torch.tensor([[40, 10], [10, 40]]))
        tensor([[0.6250, 2.5000],
                [2.5000, 0.6250]], dtype=torch.float64)
    """
    share = counts.double()
    fine = share.ndim == 2 and bool(torch.isfinite(share).all()) and bool((share >= 0).all())
    check(fine, "backdoor_weights", f"counts of shape {tuple(share.shape)}", "(E, K) numbers >= 0")
    empty = (share == 0).nonzero()
    came = f"no image of environment {empty[0, 0]}, class {empty[0, 1]}" if len(empty) else ""
    mend = (
        "Leave the environment or the class out: where two never meet, no weight can make them independent."
    )
    check(not len(empty), "backdoor_weights", came, "at least one in every group", mend)
    share = share / share.sum()
    return share.sum(1, keepdim=True) * share.sum(0, keepdim=True) / share


def group_means(values: Tensor, groups: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Sum and number of the values of each group; their ratio is the mean, where there is any.

    Sums rather than means, because those of two processes add up.

    Args:
        values: (B,).
        groups: (B,) numbers in [0, count).
        count: G.

    Returns:
        (G,) sums and (G,) numbers, of the values' dtype.

    Example:
        >>> group_means(torch.tensor([1.0, 2.0, 5.0]), torch.tensor([0, 0, 2]), 3)
        (tensor([3., 0., 5.]), tensor([2., 0., 1.]))
    """
    zeros = values.new_zeros(count)
    return zeros.index_add(0, groups, values), zeros.index_add(0, groups, torch.ones_like(values))


def scale_gradient(logits: Tensor, labels: Tensor) -> Tensor:
    """The derivative of each image's cross-entropy with respect to a scale of all logits, at scale 1.

    d/ds [-ln softmax(s z)_y] at s = 1 is sum_k (softmax(z)_k - [k = y]) z_k. Where its mean over an
    environment is zero, no other temperature would suit that environment better.

    Args:
        logits: (B, K).
        labels: (B,).

    Returns:
        (B,) nats, differentiable in the logits.

    Example:
        >>> scale_gradient(torch.tensor([[2.0, 0.0]]), torch.tensor([1]))  # sure, and wrong: scale down
        tensor([1.7616])
    """
    return ((logits.softmax(1) - F.one_hot(labels, logits.shape[1]).to(logits)) * logits).sum(1)


def invariance_penalty(gradient_sums: Tensor, numbers: Tensor) -> Tensor:
    """The penalty of IRMv1: how far from optimal the classifier is in each environment.

    The squared gradient of an environment's risk with respect to a scale w = 1.0 put before the logits
    (Arjovsky, Bottou, Gulrajani and Lopez-Paz 2019, "Invariant Risk Minimization", eq. 4).

    Args:
        gradient_sums: (E,) sums of ``scale_gradient`` over each environment's images.
        numbers: (E,) how many images those are.

    Returns:
        (E,), zero where there is no image.

    Example:
        >>> invariance_penalty(torch.tensor([4.0, 0.0]), torch.tensor([2.0, 0.0]))
        tensor([4., 0.])
    """
    return (gradient_sums / numbers.clamp_min(1)).square()


def exponentiated(shares: Tensor, losses: Tensor, rate: float) -> Tensor:
    """Shares of the groups after a step towards those that fare worst: q_g exp(rate * loss_g), normalised.

    The exponentiated-gradient ascent of group DRO (Sagawa, Koh, Hashimoto and Liang 2020, "Distributionally
    Robust Neural Networks", algorithm 1). Adding a constant to all losses changes nothing.

    Args:
        shares: (G,) >= 0, summing to 1.
        losses: (G,) nats; 0 for a group that is not there leaves it behind the others.
        rate: >= 0.

    Returns:
        (G,) summing to 1.

    Example:
        >>> exponentiated(torch.tensor([0.5, 0.5]), torch.tensor([0.0, 2.0]), 0.5)
        tensor([0.2689, 0.7311])
    """
    check(rate >= 0, "exponentiated.rate", f"got {rate}", "a number >= 0")
    return (shares.log() + rate * losses).softmax(0)
