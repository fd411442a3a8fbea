"""Objects as points: a map of centres, and a box at each (Zhou, Wang, Krähenbühl 2019, CenterNet)."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bayesight.checks import check
from bayesight.models.base import check_widths, kaiming_normal
from bayesight.models.encoders import Encoder, Lite0Encoder
from bayesight.registry import Registry
from bayesight.values import Widths, Within

DETECTORS: Registry[Any] = Registry("detection model")
"""Networks that find boxes."""
_RARE = 0.01  # share of cells that are a centre, before anything is learned
_LARGEST = 8.0  # log of a box's sides in cells


@DETECTORS.register("centernet")
class CenterNet(nn.Module):
    """Down by halves to what there is, up again to a map of where the centres of things are.

    Every cell has, for each class, the logit of a centre in it, and one box for whatever is centred there
    (sec. 3). On the way up each map is doubled and the one of the same size from the way down added to it.

    Args:
        channels: of the images.
        classes: K.
        encoder: the way down.
        widths: channels of the own way down at stride 2, 4, ...; not used with "lite0".
        width: channels of the way up.
        stride: pixels a side of a cell, a power of two that the way down reaches.

    Shape:
        (B, channels, H, W) in [0, 1] to logits (B, K, h, w) and boxes (B, 4, h, w) in pixels, left, top,
        right, bottom; h = ceil(H / stride).

    Raises:
        InvalidInput: no widths, fewer than one class, or a stride that is none of its maps'.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        encoder: Encoder = "own",
        widths: Widths = (32, 48, 64, 96),
        width: Annotated[int, Within(1, 1024)] = 48,
        stride: Annotated[int, Within(2, 32)] = 2,
    ) -> None:
        super().__init__()
        check_widths(widths, "centernet.widths")
        check(classes >= 1, "centernet", f"{classes} classes", "at least one")
        down = _Halvings(channels, widths) if encoder == "own" else Lite0Encoder(channels)
        self.down, reached = down, down.widths
        strides = [2 ** (depth + 1) for depth in range(len(reached))]
        known = ", ".join(map(str, strides))
        check(stride in strides, "centernet.stride", f"got {stride}", f"one of {known}")
        self.stride, self.first = stride, strides.index(stride)
        self.beside = nn.ModuleList(nn.Conv2d(inputs, width, 1) for inputs in reached[self.first :])
        self.up = nn.ModuleList(_normed(width, width) for _ in reached[self.first :])
        self.centre = nn.Sequential(*_normed(width, width), nn.Conv2d(width, classes, 1))
        self.box = nn.Sequential(*_normed(width, width), nn.Conv2d(width, 4, 1))
        own = (self.beside, self.up, self.centre, self.box)
        for module in own:
            kaiming_normal(module)
        for head, bias in ((self.centre, math.log(_RARE / (1 - _RARE))), (self.box, 0.0)):
            last = head[-1]
            assert isinstance(last, nn.Conv2d)
            nn.init.normal_(last.weight, std=0.001)
            nn.init.constant_(last.bias, bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of centres, and a box of every cell."""
        maps: list[Tensor] = self.down(x)[self.first :]
        y = torch.zeros((), dtype=x.dtype, device=x.device)
        for map_, beside, up in reversed(list(zip(maps, self.beside, self.up, strict=True))):
            side = beside(map_)
            y = up(side + (F.interpolate(y, side.shape[-2:], mode="nearest") if y.ndim else 0))
        return self.centre(y).float(), self._boxes(self.box(y).float())

    def _boxes(self, raw: Tensor) -> Tensor:
        """Boxes in pixels from the shift of the centre and the logarithm of the sides, in cells."""
        rows, columns = (torch.arange(side, device=raw.device) + 0.5 for side in raw.shape[-2:])
        centres = raw[:, :2] + torch.stack(torch.broadcast_tensors(columns, rows[:, None]))
        halves = raw[:, 2:].clamp(-_LARGEST, _LARGEST).exp() * 2
        return torch.cat([centres - halves, centres + halves], dim=1) * self.stride


@dataclass(frozen=True)
class Peaks:
    """Places where a centre, of whichever class, is likelier than around it, the likeliest first.

    Args:
        boxes: (B, M, 4) in pixels.
        logits: (B, M, K) of a centre of each class in that cell.
        there: (B, M) whether it is a peak; where an image has fewer than M, the last are not.
    """

    boxes: Tensor
    logits: Tensor
    there: Tensor


def centre_peaks(logits: Tensor, boxes: Tensor, most: int = 100) -> Peaks:
    """The highest cells among their eight neighbours (sec. 4, "From points to bounding boxes").

    Unlike the paper's, a place is one peak, not one of each class: its box has one posterior over all.

    Args:
        logits: (B, K, h, w) of centres.
        boxes: (B, 4, h, w) of every cell.
        most: peaks of an image; M is at most h w.
    """
    height = logits.amax(dim=1, keepdim=True)
    around = F.max_pool2d(height, 3, stride=1, padding=1)
    peaks = height.where(height == around, -math.inf).flatten(1)
    top, cell = peaks.topk(min(most, peaks.shape[1]), dim=1)
    found, there = (
        maps.flatten(2).gather(2, cell[:, None].expand(-1, maps.shape[1], -1)).transpose(1, 2)
        for maps in (boxes, logits)
    )
    return Peaks(found, there, top > -math.inf)


def halving_block(inputs: int, outputs: int) -> nn.Sequential:
    """Two convolutions of 3x3, the first with a stride of two, each normalised and rectified."""
    return nn.Sequential(*_normed(inputs, outputs, stride=2), *_normed(outputs, outputs))


class _Halvings(nn.Module):
    """Maps at stride 2, 4, ... of so many channels each."""

    def __init__(self, channels: int, widths: Widths) -> None:
        super().__init__()
        self.widths = widths
        self.blocks = nn.ModuleList(halving_block(a, b) for a, b in itertools.pairwise((channels, *widths)))
        kaiming_normal(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        """The maps, the largest first."""
        maps, x = [], 2 * x - 1
        for block in self.blocks:
            x = block(x)
            maps.append(x)
        return maps


def _normed(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """A convolution of 3x3, normalised and rectified."""
    convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())
