"""AlexNet (Krizhevsky, Sutskever, Hinton 2012), as published for photographs, and one for small images."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from torch import Tensor, nn

from bayesight.checks import check, probability
from bayesight.models.base import ImageModel, check_side, kaiming_normal
from bayesight.models.registry import MODELS
from bayesight.values import BelowOne, Width

Variant: TypeAlias = Literal["auto", "published", "small"]

_LEAST, _SMALLEST = 63, 16
"""Sides in pixels below which the published and the small network have nothing left to pool."""


@MODELS.register("alexnet")
class AlexNet(ImageModel):
    """Convolutions with overlapping pooling, then wide layers with dropout.

    "published" is the network of the paper in its common form of one tower (Krizhevsky 2014, "One weird trick
    for parallelizing convolutional neural networks"): five convolutions, two layers of 4,096; 61,100,840
    parameters for 224x224 RGB and 1,000 classes. "small" is its plan for images too small for that: kernels
    of 5, 3 and 3 with 32, 64 and 64 channels, one wide layer.

    Args:
        image_shape: (C, H, W); at least 63x63 for "published", 16x16 for "small".
        classes: K.
        variant: "auto" takes "published" from 63x63 on.
        dropout: share of the units silenced before each wide layer while training.
        hidden: units of a wide layer; None takes 4,096, or 256 for "small".

    Raises:
        InvalidInput: an image that is too small, another variant, a dropout outside [0, 1].
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        classes: int,
        *,
        variant: Variant = "auto",
        dropout: BelowOne = 0.5,
        hidden: Width | None = None,
    ) -> None:
        super().__init__(image_shape, classes)
        channels, height, width = image_shape
        known = get_args(Variant)
        check(variant in known, "alexnet.variant", f"got {variant!r}", f"one of {', '.join(known)}")
        probability(dropout, "alexnet.dropout")
        check(hidden is None or hidden >= 1, "alexnet.hidden", f"got {hidden}", "at least 1")
        published = variant == "published" or (variant == "auto" and min(height, width) >= _LEAST)
        least = _LEAST if published else _SMALLEST
        check_side(image_shape, least, "alexnet", f"Read them with --size {least}, or use --model mlp.")
        self.convolutions = _published(channels) if published else _small(channels)
        side = 6 if published else 4
        self.pooled = nn.AdaptiveAvgPool2d(side)
        maps = 256 if published else 64
        units = hidden or (4096 if published else 256)
        wide = [nn.Linear(maps * side * side, units)] + [nn.Linear(units, units)] * published
        self.dropout = nn.Dropout(dropout)
        self.wide = nn.ModuleList(wide)
        self.head = nn.Linear(units, classes)
        kaiming_normal(self)

    def stages(self, x: Tensor) -> list[Tensor]:
        """Feature maps after each convolution, then the units (B, hidden) of each wide layer."""
        x = self.standardise(x)
        found: list[Tensor] = []
        for block in self.convolutions:
            x = block(x)
            found.append(x)
        x = self.pooled(x).flatten(1)
        for layer in self.wide:
            x = layer(self.dropout(x)).relu()
            found.append(x)
        return found


def _published(channels: int) -> nn.ModuleList:
    """Kernels of 11, 5, 3, 3, 3; pooling 3x3 by strides of 2 after the first, the second and the last."""
    return nn.ModuleList(
        [
            _convolution(channels, 64, 11, stride=4, padding=2, pool=True),
            _convolution(64, 192, 5, padding=2, pool=True),
            _convolution(192, 384, 3, padding=1),
            _convolution(384, 256, 3, padding=1),
            _convolution(256, 256, 3, padding=1, pool=True),
        ]
    )


def _small(channels: int) -> nn.ModuleList:
    return nn.ModuleList(
        [
            _convolution(channels, 32, 5, padding=2, pool=True),
            _convolution(32, 64, 3, padding=1, pool=True),
            _convolution(64, 64, 3, padding=1),
        ]
    )


def _convolution(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int = 0, pool: bool = False
) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, kernel, stride, padding), nn.ReLU()]
    return nn.Sequential(*layers, *([nn.MaxPool2d(3, 2)] if pool else []))
