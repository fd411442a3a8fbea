"""Pixels into PNG files, and frames into animated GIFs."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from bayesight.data.png import SIGNATURE
from bayesight.types import ImageArray

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["gif_of", "png_of", "quick_png"]

FRAME_MS = 50
"""Milliseconds that a frame is shown."""


def png_of(image: Image.Image | ImageArray, *, small: bool = False) -> bytes:
    """An image, or uint8 (H, W) or (H, W, 3), as a PNG file; the same bytes for the same pixels.

    Args:
        image: the pixels.
        small: compress as far as it goes, which takes longer.
    """
    drawn = image if isinstance(image, Image.Image) else Image.fromarray(np.ascontiguousarray(image))
    stream = io.BytesIO()
    drawn.save(stream, "PNG", optimize=small)
    return stream.getvalue()


def gif_of(frames: ImageArray) -> bytes:
    """Frames, uint8 (T, H, W) or (T, H, W, 3) of few colours, as a GIF that is shown again and again.

    Example:
        >>> import io
        >>> from PIL import Image
        >>> frames = np.zeros((3, 8, 9, 3), np.uint8)
        >>> frames[1, 0, 0], frames[2, 0, 1] = 255, 255
        >>> film = Image.open(io.BytesIO(gif_of(frames)))
        >>> film.size, film.n_frames
        ((9, 8), 3)
    """
    first, *others = [Image.fromarray(frame).quantize(64) for frame in np.ascontiguousarray(frames)]
    stream = io.BytesIO()
    first.save(stream, "GIF", save_all=True, append_images=others, duration=FRAME_MS, loop=0)
    return stream.getvalue()


def quick_png(image: Tensor) -> bytes:
    """One uint8 image (C, H, W) as a PNG file, hardly compressed, as the ledger keeps it.

    Written by hand, for it is written with every prediction, and Pillow takes several times as long.

    Example:
        >>> import io, torch
        >>> from PIL import Image
        >>> grey = torch.tensor([[[0, 50], [100, 150], [200, 250]]], dtype=torch.uint8)
        >>> Image.open(io.BytesIO(quick_png(grey))).tobytes() == bytes([0, 50, 100, 150, 200, 250])
        True
    """
    channels, height, width = image.shape
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # each begins with its filter: none
    rows[:, 1:] = image.permute(1, 2, 0).reshape(height, -1).numpy()
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 1)), (b"IEND", b""))
    return SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )
