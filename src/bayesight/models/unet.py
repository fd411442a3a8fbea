"""A class for every pixel: U-Net (Ronneberger, Fischer, Brox 2015), and the same without its skips."""

from __future__ import annotations

import itertools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bayesight.checks import check
from bayesight.models.base import check_widths, kaiming_normal
from bayesight.models.encoders import Encoder, Lite0Encoder
from bayesight.registry import Registry
from bayesight.values import Widths

SEGMENTERS: Registry[Any] = Registry("segmentation model")
"""Networks that name every pixel."""


@SEGMENTERS.register("unet")
class UNet(nn.Module):
    """Down by halves to what there is, and up again to where it is.

    Each step down is two 3x3 convolutions and a pooling, each step up doubles the map and, with ``skips``,
    puts the map of the same size from the way down beside it (fig. 1). Convolutions keep the size, so that
    the answer is as large as the image, and are normalised, which the paper, older than that, does not do.
    With the encoder ``lite0`` the way down is EfficientNet-Lite0, whose largest map is half the image; beside
    the last step up, to the image's own size, stand two convolutions of the image itself.

    Args:
        channels: of the images.
        classes: K.
        widths: channels at each size, the largest map first; with ``lite0`` five, of the way up alone, or
            four, which end at half the image.
        skips: whether the way up sees the maps of the way down.
        encoder: the way down.

    Shape:
        (B, channels, H, W) in [0, 1] to logits (B, K, H, W), any H and W of 2 ** (len(widths) - 1) or more.

    Raises:
        InvalidInput: no widths, or fewer than one class.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        widths: Widths = (16, 32, 64, 96),
        skips: bool = True,
        encoder: Encoder = "own",
    ) -> None:
        super().__init__()
        check_widths(widths, "unet.widths")
        check(classes >= 1, "unet", f"{classes} classes", "at least one")
        self.skips = skips
        self.fine: nn.Module | None = None
        if encoder == "own":
            self.least, beside = 2 ** (len(widths) - 1), tuple(widths)
            self.down = nn.ModuleList(
                two_convolutions(a, b) for a, b in itertools.pairwise((channels, *widths))
            )
        else:
            self.least, beside = 32, Lite0Encoder.widths
            came = f"{len(widths)} with the encoder {encoder!r}"
            check(len(widths) in (4, 5), "unet.widths", came, "5, or 4 for half the image's size")
            if len(widths) == len(beside):
                self.fine, beside = two_convolutions(channels, widths[0]), (widths[0], *beside)
        below = beside[-1]
        self.up = nn.ModuleList()
        for width, other in zip(reversed(widths[: len(beside) - 1]), reversed(beside[:-1]), strict=True):
            self.up.append(two_convolutions(below + other if skips else below, width))
            below = width
        self.head = nn.Conv2d(widths[0], classes, 1)
        kaiming_normal(self)
        self.encoder = None if encoder == "own" else Lite0Encoder(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of every pixel."""
        came = f"images of {x.shape[-1]}x{x.shape[-2]}"
        check(min(x.shape[-2:]) >= self.least, "unet", came, f"{self.least}x{self.least} or larger")
        size = x.shape[-2:]
        maps = self._own_maps(2 * x - 1) if self.encoder is None else self.encoder(x)
        maps = maps if self.fine is None else [self.fine(2 * x - 1), *maps]
        x = maps[-1]
        for block, beside in zip(self.up, reversed(maps[:-1]), strict=True):
            x = F.interpolate(x, beside.shape[-2:], mode="nearest")
            x = block(torch.cat([x, beside], dim=1) if self.skips else x)
        logits: Tensor = self.head(x)
        if logits.shape[-2:] != size:
            logits = F.interpolate(logits.float(), size, mode="bilinear")
        return logits

    def _own_maps(self, x: Tensor) -> list[Tensor]:
        """Maps of the way down, the largest first."""
        maps: list[Tensor] = []
        for number, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if number else x)
            maps.append(x)
        return maps


def two_convolutions(inputs: int, outputs: int) -> nn.Sequential:
    """Two convolutions of 3x3, each normalised and rectified."""
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        convolution = nn.Conv2d(channels, outputs, 3, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)
