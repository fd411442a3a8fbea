"""Losses of models that make images, by name; those of classifiers are in ``classification.LOSSES``."""

from __future__ import annotations

from typing import Any

from bayesight.registry import Registry

__all__ = ["GENERATIVE_LOSSES", "build_generative_loss"]

GENERATIVE_LOSSES: Registry[Any] = Registry("loss")


def build_generative_loss(name: str, **options: Any) -> Any:
    """A generative model's loss by name.

    Raises:
        UnknownName: no such loss.
        InvalidConfig: options it does not have.

    Example:
        >>> build_generative_loss("adversarial", smoothing=0.1).smoothing
        0.1
    """
    return GENERATIVE_LOSSES.checked(name, options)(**options)
