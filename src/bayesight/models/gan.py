"""The generative adversarial network (Goodfellow et al. 2014), with convolutions (Radford et al. 2016)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import Tensor, nn

from bayesight.models.convolutional import ConvolutionalDecoder, ConvolutionalEncoder, check_widths
from bayesight.models.generative import GENERATORS, GenerativeModel
from bayesight.values import BelowOne, Width, Widths

__all__ = ["GAN"]


@GENERATORS.register("gan")
class GAN(GenerativeModel):
    """Two networks in one module: ``forward`` is told which of them to run.

    Args:
        image_shape: (C, H, W).
        code: numbers of noise an image is made of.
        widths: channels of the generator's maps, smallest map first; the discriminator has them in reverse.
        dropout: in the discriminator, while training.

    Raises:
        InvalidInput: an image too small for its widths, a dropout outside [0, 1].

    Example:
        >>> import torch
        >>> gan = GAN((1, 28, 28), code=16, widths=(16, 8))
        >>> fakes = gan("generate", torch.zeros(2, 16))
        >>> fakes.shape, gan("judge", fakes).shape
        (torch.Size([2, 1, 28, 28]), torch.Size([2]))
    """

    loss = "adversarial"

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        code: Width = 64,
        widths: Widths = (128, 64),
        dropout: BelowOne = 0.3,
    ) -> None:
        super().__init__(image_shape, code)
        check_widths(widths, image_shape, "gan")
        self.generator = ConvolutionalDecoder(image_shape, code, widths=widths)
        self.discriminator = ConvolutionalEncoder(image_shape, 1, widths=widths[::-1], dropout=dropout)
        _initialise(self)

    def parts(self) -> Mapping[str, nn.Module]:
        """Two turns: first the discriminator's, then the generator's."""
        return {"discriminator": self.discriminator, "generator": self.generator}

    def forward(self, which: Literal["generate", "judge"], x: Tensor) -> Tensor:
        """``"generate"``: images (B, C, H, W) of codes (B, D). ``"judge"``: logits (B,) of images."""
        if which == "generate":
            return self.decode(x)
        verdict: Tensor = self.discriminator(x)
        return verdict[:, 0]

    def decode(self, codes: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] of codes (B, D)."""
        logits: Tensor = self.generator(codes)
        return logits.sigmoid()


def _initialise(module: nn.Module) -> None:
    """Weights from N(0, 0.02), as Radford et al. 2016, sec. 3."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
            nn.init.zeros_(layer.bias)
