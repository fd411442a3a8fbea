"""Networks by name, built from a seed."""

from __future__ import annotations

from typing import Any

from bayesight.checks import check
from bayesight.models.base import ImageModel
from bayesight.models.outline import initialised
from bayesight.registry import Registry

MODELS: Registry[Any] = Registry("model")
"""Classifiers of images."""
TEXT_MODELS: Registry[Any] = Registry("model")
"""Classifiers of texts."""


def build(
    name: str, image_shape: tuple[int, int, int], classes: int, *, seed: int = 0, **options: Any
) -> ImageModel:
    """A freshly initialised network.

    Args:
        name: a registered name; ``MODELS.names()`` and ``TEXT_MODELS.names()`` list them.
        image_shape: (C, H, W) of one image; (symbols, 1, T) of a text.
        classes: number of classes K, at least 1.
        seed: initial weights follow from it; the global generator is left as it was.
        options: the network's own keyword arguments.

    Raises:
        UnknownName: no such network; the message suggests the nearest.
        InvalidConfig: options it does not have.
        InvalidInput: an image too small for the network, no classes, or more numbers than can be held.

    Example:
        >>> import torch
        >>> build("mlp", (1, 28, 28), 10, hidden=(64,))(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """
    where = f"model {name!r}"
    check(classes >= 1, where, f"{classes} classes", "at least one")
    family = TEXT_MODELS if name in TEXT_MODELS else MODELS
    network: ImageModel = initialised(
        lambda: family.build(name, image_shape, classes, **options), where, image_shape, seed
    )
    return network
