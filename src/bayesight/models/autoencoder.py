"""The deep autoencoder.

Source: Hinton, Salakhutdinov 2006, "Reducing the Dimensionality of Data with Neural Networks", *Science* 313.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from bayesight.checks import check
from bayesight.models.base import kaiming_normal
from bayesight.models.generative import GENERATORS, SQUARED_ERROR, GenerativeModel, Turn, squared_error
from bayesight.values import Width, Widths


@GENERATORS.register("autoencoder")
class Autoencoder(GenerativeModel):
    """Fully connected layers down to a short code, and the same widths up again.

    The code is linear, the image comes out of a logistic function. Its codes are free to lie anywhere, so
    ``fit_codes`` fits a Gaussian to those of real images, which ``sample`` draws from.

    Args:
        image_shape: (C, H, W).
        hidden: units of each layer on the way down.
        code: numbers in a code.

    Raises:
        InvalidInput: a width below 1.

    Example:
        >>> model = Autoencoder((1, 28, 28), hidden=(64,), code=8)
        >>> model(torch.zeros(2, 1, 28, 28)).shape, model.encode(torch.zeros(2, 1, 28, 28)).shape
        (torch.Size([2, 1, 28, 28]), torch.Size([2, 8]))
    """

    loss = "squared_error"
    measures = (SQUARED_ERROR,)
    monitor = SQUARED_ERROR
    code_mean: Tensor
    code_root: Tensor

    def __init__(
        self, image_shape: tuple[int, int, int], *, hidden: Widths = (512, 256), code: Width = 30
    ) -> None:
        super().__init__(image_shape, code)
        came = f"got {list(hidden)}"
        check(all(width > 0 for width in hidden), "autoencoder.hidden", came, "widths of 1 or more")
        widths = [math.prod(image_shape), *hidden, code]
        self.encoder = _perceptron(widths)
        self.decoder = _perceptron(widths[::-1])
        kaiming_normal(self)
        self.register_buffer("code_mean", torch.zeros(code))
        self.register_buffer("code_root", torch.eye(code))

    def turns(self) -> Mapping[str, Turn]:
        """One turn of the squared error an image; everything learns together."""

        def terms(model: nn.Module, images: Tensor, noise: Tensor) -> Mapping[str, Tensor]:
            return {"total": squared_error(images, model(images)).mean()}

        return {"autoencoder": Turn(self, terms)}

    def measure(self, model: nn.Module, images: Tensor, noise: Tensor) -> Mapping[str, Tensor]:
        """``squared_error`` of what the codes bring back."""
        return {"squared_error": squared_error(images, model(images))}

    def divergence_limit(self, images: Tensor) -> float:
        """Twice the squared error of answering with the mean image, and 1 more."""
        mean = images.mean(dim=0).clamp(1e-3, 1 - 1e-3)
        return 2 * float((images - mean).square().sum(dim=1).mean()) + 1

    def encode(self, images: Tensor) -> Tensor:
        """Codes (B, D) of images (B, C, H, W) in [0, 1]."""
        codes: Tensor = self.encoder(images.flatten(1))
        return codes

    def decode(self, codes: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] of codes (B, D)."""
        pixels: Tensor = self.decoder(codes).sigmoid().unflatten(1, self.image_shape)
        return pixels

    def forward(self, images: Tensor) -> Tensor:
        """Images as their codes bring them back."""
        return self.decode(self.encode(images))

    def place(self, noise: Tensor) -> Tensor:
        """Codes from the Gaussian of ``fit_codes``; before that, the noise itself."""
        return self.code_mean + noise @ self.code_root.T

    @torch.no_grad()
    def fit_codes(self, images: Iterable[Tensor]) -> None:
        """Fit a Gaussian to the codes of real images, for ``place``.

        Args:
            images: batches (B, C, H, W) in [0, 1].

        Raises:
            InvalidInput: fewer than two images.
        """
        codes = torch.cat([self.encode(part).double() for part in images])
        check(len(codes) >= 2, "fit_codes", f"got {len(codes)} images", "at least 2")
        values, vectors = torch.linalg.eigh(torch.cov(codes.T).reshape(self.code, self.code))
        self.code_mean.copy_(codes.mean(0))
        self.code_root.copy_(vectors * values.clamp_min(0).sqrt())


def _perceptron(widths: Sequence[int]) -> nn.Sequential:
    """Linear layers with rectifiers between them; the last is linear."""
    layers: list[nn.Module] = []
    for number, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        layers += [nn.Linear(inputs, outputs)] if number == 0 else [nn.ReLU(), nn.Linear(inputs, outputs)]
    return nn.Sequential(*layers)
