"""One size, mode and range of values for all images of a store: asked for, their own, or a stated choice."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import index

import numpy as np

from bayesight.checks import check
from bayesight.data.layout import AS_SHOWN, LayoutOptions
from bayesight.data.rasters import PIXEL_LIMIT
from bayesight.errors import InvalidInput, SourceUnreadable
from bayesight.frame import EIGHT_BIT, FITS, Fit, Frame, Levels, Range
from bayesight.language import marked

MOST_PIXELS = 1 << 20
"""Images of one common size are kept at it up to 1024x1024 pixels; larger ones are scaled down."""

_SMALLEST_SIDE, _LARGEST_SIDE, _STEP = 16, 64, 8
_GAP = 8.0  # between the greatest values of two depths; exposures alone leave no such gap between two groups
_FEW = 0.1  # of the images: so many may be brighter than all others by that much
_FITTING = {
    "crop": marked("scaled to cover it and cropped in the centre"),
    "pad": marked("scaled to lie within it, with black beside them"),
    "stretch": marked("stretched to it"),
}


@dataclass(frozen=True)
class ImageSpec:
    """The size, mode, levels and layout that were asked of a store.

    Args:
        size: (height, width), or None for what the data are.
        mode: "L", "RGB", or None for what the data are.
        labelled: whether images need a class.
        levels: the values that become 0 and 255, or None for those of the data.
        fit: how images of another shape are brought to the size.
        layout: which folders are classes and which are parts, or None each for what the source shows.

    Raises:
        InvalidInput: a mode, fit, class level or levels that cannot be.
    """

    size: tuple[int, int] | None = None
    mode: str | None = None
    labelled: bool = True
    levels: Levels | None = None
    fit: Fit = "crop"
    layout: LayoutOptions = AS_SHOWN

    def __post_init__(self) -> None:
        check(self.fit in FITS, "fit", f"got {self.fit!r}", "crop, pad or stretch")
        check(self.mode in (None, "L", "RGB"), "mode", f"got {self.mode!r}", '"L" (grey) or "RGB"')
        ends = self.levels or EIGHT_BIT
        ordered = len(ends) == 2 and all(map(math.isfinite, ends)) and ends[0] <= ends[1]
        check(ordered, "levels", f"got {self.levels}", "the least and the greatest of the values")
        level = "1 for the folders at the top, 2 for the next, -1 for the lowest"
        check(self.layout.class_level != 0, "--class-level", "got 0", level)

    @property
    def by_folder(self) -> bool:
        """True where an image needs a folder, which tells its class."""
        return self.labelled and self.layout.labels_from is None


def sides(size: int | Sequence[int] | None) -> tuple[int, int] | None:
    """The height and width of images of a size; a single number is the side of a square.

    Raises:
        InvalidInput: no size that images could have.

    Example:
        >>> sides(28), sides((32, 24))
        ((28, 28), (32, 24))
    """
    if size is None:
        return None
    try:
        height, width = map(index, size) if isinstance(size, Sequence) else (index(size),) * 2
    except (TypeError, ValueError):
        raise InvalidInput(f"size: got {size!r}; expected a whole number, or (height, width).") from None
    fits = min(height, width) >= 1 and height * width <= PIXEL_LIMIT
    check(fits, "size", f"got {height}x{width}", f"sides of at least 1, {PIXEL_LIMIT:,} pixels at most")
    return height, width


@dataclass
class BitDepths:
    """The number of images of 8 bits in a source, and the range of values of each of the others.

    Args:
        source: what to call it.
        eight: images of 8 bits.
        ranges: of the others.
        paths: where those lie.
    """

    source: str
    eight: int = 0
    ranges: list[Range] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    def add(self, path: str, found: Range | None) -> None:
        """Take note of an image."""
        if found is None:
            self.eight += 1
        else:
            self.ranges.append(found)
            self.paths.append(path)

    def levels(self) -> Levels:
        """The least and the greatest value of all images, which become 0 and 255.

        A file of 16 bits does not say what is white: a camera of 12 bits writes values up to 4,095 into it.
        Where images of 8 bits lie beside others, or the greatest values fall into two groups far apart, one
        range would make some of them black; where few are brighter than all others by that much, it is a
        matter of single pixels, which are clipped.

        Raises:
            SourceUnreadable: images of two depths.
        """
        if all(found.is_eight_bit for found in self.ranges):
            return EIGHT_BIT
        order = sorted(range(len(self.ranges)), key=lambda i: self.ranges[i].high)
        order = [i for i in order if self.ranges[i].high > 0] or order[-1:]
        high = np.array([self.ranges[i].high for i in order])
        if self.eight:
            whole = Range(min(found.low for found in self.ranges), high[-1])
            came = f"{self.eight:,} images of 8 bits and {len(high):,} of {whole}"
            raise self._mixed(came, self.paths[min(order)])
        steps = np.diff(np.log(high)) if high[0] > 0 else np.zeros(0)
        above = int(steps.argmax()) + 1 if len(steps) else 0
        if above and steps[above - 1] >= np.log(_GAP):
            share = 1 - above / len(high)
            if _FEW < share < 1 - _FEW:
                darker = str(Range(0, high[above - 1])).removeprefix("0 to ")
                came = (
                    f"{above:,} images of values up to {darker} and {len(high) - above:,} up to "
                    f"{high[-1]:,.6g}"
                )
                raise self._mixed(came, self.paths[min(order[above:])])
            if share <= _FEW:
                high = high[:above]
        return min(found.low for found in self.ranges), float(high[-1])

    def _mixed(self, came: str, path: str) -> SourceUnreadable:
        return SourceUnreadable(
            f"{self.source} mixes {came} (the first of these: {path}): on one scale the darker ones would be "
            "almost black; expected images of one range. Bring them to one depth first, or train on each "
            "kind by itself"
        )


def asked_frame(spec: ImageSpec, native: Frame) -> Frame:
    """A native frame with what was asked for put in its place."""
    height, width = spec.size or (native.height, native.width)
    return Frame(height, width, spec.mode or native.mode, spec.levels or native.levels, spec.fit)


def choose(spec: ImageSpec, seen: Counter[Frame], levels: Levels = EIGHT_BIT) -> Frame:
    """One frame for images of several.

    RGB as soon as one image has colour. The most common size if at least half of the images share it,
    otherwise a square whose side is the median short side, rounded to a multiple of 8 within 16 to 64. A
    common size of more than 1024x1024 pixels is scaled down to a short side of 64, its shape kept.

    Example:
        >>> found = choose(ImageSpec(), Counter({Frame(28, 28, "L"): 3, Frame(9, 9, "RGB"): 1}))
        >>> found.shape
        (28, 28, 3)
        >>> choose(ImageSpec(), Counter({Frame(3000, 4000, "L"): 3})).shape
        (64, 85)
    """
    mode = "RGB" if any(frame.mode == "RGB" for frame in seen) else "L"
    size, many = commonest_size(seen)
    if 2 * many < seen.total():
        side = round(_median_short_side(seen) / _STEP) * _STEP
        size = (min(max(side, _SMALLEST_SIDE), _LARGEST_SIDE),) * 2
    elif size[0] * size[1] > MOST_PIXELS:
        size = _scaled_down(*size)
    return asked_frame(spec, Frame(*size, mode, levels))


def _scaled_down(height: int, width: int) -> tuple[int, int]:
    """A size of the same shape with a short side of 64 and a long one of at most 512."""
    short, long = sorted((height, width))
    side = min(8 * _LARGEST_SIDE, round(_LARGEST_SIDE * long / short))
    return (_LARGEST_SIDE, side) if height <= width else (side, _LARGEST_SIDE)


def sentence(spec: ImageSpec, frame: Frame, seen: Counter[Frame]) -> str:
    """The reasons for a frame, for people; ``seen`` is empty when all images are of it.

    Example:
        >>> sentence(ImageSpec(size=(9, 9)), Frame(9, 9, "L"), Counter())
        '9x9 as asked for; all images are grey'
    """
    size = f"{frame.height}x{frame.width}"
    if spec.size:
        how = marked(f"{size} as asked for")
    elif not seen or {(f.height, f.width) for f in seen} == {(frame.height, frame.width)}:
        how = marked(f"all images are {size}")
    else:
        how = marked(f"{size}, {_reason(frame, seen)}; the others are {_FITTING[frame.fit]}")
    if frame.levels != EIGHT_BIT:
        how = marked(f"{how}; values of {Range(*frame.levels)} are scaled to 0 to 255")
    colour = sum(many for f, many in seen.items() if f.mode == "RGB")
    if spec.mode:
        return marked(f"{how}; {spec.mode} as asked for")
    if 0 < colour < seen.total():
        return marked(f"{how}; RGB, because {colour:,} of them have colour")
    return (
        marked(f"{how}; all images are grey") if frame.mode == "L" else marked(f"{how}; all images are RGB")
    )


def _reason(frame: Frame, seen: Counter[Frame]) -> str:
    """The reason for a frame's size, where images have several."""
    total = seen.total()
    (height, width), many = commonest_size(seen)
    if 2 * many >= total:
        shared = marked(f"the size of {many:,} of {total:,} images")
        if frame.pixels < height * width:
            return marked(f"because {height}x{width}, {shared}, is large (--size HxW for another)")
        if (frame.height, frame.width) == (height, width):
            return shared
    return marked(
        f"because no size is shared by half of the {total:,} images and the median of their short sides is "
        f"{_median_short_side(seen):g}"
    )


def commonest_size(seen: Counter[Frame]) -> tuple[tuple[int, int], int]:
    """The most common size and how many images have it; the larger of two equally common ones."""
    sizes: Counter[tuple[int, int]] = Counter()
    for frame, many in seen.items():
        sizes[frame.height, frame.width] += many
    return max(sizes.items(), key=lambda item: (item[1], item[0]))


def _median_short_side(seen: Counter[Frame]) -> float:
    return float(np.median(np.repeat([min(f.height, f.width) for f in seen], list(seen.values()))))
