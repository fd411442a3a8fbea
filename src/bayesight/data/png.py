"""The plain PNGs of training sets, decoded many at a time.

A PNG's rows are stored as differences to their neighbours, chosen row by row among five filters, and two of
them can only be undone pixel after pixel. Here that is done for the same pixel of every image at once: the
rows of a batch are laid out (row, byte of the row, image), so each step is one operation on contiguous
memory.
Takes 8-bit grey and RGB without transparency or interlacing; everything else is Pillow's.
Source: W3C, Portable Network Graphics (Third Edition), sections 5 (chunks), 9 (filtering), 10 (deflate).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bayesight.data.deflation import DeflateError, crc32, zlib_decompress
from bayesight.types import ImageArray

__all__ = ["HEADER_BYTES", "SIGNATURE", "Layout", "damage", "inflate", "layout", "unfilter"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER_BYTES = 33  # signature and IHDR chunk, the same for all images of one layout
_END = b"\0\0\0\0IEND\xaeB`\x82"
_CHUNK = struct.Struct(">I4s")
_NUMBER = struct.Struct(">I")
_WITHOUT_EFFECT = frozenset((b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"tIME", b"bKGD", b"sBIT", b"tEXt"))
_HIDDEN_EXIF = (b"Raw profile", b"XML:com.adobe")


@dataclass(frozen=True)
class Layout:
    """The shape of a PNG's pixels.

    Args:
        height: rows.
        width: columns.
        channels: 1 for grey, 3 for RGB; 0 when only Pillow can read it.
    """

    height: int
    width: int
    channels: int

    @property
    def raw_bytes(self) -> int:
        """Bytes of the inflated rows, each with its filter byte."""
        return self.height * (1 + self.width * self.channels)


def layout(header: bytes) -> Layout | None:
    """What the first ``HEADER_BYTES`` of a PNG say; None when they are none of a PNG.

    Example:
        >>> layout(b"GIF89a") is None
        True
    """
    if len(header) < HEADER_BYTES or not header.startswith(SIGNATURE) or header[8:16] != b"\0\0\0\rIHDR":
        return None
    width, height, depth, colour, *methods = struct.unpack_from(">IIBBBBB", header, 16)
    channels = {0: 1, 2: 3}.get(colour, 0)
    sound = crc32(header[12:29]) == _NUMBER.unpack_from(header, 29)[0]
    if depth != 8 or any(methods) or not width or not height or not sound:
        channels = 0
    return Layout(height, width, channels)


def inflate(blobs: Sequence[bytes], header: bytes, shape: Layout) -> list[bytes | bytearray | None]:
    """The filtered rows of each PNG that begins with ``header``.

    Args:
        blobs: encoded images.
        header: the first ``HEADER_BYTES`` of those to be read here.
        shape: what ``layout`` said of it; its ``channels`` is not 0.

    Returns:
        For each blob ``shape.raw_bytes`` bytes, or None when it is of another kind or in doubt. Never
        inflates more than that.
    """
    size = shape.raw_bytes
    number = _NUMBER.unpack_from
    rows: list[bytes | bytearray | None] = []
    for blob in blobs:
        if not blob.startswith(header) or len(blob) < HEADER_BYTES + 12:
            rows.append(None)
            continue
        end = number(blob, HEADER_BYTES)[0] + 41  # of the first chunk's content
        plain = blob[37:41] == b"IDAT" and len(blob) == end + 16 and blob.endswith(_END)
        if plain and crc32(blob[37:end]) == number(blob, end)[0]:
            data = blob[41:end]
        else:
            data = _image_data(blob) or b""
        try:
            raw = zlib_decompress(data, size)
        except DeflateError:
            rows.append(None)
        else:
            rows.append(raw if len(raw) == size else None)
    return rows


def damage(blob: bytes) -> str | None:
    """Which checksum proves that a PNG is not what was written; None when none does.

    Checks what makes the pixels (IHDR, PLTE, IDAT), which Pillow's reading of IDAT does not.
    """
    for kind, _, sound in _chunks(blob, len(SIGNATURE)):
        if not sound and kind in (b"IHDR", b"PLTE", b"IDAT"):
            return f"damaged: the checksum of chunk {kind.decode()} is wrong"
        if kind == b"IEND":
            break
    return None


def _chunks(blob: bytes, at: int) -> Iterator[tuple[bytes, bytes, bool]]:
    """(kind, content, whether its checksum holds) of the whole chunks from ``at`` on."""
    while at + 12 <= len(blob):
        length, kind = _CHUNK.unpack_from(blob, at)
        end = at + 12 + length
        if end > len(blob):
            return
        sound = crc32(blob[at + 4 : end - 4]) == _NUMBER.unpack_from(blob, end - 4)[0]
        yield kind, blob[at + 8 : end - 4], sound
        at = end


def _image_data(blob: bytes) -> bytes | None:
    """The deflated rows of a PNG in any number of chunks; None when in doubt."""
    parts = []
    ended = False
    for kind, content, sound in _chunks(blob, HEADER_BYTES):
        if not sound:
            return None
        if kind == b"IEND":
            break
        if kind == b"IDAT" and not ended:
            parts.append(content)
        elif kind in _WITHOUT_EFFECT and not content.startswith(_HIDDEN_EXIF):
            ended = bool(parts)
        else:
            return None
    else:
        return None
    return b"".join(parts)


def unfilter(raw: ImageArray, channels: int) -> tuple[ImageArray, npt.NDArray[np.bool_]]:
    """Undo the filters of many images at once.

    Args:
        raw: inflated rows ``(N, H, 1 + W * channels)``, the filter first in each row.
        channels: bytes of a pixel.

    Returns:
        Images ``(N, H, W * channels)`` and which of them ``(N,)`` name only filters that exist.

    Example:
        >>> rows = np.array([[[1, 10, 5, 5], [2, 1, 1, 1]]], np.uint8)  # Sub, then Up
        >>> unfilter(rows, 1)[0].tolist()
        [[[10, 15, 20], [11, 16, 21]]]
    """
    filters = raw[:, :, 0].T.copy()
    valid: npt.NDArray[np.bool_] = np.all(filters <= 4, axis=0)
    pixels = raw[:, :, 1:].transpose(1, 2, 0).copy()
    above = np.zeros_like(pixels[0])
    for row, kinds in zip(pixels, filters, strict=True):
        present = np.bincount(kinds, minlength=5)
        if present[2]:
            row += above & np.where(kinds == 2, np.uint8(255), np.uint8(0))
        for kind, undo in ((1, _undo_sub), (3, _undo_average), (4, _undo_paeth)):
            if present[kind] == len(kinds):
                row[:] = undo(row, above, channels)
            elif present[kind]:
                which = np.flatnonzero(kinds == kind)
                row[:, which] = undo(row.take(which, axis=1), above.take(which, axis=1), channels)
        above = row
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)), valid


def _undo_sub(row: ImageArray, above: ImageArray, channels: int) -> ImageArray:
    """Filter 1: each byte was the difference to the pixel on its left."""
    steps = row.reshape(-1, channels, row.shape[1])
    return np.add.accumulate(steps, axis=0, dtype=np.uint8).reshape(row.shape)


def _undo_average(row: ImageArray, above: ImageArray, channels: int) -> ImageArray:
    """Filter 3: the difference to the mean of left and above, rounded down."""
    row[:channels] += above[:channels] >> 1
    for x in range(channels, len(row)):
        left, up = row[x - channels], above[x]
        row[x] += (left & up) + ((left ^ up) >> 1)  # their mean, without a ninth bit
    return row


def _undo_paeth(row: ImageArray, above: ImageArray, channels: int) -> ImageArray:
    """Filter 4: the difference to that of left (a), above (b), above left (c) nearest to p = a + b - c.

    With low and high the smaller and larger of a and b, let rise = max(high - c, 0), fall = max(c - low, 0).
    Then low is nearest to p when 2 rise <= fall, high when 2 fall <= rise, else c; so the prediction is
    c - [2 rise <= fall] fall + [2 fall <= rise] rise: bytes only, and no choice that a processor could guess
    wrong.
    """
    row[:channels] += above[:channels]
    rise, fall, half, step = (np.empty((channels, row.shape[1]), np.uint8) for _ in range(4))
    chosen = np.empty(rise.shape, np.bool_)
    factor = chosen.view(np.uint8)
    for x in range(channels, len(row), channels):
        a, b, c = row[x - channels : x], above[x : x + channels], above[x - channels : x]
        np.maximum(a, b, out=rise)
        np.maximum(rise, c, out=rise)
        np.subtract(rise, c, out=rise)
        np.minimum(a, b, out=fall)
        np.minimum(fall, c, out=fall)
        np.subtract(c, fall, out=fall)
        np.right_shift(fall, 1, out=half)
        np.less_equal(rise, half, out=chosen)
        np.multiply(fall, factor, out=step)
        np.right_shift(rise, 1, out=half)
        np.less_equal(fall, half, out=chosen)
        np.multiply(rise, factor, out=half)
        here = row[x : x + channels]
        here += c
        here += half
        here -= step
    return row
