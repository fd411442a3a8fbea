"""Mirror images of a set, and the question if they could be of it: letters say no, photographs yes."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bayesight.data.batches import Examples

__all__ = ["mirror_images_differ"]

MOST = 4000
SIDE = 12
FEWEST = 40
RIDGE = 1.0


def mirror_images_differ(examples: Examples) -> bool:
    """True where a class is told worse from the mirror image than from the image.

    A linear classifier of small copies learns from one half of the images and is judged on the other, as they
    are and mirrored left for right, and the other way about. Where it finds clearly fewer classes in mirror
    images (two standard errors of the paired difference), left and right mean something. With too few images
    to tell it is False.

    Args:
        examples: of two classes at least.
    """
    count = len(examples)
    if count < FEWEST:
        return False
    positions = np.unique(np.linspace(0, count - 1, min(count, MOST)).astype(np.int64))
    images = torch.cat(
        [_small(examples.images(some)) for some in np.array_split(positions, -(-len(positions) // 256))]
    )
    labels = torch.from_numpy(examples.labels[positions]).long()
    classes = int(labels.max()) + 1
    halves = torch.arange(len(labels)) % 2
    differences = torch.cat(
        [_lost(images, labels, classes, halves == half) for half in (0, 1)]
    )  # 1 where only the image was told, -1 where only its mirror image was
    error = differences.std() / len(differences) ** 0.5
    return bool(differences.mean() > 2 * error + 0.01)


def _small(images: Tensor) -> Tensor:
    """(B, C, SIDE, SIDE) float64 of uint8 images, less their own mean."""
    small: Tensor = F.adaptive_avg_pool2d(images.double() / 255, SIDE)
    means: Tensor = small.mean((1, 2, 3), keepdim=True)
    return small - means


def _lost(images: Tensor, labels: Tensor, classes: int, learned: Tensor) -> Tensor:
    """For each image not learned from: told from the image (1 or 0) less told from its mirror image."""
    x, y = images[learned].flatten(1), F.one_hot(labels[learned], classes).double()
    y = y - y.mean(0)
    gram = x.T @ x + RIDGE * torch.eye(x.shape[1], dtype=x.dtype)
    weights = torch.linalg.solve(gram, x.T @ y)
    judged, truth = images[~learned], labels[~learned]
    told, mirrored = ((part.flatten(1) @ weights).argmax(1) == truth for part in (judged, judged.flip(3)))
    lost: Tensor = told.double() - mirrored.double()
    return lost
