"""Encoded images to pixels, a batch at a time: the plain ones by ``png``, all others by Pillow.

One rule for all formats: 16 bits become 8 by dropping the low byte, transparency is laid over white, palettes
are resolved, the rotation a camera noted is applied, and of several frames the first is taken. An image that
cannot be read is refused with a plain reason; nothing a file holds raises an error or prints a warning.
"""

from __future__ import annotations

import io
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from operator import methodcaller

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from bayesight.data.png import HEADER_BYTES, SIGNATURE, Layout, damage, inflate, layout, unfilter
from bayesight.types import ImageArray, IntArray

__all__ = ["PIXEL_LIMIT", "Decoded", "Frame", "Refused", "decode", "native_frames", "refit"]

PIXEL_LIMIT = 64_000_000
_FORMATS = ("PNG", "JPEG", "BMP", "DIB", "GIF", "TIFF", "WEBP", "PPM")
_OWN_RAW_BYTES = 1 << 15  # Pillow is faster with larger ones, from about 128x128 in colour,
_OWN_IMAGES = 16  # with few,
_OWN_ASPECT = 4  # and with tall ones, whose diagonals are short
_GREY_MODES = frozenset(("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N"))
_ORIENTATION = 0x0112
_EXIF_MARKS = (b"eXIf", b"Raw profile", b"XML:com.adobe")  # where a PNG may say that it is to be turned


class Refused(ValueError):
    """An image that cannot be read; the text is the reason."""


@dataclass(frozen=True)
class Frame:
    """What all images of a store are made to be.

    Args:
        height: rows.
        width: columns.
        mode: "L" (grey) or "RGB".
    """

    height: int
    width: int
    mode: str

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W) or (H, W, 3)."""
        return (self.height, self.width) if self.mode == "L" else (self.height, self.width, 3)

    @property
    def size_bytes(self) -> int:
        """Bytes of one image."""
        return self.height * self.width * (1 if self.mode == "L" else 3)


@dataclass(frozen=True)
class Decoded:
    """The images of a batch.

    Args:
        images: ``(K, H, W)`` or ``(K, H, W, 3)``.
        kept: which of the batch they are, ascending ``(K,)``.
        refused: index and reason of each that could not be read.
        misfits: those whose own frame is another, when they were not to be made to fit.
        fitted: how many of the kept ones had another frame, and were scaled or converted.
    """

    images: ImageArray
    kept: IntArray
    refused: tuple[tuple[int, str], ...]
    misfits: tuple[int, ...]
    fitted: int


def decode(blobs: Sequence[bytes], frame: Frame, *, fit_size: bool = True, fit_mode: bool = True) -> Decoded:
    """Decode a batch of encoded images.

    Args:
        blobs: the content of image files.
        frame: the size and mode wanted.
        fit_size: scale images of another size so that they cover the frame, and crop the centre; False
            reports them as misfits instead.
        fit_mode: convert images of another mode; False reports them as misfits.

    Example:
        >>> buffer = io.BytesIO()
        >>> Image.new("L", (3, 2), 7).save(buffer, "PNG")
        >>> batch = decode([buffer.getvalue(), b""], Frame(2, 3, "L"))
        >>> batch.images.tolist(), batch.refused
        ([[[7, 7, 7], [7, 7, 7]]], ((1, 'zero bytes'),))
    """
    parts: list[tuple[IntArray, ImageArray]] = []
    left: list[int] = []
    for header, indices in _by_header(blobs).items():
        shape = _own_layout(header, frame) if len(indices) >= _OWN_IMAGES else None
        if shape is None:
            left += indices
            continue
        group = blobs if len(indices) == len(blobs) else [blobs[i] for i in indices]
        own, pixels, doubted = _decode_group(group, np.asarray(indices), shape)
        parts.append((own, pixels.reshape(-1, *frame.shape)))
        left += doubted
    refused: list[tuple[int, str]] = []
    misfits: list[int] = []
    fitted = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for index in sorted(left):
            try:
                single, native = _pixels(blobs[index], frame, fit_size=fit_size, fit_mode=fit_mode)
            except Refused as error:
                refused.append((index, str(error)))
                continue
            if single is None:
                misfits.append(index)
            else:
                parts.append((np.array([index]), single[None]))
                fitted += native != frame
    return Decoded(*_together(parts, frame), tuple(refused), tuple(misfits), fitted)


def _together(parts: list[tuple[IntArray, ImageArray]], frame: Frame) -> tuple[ImageArray, IntArray]:
    """All decoded images of a batch in its order, and their indices."""
    if len(parts) == 1:
        return parts[0][1], parts[0][0]
    if not parts:
        return np.empty((0, *frame.shape), np.uint8), np.empty(0, np.int64)
    kept = np.concatenate([indices for indices, _ in parts])
    order = np.argsort(kept)
    return np.concatenate([images for _, images in parts])[order], kept[order]


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
        fitted[index] = np.asarray(_scaled(Image.fromarray(pixels).convert(frame.mode), frame))
    return fitted


def native_frames(blobs: Sequence[bytes]) -> list[Frame | None]:
    """What each image is of itself, read from its header alone; None for one that cannot be read."""
    known: dict[bytes, Frame | None] = {}
    frames: list[Frame | None] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for blob in blobs:
            header = blob[:HEADER_BYTES]
            if header not in known:
                known[header] = _frame_of_header(header)
            frames.append(known[header] if known[header] and not _may_turn(blob) else _native_frame(blob))
    return frames


def _by_header(blobs: Sequence[bytes]) -> dict[bytes, list[int]]:
    """Indices of images that begin with the same bytes."""
    if blobs and all(map(methodcaller("startswith", blobs[0][:HEADER_BYTES] or b"-"), blobs)):
        return {blobs[0][:HEADER_BYTES]: list(range(len(blobs)))}
    groups: dict[bytes, list[int]] = defaultdict(list)
    for index, blob in enumerate(blobs):
        groups[blob[:HEADER_BYTES]].append(index)
    return groups


def _own_layout(header: bytes, frame: Frame) -> Layout | None:
    """The layout of PNGs that are decoded here; None for those of Pillow."""
    found = layout(header)
    if found is None or not found.channels or found.raw_bytes > _OWN_RAW_BYTES:
        return None
    if found.height > _OWN_ASPECT * found.width:
        return None
    same_size = (found.height, found.width) == (frame.height, frame.width)
    return found if same_size and found.channels == (1 if frame.mode == "L" else 3) else None


def _decode_group(
    blobs: Sequence[bytes], where: IntArray, shape: Layout
) -> tuple[IntArray, ImageArray, list[int]]:
    """Decode PNGs of one header: indices, pixels, and the indices of those left to Pillow."""
    rows = inflate(blobs, blobs[0][:HEADER_BYTES], shape)
    sound = [row for row in rows if row is not None]
    own = where
    if len(sound) < len(rows):
        own = where[[row is not None for row in rows]]
    raw = np.frombuffer(b"".join(sound), np.uint8).reshape(
        len(sound), shape.height, 1 + shape.width * shape.channels
    )
    pixels, valid = unfilter(raw, shape.channels)
    if not valid.all():
        own, pixels = own[valid], pixels[valid]
    return own, pixels, np.setdiff1d(where, own).tolist() if len(own) < len(where) else []


def _frame_of_header(header: bytes) -> Frame | None:
    """The frame of the PNGs whose header says all there is to know."""
    found = layout(header)
    if found is None or not found.channels or found.height * found.width > PIXEL_LIMIT:
        return None
    return Frame(found.height, found.width, "L" if found.channels == 1 else "RGB")


def _native_frame(blob: bytes) -> Frame | None:
    try:
        with _opened(blob) as image:
            return _frame_of(image, _orientation(image))
    except Exception:  # noqa: BLE001 - decoding, which comes later, says what is wrong with it
        return None


def _frame_of(image: Image.Image, orientation: int) -> Frame:
    """The frame of an opened image, as it will stand."""
    width, height = image.size
    if orientation >= 5:
        width, height = height, width
    return Frame(height, width, "L" if _is_grey(image) else "RGB")


def _pixels(blob: bytes, frame: Frame, *, fit_size: bool, fit_mode: bool) -> tuple[ImageArray | None, Frame]:
    """The pixels of one image in ``frame``, by Pillow, and its own frame.

    The pixels are None when it should fit by itself and does not.

    Raises:
        Refused: it cannot be read.
    """
    with _opened(blob) as image:
        try:
            orientation = _orientation(image) if _may_turn(blob) else 1
            own = _frame_of(image, orientation)
            if not fit_mode and own.mode != frame.mode:
                return None, own
            if not fit_size and (own.height, own.width) != (frame.height, frame.width):
                return None, own
            turned = image if orientation == 1 else ImageOps.exif_transpose(image)
            return np.asarray(_fitted(turned, frame)), own
        except Exception as error:  # noqa: BLE001 - what a decoder raises at hostile bytes, nobody can list
            raise Refused(_reason(error, blob)) from None


def _opened(blob: bytes) -> Image.Image:
    """An image whose header was read and found reasonable.

    Raises:
        Refused: it is none.
    """
    if not blob:
        raise Refused("zero bytes")
    try:
        if blob.startswith(SIGNATURE):
            found = layout(blob[:HEADER_BYTES])
            if found is not None:
                _check_pixels(found.height, found.width)
            if (proof := damage(blob)) is not None:
                raise Refused(proof)
        image = Image.open(io.BytesIO(blob), formats=_FORMATS)
    except Refused:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        raise Refused(_reason(error, blob)) from None
    _check_pixels(image.height, image.width)
    return image


def _check_pixels(height: int, width: int) -> None:
    if height * width > PIXEL_LIMIT:
        raise Refused(f"{height}x{width} pixels, over the limit of {PIXEL_LIMIT:,}")


def _fitted(image: Image.Image, frame: Frame) -> Image.Image:
    """The image in the mode and size of a frame."""
    plain = _eight_bits(image)
    if plain.mode != frame.mode:
        plain = plain.convert(frame.mode)
    return _scaled(plain, frame)


def _scaled(image: Image.Image, frame: Frame) -> Image.Image:
    """The image scaled to cover the frame, its centre kept."""
    size = (frame.width, frame.height)
    return image if image.size == size else ImageOps.fit(image, size, Image.Resampling.BILINEAR)


def _eight_bits(image: Image.Image) -> Image.Image:
    """The image as 8-bit grey or RGB, without transparency."""
    image.load()
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise Refused("32-bit pixels, whose range is not known; expected 8 or 16 bits")
        return Image.fromarray((values >> 8).astype(np.uint8))
    if image.mode == "F":
        raise Refused("floating-point pixels, whose range is not known; expected 8 or 16 bits")
    grey = _is_grey(image)
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        image = white
    return (
        image.convert("RGB").convert("L") if grey and image.mode not in ("1", "L") else _convert(image, grey)
    )


def _convert(image: Image.Image, grey: bool) -> Image.Image:
    mode = "L" if grey else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _is_grey(image: Image.Image) -> bool:
    """Whether an image has no colour by its mode, or by its palette."""
    if image.mode in ("P", "PA"):
        palette = image.getpalette("RGB") or []
        return palette[0::3] == palette[1::3] == palette[2::3]
    return image.mode in _GREY_MODES


def _may_turn(blob: bytes) -> bool:
    """Whether a file may say that it is to be turned; asking Pillow has it read the whole."""
    return not blob.startswith(SIGNATURE) or any(mark in blob for mark in _EXIF_MARKS)


def _orientation(image: Image.Image) -> int:
    """How a camera was held (1 to 8); 1 when nothing is said of it."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - a broken note on the camera is no reason to lose the image
        return 1
    return value if value in range(1, 9) else 1


def _reason(error: Exception, blob: bytes) -> str:
    """A plain phrase for what a decoder said."""
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, Image.DecompressionBombError):
        return f"more pixels than the limit of {PIXEL_LIMIT:,}"
    if isinstance(error, MemoryError):
        return "more pixels than memory holds"
    text = str(error)
    if isinstance(error, UnidentifiedImageError):
        known = blob.startswith((SIGNATURE, b"\xff\xd8\xff", b"GIF8"))
        return "its header is cut off or damaged" if known else f"not an image (begins with {blob[:12]!r})"
    if "truncated" in text.lower() or isinstance(error, EOFError):
        return "cut off"
    return f"damaged: {text or type(error).__name__}"
