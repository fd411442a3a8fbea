"""The generative adversarial network, with convolutions (Radford et al. 2016).

Both losses are cross-entropies of the discriminator's logits, the log-odds that an image is real (Goodfellow
et al. 2014, "Generative Adversarial Nets", eq. 1 and sec. 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bayesight.checks import probability
from bayesight.models.convolutional import ConvolutionalDecoder, ConvolutionalEncoder, check_halvings
from bayesight.models.generative import GENERATORS, GenerativeModel, Measure, Turn
from bayesight.values import BelowOne, Width, Widths, Within


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
        >>> gan = GAN((1, 28, 28), code=16, widths=(16, 8))
        >>> fakes = gan("generate", torch.zeros(2, 16))
        >>> fakes.shape, gan("judge", fakes).shape
        (torch.Size([2, 1, 28, 28]), torch.Size([2]))
    """

    loss = "adversarial"
    measures = (Measure("told_apart", "share told apart"),)

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        code: Width = 64,
        widths: Widths = (128, 64),
        dropout: BelowOne = 0.3,
    ) -> None:
        super().__init__(image_shape, code)
        check_halvings(widths, image_shape, "gan")
        self.generator = ConvolutionalDecoder(image_shape, code, widths=widths)
        self.discriminator = ConvolutionalEncoder(image_shape, 1, widths=widths[::-1], dropout=dropout)
        _initialise(self)

    def turns(self, *, smoothing: Annotated[float, Within(0, 0.5)] = 0.0) -> Mapping[str, Turn]:
        """Two turns: first the discriminator's, then the generator's.

        Args:
            smoothing: share taken from the target of real images, which keeps the discriminator from growing
                too sure of itself (Salimans et al. 2016, sec. 3.4); in [0, 0.5].

        Raises:
            InvalidInput: a smoothing out of range.
        """
        probability(2 * smoothing, "adversarial.smoothing, doubled,")

        def discriminator(model: nn.Module, images: Tensor, noise: Tensor) -> Mapping[str, Tensor]:
            with torch.no_grad():  # the fakes are given: this turn moves the discriminator alone
                fakes = model("generate", noise)
            return {"total": discriminator_loss(model("judge", images), model("judge", fakes), smoothing)}

        def generator(model: nn.Module, images: Tensor, noise: Tensor) -> Mapping[str, Tensor]:
            return {"total": generator_loss(model("judge", model("generate", noise)))}

        return {
            "discriminator": Turn(self.discriminator, discriminator),
            "generator": Turn(self.generator, generator),
        }

    def measure(self, model: nn.Module, images: Tensor, noise: Tensor) -> Mapping[str, Tensor]:
        """``told_apart``: of an image and a made one, the share called rightly; .5 is the generator's aim."""
        real, fake = model("judge", images), model("judge", model("generate", noise))
        return {"told_apart": ((real > 0).double() + (fake <= 0).double()) / 2}

    def divergence_limit(self, images: Tensor) -> float:
        """100 nats, from weights that have run away: never right, or always found out, is some 20."""
        return 100.0

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

    def trace(self, image: Tensor) -> Tensor:
        """Judge a made image, part by part: of two passes through one module, the second is not listed."""
        verdict: Tensor = self.discriminator(self.generator(torch.zeros(1, self.code)).sigmoid())
        return verdict


def discriminator_loss(real: Tensor, fake: Tensor, smoothing: float = 0.0) -> Tensor:
    """-E ln D(real) - E ln(1 - D(fake)), in nats.

    Args:
        real: (B,) logits of real images.
        fake: (B',) logits of made ones, which must not carry a gradient to the generator.
        smoothing: share taken from the target of real images, in [0, 0.5].

    Example:
        >>> undecided = torch.zeros(4)
        >>> round(discriminator_loss(undecided, undecided).item(), 4)  # 2 ln 2
        1.3863
    """
    real, fake = real.float(), fake.float()
    right = (1 - smoothing) * F.softplus(-real) + smoothing * F.softplus(real)
    return right.mean() + F.softplus(fake).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """-E ln D(fake), in nats: the form that does not saturate while the discriminator wins.

    Args:
        fake: (B,) logits of made images.
    """
    return F.softplus(-fake.float()).mean()


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
