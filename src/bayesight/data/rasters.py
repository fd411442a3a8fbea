"""One encoded image by Pillow: opened safely, at reduced scale where it is large, as 8-bit grey or RGB.

Pixels are never lost to what lies beside them: colour profiles, texts and broken notes of a camera are left
out. JPEG is decoded at a half, a quarter or an eighth of its scale where that is still larger than wanted. An
image of more than a megapixel is never held in a second form as a whole, but converted and averaged strip by
strip.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from bayesight.data.codecs import HEADER_BYTES, SIGNATURE, damage, essence, jpeg_pixels, layout
from bayesight.data.formats import reader_of, recognise
from bayesight.frame import EIGHT_BIT, Frame, Levels, Range, Treatment
from bayesight.language import marked
from bayesight.types import ImageArray

Values: TypeAlias = npt.NDArray[np.float32]

PIXEL_LIMIT = 64_000_000
_SLOW_LIMIT = 16_000_000  # of readers written in Python
LARGE = 1 << 20  # pixels; smaller images are decoded whole
_GAP = 3  # at least so many pixels of a reduced image for one of the frame: no difference can be seen
_JPEG_GAP = 1.5  # likewise where libjpeg reduces, which does not average but leaves out fine frequencies
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_EXIF_MARKS = (b"eXIf", b"Raw profile", b"XML:com.adobe")  # where a PNG may say that it is to be turned
_GREY_MODES = frozenset(("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"))
_DNG_VERSION, _SUBFILE, _SUB_IFDS, _DEPTHS = 50706, 254, 330, 258
_PALETTES = frozenset(("RGB", "BGR", "RGBA", "RGBX", "BGRX"))
_FRAMED = frozenset(("GIF", "WEBP", "TIFF", "AVIF", "HEIF"))


class RasterRefusal(ValueError):
    """An image that cannot be read; the text is the reason."""


@dataclass
class Raster:
    """An image whose header was read and found reasonable; its pixels are decoded when they are asked for.

    Args:
        blob: the file.
        image: as Pillow opened it.
        form: Pillow's name of its format.
        grey: whether it has no colour, by its mode or its palette.
        orientation: how the camera was held, 1 to 8.
    """

    blob: bytes
    image: Image.Image
    form: str
    grey: bool
    orientation: int
    _values: Callable[[tuple[int, int, int, int]], Values] | None = field(default=None, repr=False)

    @classmethod
    def open(cls, blob: bytes) -> Raster:
        """Read a header.

        Raises:
            RasterRefusal: it is no image, or one that is not read.
        """
        form = _form_of(blob)
        try:
            if form == "PNG":
                found = layout(blob[:HEADER_BYTES])
                if found is not None:
                    check_pixels(found.height, found.width)
                if (proof := damage(blob)) is not None:
                    raise RasterRefusal(proof)
            image = _opened(blob, form)
            check_pixels(image.height, image.width)
            if any(tile[0] in Image.DECODERS for tile in getattr(image, "tile", ())):
                check_pixels(image.height, image.width, _SLOW_LIMIT)
            if form == "TIFF":
                _refuse_raw(image)
            grey = is_grey(image) or (form == "PNG" and blob[24:26] == b"\x10\4")
        except Exception as error:  # noqa: BLE001 - what a reader raises at hostile bytes, nobody can list
            raise RasterRefusal(reason_of(error, blob)) from None
        return cls(blob, image, form, grey, _orientation(image) if may_turn(blob) else 1)

    @property
    def own(self) -> Frame:
        """The image's own frame, as it will stand; its levels are not looked at."""
        width, height = self.image.size
        if self.orientation >= 5 and self.form != "TIFF":  # which Pillow turns itself
            width, height = height, width
        return Frame(height, width, "L" if self.grey else "RGB")

    @property
    def is_deep(self) -> bool:
        """True where its values are of more than 8 bits, so that the file does not say what is white."""
        if self.image.mode.startswith("I") or self.image.mode == "F":
            return True
        if self.form == "PNG":
            return self.blob[24:25] == b"\x10"
        depths = _tags(self.image).get(_DEPTHS, ())
        return any(depth > 8 for depth in (depths if isinstance(depths, tuple) else (depths,)))

    def range(self) -> Range:
        """The least and the greatest value of a deep image.

        Raises:
            RasterRefusal: it cannot be decoded, or holds no number.
        """
        try:
            low, high = np.inf, -np.inf
            for box in _strips(*self._size(), 1):
                values = self._deep(box)[0]
                finite = values[np.isfinite(values)]
                if finite.size:
                    low, high = min(low, float(finite.min())), max(high, float(finite.max()))
        except Exception as error:  # noqa: BLE001 - as above
            raise RasterRefusal(reason_of(error, self.blob)) from None
        if low > high:
            raise RasterRefusal(marked("floating-point pixels, none of which is a finite number"))
        return Range(low, high, whole=self.image.mode != "F")

    def fitted(self, frame: Frame) -> tuple[ImageArray, Treatment]:
        """The pixels in a frame, and what was done to them.

        Raises:
            RasterRefusal: it cannot be decoded, or its values are of another kind than the frame's.
        """
        deep = self.is_deep
        if deep:
            self._require_levels(frame)
        elif frame.levels != EIGHT_BIT:
            raise RasterRefusal(
                marked(
                    f"8-bit values; expected values of {Range(*frame.levels)}: save it the way the "
                    "others were"
                )
            )
        own = self.own
        seen = {"transparent": False, "clipped": False}
        try:
            plain, true = self._reduced(frame, own, seen)
            if self.form in ("ICO", "CUR"):  # whose directory need not tell the truth
                own = Frame(plain.height, plain.width, own.mode)
            if plain.mode != frame.mode:
                plain = plain.convert(frame.mode)
            turn = None if self.form == "TIFF" else _TURNS.get(self.orientation)
            if turn is None:
                placed = place(plain, frame, true)
            else:
                lying = frame.lying() if self.orientation >= 5 else frame
                placed = place(plain, lying, true).transpose(turn)
            pixels = np.asarray(placed)
        except Exception as error:  # noqa: BLE001 - as above
            raise RasterRefusal(reason_of(error, self.blob)) from None
        return pixels, replace(
            Treatment.of(own, frame),
            turned=int(self.orientation != 1),
            transparent=int(seen["transparent"]),
            frames=int(self._has_frames()),
            inks=int(self.image.mode == "CMYK"),
            deep=int(deep),
            clipped=int(seen["clipped"]),
        )

    def _require_levels(self, frame: Frame) -> None:
        """Values of 16 bits that lie in 0 to 255 are those of 8 bits in a larger box; others need levels."""
        if frame.levels != EIGHT_BIT:
            return
        found = self.range()
        if not found.is_eight_bit:
            raise RasterRefusal(
                marked(f"values of {found}; expected values of 8 bits: convert it the way the others were")
            )

    def _size(self) -> tuple[int, int]:
        """(width, height) of what Pillow decodes."""
        self.image.load()
        return self.image.size

    def _reduced(
        self, frame: Frame, own: Frame, seen: dict[str, bool]
    ) -> tuple[Image.Image, tuple[float, float]]:
        """8-bit grey or RGB without transparency, larger than the frame where it is reduced, and a size.

        That size is not whole where the last row and column of the reduced image stand for less than others.
        """
        scale = frame.scale_of(own.height, own.width)
        true: tuple[float, float] | None = None
        if self.form == "JPEG" and scale >= 2 * _JPEG_GAP:
            across, down = self.image.size
            least = int(across * _JPEG_GAP / scale), int(down * _JPEG_GAP / scale)
            drafted = self.image.draft(None, least)
            if drafted is not None:
                true = drafted[1][2], drafted[1][3]
                scale *= true[0] / across
                pixels = jpeg_pixels(self.blob, self.image.mode, self.image.height, self.image.width)
                self.image = self.image if pixels is None else Image.fromarray(pixels)
        factor = max(1, int(scale / _GAP)) if own.pixels > LARGE else 1
        width, height = self._size()
        true = true or (width, height)
        check_pixels(height, width)
        boxes = _strips(width, height, factor)
        if len(boxes) == 1 and factor == 1:
            return self._plain(boxes[0], frame.levels, seen), true
        whole = Image.new(own.mode, (-(-width // factor), -(-height // factor)))
        for box in boxes:
            strip = self._plain(box, frame.levels, seen, factor)
            whole.paste(strip if strip.mode == own.mode else strip.convert(own.mode), (0, box[1] // factor))
        return whole, (true[0] / factor, true[1] / factor)

    def _plain(
        self, box: tuple[int, int, int, int], levels: Levels, seen: dict[str, bool], factor: int = 1
    ) -> Image.Image:
        """A part of the image as 8-bit grey or RGB, without transparency, of ``factor`` pixels one."""
        if self.is_deep:
            return _averaged(_scaled_down(*self._deep(box), levels, seen), factor)
        part = self.image if box == (0, 0, *self.image.size) else self.image.crop(box)
        found, transparent = flattened(part, factor, grey=self.grey)
        seen["transparent"] |= transparent
        return found

    def _deep(self, box: tuple[int, int, int, int]) -> tuple[Values, Values | None]:
        """A part of a deep image: its values ``(h, w)`` or ``(h, w, 3)``, and its opacity in [0, 1]."""
        if self.image.mode[0] in "IF":
            return np.asarray(self.image.crop(box)).astype(np.float32), None
        if self._values is None:
            self._values = _colour_values(self.blob, self.form)
        found = self._values(box)
        opacity = found[..., -1] / np.float32(0xFFFF) if found.shape[-1] in (2, 4) else None
        if self.grey:
            return found[..., 0], opacity
        return found[..., :3], None if opacity is None else opacity[..., None]

    def _has_frames(self) -> bool:
        """True where the file holds more images after this one."""
        if self.form == "PNG":
            return b"acTL" in self.blob[: HEADER_BYTES + 512]
        try:
            return self.form in _FRAMED and bool(getattr(self.image, "is_animated", False))
        except Exception:  # noqa: BLE001 - a broken second frame does not concern the first
            return True


def _scaled_down(values: Values, alpha: Values | None, levels: Levels, seen: dict[str, bool]) -> Image.Image:
    """Values of more than 8 bits brought to 8."""
    low, high = levels
    seen["clipped"] |= bool(((values < low) | (values > high)).any())
    values = (np.nan_to_num(values, nan=low) - low) * np.float32(255 / (high - low or 1))
    if alpha is not None and (alpha < 1).any():
        seen["transparent"] = True
        values = values * alpha + 255 * (1 - alpha)
    return Image.fromarray(np.rint(np.clip(values, 0, 255)).astype(np.uint8))


def flattened(image: Image.Image, factor: int = 1, *, grey: bool) -> tuple[Image.Image, bool]:
    """An image of 8 bits as grey or RGB, ``factor`` pixels one, laid over white; whether it was transparent.

    Args:
        image: of any mode of 8 bits or fewer.
        factor: pixels along a side that become one.
        grey: as ``is_grey`` tells it.
    """
    if image.mode in ("La", "RGBa"):  # colours multiplied by opacity, which Pillow brings nowhere else
        image = image.convert(image.mode.upper())
    transparent = False
    if image.has_transparency_data:
        image, factor = _averaged(image.convert("RGBA"), factor), 1
        transparent = bool(np.asarray(image.getchannel("A")).min() < 255)
        if transparent:
            white = Image.new("RGBA", image.size, "white")
            white.alpha_composite(image)
            image = white
    if grey and image.mode not in ("1", "L"):
        image = image.convert("RGB")  # whose channels are equal, so that grey is any of them
    mode = "L" if grey else "RGB"
    return _averaged(image if image.mode == mode else image.convert(mode), factor), transparent


def _averaged(image: Image.Image, factor: int) -> Image.Image:
    """The mean of every so many pixels along each side."""
    return image if factor == 1 else image.reduce(factor)


def place(image: Image.Image, frame: Frame, true: tuple[float, float] | None = None) -> Image.Image:
    """An image scaled to the size of a frame, in the way the frame says.

    Args:
        image: of the frame's mode.
        frame: whose size and way.
        true: (width, height) of what the image shows, where its last row and column stand for less.
    """
    (width, height), how = true or image.size, Image.Resampling.BILINEAR
    if image.size == (frame.width, frame.height) == (width, height):
        return image
    if frame.fit == "stretch":
        return image.resize((frame.width, frame.height), how, (0, 0, width, height))
    across, down = width / frame.width, height / frame.height
    if frame.fit == "pad":
        scale = max(across, down)
        inner = max(1, round(width / scale)), max(1, round(height / scale))
        page = Image.new(image.mode, (frame.width, frame.height))
        corner = (frame.width - inner[0]) // 2, (frame.height - inner[1]) // 2
        page.paste(image.resize(inner, how, (0, 0, width, height)), corner)
        return page
    scale = min(across, down)
    left, top = (width - scale * frame.width) / 2, (height - scale * frame.height) / 2
    box = (left, top, left + scale * frame.width, top + scale * frame.height)
    return image.resize((frame.width, frame.height), how, box)


def check_pixels(height: int, width: int, limit: int = PIXEL_LIMIT) -> None:
    """Refuse an image of too many pixels.

    Raises:
        RasterRefusal: more than ``limit``.
    """
    if height * width > limit:
        raise RasterRefusal(marked(f"{height}x{width} pixels, over the limit of {limit:,}"))


def may_turn(blob: bytes) -> bool:
    """True where a file may say that it is to be turned; asking Pillow has it read the whole of a PNG."""
    return not blob.startswith(SIGNATURE) or any(mark in blob for mark in _EXIF_MARKS)


def reason_of(error: Exception, blob: bytes) -> str:
    """A plain phrase for what a reader said."""
    if isinstance(error, RasterRefusal):
        return str(error)
    if isinstance(error, Image.DecompressionBombError):
        return marked(f"more pixels than the limit of {PIXEL_LIMIT:,}")
    if isinstance(error, MemoryError):
        return marked("more pixels than memory holds")
    text = str(error)
    if isinstance(error, UnidentifiedImageError):
        known = blob.startswith((SIGNATURE, b"\xff\xd8\xff", b"GIF8")) or blob[4:8] == b"ftyp"
        return (
            marked("its header is cut off or damaged")
            if known
            else marked(f"not an image (begins with {blob[:12]!r})")
        )
    if text.startswith("conversion from"):
        return marked(f"colours of a kind that is not read ({text.split()[2]}); expected grey, RGB or CMYK")
    if "truncated" in text.lower() or isinstance(error, EOFError):
        return marked("cut off")
    return marked(f"damaged: {text or type(error).__name__}")


def _form_of(blob: bytes) -> str:
    """The format an image is read as.

    Raises:
        RasterRefusal: none.
    """
    if not blob:
        raise RasterRefusal(marked("zero bytes"))
    form = reader_of(blob)
    if form is None:
        known = recognise(blob)
        if known is None or isinstance(known, str):
            raise RasterRefusal(reason_of(UnidentifiedImageError(), blob))
        raise RasterRefusal(known.reason)
    if form in ("ICO", "CUR"):  # which may hold a PNG of any size
        at = blob.find(SIGNATURE)
        while at >= 0:
            found = layout(blob[at : at + HEADER_BYTES])
            if found is not None:
                check_pixels(found.height, found.width)
            at = blob.find(SIGNATURE, at + 1)
    return form


def _opened(blob: bytes, form: str) -> Image.Image:
    """The image without what lies beside its pixels, or what of that does not hinder reading it."""
    if form == "PNG":
        try:
            return Image.open(io.BytesIO(essence(blob, keep=_EXIF_MARKS)), formats=(form,))
        except Exception:  # noqa: BLE001 - a broken note on the camera is no reason to lose the image
            return Image.open(io.BytesIO(essence(blob)), formats=(form,))
    if form == "HEIF" and form not in Image.OPEN:
        from pillow_heif import register_heif_opener

        register_heif_opener()
    try:
        return Image.open(io.BytesIO(blob), formats=(form,))
    except Exception:
        bare = _without_notes(blob) if form == "JPEG" else blob
        if bare == blob:
            raise
        return Image.open(io.BytesIO(bare), formats=(form,))


def _without_notes(blob: bytes) -> bytes:
    """A JPEG without its application segments but JFIF's and Adobe's, and without comments."""
    kept, at = [blob[:2]], 2
    while at + 4 <= len(blob) and blob[at] == 0xFF and blob[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(blob[at + 2 : at + 4], "big")
        if not (0xE1 <= blob[at + 1] <= 0xED or blob[at + 1] in (0xEF, 0xFE)):
            kept.append(blob[at:end])
        at = end
    return b"".join([*kept, blob[at:]])


def _strips(width: int, height: int, factor: int) -> list[tuple[int, int, int, int]]:
    """Boxes of whole rows that make up an image: one of a small image, of large ones about a megapixel."""
    rows = height if width * height <= LARGE else max(1, LARGE // (width * factor)) * factor
    return [(0, top, width, min(top + rows, height)) for top in range(0, height, rows)]


def _colour_values(blob: bytes, form: str) -> Callable[[tuple[int, int, int, int]], Values]:
    """The reader of an image of 16 bits a channel, of which Pillow keeps the high byte.

    Read again with the bytes of each pair taken the other way round, it gives the low one.
    """
    high, low = (_opened(blob, form) for _ in range(2))
    tiles = getattr(low, "tile", [])
    packing = _packing(tiles[0]) if tiles else ""
    if packing.endswith("16N"):  # as libtiff gives them: the processor's own order
        packing = packing[:-1] + ("L" if sys.byteorder == "little" else "B")
    if packing.endswith("16B"):
        other = packing[:-1] + "L"
    elif packing.endswith("16L"):
        other = packing[:-1] + "B"
    else:
        raise RasterRefusal(
            marked("16-bit colours, of which only half can be read; expected them in a PNG or in 8 bits")
        )
    grey_alpha = packing == "LA;16B"
    if grey_alpha:
        high = low  # of the four bytes of a pixel each becomes a channel
        other = "RGBA"
    setattr(low, "tile", [tile._replace(args=_repacked(tile, other)) for tile in tiles])  # noqa: B010
    high.load()
    low.load()

    def values(box: tuple[int, int, int, int]) -> Values:
        top, bottom = (np.asarray(image.crop(box)).astype(np.float32) for image in (high, low))
        return bottom[..., 0::2] * 256 + bottom[..., 1::2] if grey_alpha else top * 256 + bottom

    return values


def _packing(tile: Any) -> str:
    """Pillow's name of the order that the bytes of a tile's pixels lie in."""
    given = tile[3]
    return str(given[0] if isinstance(given, tuple) else given)


def _repacked(tile: Any, packing: str) -> object:
    given = tile[3]
    return (packing, *given[1:]) if isinstance(given, tuple) else packing


def _refuse_raw(image: Image.Image) -> None:
    """A camera's raw file is a kind of TIFF whose first image is but a small preview."""
    tags = _tags(image)
    preview = tags.get(_SUBFILE, 0)
    if _DNG_VERSION in tags or (isinstance(preview, int) and preview & 1 and _SUB_IFDS in tags):
        raise RasterRefusal(
            marked("a camera's raw file, which is not read: develop it to JPEG, PNG or TIFF first")
        )


def _tags(image: Image.Image) -> Mapping[int, Any]:
    """The tags of a TIFF; none of another image."""
    found: Mapping[int, Any] = getattr(image, "tag_v2", {})
    return found


def is_grey(image: Image.Image) -> bool:
    """True where an image has no colour by its mode, or by its palette."""
    if image.mode not in ("P", "PA"):
        return image.mode in _GREY_MODES
    held = image.palette  # asked for it in the plain way, Pillow decodes the image
    packing = "" if held is None else held.rawmode or held.mode
    step, raw = len(packing), b""
    if held is not None and packing in _PALETTES:
        raw = bytes(held.palette or b"")
    if not raw:
        raw, step = bytes(image.getpalette("RGB") or ()), 3
    return raw[0::step] == raw[1::step] == raw[2::step]


def _orientation(image: Image.Image) -> int:
    """The way a camera was held (1 to 8); 1 when nothing is said of it."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - as in _opened
        return 1
    return value if value in range(1, 9) else 1
