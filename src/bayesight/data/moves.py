"""Images moved and cut out with their annotations: masks, points and boxes.

Every image of a batch draws a mirror image, a scale, a turn and a shift of its own, and then its colours. The
move is one affine map, so that a mask is sampled, and a point multiplied, by the very numbers its image was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from bayesight.data.augment import AUGMENTATIONS, PhotoAugment, warp
from bayesight.registry import require_options
from bayesight.values import Share, Within

MARGIN = 1.25
"""Side of a cut for one of the longer side of its box."""


@dataclass(frozen=True, eq=False)
class Moves:
    """An affine map for each image of a batch.

    Args:
        inverse: (B, 2, 3) from a place in the changed image to the place it shows, both in pixels from the
            centre, x to the right and y down.
        size: (H, W) of the images.
        mirrored: (B,) whether left and right have changed sides.
    """

    inverse: Tensor
    size: tuple[int, int]
    mirrored: Tensor

    def masks(self, masks: Tensor, void: int) -> Tensor:
        """Masks (B, H, W) int64 as their images are moved; ``void`` where nothing is."""
        moved = warp((masks[:, None] + 1).float(), self.inverse, mode="nearest")[:, 0].long() - 1
        return moved.where(moved >= 0, void)

    def points(self, image: int, points: Tensor) -> Tensor:
        """Points (..., 2) of one image, x and y in pixels from its corner, where they lie now."""
        linear, shift = self.inverse[image, :, :2].double(), self.inverse[image, :, 2].double()
        centre = torch.tensor([self.size[1] / 2, self.size[0] / 2], dtype=torch.float64)
        moved: Tensor = (points.double() - centre - shift) @ torch.linalg.inv(linear).T + centre
        return moved

    def boxes(self, image: int, boxes: Tensor) -> Tensor:
        """Boxes (G, 4) of one image, left, top, right and bottom: the least that hold the moved ones."""
        corners = boxes[:, [0, 1, 2, 1, 0, 3, 2, 3]].reshape(-1, 4, 2)
        moved = self.points(image, corners)
        return torch.cat([moved.amin(1), moved.amax(1)], dim=1)


@AUGMENTATIONS.register("scene")
@dataclass(frozen=True, kw_only=True)
class SceneAugment:
    """Mirror image, scale, turn and shift in one bilinear sampling, black outside, then colours; 0 is off.

    Args:
        flip: probability of a mirror image, left for right.
        scale: the scene is enlarged by a factor e^u, u drawn evenly within ± this, in [0, 1.5].
        rotate_deg: turned about its centre by up to so many degrees, in [0, 180].
        shift: moved along each side by up to this share of it.
        brightness: the image is multiplied by a factor within 1 ± this.
        contrast: distance from the image's mean grey is multiplied by a factor within 1 ± this.
        saturation: distance from grey is multiplied by a factor within 1 ± this; RGB only.

    Raises:
        InvalidConfig: values out of range, all named at once.
    """

    flip: Share = 0.5
    scale: Annotated[float, Within(0, 1.5)] = 0.3
    rotate_deg: Annotated[float, Within(0, 180)] = 0.0
    shift: Share = 0.1
    brightness: Share = 0.2
    contrast: Share = 0.2
    saturation: Share = 0.2

    def __post_init__(self) -> None:
        require_options(type(self), vars(self), "augmentation 'scene'")

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Images (B, C, H, W) in [0, 1] to images of the same shape, dtype and range."""
        return self.moved(images, generator)[0]

    def moved(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Moves]:
        """The same, with the moves that annotations are to follow."""
        height, width = images.shape[-2:]
        draws = torch.rand((5, len(images)), generator=generator) * 2 - 1
        mirrored = (draws[0] + 1) / 2 < self.flip
        scale, angle = torch.exp(-draws[1] * self.scale), draws[2] * math.radians(self.rotate_deg)
        cos, sin = scale * angle.cos(), scale * angle.sin()
        side = torch.where(mirrored, -1.0, 1.0)
        rows = torch.stack([side * cos, -sin, side * sin, cos]).T.reshape(-1, 2, 2)
        shift = draws[3:5].T * self.shift * torch.tensor([width, height])
        moves = Moves(torch.cat([rows, shift[:, :, None]], dim=2), (height, width), mirrored)
        changed = warp(images.float(), moves.inverse)
        amounts = {"brightness": self.brightness, "contrast": self.contrast, "saturation": self.saturation}
        colours = PhotoAugment(flip=0, crop_px=0, **amounts)
        return colours(changed, generator).to(images.dtype), moves


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
