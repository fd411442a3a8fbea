"""Encoded images to pixels, a batch at a time: the plain ones by ``codecs``, all others by Pillow.

One rule for all formats: transparency is laid over white, palettes are resolved, the rotation a camera noted
is applied, of several frames the first is taken, and values of more than 8 bits are scaled by the levels of
the frame. An image that cannot be read is refused with a plain reason; nothing a file holds raises an error
or prints a warning.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from operator import methodcaller
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image

from bayesight.cores import spread
from bayesight.data.codecs import HEADER_BYTES, PngLayout, inflate, jpeg_layout, jpeg_pixels, layout, unfilter
from bayesight.data.rasters import LARGE, PIXEL_LIMIT, Raster, RasterRefusal, may_turn, place
from bayesight.errors import SourceUnreadable
from bayesight.frame import EIGHT_BIT, Frame, Range, Treatment
from bayesight.types import ImageArray, IntArray

_HEAVY_BYTES = 1 << 13
"""From so many encoded bytes on, an image is worth a thread's while."""
_HUGE = 16_000_000  # pixels; of larger images that cannot be decoded at reduced scale
PIXELS_FREE = 1_000_000_000
PIXELS_A_BYTE = 500
"""Photographs hold 1 to 10 pixels for each byte, scans of drawings up to about 100."""
_ALONE = Lock()  # one at a time is in memory


@dataclass(frozen=True)
class DecodedBatch:
    """The images of a batch.

    Args:
        images: ``(K, H, W)`` or ``(K, H, W, 3)``.
        kept: which of the batch they are, ascending ``(K,)``.
        refused: index and reason of each that could not be read.
        misfits: those whose own frame is another, when they were not to be made to fit.
        treatment: what was done to the kept ones.
    """

    images: ImageArray
    kept: IntArray
    refused: tuple[tuple[int, str], ...]
    misfits: tuple[int, ...]
    treatment: Treatment


def decode(
    blobs: Sequence[bytes],
    frame: Frame,
    *,
    strict: Collection[str] = (),
    spend: Callable[[int], None] = lambda pixels: None,
) -> DecodedBatch:
    """Decode a batch of encoded images.

    Args:
        blobs: the content of image files.
        frame: the size, mode and levels wanted.
        strict: in which of "size", "mode" and "levels" images have to be as the frame of themselves; those
            that are not are reported as misfits, instead of being made to fit.
        spend: told the pixels of an image before they are decoded; may raise an error to end it.

    Example:
        >>> import io
        >>> buffer = io.BytesIO()
        >>> Image.new("L", (3, 2), 7).save(buffer, "PNG")
        >>> batch = decode([buffer.getvalue(), b""], Frame(2, 3, "L"))
        >>> batch.images.tolist(), batch.refused
        ([[[7, 7, 7], [7, 7, 7]]], ((1, 'zero bytes'),))
    """
    parts: list[tuple[IntArray, ImageArray]] = []
    left: list[int] = []
    treatment = Treatment()
    heavy = sum(map(len, blobs)) >= _HEAVY_BYTES * len(blobs)
    for header, indices in _by_header(blobs).items():
        shape = None if heavy else _own_layout(header, frame)
        if shape is None:
            left += indices
            continue
        group = blobs if len(indices) == len(blobs) else [blobs[i] for i in indices]
        own, pixels, doubted = _decode_group(group, np.asarray(indices), shape)
        parts.append((own, pixels.reshape(-1, *frame.shape)))
        spend(len(own) * frame.pixels)
        treatment += Treatment(pixels=len(own) * frame.pixels)
        left += doubted
    if not left:
        return DecodedBatch(*_together(parts, frame), (), (), treatment)
    refused: list[tuple[int, str]] = []
    misfits: list[int] = []
    read = _Reader(frame, strict, spend)
    left.sort()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        single = [blobs[index] for index in left]
        for index, answer in zip(left, spread(read, single) if heavy else map(read, single), strict=True):
            if answer is None:
                misfits.append(index)
            elif isinstance(answer, str):
                refused.append((index, answer))
            else:
                parts.append((np.array([index]), answer[0][None]))
                treatment += answer[1]
    return DecodedBatch(*_together(parts, frame), tuple(refused), tuple(misfits), treatment)


@dataclass(frozen=True)
class _Reader:
    """Reads one image into a frame, in any thread; its fields are what ``decode`` was asked for."""

    frame: Frame
    strict: Collection[str]
    spend: Callable[[int], None]
    _spending: Lock = field(default_factory=Lock)

    def __call__(self, blob: bytes) -> tuple[ImageArray, Treatment] | str | None:
        """An image and what was done to it; the reason why it cannot be read; None for a misfit."""
        pixels = self._plain(blob)
        if pixels is not None:
            return pixels, Treatment(pixels=self.frame.pixels)
        try:
            raster = Raster.open(blob)
            if self._is_misfit(raster):
                return None
            self._pay(raster.own.pixels)
            with _ALONE if raster.form != "JPEG" and raster.own.pixels > _HUGE else nullcontext():
                return raster.fitted(self.frame)
        except RasterRefusal as error:
            return str(error)

    def _plain(self, blob: bytes) -> ImageArray | None:
        """The pixels of a plain PNG or JPEG of the frame's own size and mode; None when in doubt."""
        frame = self.frame
        if frame.levels == EIGHT_BIT and jpeg_layout(blob) == (frame.height, frame.width, frame.mode):
            self._pay(frame.pixels)
            return jpeg_pixels(blob, frame.mode, frame.height, frame.width)
        shape = _own_layout(blob[:HEADER_BYTES], frame)
        if shape is None:
            return None
        self._pay(frame.pixels)
        own, pixels, _ = _decode_group([blob], np.zeros(1, np.int64), shape)
        return pixels[0].reshape(frame.shape) if len(own) else None

    def _is_misfit(self, raster: Raster) -> bool:
        own, frame = raster.own, self.frame
        fits = {
            "size": (own.height, own.width) == (frame.height, frame.width),
            "mode": own.mode == frame.mode,
            "levels": not raster.is_deep,
        }
        return not all(fits[name] for name in self.strict)

    def _pay(self, pixels: int) -> None:
        with self._spending:
            self.spend(pixels)


def _together(parts: list[tuple[IntArray, ImageArray]], frame: Frame) -> tuple[ImageArray, IntArray]:
    """All decoded images of a batch in its order, and their indices."""
    if len(parts) == 1:
        return parts[0][1], parts[0][0]
    if not parts:
        return np.empty((0, *frame.shape), np.uint8), np.empty(0, np.int64)
    kept = np.concatenate([indices for indices, _ in parts])
    images = np.concatenate([images for _, images in parts])
    order = np.argsort(kept)
    return (images, kept) if (np.diff(kept) > 0).all() else (images[order], kept[order])


def refit(images: ImageArray, frame: Frame) -> ImageArray:
    """Images ``(N, H, W)`` or ``(N, H, W, 3)`` made to be as ``frame`` says, as ``decode`` does it.

    Example:
        >>> refit(np.full((1, 4, 4), 9, np.uint8), Frame(2, 2, "RGB")).tolist()
        [[[[9, 9, 9], [9, 9, 9]], [[9, 9, 9], [9, 9, 9]]]]
    """
    if images.shape[1:] == frame.shape:
        return images
    fitted: ImageArray = np.empty((len(images), *frame.shape), np.uint8)
    for index, pixels in enumerate(images):
        fitted[index] = np.asarray(place(Image.fromarray(pixels).convert(frame.mode), frame))
    return fitted


def native_frames(blobs: Sequence[bytes]) -> list[Frame | None]:
    """The frame each image has of itself, read from its header alone; None for one that cannot be read."""
    return [None if found is None else found[0] for found in survey(blobs, ranges=False)]


def survey(
    blobs: Sequence[bytes], *, ranges: bool = True, spend: Callable[[int], None] = lambda pixels: None
) -> list[tuple[Frame, Range | None] | None]:
    """Find the frame each image has of itself, and the values of those of more than 8 bits.

    Args:
        blobs: the content of image files.
        ranges: False reads headers alone.
        spend: as in ``decode``, for images whose values are looked at.

    Returns:
        For each image its frame and, where there are more than 8 bits, the range of its values; None for one
        that cannot be read.
    """
    found: list[tuple[Frame, Range | None] | None] = []
    for blob in blobs:
        plain = _frame_of_header(blob[:HEADER_BYTES])
        if plain is None and (own := jpeg_layout(blob)) and own[0] * own[1] <= PIXEL_LIMIT:
            found.append((Frame(*own), None))
        elif plain is not None and not may_turn(blob):
            found.append((plain, None))
        else:
            found.append(_own_frame(blob, ranges, spend))
    return found


def _by_header(blobs: Sequence[bytes]) -> dict[bytes, list[int]]:
    """Indices of images that begin with the same bytes."""
    if blobs and all(map(methodcaller("startswith", blobs[0][:HEADER_BYTES] or b"-"), blobs)):
        return {blobs[0][:HEADER_BYTES]: list(range(len(blobs)))}
    groups: dict[bytes, list[int]] = defaultdict(list)
    for index, blob in enumerate(blobs):
        groups[blob[:HEADER_BYTES]].append(index)
    return groups


@lru_cache(maxsize=256)
def _own_layout(header: bytes, frame: Frame) -> PngLayout | None:
    """The layout of PNGs that are decoded here; None for those of Pillow."""
    found = layout(header)
    if found is None or not found.channels or found.height * found.width > LARGE:
        return None
    same_size = (found.height, found.width) == (frame.height, frame.width)
    same_mode = found.channels == (1 if frame.mode == "L" else 3)
    return found if same_size and same_mode and frame.levels == EIGHT_BIT else None


def _decode_group(
    blobs: Sequence[bytes], where: IntArray, shape: PngLayout
) -> tuple[IntArray, ImageArray, list[int]]:
    """Decode PNGs of one header: indices, pixels, and the indices of those left to Pillow."""
    rows = inflate(blobs, blobs[0][:HEADER_BYTES], shape)
    sound = [row for row in rows if row is not None]
    own = where if len(sound) == len(rows) else where[[row is not None for row in rows]]
    raw = np.frombuffer(b"".join(sound), np.uint8).reshape(
        len(sound), shape.height, 1 + shape.width * shape.channels
    )
    pixels, valid = unfilter(raw, shape.channels)
    if not valid.all():
        own, pixels = own[valid], pixels[valid]
    return own, pixels, np.setdiff1d(where, own).tolist() if len(own) < len(where) else []


@lru_cache(maxsize=256)  # of one sender or archive the images begin alike
def _frame_of_header(header: bytes) -> Frame | None:
    """The frame of the PNGs whose header says all there is to know."""
    found = layout(header)
    if found is None or not found.channels or found.height * found.width > PIXEL_LIMIT:
        return None
    return Frame(found.height, found.width, "L" if found.channels == 1 else "RGB")


def _own_frame(blob: bytes, ranges: bool, spend: Callable[[int], None]) -> tuple[Frame, Range | None] | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            raster = Raster.open(blob)
            if not (ranges and raster.is_deep):
                return raster.own, None
            spend(raster.own.pixels)
            return raster.own, raster.range()
        except RasterRefusal:  # decoding, which comes later, says why
            return None


class PixelBudget:
    """Pixels that may be decoded: reading images far larger than what holds them would take for ever.

    Args:
        path: a folder or file; of a file its own size counts, of a folder that of the images read so far.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._grows = path.is_dir()
        self._bytes = 0 if self._grows else path.stat().st_size
        self._pixels = 0

    def earn(self, blobs: Iterable[bytes]) -> None:
        """Take note of files that are about to be decoded."""
        if self._grows:
            self._bytes += sum(map(len, blobs))

    def spend(self, pixels: int) -> None:
        """Take note of pixels that are about to be decoded.

        Raises:
            SourceUnreadable: more pixels than a thousand million, and than 500 for each byte.
        """
        self._pixels += pixels
        if self._pixels > max(PIXELS_FREE, PIXELS_A_BYTE * self._bytes):
            raise SourceUnreadable(
                f"{self._path} holds images of more than {self._pixels - pixels:,} pixels in "
                f"{self._bytes:,} bytes; expected at most {PIXELS_FREE:,}, or {PIXELS_A_BYTE} for each byte. "
                "Scale the images down first"
            )
