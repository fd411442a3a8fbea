"""The loss of boxes: a focal loss of the map of centres, and generalised overlap of the boxes there."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bayesight.checks import check

_SPREAD = 1 / 12
"""Standard deviation of the heat around a centre, as a share of the box's sides."""
_LEAST_SPREAD = 0.4  # cells
_AT_ONCE = 256  # boxes of an image whose heat is drawn at a time


def centre_heat(boxes: Tensor, classes: Tensor, shape: tuple[int, int, int], stride: float) -> Tensor:
    """The map that a detector of centres should show: 1 at each centre, less around it (sec. 3).

    exp(-dx^2 / 2 sx^2 - dy^2 / 2 sy^2), the largest of a class where several meet. The deviations are a
    twelfth of the sides, so that a small thing next to a large one keeps a peak of its own.

    Args:
        boxes: (B, G, 4) in pixels.
        classes: (B, G) class numbers, -1 where there is no box.
        shape: (K, h, w) of the map.
        stride: pixels a side of a cell.

    Returns:
        (B, K, h, w) in [0, 1], exactly 1 in the cells of centres.
    """
    kinds, height, width = shape
    heat = boxes.new_zeros(len(boxes), kinds, height, width)
    rows, columns = (torch.arange(side, device=boxes.device) for side in (height, width))
    for part, kind in zip(boxes.split(_AT_ONCE, 1), classes.split(_AT_ONCE, 1), strict=True):
        x, y = _cells(part, (height, width), stride).unbind(-1)
        spread = ((part[..., 2:] - part[..., :2]) / stride * _SPREAD).clamp(min=_LEAST_SPREAD)
        across = (-0.5 * ((columns - x[..., None]) / spread[..., :1]).square()).exp()
        down = (-0.5 * ((rows - y[..., None]) / spread[..., 1:]).square()).exp()
        each = down[..., None] * across[..., None, :]
        for k in kind[kind >= 0].unique().tolist():
            of_class = each * (kind == k)[..., None, None]
            heat[:, k] = torch.maximum(heat[:, k], of_class.amax(dim=1))
    return heat


def focal_heat_loss(logits: Tensor, heat: Tensor, *, alpha: float = 2.0, beta: float = 4.0) -> Tensor:
    """Focal loss of a map of centres, summed and divided by the centres (eq. 1), nats.

    -(1 - p)^alpha log p where the heat is 1, -(1 - heat)^beta p^alpha log(1 - p) elsewhere.

    Args:
        logits: (B, K, h, w).
        heat: likewise, in [0, 1], 1 at centres.
        alpha: how little what is already right counts.
        beta: how little the surroundings of a centre count.
    """
    check(logits.shape == heat.shape, "focal_heat_loss", f"{tuple(logits.shape)}", f"{tuple(heat.shape)}")
    log_p, log_q = F.logsigmoid(logits), F.logsigmoid(-logits)
    centres = heat == 1
    hits = (alpha * log_q).exp() * log_p
    rest = (1 - heat).pow(beta) * (alpha * log_p).exp() * log_q
    return -hits.where(centres, rest).sum() / centres.sum().clamp(min=1)


def giou_loss(boxes: Tensor, truth: Tensor) -> Tensor:
    """1 - GIoU of boxes with theirs, (...,) in [0, 2] (Rezatofighi et al. 2019, alg. 1).

    GIoU is intersection over union less the share of the smallest box around both that neither covers.

    Args:
        boxes: (..., 4) left, top, right, bottom; sides of no or negative length have no area.
        truth: likewise, with an area.

    Example:
        >>> giou_loss(torch.tensor([0.0, 0, 2, 2]), torch.tensor([2.0, 0, 4, 2])).item()
        1.0
    """
    both = _area(torch.maximum(boxes[..., :2], truth[..., :2]), torch.minimum(boxes[..., 2:], truth[..., 2:]))
    around = _area(
        torch.minimum(boxes[..., :2], truth[..., :2]), torch.maximum(boxes[..., 2:], truth[..., 2:])
    )
    either = _area(boxes[..., :2], boxes[..., 2:]) + _area(truth[..., :2], truth[..., 2:]) - both
    return 1 - both / either + (around - either) / around


def detection_loss(
    logits: Tensor, boxes: Tensor, true_boxes: Tensor, classes: Tensor, *, stride: float, box: float = 2.0
) -> dict[str, Tensor]:
    """The focal loss of centres, and the generalised overlap of the boxes in the cells of true centres.

    Args:
        logits: (B, K, h, w) of centres.
        boxes: (B, 4, h, w) of every cell, pixels.
        true_boxes: (B, G, 4).
        classes: (B, G), -1 where there is no box.
        stride: pixels a side of a cell.
        box: weight of the boxes.

    Returns:
        ``centre``, ``box`` and their weighted sum, ``total``.
    """
    kinds, *sides = logits.shape[1:]
    height, width = sides
    centre = focal_heat_loss(
        logits, centre_heat(true_boxes, classes, (kinds, height, width), stride).to(logits.dtype)
    )
    there = classes >= 0
    image = there.nonzero()[:, 0]
    x, y = _cells(true_boxes[there], (height, width), stride).unbind(-1)
    off = giou_loss(boxes[image, :, y, x], true_boxes[there]).sum() / max(len(image), 1)
    return {"total": centre + box * off, "centre": centre.detach(), "box": off.detach()}


def _cells(boxes: Tensor, sides: tuple[int, int], stride: float) -> Tensor:
    """Column and row (..., 2) of the cell that holds each centre, int64."""
    cells = ((boxes[..., :2] + boxes[..., 2:]) / (2 * stride)).long()
    return cells.clamp(min=0).minimum(cells.new_tensor([sides[1] - 1, sides[0] - 1]))


def _area(low: Tensor, high: Tensor) -> Tensor:
    return (high - low).clamp(min=0).prod(dim=-1)
