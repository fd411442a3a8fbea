"""The plain PNGs of training sets, decoded many at a time.

A PNG's rows are stored as differences to their neighbours, chosen row by row among five filters, and two of
them can only be undone pixel after pixel. Here that is done for one diagonal of every image at once, as a few
operations on contiguous memory.
Takes 8-bit grey and RGB without transparency or interlacing; everything else is Pillow's.
Source: W3C, Portable Network Graphics (Third Edition), sections 5 (chunks), 9 (filtering), 10 (deflate).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from bayesight.data.deflation import DeflateError, crc32, zlib_decompress
from bayesight.types import ImageArray, IntArray

__all__ = ["HEADER_BYTES", "SIGNATURE", "PngLayout", "damage", "essence", "inflate", "layout", "unfilter"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER_BYTES = 33  # signature and IHDR chunk, the same for all images of one layout
_END = b"\0\0\0\0IEND\xaeB`\x82"
_BLOCK_BYTES = 2 << 20
_CHUNK = struct.Struct(">I4s")
_NUMBER = struct.Struct(">I")
_WITHOUT_EFFECT = frozenset((b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"tIME", b"bKGD", b"sBIT", b"tEXt"))
_HIDDEN_EXIF = (b"Raw profile", b"XML:com.adobe")
_ESSENTIAL = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))


@dataclass(frozen=True)
class PngLayout:
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


def layout(header: bytes) -> PngLayout | None:
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
    return PngLayout(height, width, channels)


def inflate(blobs: Sequence[bytes], header: bytes, shape: PngLayout) -> list[bytes | bytearray | None]:
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
        if _is_plain(blob) and crc32(blob[37:end]) == number(blob, end)[0]:
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


def _is_plain(blob: bytes) -> bool:
    """Whether a file consists of a header, one chunk of pixels and an end."""
    if blob[37:41] != b"IDAT" or not blob.endswith(_END):
        return False
    held: int = _NUMBER.unpack_from(blob, HEADER_BYTES)[0]
    return len(blob) == held + 57


def damage(blob: bytes) -> str | None:
    """Which checksum proves that a PNG is not what was written; None when none does.

    Checks what makes the pixels (IHDR, PLTE, tRNS, IDAT), which Pillow's reading of IDAT does not.
    """
    for kind, _, sound in _chunks(blob, len(SIGNATURE)):
        if not sound and kind in _ESSENTIAL - {b"IEND"}:
            return f"damaged: the checksum of chunk {kind.decode()} is wrong"
        if kind == b"IEND":
            break
    return None


def essence(blob: bytes, *, keep: tuple[bytes, ...] = ()) -> bytes:
    """A PNG without the chunks that make no pixels: profiles, texts, times, frames of an animation.

    Args:
        blob: the file; one that is cut off stays so.
        keep: further chunks to keep, whose kind or whose content begins so; they come before the pixels.
    """
    if _is_plain(blob):
        return blob
    at, parts, notes = len(SIGNATURE), [], []
    for kind, content, sound in _chunks(blob, at):
        whole = blob[at : at + 12 + len(content)]
        at += len(whole)
        if kind in _ESSENTIAL:
            parts.append(whole)
        elif sound and (kind in keep or content.startswith(keep or b"\0never")):
            notes.append(whole)
        if kind == b"IEND":
            break
    else:
        parts.append(blob[at:])
    return b"".join([SIGNATURE, *parts[:1], *notes, *parts[1:]])


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
    count, height, stride = raw.shape
    valid: npt.NDArray[np.bool_] = np.all(raw[:, :, 0] <= 4, axis=1)
    pixels: ImageArray = np.empty((count, height, stride - 1), np.uint8)
    step = max(1, _BLOCK_BYTES // ((height + 1) * (stride + height * channels)))
    room = _Room(min(step, count), height, stride, channels)
    for first in range(0, count, step):
        block = raw[first : first + step]
        if len(block) != room.count:
            room = _Room(len(block), height, stride, channels)
        pixels[first : first + step] = room.unfilter(block)
    return pixels, valid


class _Room:
    """Memory for as many images as fit into the processor's cache together, used again for each such block.

    A pixel needs the ones on its left, above and above left, so all pixels of one diagonal, of every image,
    are independent of each other. The images lie slanted: pixel (y, x) is at (x + y + 2, y + 1), after two
    diagonals and one row of zeros which stand for what lies outside the image and are never written to.
    """

    def __init__(self, count: int, height: int, stride: int, channels: int) -> None:
        self.count, self.height, self.channels = count, height, channels
        self.width = (stride - 1) // channels
        self.slanted = np.zeros((self.width + height + 1, height + 1, channels, count), np.uint8)
        self.scratch = np.empty((5, min(height, self.width), channels, count), np.uint8)
        self.masks = np.empty((5, height, 1, count), np.uint8)
        down, along, *rest = self.slanted.strides
        shape, strides = (height, self.width, channels, count), (down + along, down, *rest)
        self.straight = as_strided(self.slanted[2:, 1:], shape, strides)

    def unfilter(self, raw: ImageArray) -> ImageArray:
        """Undo the filters of ``count`` images; the answer lies here until the next call."""
        rows = raw[:, :, 1:].reshape(self.count, self.height, self.width, self.channels)
        self.straight[...] = rows.transpose(1, 2, 3, 0)
        filters = raw[:, :, 0].T.reshape(self.height, 1, self.count)
        used = np.bincount(filters.ravel(), minlength=5)
        for kind in np.flatnonzero(used[1:5]) + 1:
            np.multiply(filters == kind, np.uint8(255), out=self.masks[kind])
        for t in range(2, self.width + self.height + 1):
            self._undo(t, used)
        pixels: ImageArray = self.straight.transpose(3, 0, 1, 2).reshape(self.count, self.height, -1)
        return pixels

    def _undo(self, t: int, used: IntArray) -> None:
        """Undo the filters on one diagonal."""
        slanted = self.slanted
        low, high = max(0, t - 1 - self.width), min(self.height, t - 1)  # the rows that it crosses
        here = slanted[t, low + 1 : high + 1]
        left, above = slanted[t - 1, low + 1 : high + 1], slanted[t - 1, low:high]
        masks, free = self.masks[:, low:high], self.scratch[:, : high - low]
        if used[1]:
            here += np.bitwise_and(left, masks[1], out=free[0])
        if used[2]:
            here += np.bitwise_and(above, masks[2], out=free[0])
        if used[3]:
            guess = _mean(left, above, free)
            here += np.bitwise_and(guess, masks[3], out=guess)
        if used[4]:
            guess = _paeth(left, above, slanted[t - 2, low:high], free)
            here += np.bitwise_and(guess, masks[4], out=guess)


def _mean(a: ImageArray, b: ImageArray, scratch: ImageArray) -> ImageArray:
    """The mean of left and above, rounded down, without a ninth bit: (a & b) + ((a ^ b) >> 1)."""
    common: ImageArray = scratch[0]
    rest: ImageArray = scratch[1]
    np.bitwise_and(a, b, out=common)
    np.bitwise_xor(a, b, out=rest)
    np.right_shift(rest, 1, out=rest)
    common += rest
    return common


def _paeth(a: ImageArray, b: ImageArray, c: ImageArray, scratch: ImageArray) -> ImageArray:
    """That of left (a), above (b), above left (c) which is nearest to p = a + b - c; in doubt a, then b.

    With low and high the smaller and larger of a and b, let rise = max(high - c, 0), fall = max(c - low, 0).
    Then low is nearest to p when 2 rise <= fall, high when 2 fall <= rise, else c; so the answer is
    c - [2 rise <= fall] fall + [2 fall <= rise] rise: bytes only, and no choice that a processor could guess
    wrong.
    """
    rise, fall, less, flag = scratch[:4]
    guess: ImageArray = scratch[4]
    chosen = flag.view(np.bool_)
    np.maximum(a, b, out=rise)
    np.maximum(rise, c, out=rise)
    np.subtract(rise, c, out=rise)
    np.minimum(a, b, out=fall)
    np.minimum(fall, c, out=fall)
    np.subtract(c, fall, out=fall)
    np.minimum(rise, fall, out=less)
    np.subtract(fall, less, out=guess)  # 2 rise <= fall just when rise <= max(fall - rise, 0)
    np.less_equal(rise, guess, out=chosen)
    np.multiply(fall, flag, out=guess)
    np.subtract(c, guess, out=guess)
    np.subtract(rise, less, out=less)
    np.less_equal(fall, less, out=chosen)
    np.multiply(rise, flag, out=less)
    guess += less
    return guess
