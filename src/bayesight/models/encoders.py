"""Encoders: an image to maps, each half as large as the one before, for networks that name pixels or places.

``lite0`` is EfficientNet-Lite0 without its last map, whose weights may be those learned from ImageNet.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self, TypeAlias

import torch
from torch import Tensor, nn

from bayesight.models.base import keep_moments
from bayesight.models.efficientnet import Lite0
from bayesight.models.pretrained import pretrained_weights

Encoder: TypeAlias = Literal["own", "lite0"]
"""The way down of a network: convolutions of its own, or a pretrained backbone."""


class Lite0Encoder(nn.Module):
    """EfficientNet-Lite0 as a way down.

    It always normalises by the moments that come with its weights: those of a few images a step are others,
    and training would end in a network that is another one when it answers.

    Args:
        channels: of the images; grey ones are tripled.

    Attributes:
        widths: channels of the maps.

    Shape:
        (B, channels, H, W) in [0, 1] to five maps at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size, rounded up.
    """

    widths: ClassVar[tuple[int, ...]] = (16, 24, 40, 112, 320)
    ends: ClassVar[tuple[int, ...]] = (1, 2, 3, 5, 7)

    def __init__(self, channels: int) -> None:
        super().__init__()
        whole = Lite0((channels, 32, 32), 1, side=32)
        self.standardise = whole.standardise
        self.parts = whole.parts[: self.ends[-1] + 1]

    def train(self, mode: bool = True) -> Self:
        """Training or evaluation mode; normalisations stay in the latter."""
        super().train(mode)
        keep_moments(self)
        return self

    def forward(self, x: Tensor) -> list[Tensor]:
        """The maps, the largest first."""
        x = self.standardise(x)
        x = x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
        maps = []
        for number, part in enumerate(self.parts):
            x = part(x)
            if number in self.ends:
                maps.append(x)
        return maps


def start_from_imagenet(encoder: Lite0Encoder) -> None:
    """Give an encoder the weights learned from ImageNet, written so that its maps have a mean square of 1.

    As they come, maps are three to nine times as large as what a way up puts beside them, which is then not
    seen. The last normalisations of a stage are divided by the size of its map, and the kernels that read
    the map multiplied by it: the network computes what it did.

    Raises:
        InvalidInput: the extra ``pretrained`` is not installed.
    """
    known = encoder.state_dict()
    weights = {name: value for name, value in pretrained_weights("lite0").items() if name in known}
    encoder.load_state_dict({**known, **weights})
    stages: list[list[Any]] = [list(part.children()) for part in encoder.parts]
    for end in encoder.ends:
        norms = [block.layers[-1] for block in stages[end]]
        after = [stage[0] for stage in stages[end + 1 : end + 2]]
        readers = [block.layers[0] for block in (*stages[end][1:], *after)]
        shift = torch.stack([norm.bias for norm in norms]).sum(0)
        size = (sum(norm.weight.square() for norm in norms) + shift.square()).mean().sqrt()
        with torch.no_grad():
            for norm in norms:
                norm.weight /= size
                norm.bias /= size
            for kernel in readers:
                kernel.weight *= size
