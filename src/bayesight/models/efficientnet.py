"""EfficientNet-Lite (Tan, Le 2019, "EfficientNet"; the Lite variant, TensorFlow 2020), for photographs.

Inverted residual blocks as in the paper's Table 1, without squeeze-excitation, with ReLU6 for swish, and with
a stem of 32 and a last map of 1,280 channels at every width. Weights learned from ImageNet are in
``models/pretrained.py``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from bayesight.checks import check
from bayesight.models.base import ImageModel, kaiming_normal
from bayesight.models.registry import MODELS
from bayesight.values import Within

_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Blocks, kernel, stride of the first, expansion, channels."""
_STEM, _LAST = 32, 1280
_PARTS = len(_STAGES) + 2
_EPS = 1e-3


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's "same": ceil(side / stride) comes out, the odd pixel goes last.

    Shape:
        (B, C, H, W) to (B, C', ceil(H / stride), ceil(W / stride)).
    """

    def forward(self, x: Tensor) -> Tensor:
        """The maps of images or maps."""
        pads = []
        sizes = zip(x.shape[-2:], self.kernel_size, self.stride, strict=True)
        for side, kernel, stride in reversed(list(sizes)):  # width first, as F.pad wants it
            missing = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
            pads += [missing // 2, missing - missing // 2]
        return super().forward(F.pad(x, pads) if any(pads) else x)


class InvertedResidual(nn.Module):
    """Expand the channels, filter each by itself, project down; x + f(x) where the shape stays.

    Sandler et al. 2018, "MobileNetV2", section 3.3.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        kernel: side of the filter of each channel.
        stride: of that filter.
        expansion: channels in between for each that comes in.

    Shape:
        (B, inputs, H, W) to (B, outputs, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, inputs: int, outputs: int, *, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inside = inputs * expansion
        wide = _normed(inputs, inside, 1) if expansion > 1 else []
        deep = _normed(inside, inside, kernel, stride=stride, groups=inside)
        self.layers = nn.Sequential(*wide, *deep, *_normed(inside, outputs, 1)[:2])
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """The block's maps."""
        y: Tensor = self.layers(x)
        return x + y if self.adds else y


class EfficientNetLite(ImageModel):
    """Inverted residual blocks; images smaller than ``side`` are enlarged on their way in, grey ones tripled.

    Penultimate features are the square roots of the last map's means over space, scaled to a mean square of
    1; they are the evidence features too.

    Args:
        image_shape: (C, H, W), any side.
        classes: K.
        side: pixels that the shorter side is enlarged to; a larger image is taken as it is.
        tune: parts at the end that training changes, of stem, seven stages and last map; 0 changes the last
            layer alone, ``PARTS`` all.

    Raises:
        InvalidInput: a side or number of parts out of range.
    """

    width: ClassVar[float]
    depth: ClassVar[float]
    own_normalisation = True

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        classes: int,
        *,
        side: Annotated[int, Within(32, 1024)] = 160,
        tune: Annotated[int, Within(0, _PARTS)] = 0,
    ) -> None:
        super().__init__(image_shape, classes)
        check(32 <= side <= 1024, "model.side", f"got {side}", "32 to 1024")
        check(0 <= tune <= _PARTS, "model.tune", f"got {tune}", f"0 to {_PARTS}")
        scale = side / min(side, *image_shape[1:])
        self.working_size = (round(image_shape[1] * scale), round(image_shape[2] * scale))
        self.tune = tune
        self.standardise.fit([127 / 255] * image_shape[0], [128 / 255] * image_shape[0])
        parts: list[nn.Module] = [nn.Sequential(*_normed(3, _STEM, 3, stride=2))]
        inputs = _STEM
        for number, (count, kernel, stride, expansion, channels) in enumerate(_STAGES):
            fixed = number in (0, len(_STAGES) - 1)
            outputs = _rounded(channels * self.width)
            blocks = []
            for at in range(count if fixed else math.ceil(count * self.depth)):
                step = stride if at == 0 else 1
                blocks.append(
                    InvertedResidual(inputs, outputs, kernel=kernel, stride=step, expansion=expansion)
                )
                inputs = outputs
            parts.append(nn.Sequential(*blocks))
        parts.append(nn.Sequential(*_normed(inputs, _LAST, 1)))
        self.parts = nn.ModuleList(parts)
        self.head = nn.Linear(_LAST, classes)
        kaiming_normal(self)

    def stages(self, x: Tensor) -> list[Tensor]:
        """Feature maps after the stem, each of the seven stages, and the last map of 1,280 channels."""
        if x.shape[-2:] != self.working_size:
            x = F.interpolate(x.float(), self.working_size, mode="bilinear").to(x.dtype)
        x = self.standardise(x)
        x = x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
        maps = []
        for part in self.parts:
            x = part(x)
            maps.append(x)
        return maps

    def pool(self, last: Tensor) -> Tensor:
        """Square roots of the means over space, of mean square 1: (B, 1280)."""
        roots = (last.float().mean(dim=(2, 3)) + 1e-6).sqrt()
        return (F.normalize(roots, dim=1) * math.sqrt(_LAST)).to(last.dtype)

    def evidence_features(self, x: Tensor) -> Tensor:
        """The penultimate features, or the centred logits with ``answers_alone``."""
        return self.centred_logits(x) if self.answers_alone else self.features(x).float()

    def frozen_parts(self) -> Sequence[nn.Module]:
        """Every part but the last ``tune``."""
        return list(self.parts)[: _PARTS - self.tune]


@MODELS.register("lite0")
class Lite0(EfficientNetLite):
    """EfficientNet-Lite0: 3.4 million numbers before the last layer."""

    width, depth = 1.0, 1.0


@MODELS.register("lite1")
class Lite1(EfficientNetLite):
    """EfficientNet-Lite1: as wide, deeper; 4.1 million numbers before the last layer."""

    width, depth = 1.0, 1.1


@MODELS.register("lite2")
class Lite2(EfficientNetLite):
    """EfficientNet-Lite2: wider and deeper; 4.8 million numbers before the last layer."""

    width, depth = 1.1, 1.2


def _normed(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution, its normalisation, ReLU6."""
    convolution = SameConv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outputs, eps=_EPS, momentum=0.01), nn.ReLU6()]


def _rounded(channels: float) -> int:
    """The multiple of 8 nearest, never more than a tenth below (the paper's code, ``round_filters``)."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near
