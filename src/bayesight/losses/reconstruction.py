"""What counts as wrong when the answer is the image itself."""

from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F
from torch import Tensor

from bayesight.checks import check
from bayesight.losses.registry import GENERATIVE_LOSSES
from bayesight.values import Within

__all__ = ["EvidenceBound", "SquaredError", "kl_to_standard_normal", "squared_error"]


def squared_error(images: Tensor, reconstruction: Tensor) -> Tensor:
    """The squared error of each image, summed over its pixels: (B,).

    Args:
        images: (B, ...) in [0, 1].
        reconstruction: the same shape.

    Raises:
        InvalidInput: shapes that differ.

    Example:
        >>> import torch
        >>> squared_error(torch.ones(2, 1, 3, 3), torch.zeros(2, 1, 3, 3))
        tensor([9., 9.])
    """
    came = f"got shapes {tuple(images.shape)} and {tuple(reconstruction.shape)}"
    check(images.shape == reconstruction.shape, "squared_error", came, "the same shape")
    return (images.float() - reconstruction.float()).square().flatten(1).sum(1)


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, 1)) of each row, summed over its numbers: (B,), nats.

    Kingma and Welling 2014, "Auto-Encoding Variational Bayes", appendix B.

    Example:
        >>> import torch
        >>> kl_to_standard_normal(torch.ones(1, 2), torch.zeros(1, 2))
        tensor([1.])
    """
    mean, log_variance = mean.float(), log_variance.float()
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)


@GENERATIVE_LOSSES.register("squared_error")
class SquaredError:
    """The squared error an image, averaged over the batch (Hinton, Salakhutdinov 2006)."""

    def __call__(self, images: Tensor, reconstruction: Tensor) -> Tensor:
        """A scalar."""
        return squared_error(images, reconstruction).mean()


@GENERATIVE_LOSSES.register("evidence_bound")
class EvidenceBound:
    """The negative evidence lower bound, in nats an image (Kingma, Welling 2014, eq. 10).

    Pixels in [0, 1] count as probabilities of ink: the first term is their cross-entropy.

    Args:
        kl_weight: of the distance of the codes from the standard normal; 1 is the bound itself.

    Raises:
        InvalidInput: a negative weight.
    """

    def __init__(self, *, kl_weight: Annotated[float, Within(0, 1e6)] = 1.0) -> None:
        check(kl_weight >= 0, "evidence_bound.kl_weight", f"got {kl_weight:g}", "0 or more")
        self.kl_weight = kl_weight

    def terms(self, images: Tensor, logits: Tensor, mean: Tensor, log_variance: Tensor) -> dict[str, Tensor]:
        """``reconstruction`` and ``kl``, and their sum ``total``.

        Args:
            images: (B, C, H, W) in [0, 1].
            logits: the same shape, log-odds of ink.
            mean: (B, D) of the codes.
            log_variance: (B, D).
        """
        ink = F.binary_cross_entropy_with_logits(logits.float(), images.float(), reduction="none")
        reconstruction = ink.flatten(1).sum(1).mean()
        kl = kl_to_standard_normal(mean, log_variance).mean()
        return {"total": reconstruction + self.kl_weight * kl, "reconstruction": reconstruction, "kl": kl}
