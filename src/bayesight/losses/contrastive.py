"""The loss of contrastive learning: two views of one image should lie close together."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bayesight.checks import check


def nt_xent(first: Tensor, second: Tensor, temperature: float = 0.5) -> Tensor:
    """The normalised, temperature-scaled cross-entropy of finding an image's other view among all.

    Each of the 2N views asks which of the other 2N - 1 is its partner, by cosine similarity:
    l(i, j) = -ln(exp(s_ij / t) / sum over k != i of exp(s_ik / t)), averaged over both views of every image
    (Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual Representations", eq. 1).

    Args:
        first: (N, D) embeddings of one view of each image, of any length.
        second: (N, D) of the other view, in the same order.
        temperature: t > 0; small ones look only at the nearest neighbours.

    Returns:
        A scalar in nats; ln(2N - 1) where all embeddings are the same.

    Raises:
        InvalidInput: shapes that differ, fewer than two images, or a temperature that is not positive.

    Example:
        >>> collapsed = torch.ones(4, 3)
        >>> round(nt_xent(collapsed, collapsed).exp().item(), 4)  # 2N - 1
        7.0
    """
    came = f"got shapes {tuple(first.shape)} and {tuple(second.shape)}"
    right = first.shape == second.shape and first.dim() == 2 and len(first) >= 2
    check(right, "nt_xent", came, "two of one shape (N, D), N >= 2", "Use a batch of two images or more.")
    check(temperature > 0, "nt_xent.temperature", f"got {temperature:g}", "a positive number")
    count = len(first)
    views = torch.cat([first, second])
    wide = views if views.dtype == torch.float64 else views.float()  # cosines in bf16 are too coarse
    unit = F.normalize(wide, dim=1)
    similarity = unit @ unit.T / temperature
    itself = torch.eye(2 * count, dtype=torch.bool, device=similarity.device)
    partner = torch.arange(2 * count, device=similarity.device).roll(count)
    return F.cross_entropy(similarity.masked_fill(itself, float("-inf")), partner)
