"""The frame that all images of a store are brought to, and what bringing them there did to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import add
from typing import Literal, TypeAlias, TypedDict

from bayesight.language import marked

Levels: TypeAlias = tuple[float, float]
"""The values of a source that become 0 and 255."""

Fit: TypeAlias = Literal["crop", "pad", "stretch"]
"""The way an image of another shape is brought to the frame: scaled to cover it and cropped in the centre,
scaled to lie within it with black beside it, or stretched."""

EIGHT_BIT: Levels = (0.0, 255.0)
FITS: tuple[Fit, ...] = ("crop", "pad", "stretch")


class FrameOptions(TypedDict):
    """The options of ``open_store`` that a run gives."""

    size: tuple[int, int]
    mode: str
    levels: Levels
    fit: Fit


@dataclass(frozen=True)
class Frame:
    """The size, mode and levels that all images of a store are brought to.

    Args:
        height: rows.
        width: columns.
        mode: "L" (grey) or "RGB".
        levels: the values that become 0 and 255; of 8-bit images these values themselves.
        fit: how images of another shape are brought to this one.
    """

    height: int
    width: int
    mode: str
    levels: Levels = EIGHT_BIT
    fit: Fit = "crop"

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W) or (H, W, 3)."""
        return (self.height, self.width) if self.mode == "L" else (self.height, self.width, 3)

    @property
    def size_bytes(self) -> int:
        """Bytes of one image."""
        return self.height * self.width * (1 if self.mode == "L" else 3)

    @property
    def pixels(self) -> int:
        """Pixels of one image."""
        return self.height * self.width

    def scale_of(self, height: int, width: int) -> float:
        """Pixels of an image of the size given that become one of this frame, along a side."""
        along = height / self.height, width / self.width
        return max(along) if self.fit == "pad" else min(along)

    def cut_of(self, height: int, width: int) -> int:
        """Pixels of an image of the size given that are cut away."""
        if self.fit != "crop":
            return 0
        scale = self.scale_of(height, width)
        return height * width - min(height * width, round(scale * scale * self.pixels))

    def like(self, other: Frame) -> bool:
        """True where size and mode are the same."""
        return (self.height, self.width, self.mode) == (other.height, other.width, other.mode)

    def lying(self) -> Frame:
        """The same on its side."""
        return replace(self, height=self.width, width=self.height)


@dataclass(frozen=True)
class Range:
    """The values of an image of more than 8 bits, which do not say by themselves what is white.

    Args:
        low: the least.
        high: the greatest.
        whole: whether they are whole numbers.
    """

    low: float
    high: float
    whole: bool = True

    @property
    def is_eight_bit(self) -> bool:
        """True where they are, or could be, those of 8 bits in a larger box."""
        return self.whole and self.low >= 0 and self.high <= EIGHT_BIT[1]

    def __str__(self) -> str:
        return marked(f"{_number(self.low)} to {_number(self.high)}")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) and abs(value) < 1e9 else f"{value:,.4g}"


@dataclass(frozen=True)
class Treatment:
    """The changes made to images to bring them into one frame, in counts.

    Args:
        fitted: images that had another size or mode, and were scaled or converted.
        pixels: of all images, as they were.
        cut: pixels of them that were cut away.
        cropped: images that lost more than a twentieth of their pixels.
        turned: images turned the way their camera noted.
        transparent: images laid over white, for some of their pixels were transparent.
        frames: images that were the first of several frames in their file.
        inks: images of CMYK inks, converted without their colour profile.
        deep: images of more than 8 bits, brought to 8.
        clipped: images of those with values beyond the levels.
    """

    fitted: int = 0
    pixels: int = 0
    cut: int = 0
    cropped: int = 0
    turned: int = 0
    transparent: int = 0
    frames: int = 0
    inks: int = 0
    deep: int = 0
    clipped: int = 0

    @classmethod
    def of(cls, own: Frame, frame: Frame, many: int = 1) -> Treatment:
        """Count what bringing ``many`` images of one frame into another does to them."""
        cut = frame.cut_of(own.height, own.width)
        return cls(
            fitted=0 if own.like(frame) else many,
            pixels=many * own.pixels,
            cut=many * cut,
            cropped=many if 20 * cut > own.pixels else 0,
        )

    def __add__(self, other: Treatment) -> Treatment:
        return Treatment(*map(add, vars(self).values(), vars(other).values()))

    @property
    def cut_share(self) -> float:
        """Share of all pixels that was cut away."""
        return self.cut / self.pixels if self.pixels else 0.0


@dataclass(frozen=True)
class Placing:
    """The place of an image in a frame, as ``data.rasters.place`` puts it there.

    Args:
        size: (height, width) of the image.
        frame: (height, width) of the frame.
        scale: (down, across), pixels of the frame for one of the image.
        corner: (top, left) of the image in pixels of the frame; negative where it is cropped.
    """

    size: tuple[int, int]
    frame: tuple[int, int]
    scale: tuple[float, float]
    corner: tuple[float, float]

    @classmethod
    def of(cls, size: tuple[int, int], frame: Frame) -> Placing:
        """The place of an image of a size (height, width).

        Example:
            >>> Placing.of((50, 100), Frame(40, 40, "L", fit="pad"))
            Placing(size=(50, 100), frame=(40, 40), scale=(0.4, 0.4), corner=(10, 0))
        """
        sides = (frame.height, frame.width)
        ratios = [own / side for own, side in zip(size, sides, strict=True)]
        if frame.fit == "crop":
            each = min(ratios)
            corner = [-(own / each - side) / 2 for own, side in zip(size, sides, strict=True)]
            return cls(size, sides, (1 / each, 1 / each), (corner[0], corner[1]))
        inner = list(sides)
        if frame.fit == "pad":
            inner = [max(1, round(own / max(ratios))) for own in size]
        scale = [one / own for one, own in zip(inner, size, strict=True)]
        top, left = ((side - one) // 2 for side, one in zip(sides, inner, strict=True))
        return cls(size, sides, (scale[0], scale[1]), (top, left))
