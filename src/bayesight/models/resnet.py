"""A small residual network (He et al. 2015, "Deep Residual Learning for Image Recognition")."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from bayesight.checks import check
from bayesight.models.base import ImageModel, kaiming_normal
from bayesight.models.registry import MODELS

__all__ = ["ResNet", "ResidualBlock"]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions whose result is added to the input: y = relu(F(x) + shortcut(x)) (eq. 1, 2).

    Args:
        inputs: channels that come in.
        outputs: channels that go out; where they differ, or the stride is not 1, the shortcut is a 1x1
            convolution with batch normalisation (option B of the paper).
        stride: of the first convolution and the shortcut.

    Shape:
        (B, inputs, H, W) to (B, outputs, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """The block's output."""
        y = F.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return F.relu(y + self.shortcut(x))


@MODELS.register("resnet")
class ResNet(ImageModel):
    """A stem, then stages of residual blocks; each stage after the first halves the image.

    Args:
        image_shape: (C, H, W), at least 28x28.
        classes: K.
        widths: channels of each stage.
        depth: residual blocks in each stage.
        stem_stride: stride of the first convolution; 2 makes everything after it four times cheaper.

    Raises:
        InvalidInput: an image under 28x28, no stage, or a depth below 1.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        classes: int,
        *,
        widths: Sequence[int] = (32, 64, 96),
        depth: int = 1,
        stem_stride: int = 2,
    ) -> None:
        super().__init__(image_shape, classes)
        channels, height, width = image_shape
        mend = "Read the images with --size 28, or use --model mlp."
        check(min(height, width) >= 28, "resnet", f"images of {width}x{height}", "28x28 or larger", mend)
        check(len(widths) > 0 and min(widths) > 0, "resnet.widths", f"got {list(widths)}", "widths >= 1")
        check(depth >= 1, "resnet.depth", f"got {depth}", "at least 1 block a stage")
        self.stem = nn.Conv2d(channels, widths[0], 3, stem_stride, 1, bias=False)
        self.stem_norm = nn.BatchNorm2d(widths[0])
        blocks = []
        inputs = widths[0]
        for stage, outputs in enumerate(widths):
            for block in range(depth):
                blocks.append(ResidualBlock(inputs, outputs, 2 if stage > 0 and block == 0 else 1))
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Linear(inputs, classes)
        kaiming_normal(self)

    def stages(self, x: Tensor) -> list[Tensor]:
        """Feature maps after each residual block."""
        x = F.relu(self.stem_norm(self.stem(self.standardise(x))))
        maps = []
        for block in self.blocks:
            x = block(x)
            maps.append(x)
        return maps
