"""The model of a run for which nobody has named one: by what its images are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bayesight.errors import InvalidConfig
from bayesight.train.recipe import Recipe

__all__ = ["NAMED", "choose_recipe", "common_recipe"]

NAMED = "as named"
"""Why a model was taken that was named, or stated in a recipe."""
SMALL = 32
"""Pixels of a side up to which grey images are letters and digits, say, that a perceptron reads well."""
LEAST = 28
"""Pixels of a side from which on a residual network can take images."""


def common_recipe(changes: Mapping[str, Any]) -> Recipe:
    """The part of a recipe that is the same for every model: how images are read, the seed, the precision.

    Raises:
        InvalidConfig: values that no model could take.
    """
    shared = {path: value for path, value in changes.items() if path.partition(".")[0] in ("data", "seed")}
    precision = {path: value for path, value in changes.items() if path == "optimization.precision"}
    return Recipe.default("mlp").changed(shared | precision)


def choose_recipe(shape: Sequence[int], mode: str, changes: Mapping[str, Any]) -> tuple[Recipe, str]:
    """The packaged recipe that suits images, with changes, and why its model was taken.

    Grey images of up to 32 pixels a side get the perceptron, which trains in seconds; colour and larger
    images a residual network, which sees what lies near what. Where the changes are options that only the
    other of the two has, it is the other.

    Args:
        shape: (H, W) or (H, W, 3) of the images.
        mode: "L" or "RGB".
        changes: values by dotted path.

    Raises:
        InvalidConfig: values that neither can take; said of the one that suits the images.

    Example:
        >>> choose_recipe((28, 28), "L", {})[1]
        'chosen for grey images of 28x28; --model takes another'
        >>> choose_recipe((32, 32, 3), "RGB", {})[0].model.name
        'resnet'
    """
    height, width = shape[:2]
    simple = (mode == "L" and max(height, width) <= SMALL) or min(height, width) < LEAST
    first, second = ("mlp", "resnet") if simple else ("resnet", "mlp")
    images = f"{'grey' if mode == 'L' else 'colour'} images of {width}x{height}"
    try:
        return Recipe.default(first).changed(changes), f"chosen for {images}; --model takes another"
    except InvalidConfig as problem:
        if not any(path.startswith("model.") for path in changes):
            raise
        try:
            return Recipe.default(second).changed(
                changes
            ), "chosen for the options stated; --model takes another"
        except InvalidConfig:
            raise problem from None
