"""Convolutional networks that halve an image step by step, and that double it: shared by GAN and VAE."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from bayesight.checks import probability
from bayesight.models.base import check_side, check_widths


class ConvolutionalEncoder(nn.Module):
    """Images to numbers: convolutions of stride 2 with leaky rectifiers, then one linear layer.

    Radford, Metz, Chintala 2016, "Unsupervised Representation Learning with Deep Convolutional Generative
    Adversarial Networks", sec. 3.

    Args:
        image_shape: (C, H, W).
        outputs: numbers that come out.
        widths: channels after each halving.
        dropout: share of whole channels silenced after each convolution while training.
        norm: batch normalisation after all but the first convolution.

    Shape:
        (B, C, H, W) in [0, 1] to (B, outputs).
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        outputs: int,
        *,
        widths: Sequence[int],
        dropout: float = 0.0,
        norm: bool = False,
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        probability(dropout, "dropout")
        layers: list[nn.Module] = []
        for number, wide in enumerate(widths):
            layers.append(nn.Conv2d(channels, wide, 4, 2, 1))
            if norm and number > 0:
                layers.append(nn.BatchNorm2d(wide))
            layers += [nn.LeakyReLU(0.2), nn.Dropout2d(dropout)]
            channels, height, width = wide, height // 2, width // 2
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(channels * height * width, outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Numbers (B, outputs) of images in [0, 1]."""
        answer: Tensor = self.head(self.layers(images * 2 - 1).flatten(1))
        return answer


class ConvolutionalDecoder(nn.Module):
    """Codes to images: one linear layer onto a small map, then transposed convolutions of stride 2.

    Args:
        image_shape: (C, H, W); what comes out is cut to it from the middle.
        code: numbers in a code.
        widths: channels of the small map, then after each doubling but the last.

    Shape:
        (B, code) to logits of pixels (B, C, H, W).
    """

    def __init__(self, image_shape: tuple[int, int, int], code: int, *, widths: Sequence[int]) -> None:
        super().__init__()
        channels, height, width = image_shape
        factor = 2 ** len(widths)
        self.small = (widths[0], math.ceil(height / factor), math.ceil(width / factor))
        self.size = (height, width)
        self.start = nn.Sequential(nn.Linear(code, math.prod(self.small)), nn.Unflatten(1, self.small))
        layers: list[nn.Module] = [nn.BatchNorm2d(widths[0]), nn.ReLU()]
        for inputs, outputs in zip(widths, [*widths[1:], channels], strict=True):
            layers.append(nn.ConvTranspose2d(inputs, outputs, 4, 2, 1))
            layers += [nn.BatchNorm2d(outputs), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-2])

    def forward(self, codes: Tensor) -> Tensor:
        """Log-odds of ink, pixel by pixel."""
        logits: Tensor = self.layers(self.start(codes))
        top, left = ((have - want) // 2 for have, want in zip(logits.shape[2:], self.size, strict=True))
        return logits[:, :, top : top + self.size[0], left : left + self.size[1]]


def check_halvings(widths: Sequence[int], image_shape: tuple[int, int, int], where: str) -> None:
    """Refuse widths below 1, and more halvings than the image has pixels for.

    Raises:
        InvalidInput: so that the nearest valid choice is clear.
    """
    check_widths(widths, f"{where}.widths")
    mend = "Read larger images with --size, or give fewer widths."
    check_side(image_shape, 2 ** len(widths), where, mend)
