"""Image files as bytes: plain PNGs and JPEGs decoded straight into arrays, and PNGs and GIFs written.

A plain PNG is 8-bit grey or RGB without transparency or interlacing. For each a call of libdeflate inflates
its rows; their filters are undone by Pillow, for some hundred images in one call, and the checksum of the
image data is checked, which Pillow does not. A plain JPEG, grey or YCbCr, is decoded by libjpeg-turbo: the
pixels of Pillow, without its two copies. Everything else, and everything in doubt, is Pillow's.

Source: W3C, Portable Network Graphics (Third Edition), sections 5 (chunks), 9 (filtering), 10 (deflate).
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
import simplejpeg
from deflate import DeflateError, crc32, zlib_decompress
from PIL import Image

from bayesight.language import marked
from bayesight.types import ImageArray

if TYPE_CHECKING:
    from torch import Tensor

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER_BYTES = 33  # signature and IHDR chunk, the same for all images of one layout
_END = b"\0\0\0\0IEND\xaeB`\x82"
_BLOCK_BYTES = 1 << 17  # which the processor's cache holds in all its forms
_LAST_FILTER = 4
_CHUNK = struct.Struct(">I4s")
_NUMBER = struct.Struct(">I")
_WITHOUT_EFFECT = frozenset((b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"tIME", b"bKGD", b"sBIT", b"tEXt"))
_HIDDEN_EXIF = (b"Raw profile", b"XML:com.adobe")
_ESSENTIAL = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))

_JPEG_START, _JPEG_SCAN = b"\xff\xd8\xff", 0xDA
_JPEG_MODES = {"Gray": "L", "YCbCr": "RGB"}
_TURNS = (b"Exif\0", b"ns.adobe.com/xap/")  # where a JPEG may say that it is to be turned

FRAME_MS = 50
"""Milliseconds that a frame is shown."""


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
    """The size and kind that the first ``HEADER_BYTES`` of a PNG say; None when they are none of a PNG.

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
    size, number = shape.raw_bytes, _NUMBER.unpack_from
    rows: list[bytes | bytearray | None] = []
    for blob in blobs:
        data = b""
        if blob.startswith(header):
            end = _end_of_only_data(blob)
            if end and crc32(blob[37:end]) == number(blob, end)[0]:
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


def _end_of_only_data(blob: bytes) -> int:
    """The end of the pixels in a file that is a header, one chunk of them and an end; 0 for another one."""
    end = len(blob) - 16
    return end if blob[33:41] == _CHUNK.pack(max(0, end - 41), b"IDAT") and blob.endswith(_END) else 0


def damage(blob: bytes) -> str | None:
    """Which checksum proves that a PNG is not what was written; None when none does.

    Checks what makes the pixels (IHDR, PLTE, tRNS, IDAT), which Pillow's reading of IDAT does not.
    """
    for kind, _, sound in _chunks(blob, len(SIGNATURE)):
        if not sound and kind in _ESSENTIAL - {b"IEND"}:
            return marked(f"damaged: the checksum of chunk {kind.decode()} is wrong")
        if kind == b"IEND":
            break
    return None


def essence(blob: bytes, *, keep: tuple[bytes, ...] = ()) -> bytes:
    """A PNG without the chunks that make no pixels: profiles, texts, times, frames of an animation.

    Args:
        blob: the file; one that is cut off stays so.
        keep: further chunks to keep, whose kind or whose content begins so; they come before the pixels.
    """
    if _end_of_only_data(blob):
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

    Where there are any, they go through Pillow's reader as one tall image with a blank row behind each: what
    lies above the first row of an image counts as zeros.

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
    if not raw[:, :, 0].any():
        return raw[:, :, 1:].copy(), np.ones(count, np.bool_)
    valid: npt.NDArray[np.bool_] = np.all(raw[:, :, 0] <= _LAST_FILTER, axis=1)
    pixels: ImageArray = np.empty((count, height, stride - 1), np.uint8)
    width, mode = (stride - 1) // channels, "L" if channels == 1 else "RGB"
    step = max(1, min(count, _BLOCK_BYTES // (height * stride)))
    rows: ImageArray = np.zeros((step, height + 1, stride), np.uint8)
    for first in range(0, count, step):
        many = min(step, count - first)
        rows[:many, :height] = raw[first : first + many]
        rows[:many][~valid[first : first + many]] = 0
        stored = zlib.compress(rows[:many].data, 0)
        tall = Image.frombytes(mode, (width, many * (height + 1)), stored, "zip", mode, 0)
        pixels[first : first + many] = np.asarray(tall).reshape(many, height + 1, -1)[:, :height]
    return pixels, valid


def jpeg_layout(blob: bytes) -> tuple[int, int, str] | None:
    """(height, width, "L" or "RGB") of a JPEG whose pixels stand as they are; None when in doubt.

    Example:
        >>> jpeg_layout(b"GIF89a") is None
        True
    """
    if not blob.startswith(_JPEG_START):
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(blob)
    except ValueError:
        return None
    head = blob[: _scan_of(blob)]
    if colours not in _JPEG_MODES or any(mark in head for mark in _TURNS):
        return None
    return height, width, _JPEG_MODES[colours]


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
        if _JPEG_MODES.get(colours) != mode:
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
        if blob[at + 1] == _JPEG_SCAN:
            return at
        at += 2 + int.from_bytes(blob[at + 2 : at + 4], "big")
    return len(blob)


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
    rows[:, 1:] = image.numpy().transpose(1, 2, 0).reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 1)), (b"IEND", b""))
    return SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )
