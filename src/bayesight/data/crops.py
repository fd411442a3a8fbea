"""Square cuts of images around boxes, each brought to the same side, and points in and out of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["MARGIN", "Crops", "crop_boxes"]

MARGIN = 1.25
"""Side of a cut for one of the longer side of its box."""


@dataclass(frozen=True, eq=False)
class Crops:
    """Cuts of images.

    Args:
        images: (M, C, S, S) in [0, 1], black where there is no image.
        corners: (M, 2) left and top of each, pixels of the image it is cut from.
        sides: (M,) its side there.
    """

    images: Tensor
    corners: Tensor
    sides: Tensor

    @property
    def scales(self) -> Tensor:
        """(M,) pixels of the cut for one of the image."""
        return self.images.shape[-1] / self.sides

    def inside(self, points: Tensor) -> Tensor:
        """Points (M, P, 2) of the images, x and y, in the pixels of their cuts."""
        return (points - self.corners[:, None]) * self.scales[:, None, None]

    def outside(self, points: Tensor) -> Tensor:
        """Points (M, P, 2) of the cuts in the pixels of the images."""
        return points / self.scales[:, None, None] + self.corners[:, None]


def crop_boxes(images: Tensor, which: Tensor, boxes: Tensor, side: int, margin: float = MARGIN) -> Crops:
    """Cut a square around the middle of each box, bilinearly sampled.

    Args:
        images: (B, C, H, W).
        which: (M,) the image of each box.
        boxes: (M, 4) left, top, right, bottom, pixels, of some extent.
        side: S, pixels.
        margin: the square's side for one of the box's longer side.
    """
    height, width = images.shape[-2:]
    boxes = boxes.to(torch.float32)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    sides = margin * (boxes[:, 2:] - boxes[:, :2]).amax(dim=1).clamp(min=1e-3)
    halves = sides / 2
    theta = torch.zeros(len(boxes), 2, 3)
    for axis, length in enumerate((width, height)):
        theta[:, axis, axis] = halves / (length / 2)
        theta[:, axis, 2] = centres[:, axis] / (length / 2) - 1
    grid = F.affine_grid(theta, [len(boxes), images.shape[1], side, side], align_corners=False)
    cut = F.grid_sample(images[which].float(), grid, padding_mode="zeros", align_corners=False)
    return Crops(cut, centres - halves[:, None], sides)
