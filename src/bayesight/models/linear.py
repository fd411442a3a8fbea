"""Softmax regression: one linear layer on standardised pixels."""

from __future__ import annotations

import math

from torch import Tensor, nn

from bayesight.models.base import ImageModel, kaiming_normal
from bayesight.models.registry import MODELS

__all__ = ["LinearModel"]


@MODELS.register("linear")
class LinearModel(ImageModel):
    """Softmax regression; with two classes this is logistic regression.

    Args:
        image_shape: (C, H, W).
        classes: K.
    """

    def __init__(self, image_shape: tuple[int, int, int], classes: int) -> None:
        super().__init__(image_shape, classes)
        self.head = nn.Linear(math.prod(image_shape), classes)
        kaiming_normal(self)

    def stages(self, x: Tensor) -> list[Tensor]:
        """The standardised pixels themselves: [(B, C·H·W)]."""
        return [self.standardise(x).flatten(1)]

    def evidence_features(self, x: Tensor) -> Tensor:
        """The logits, ``folded``: a density over every pixel would need more images than there are."""
        return self.centred_logits(x) if self.answers_alone else self.folded(self.forward(x))
