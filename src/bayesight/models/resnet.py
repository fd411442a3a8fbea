"""A small residual network (He et al. 2015, "Deep Residual Learning for Image Recognition")."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias, get_args

import torch.nn.functional as F
from torch import Tensor, nn

from bayesight.checks import check
from bayesight.models.base import ImageModel, check_side, check_widths, kaiming_normal
from bayesight.models.registry import MODELS
from bayesight.values import Widths, Within

Shortcut: TypeAlias = Literal["project", "pad", "none"]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions whose result is added to the input: y = relu(F(x) + shortcut(x)) (eq. 1, 2).

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        stride: of the first convolution and the shortcut.
        shortcut: how the input reaches the sum where channels or stride change. "project" is a 1x1
            convolution with batch normalisation (option B of the paper); "pad" takes every ``stride``-th
            pixel and adds channels of zeros, with nothing to learn (option A); "none" is a plain block,
            y = relu(F(x)), and adds the input nowhere.

    Shape:
        (B, inputs, H, W) to (B, outputs, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1, *, shortcut: Shortcut = "project") -> None:
        super().__init__()
        self.adds = shortcut != "none"
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            if shortcut == "project":
                self.shortcut = nn.Sequential(
                    nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
                )
            elif shortcut == "pad":
                self.shortcut = PaddedShortcut(outputs - inputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """The block's output."""
        y = F.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return F.relu(y + self.shortcut(x) if self.adds else y)


class PaddedShortcut(nn.Module):
    """The input at every ``stride``-th pixel, with channels of zeros after its own (option A).

    Args:
        more: channels to add, 0 or more.
        stride: of the block.
    """

    def __init__(self, more: int, stride: int) -> None:
        super().__init__()
        check(more >= 0, "resnet.widths", f"{-more} channels fewer", "widths that do not fall with 'pad'")
        self.more, self.stride = more, stride

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C + more, ceil(H / stride), ceil(W / stride))."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))


@MODELS.register("resnet")
class ResNet(ImageModel):
    """A stem, then stages of residual blocks; each stage after the first halves the image.

    The networks of the paper's sec. 4.2 are widths (16, 32, 64), depth n, stem stride 1 and shortcut "pad":
    6n + 2 layers.

    Args:
        image_shape: (C, H, W), at least 28x28.
        classes: K.
        widths: channels of each stage.
        depth: residual blocks in each stage.
        stem_stride: stride of the first convolution; 2 makes everything after it four times cheaper.
        shortcut: "project", "pad" or "none", as ``ResidualBlock`` has them; "none" is a plain network.

    Raises:
        InvalidInput: an image under 28x28, no stage, a depth below 1, another shortcut.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        classes: int,
        *,
        widths: Widths = (32, 64, 96),
        depth: Annotated[int, Within(1, 256)] = 1,
        stem_stride: Annotated[int, Within(1, 64)] = 2,
        shortcut: Shortcut = "project",
    ) -> None:
        super().__init__(image_shape, classes)
        check_side(image_shape, 28, "resnet", "Read the images with --size 28, or use --model mlp.")
        check_widths(widths, "resnet.widths")
        check(depth >= 1, "resnet.depth", f"got {depth}", "at least 1 block a stage")
        known = get_args(Shortcut)
        check(shortcut in known, "resnet.shortcut", f"got {shortcut!r}", f"one of {', '.join(known)}")
        self.stem = nn.Conv2d(image_shape[0], widths[0], 3, stem_stride, 1, bias=False)
        self.stem_norm = nn.BatchNorm2d(widths[0])
        blocks = []
        inputs = widths[0]
        for stage, outputs in enumerate(widths):
            for block in range(depth):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(ResidualBlock(inputs, outputs, stride, shortcut=shortcut))
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
