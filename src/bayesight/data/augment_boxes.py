"""Random changes of pictures that their boxes follow: mirrored, scaled, moved, in another light."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from bayesight.registry import require_options
from bayesight.values import Share, Within

__all__ = ["BoxAugment"]

_LEAST = 2.0
"""A box that keeps fewer pixels than this of a side inside the picture is no longer one."""


@dataclass(frozen=True, kw_only=True)
class BoxAugment:
    """Limits of the changes; 0 turns a change off.

    Args:
        flip: probability of a mirror image, left for right.
        upside_down: probability of a mirror image, top for bottom.
        scale: the picture is enlarged by a factor e^u, u within ± this.
        shift: displacement along each axis, as a share of the picture's side.
        light: brightness and contrast are multiplied by factors within 1 ± this.

    Raises:
        InvalidConfig: values out of range, all named at once.
    """

    flip: Share = 0.5
    upside_down: Share = 0.0
    scale: Annotated[float, Within(0, 1)] = 0.2
    shift: Annotated[float, Within(0, 0.5)] = 0.1
    light: Share = 0.2

    def __post_init__(self) -> None:
        require_options(type(self), vars(self), "augmentation of boxes")

    def __call__(
        self, images: Tensor, boxes: Tensor, classes: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Changed pictures, and where their boxes are now.

        Args:
            images: (B, C, H, W) in [0, 1].
            boxes: (B, G, 4) left, top, right, bottom in pixels.
            classes: (B, G), -1 where there is no box.
            generator: of everything random.

        Returns:
            The same, boxes cut off at the picture's edges; the class of a box whose middle has left it, or of
            which too little is left, is -1.
        """
        count, _, height, width = images.shape
        size = boxes.new_tensor([width, height])

        def drawn(*shape: int) -> Tensor:
            return torch.rand(count, *shape, generator=generator) * 2 - 1

        mirrored = (drawn(2) + 1) / 2 < torch.tensor([self.flip, self.upside_down])
        sign = 1 - 2 * mirrored.to(boxes)
        factor = (self.scale * drawn(1)).exp().to(boxes) * sign  # (B, 2), across and down
        moved = (2 * self.shift * drawn(2)).to(boxes)  # in half sides
        # a point at q, in [-1, 1] from edge to edge, goes to factor q + moved; pixels are looked up backwards
        theta = boxes.new_zeros(count, 2, 3)
        theta[:, 0, 0], theta[:, 1, 1] = 1 / factor[:, 0], 1 / factor[:, 1]
        theta[:, :, 2] = -moved / factor
        grid = F.affine_grid(theta, [count, 1, height, width], align_corners=False).to(images)
        changed = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
        bright, contrast = (1 + self.light * drawn(1, 1, 1).to(images) for _ in range(2))
        grey = changed.mean(dim=(1, 2, 3), keepdim=True)
        changed = ((changed - grey) * contrast + grey * bright).clamp(0, 1)
        ends = (2 * boxes.unflatten(-1, (2, 2)) / size - 1) * factor[:, None, None] + moved[:, None, None]
        ends = (ends + 1) / 2 * size
        low, high = ends.amin(dim=2), ends.amax(dim=2)
        middle = (low + high) / 2
        inside = ((middle >= 0) & (middle < size)).all(dim=-1)
        low, high = low.clamp(min=0).minimum(size), high.clamp(min=0).minimum(size)
        inside &= (high - low >= _LEAST).all(dim=-1)
        return changed, torch.cat([low, high], dim=-1), classes.where(inside, -1)
