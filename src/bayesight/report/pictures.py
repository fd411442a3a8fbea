"""Images as PNG data URIs, so that a page carries its pictures with it."""

from __future__ import annotations

import base64
import functools
import logging
import re

import numpy as np
from PIL import Image, ImageFont

from bayesight.checks import check
from bayesight.data.codecs import png_of
from bayesight.types import ImageArray

log = logging.getLogger(__name__)

_HANGUL = re.compile(r"[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]")
_KOREAN = re.compile(
    r"nanum|(noto|source).*(cjk|kr)|malgun|applesdgothic|applegothic|batang|dotum|gulim", re.I
)

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


def font_for(text: str, size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """A font that has the letters of a text: Pillow's own, or for Korean one of the system's.

    Where the system has none, a warning says once that boxes stand in place of letters.

    Args:
        text: to be drawn.
        size: of the letters, pixels.
    """
    path = _korean_font() if _HANGUL.search(text) else ""
    return ImageFont.truetype(path, size) if path else ImageFont.load_default(size)


@functools.cache
def _korean_font() -> str:
    """The file of a Korean font of the system; empty where there is none."""
    from bayesight.letters.fonts import find_fonts

    found = [str(path) for path in find_fonts("system") if _KOREAN.search(path.name)]
    if not found:
        log.warning(
            "no Korean font on this system: pictures show boxes in place of letters; install one, such as "
            "Nanum Gothic"
        )
    plain_first = sorted(found, key=lambda path: ("bold" in path.lower(), "gothic" not in path.lower(), path))
    return plain_first[0] if plain_first else ""
