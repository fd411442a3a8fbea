"""Models that make images: their common base and their registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bayesight.checks import check
from bayesight.models.outline import initialised
from bayesight.registry import Registry, require_options

GENERATORS: Registry[Any] = Registry("generative model")


@dataclass(frozen=True)
class Turn:
    """One optimizer's share of a training step, and its loss.

    Args:
        part: the network whose parameters move.
        terms: (model, images, noise) to scalar loss terms by name, of which ``"total"`` is differentiated.
            The model is the whole one, as it was wrapped for device and precision; images are (B, C, H, W)
            in [0, 1], noise (B, D) is standard normal.
    """

    part: nn.Module
    terms: Callable[[nn.Module, Tensor, Tensor], Mapping[str, Tensor]]

    def __call__(self, model: nn.Module, batch: tuple[Tensor, ...]) -> Mapping[str, Tensor]:
        """The loss terms of a batch of images and noise."""
        return self.terms(model, *batch)


@dataclass(frozen=True)
class Measure:
    """A figure that judges a model by images held out.

    Args:
        name: as ``measure``, the history and the metrics call it.
        words: the same for a reader.
        unit: of its numbers; may be empty.
    """

    name: str
    words: str
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.words} ({self.unit})" if self.unit else self.words


SQUARED_ERROR = Measure("squared_error", "squared error", "sum over an image")


class GenerativeModel(nn.Module):
    """A network that turns codes into images, with the loss it learns by and the figures that judge it.

    A subclass says how a code becomes an image (``decode``), how a step of training goes (``turns``), and how
    well images held out are met (``measure``).

    Args:
        image_shape: (C, H, W) of one image.
        code: numbers in a code, D.

    Raises:
        InvalidInput: a code without numbers.
    """

    loss: ClassVar[str]
    """Name of its loss in a recipe; the keyword-only arguments of ``turns`` are the loss's options."""

    measures: ClassVar[tuple[Measure, ...]]
    """The figures that ``measure`` finds."""

    monitor: ClassVar[Measure | None] = None
    """The one that chooses the weights, the lower the better; None keeps the last weights."""

    def __init__(self, image_shape: tuple[int, int, int], code: int) -> None:
        super().__init__()
        check(code >= 1, f"{type(self).__name__}.code", f"got {code}", "at least 1")
        self.image_shape = image_shape
        self.code = code

    def turns(self) -> Mapping[str, Turn]:
        """The turns of a training step, by name and in order; every parameter belongs to one of them."""
        raise NotImplementedError

    def decode(self, codes: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] of codes (B, D)."""
        raise NotImplementedError

    def measure(self, model: nn.Module, images: Tensor, noise: Tensor) -> Mapping[str, Tensor]:
        """The ``measures`` of each image, (B,); in evaluation mode.

        Args:
            model: this model, as it was wrapped for device and precision.
            images: (B, C, H, W) in [0, 1], not trained on.
            noise: (B, D) standard normal.
        """
        raise NotImplementedError

    def divergence_limit(self, images: Tensor) -> float:
        """A turn's total beyond which training has diverged, though it is finite.

        Args:
            images: (N, pixels) float64 in [0, 1], trained on.
        """
        raise NotImplementedError

    def encode(self, images: Tensor) -> Tensor | None:
        """Codes (B, D) of images (B, C, H, W) in [0, 1]; None where nothing encodes images."""
        return None

    def fit_codes(self, images: Iterable[Tensor]) -> None:
        """Learn after training where the codes of real images lie; codes that are standard normal need not.

        Args:
            images: batches (B, C, H, W) in [0, 1].
        """

    def place(self, noise: Tensor) -> Tensor:
        """Codes (B, D) spread as those of real images are, from standard normal noise (B, D)."""
        return noise

    def trace(self, image: Tensor) -> Tensor:
        """Run every part once, beginning with one image (1, C, H, W); for a table of the layers."""
        made: Tensor = self(image)
        return made

    def learn_by(self, loss: str, **options: Any) -> Mapping[str, Turn]:
        """``turns`` for a loss and its options, as a recipe names them.

        Raises:
            InvalidInput: another model's loss.
            InvalidConfig: options it does not have.
        """
        check(loss == self.loss, type(self).__name__, f"loss {loss!r}", repr(self.loss))
        require_options(type(self).turns, options, f"loss {loss!r}")
        return self.turns(**options)

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator, *, batch: int = 256) -> Tensor:
        """Made images (count, C, H, W) float32 in [0, 1], on the CPU; put it into evaluation mode first.

        Args:
            count: number of images.
            generator: on the CPU; what is made follows from it.
            batch: images at a time.
        """
        device = next(self.parameters()).device
        noise = torch.randn(count, self.code, generator=generator)
        made = [self.decode(self.place(part.to(device))).float().cpu() for part in noise.split(batch)]
        return torch.cat(made) if made else torch.zeros(0, *self.image_shape)


def build_generator(
    name: str, image_shape: tuple[int, int, int], *, seed: int = 0, **options: Any
) -> GenerativeModel:
    """A freshly initialised generative model.

    Args:
        name: a registered name, ``GENERATORS.names()`` lists them.
        image_shape: (C, H, W) of one image.
        seed: initial weights follow from it; the global generator is left as it was.
        options: the model's own keyword arguments.

    Raises:
        UnknownName: no such model; the message suggests the nearest.
        InvalidConfig: options it does not have.
        InvalidInput: an option or an image it cannot take, or more numbers than can be held.

    Example:
        >>> model = build_generator("autoencoder", (1, 28, 28), hidden=(64,), code=8)
        >>> model.sample(3, torch.Generator().manual_seed(0)).shape
        torch.Size([3, 1, 28, 28])
    """
    model: GenerativeModel = initialised(
        lambda: GENERATORS.build(name, image_shape, **options), f"model {name!r}", image_shape, seed
    )
    return model


def squared_error(images: Tensor, reconstruction: Tensor) -> Tensor:
    """The squared error of each image, summed over its pixels: (B,).

    Args:
        images: (B, ...) in [0, 1].
        reconstruction: the same shape.

    Raises:
        InvalidInput: shapes that differ.

    Example:
        >>> squared_error(torch.ones(2, 1, 3, 3), torch.zeros(2, 1, 3, 3))
        tensor([9., 9.])
    """
    came = f"got shapes {tuple(images.shape)} and {tuple(reconstruction.shape)}"
    check(images.shape == reconstruction.shape, "squared_error", came, "the same shape")
    return (images.float() - reconstruction.float()).square().flatten(1).sum(1)
