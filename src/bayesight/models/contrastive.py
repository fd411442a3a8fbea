"""An image network with a projection on top, for contrastive pretraining (Chen et al. 2020, sec. 2.1)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from bayesight.checks import check
from bayesight.models.base import ImageModel
from bayesight.models.outline import initial_weights


class ProjectionHead(nn.Module):
    """Features of a network, through one hidden layer, into the space where likeness is measured.

    What the loss makes the projection throw away, the features below it may keep: the projection is dropped
    after pretraining.

    Args:
        network: its features are to be learned; it is part of this module and shares its weights.
        size: numbers in an embedding.
        seed: the projection's initial weights follow from it.

    Raises:
        InvalidInput: an embedding without numbers.

    Example:
        >>> import torch
        >>> from bayesight.models import build
        >>> ProjectionHead(build("mlp", (1, 28, 28), 10), size=16)(torch.rand(4, 1, 28, 28)).shape
        torch.Size([4, 16])
    """

    def __init__(self, network: ImageModel, *, size: int = 64, seed: int = 0) -> None:
        super().__init__()
        check(size >= 1, "projection", f"got {size}", "at least 1")
        self.network = network
        with initial_weights(seed, "projection"):
            self.hidden = nn.Linear(network.feature_size, network.feature_size)
            self.out = nn.Linear(network.feature_size, size)

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (B, size) of images (B, C, H, W) in [0, 1]; their lengths mean nothing."""
        embeddings: Tensor = self.out(F.relu(self.hidden(self.network.features(images))))
        return embeddings
