"""Images as PNG data URIs, so that a page carries its pictures with it."""

from __future__ import annotations

import base64

import numpy as np
from PIL import Image

from bayesight.checks import check
from bayesight.data.encode import png_of
from bayesight.types import ImageArray

__all__ = ["data_uri"]

LARGEST = 160
"""Longest side of a picture on a page, in its own pixels; larger ones are scaled down."""


def data_uri(image: ImageArray, largest: int = LARGEST) -> str:
    """The image as a ``data:`` URI of a PNG, pixel for pixel unless it is larger than ``largest``.

    Args:
        image: uint8, (H, W) grey or (H, W, 3) RGB.
        largest: longest side in pixels.

    Raises:
        InvalidInput: another type or shape.

    Example:
        >>> data_uri(np.zeros((2, 3), np.uint8))[:22]
        'data:image/png;base64,'
    """
    pixels = np.asarray(image)
    shaped = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
    came = f"{pixels.dtype} of shape {pixels.shape}"
    check(
        pixels.dtype == np.uint8 and shaped and pixels.size > 0,
        "data_uri",
        came,
        "uint8, (H, W) or (H, W, 3)",
    )
    drawn = Image.fromarray(np.ascontiguousarray(pixels))
    if max(drawn.size) > largest:
        drawn.thumbnail((largest, largest), Image.Resampling.LANCZOS)
    return "data:image/png;base64," + base64.b64encode(png_of(drawn, small=True)).decode("ascii")
