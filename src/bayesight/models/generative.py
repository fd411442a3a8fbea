"""Models that make images: what they have in common, and their registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bayesight.checks import check
from bayesight.models.outline import outline
from bayesight.registry import Registry
from bayesight.seeding import derive

__all__ = ["GENERATORS", "GenerativeModel", "build_generator"]

GENERATORS: Registry[Any] = Registry("generative model")


class GenerativeModel(nn.Module):
    """A network that turns codes into images.

    Subclasses say which of their networks an optimizer's turn moves (``parts``), how a code becomes an image
    (``decode``), and which loss they are made for.

    Args:
        image_shape: (C, H, W) of one image.
        code: numbers in a code, D.

    Raises:
        InvalidInput: a code without numbers.
    """

    loss: ClassVar[str]
    """Registered name of the loss it is trained with."""

    def __init__(self, image_shape: tuple[int, int, int], code: int) -> None:
        super().__init__()
        check(code >= 1, f"{type(self).__name__}.code", f"got {code}", "at least 1")
        self.image_shape = image_shape
        self.code = code

    def parts(self) -> Mapping[str, nn.Module]:
        """The networks that learn in turns, by the name of their turn, in order."""
        raise NotImplementedError

    def decode(self, codes: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] of codes (B, D)."""
        raise NotImplementedError

    def place(self, noise: Tensor) -> Tensor:
        """Codes (B, D) spread as those of real images are, from standard normal noise (B, D)."""
        return noise

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator, *, batch: int = 256) -> Tensor:
        """Made images (count, C, H, W) float32 in [0, 1], on the CPU; put it into evaluation mode first.

        Args:
            count: how many.
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
    factory = GENERATORS.checked(name, options)
    outline(lambda: factory(image_shape, **options), f"model {name!r}", image_shape)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(seed, "initial weights"))
        model: GenerativeModel = factory(image_shape, **options)
    return model
