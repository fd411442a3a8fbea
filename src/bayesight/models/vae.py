"""The variational autoencoder (Kingma, Welling 2014, "Auto-Encoding Variational Bayes")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bayesight.checks import check
from bayesight.models.convolutional import ConvolutionalDecoder, ConvolutionalEncoder, check_halvings
from bayesight.models.generative import (
    GENERATORS,
    SQUARED_ERROR,
    GenerativeModel,
    Measure,
    Turn,
    squared_error,
)
from bayesight.values import Width, Widths, Within

BOUND = Measure("bound", "negative evidence bound", "nats")


@GENERATORS.register("vae")
class VAE(GenerativeModel):
    """An encoder that gives a Gaussian over codes, and a decoder like the GAN's generator.

    Args:
        image_shape: (C, H, W).
        code: numbers in a code.
        widths: channels of the decoder's maps, smallest map first; the encoder has them in reverse.

    Raises:
        InvalidInput: an image too small for its widths.

    Example:
        >>> vae = VAE((1, 28, 28), code=16, widths=(16, 8))
        >>> [x.shape[1:] for x in vae(torch.zeros(2, 1, 28, 28), torch.zeros(2, 16))]
        [torch.Size([1, 28, 28]), torch.Size([16]), torch.Size([16])]
    """

    loss = "evidence_bound"
    measures = (SQUARED_ERROR, BOUND)
    monitor = BOUND

    def __init__(
        self, image_shape: tuple[int, int, int], *, code: Width = 64, widths: Widths = (128, 64)
    ) -> None:
        super().__init__(image_shape, code)
        check_halvings(widths, image_shape, "vae")
        self.encoder = ConvolutionalEncoder(image_shape, 2 * code, widths=widths[::-1], norm=True)
        self.decoder = ConvolutionalDecoder(image_shape, code, widths=widths)

    def turns(self, *, kl_weight: Annotated[float, Within(0, 1e6)] = 1.0) -> Mapping[str, Turn]:
        """One turn of the negative evidence bound; everything learns together.

        Args:
            kl_weight: of the distance of the codes from the standard normal; 1 is the bound itself.

        Raises:
            InvalidInput: a negative weight.
        """
        check(kl_weight >= 0, "evidence_bound.kl_weight", f"got {kl_weight:g}", "0 or more")

        def terms(model: nn.Module, images: Tensor, noise: Tensor) -> Mapping[str, Tensor]:
            return evidence_bound(images, *model(images, noise), kl_weight=kl_weight)

        return {"vae": Turn(self, terms)}

    def measure(self, model: nn.Module, images: Tensor, noise: Tensor) -> Mapping[str, Tensor]:
        """``bound``, of the batch as a whole, and the ``squared_error`` of what the codes bring back."""
        logits, mean, log_variance = model(images, noise)
        bound = evidence_bound(images, logits, mean, log_variance)["total"].expand(len(images))
        return {"bound": bound, "squared_error": squared_error(images, logits.float().sigmoid())}

    def divergence_limit(self, images: Tensor) -> float:
        """Five times the nats of answering with the mean image, and 100 more."""
        mean = images.mean(dim=0).clamp(1e-3, 1 - 1e-3)
        entropy = -(mean * mean.log() + (1 - mean) * torch.log1p(-mean)).sum()
        return 5 * float(entropy) + 100

    def encode(self, images: Tensor) -> Tensor:
        """The most probable codes (B, D) of images (B, C, H, W) in [0, 1]."""
        mean, _ = self._belief(images)
        return mean

    def decode(self, codes: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] of codes (B, D)."""
        logits: Tensor = self.decoder(codes)
        return logits.sigmoid()

    def forward(self, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-odds of ink (B, C, H, W), mean and log-variance of the codes (B, D).

        Args:
            images: (B, C, H, W) in [0, 1].
            noise: (B, D) standard normal: the code is mean + deviation * noise (eq. 4 of the paper).
        """
        mean, log_variance = self._belief(images)
        codes = mean + (0.5 * log_variance).exp() * noise
        return self.decoder(codes), mean, log_variance

    def trace(self, image: Tensor) -> Tensor:
        """Encode one image, and decode its most probable code."""
        logits: Tensor = self(image, torch.zeros(1, self.code))[0]
        return logits

    def _belief(self, images: Tensor) -> tuple[Tensor, Tensor]:
        both: Tensor = self.encoder(images)
        mean, log_variance = both.chunk(2, dim=1)
        return mean, log_variance.clamp(-12, 12)  # a deviation between 0.0025 and 400, so exp never overflows


def evidence_bound(
    images: Tensor, logits: Tensor, mean: Tensor, log_variance: Tensor, *, kl_weight: float = 1.0
) -> dict[str, Tensor]:
    """The negative evidence lower bound, in nats an image: ``reconstruction`` and ``kl``, and ``total``.

    Pixels in [0, 1] count as probabilities of ink: the first term is their cross-entropy (Kingma, Welling
    2014, eq. 10).

    Args:
        images: (B, C, H, W) in [0, 1].
        logits: the same shape, log-odds of ink.
        mean: (B, D) of the codes.
        log_variance: (B, D).
        kl_weight: of ``kl`` in ``total``.
    """
    ink = F.binary_cross_entropy_with_logits(logits.float(), images.float(), reduction="none")
    reconstruction = ink.flatten(1).sum(1).mean()
    kl = kl_to_standard_normal(mean, log_variance).mean()
    return {"total": reconstruction + kl_weight * kl, "reconstruction": reconstruction, "kl": kl}


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, 1)) of each row, summed over its numbers: (B,), nats.

    Kingma and Welling 2014, "Auto-Encoding Variational Bayes", appendix B.

    Example:
        >>> kl_to_standard_normal(torch.ones(1, 2), torch.zeros(1, 2))
        tensor([1.])
    """
    mean, log_variance = mean.float(), log_variance.float()
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
