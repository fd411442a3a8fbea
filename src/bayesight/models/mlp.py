"""Networks on all pixels at once: softmax regression, and the multilayer perceptron."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor, nn

from bayesight.checks import probability
from bayesight.models.base import ImageModel, check_widths, kaiming_normal
from bayesight.models.registry import MODELS
from bayesight.values import BelowOne, Each, Within


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


class FeatureMajorLinear(nn.Linear):
    """``nn.Linear`` whose result lies in memory one feature after the other.

    The numbers are the same. The product that makes the weight gradient then reads both its matrices the way
    the multiplier wants them; with rows of images it is the slowest part of training.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs) to (B, outputs)."""
        return torch.addmm(self.bias[:, None], self.weight, x.T).T


@MODELS.register("mlp")
class MLP(ImageModel):
    """Hidden layers of rectified units, Kaiming-normal initialised.

    Args:
        image_shape: (C, H, W).
        classes: K.
        hidden: units of each hidden layer.
        dropout: share of units silenced after each hidden layer while training.

    Raises:
        InvalidInput: no hidden layer, a width below 1, a dropout outside [0, 1].
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        classes: int,
        *,
        hidden: Annotated[Sequence[int], Each(Within(1, 65_536), 0, 32)] = (512, 512),
        dropout: BelowOne = 0.0,
    ) -> None:
        super().__init__(image_shape, classes)
        mend = "A network without hidden layers is called 'linear'."
        check_widths(hidden, "mlp.hidden", mend)
        probability(dropout, "mlp.dropout")
        widths = [math.prod(image_shape), *hidden]
        self.layers = nn.ModuleList(FeatureMajorLinear(a, b) for a, b in itertools.pairwise(widths))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(widths[-1], classes)
        kaiming_normal(self)

    def stages(self, x: Tensor) -> list[Tensor]:
        """Activations of each hidden layer: [(B, hidden_i), ...]."""
        x = self.standardise(x).flatten(1)
        activations = []
        for layer in self.layers:
            x = self.dropout(layer(x).relu())
            activations.append(x)
        return activations
