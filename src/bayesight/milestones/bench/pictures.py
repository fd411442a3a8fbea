"""Images as trials take them and show them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from bayesight.data.batches import Examples
from bayesight.types import ImageArray, IntArray

__all__ = ["page_of", "pixels_of", "spread"]


def pixels_of(examples: Examples, rows: IntArray | None = None) -> Tensor:
    """Images (N, C, H, W) in [0, 1]: all of them, or those at ``rows``."""
    return examples.images(np.arange(len(examples)) if rows is None else rows).float().div_(255)


def spread(count: int, shown: int) -> IntArray:
    """So many of ``count`` rows, spread over all of them.

    Example:
        >>> spread(100, 4).tolist()
        [0, 33, 66, 99]
    """
    return np.linspace(0, count - 1, shown).astype(np.int64)


def page_of(rows: Iterable[Tensor]) -> ImageArray:
    """Grey images side by side, one row below the other.

    Args:
        rows: (N, C, H, W) in [0, 1] each, as many images in every row; the first channel is shown.

    Example:
        >>> page_of([torch.zeros(3, 1, 4, 5), torch.ones(3, 1, 4, 5)]).shape
        (8, 15)
    """
    page = torch.cat([torch.cat(list(row[:, 0]), dim=1) for row in rows])
    pixels: ImageArray = page.clamp(0, 1).mul(255).round().to(torch.uint8).numpy()
    return pixels
