"""The variational autoencoder (Kingma, Welling 2014, "Auto-Encoding Variational Bayes")."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from bayesight.models.convolutional import ConvolutionalDecoder, ConvolutionalEncoder, check_widths
from bayesight.models.generative import GENERATORS, GenerativeModel
from bayesight.values import Width, Widths

__all__ = ["VAE"]


@GENERATORS.register("vae")
class VAE(GenerativeModel):
    """An encoder that answers with a Gaussian over codes, and a decoder like the GAN's generator.

    Args:
        image_shape: (C, H, W).
        code: numbers in a code.
        widths: channels of the decoder's maps, smallest map first; the encoder has them in reverse.

    Raises:
        InvalidInput: an image too small for its widths.

    Example:
        >>> import torch
        >>> vae = VAE((1, 28, 28), code=16, widths=(16, 8))
        >>> [x.shape[1:] for x in vae(torch.zeros(2, 1, 28, 28), torch.zeros(2, 16))]
        [torch.Size([1, 28, 28]), torch.Size([16]), torch.Size([16])]
    """

    loss = "evidence_bound"

    def __init__(
        self, image_shape: tuple[int, int, int], *, code: Width = 64, widths: Widths = (128, 64)
    ) -> None:
        super().__init__(image_shape, code)
        check_widths(widths, image_shape, "vae")
        self.encoder = ConvolutionalEncoder(image_shape, 2 * code, widths=widths[::-1], norm=True)
        self.decoder = ConvolutionalDecoder(image_shape, code, widths=widths)

    def parts(self) -> Mapping[str, nn.Module]:
        """One turn: everything learns together."""
        return {"vae": self}

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

    def _belief(self, images: Tensor) -> tuple[Tensor, Tensor]:
        both: Tensor = self.encoder(images)
        mean, log_variance = both.chunk(2, dim=1)
        return mean, log_variance.clamp(-12, 12)  # a deviation between 0.0025 and 400, so exp never overflows
