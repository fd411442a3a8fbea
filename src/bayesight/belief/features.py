"""Evidence features of images by a trained network, the same bits however the images are batched.

Products of different shapes are added up in different order, so that an image's last bits would depend on its
neighbours, and what one batch put into a belief another could not take out again. Images are therefore read
in blocks of one fixed shape, the last one filled up with black, or with texts of padding alone.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from bayesight.data.dataset import as_input
from bayesight.models.base import ImageModel

Precision: TypeAlias = Literal["32", "bf16"]
"""How products are computed: in fp32, or from factors rounded to bf16 and added up in fp32."""

_BLOCK_PIXELS = 64 * 32 * 32
_BLOCK_IMAGES = 16
"""A single image costs as much as a block, and convolutions over more images at once are no faster."""


def reader_of(network: ImageModel, precision: Precision) -> ImageModel:
    """The network as features are read with it, in evaluation mode; the network itself stays as it is.

    Args:
        network: trained, fp32.
        precision: of its products; normalisation and pooling stay fp32.
    """
    reader = copy.deepcopy(network).eval()
    if precision == "bf16":
        for layer in reader.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.to(torch.bfloat16)
    return reader


@torch.no_grad()
def features_of(reader: ImageModel, batches: Iterable[tuple[Tensor, object]]) -> Tensor:
    """Evidence features of every image.

    Args:
        reader: from ``reader_of``.
        batches: (uint8 images (B, C, H, W) or texts (B, T), anything) pairs, of ``Examples.in_order``.

    Returns:
        (N, D) float32 on the CPU.
    """
    weight = reader.head.weight
    parts = []
    for images, _ in batches:
        size = max(1, min(_BLOCK_IMAGES, _BLOCK_PIXELS // math.prod(reader.working_size)))
        for block in images.split(size):
            x = as_input(_filled(block, size).to(weight.device))
            x = x.to(weight.dtype) if x.is_floating_point() else x
            parts.append(reader.evidence_features(x)[: len(block)].float().cpu())
    return torch.cat(parts)


def _filled(images: Tensor, size: int) -> Tensor:
    """The images and as many black ones as make ``size``."""
    missing = size - len(images)
    return images if missing == 0 else torch.cat([images, images.new_zeros(missing, *images.shape[1:])])
