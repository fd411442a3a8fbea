"""Plain JPEGs by libjpeg-turbo, straight into an array: the pixels of Pillow, without its two copies.

Takes what is plainly sound, grey or YCbCr; everything else, and everything in doubt, is Pillow's.
"""

from __future__ import annotations

from typing import cast

import simplejpeg

from bayesight.types import ImageArray

__all__ = ["jpeg_layout", "jpeg_pixels"]

_START, _SCAN = b"\xff\xd8\xff", 0xDA
_MODES = {"Gray": "L", "YCbCr": "RGB"}
_TURNS = (b"Exif\0", b"ns.adobe.com/xap/")  # where a JPEG may say that it is to be turned


def jpeg_layout(blob: bytes) -> tuple[int, int, str] | None:
    """(height, width, "L" or "RGB") of a JPEG whose pixels stand as they are; None when in doubt.

    Example:
        >>> jpeg_layout(b"GIF89a") is None
        True
    """
    if not blob.startswith(_START):
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(blob)
    except ValueError:
        return None
    head = blob[: _scan_of(blob)]
    if colours not in _MODES or any(mark in head for mark in _TURNS):
        return None
    return height, width, _MODES[colours]


def jpeg_pixels(blob: bytes, mode: str, height: int, width: int) -> ImageArray | None:
    """The pixels of a JPEG at its own size, or at one of the reduced sizes of libjpeg.

    Args:
        blob: the file.
        mode: its own, "L" or "RGB".
        height: rows that are wanted.
        width: columns.

    Returns:
        uint8 ``(height, width)`` or ``(height, width, 3)``; None when anything in the file is not as it
        should be, or it has no such size.
    """
    try:
        colours = simplejpeg.decode_jpeg_header(blob)[2]
        if _MODES.get(colours) != mode:
            return None
        grey = mode == "L"
        found = simplejpeg.decode_jpeg(blob, "GRAY" if grey else "RGB", min_height=height, min_width=width)
    except ValueError:
        return None
    if found.shape[:2] != (height, width):
        return None
    return cast("ImageArray", found[..., 0] if grey else found)


def _scan_of(blob: bytes) -> int:
    """The place where the pixels begin, behind all notes on them; the end in a file without order."""
    at = 2
    while blob[at : at + 1] == b"\xff":
        if blob[at + 1] == _SCAN:
            return at
        at += 2 + int.from_bytes(blob[at + 2 : at + 4], "big")
    return len(blob)
