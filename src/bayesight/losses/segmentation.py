"""The loss of masks: cross-entropy of every pixel, and Dice's overlap of every class."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bayesight.checks import check


def dice_loss(log_p: Tensor, masks: Tensor, void: int | None = None, smooth: float = 1.0) -> Tensor:
    """1 minus the soft Dice overlap, the mean over classes that are in the masks or believed to be.

    2 sum(p t) / (sum(p^2) + sum(t)) over all pixels of the batch (Milletari, Navab, Ahmadi 2016, "V-Net",
    sec. 3); a rare class weighs as much as a common one.

    Args:
        log_p: (B, K, H, W) log-probabilities.
        masks: (B, H, W) int64 class numbers.
        void: number of pixels that count for nothing.
        smooth: pixels added above and below, so that a class of few pixels does not make the loss jump.

    Example:
        >>> sure = torch.tensor([[[[0.0, -40.0]], [[-40.0, 0.0]]]])
        >>> round(dice_loss(sure, torch.tensor([[[0, 1]]])).item(), 6)
        0.0
    """
    fits = log_p.ndim == 4 and log_p.shape[:1] + log_p.shape[2:] == masks.shape
    came = f"got shapes {tuple(log_p.shape)} and {tuple(masks.shape)}"
    check(fits, "dice_loss", came, "(B, K, H, W) and (B, H, W)")
    counted = torch.ones_like(masks, dtype=torch.bool) if void is None else masks != void
    truth = F.one_hot(masks.where(counted, 0), log_p.shape[1]).movedim(-1, 1) * counted[:, None]
    p = log_p.exp() * counted[:, None]
    both, either = ((p * truth).sum((0, 2, 3)), (p.square() + truth).sum((0, 2, 3)))
    overlap = (2 * both + smooth) / (either + smooth)
    present = truth.sum((0, 2, 3)) > 0
    present = present | (p.detach().sum((0, 2, 3)) > 1)
    return (1 - overlap)[present].mean() if bool(present.any()) else (1 - overlap).sum() * 0


def mask_loss(logits: Tensor, masks: Tensor, *, dice: float = 0.0, void: int | None = None) -> Tensor:
    """Mean cross-entropy of the pixels, nats, plus ``dice`` times the Dice loss.

    Args:
        logits: (B, K, H, W).
        masks: (B, H, W) int64 class numbers.
        dice: weight of the Dice loss; probabilities stay calibrated best with 0.
        void: number of pixels that count for nothing.
    """
    log_p = logits.float().log_softmax(dim=1)
    ignored = -100 if void is None else void
    if void is not None and bool((masks == void).all()):
        return log_p.sum() * 0
    loss = F.nll_loss(log_p, masks, ignore_index=ignored)
    return loss + dice * dice_loss(log_p, masks, void) if dice else loss
