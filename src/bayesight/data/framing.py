"""One size and one mode for all images of a store: what was asked for, what they are, or a stated choice."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from bayesight.data.decode import Frame

__all__ = ["Wish", "choose", "sentence", "wished"]

_SMALLEST_SIDE, _LARGEST_SIDE, _STEP = 16, 64, 8


@dataclass(frozen=True)
class Wish:
    """What was asked of a store.

    Args:
        size: (height, width), or None for what the data are.
        mode: "L", "RGB", or None for what the data are.
        labelled: whether images need a class.
    """

    size: tuple[int, int] | None = None
    mode: str | None = None
    labelled: bool = True


def wished(wish: Wish, native: Frame) -> Frame:
    """A native frame with what was asked for put in its place."""
    height, width = wish.size or (native.height, native.width)
    return Frame(height, width, wish.mode or native.mode)


def choose(wish: Wish, seen: Counter[Frame]) -> Frame:
    """One frame for images of several.

    RGB as soon as one image has colour. The most common size if at least half of the images share it,
    otherwise a square whose side is the median short side, rounded to a multiple of 8 within 16 to 64.

    Example:
        >>> choose(Wish(), Counter({Frame(28, 28, "L"): 3, Frame(9, 9, "RGB"): 1}))
        Frame(height=28, width=28, mode='RGB')
    """
    mode = "RGB" if any(frame.mode == "RGB" for frame in seen) else "L"
    size, many = _commonest_size(seen)
    if 2 * many < seen.total():
        side = round(_median_short_side(seen) / _STEP) * _STEP
        size = (min(max(side, _SMALLEST_SIDE), _LARGEST_SIDE),) * 2
    return wished(wish, Frame(*size, mode))


def sentence(wish: Wish, frame: Frame, seen: Counter[Frame]) -> str:
    """How a frame was chosen, for people; ``seen`` is empty when all images are of it.

    Example:
        >>> sentence(Wish(size=(9, 9)), Frame(9, 9, "L"), Counter())
        '9x9 as asked for; all images are grey'
    """
    fit = "the others are scaled to cover it and cropped in the centre"
    size = f"{frame.height}x{frame.width}"
    total = seen.total()
    if wish.size:
        how = f"{size} as asked for"
    elif len({(f.height, f.width) for f in seen}) < 2:
        how = f"all images are {size}"
    elif _commonest_size(seen)[0] == (frame.height, frame.width) and 2 * _commonest_size(seen)[1] >= total:
        how = f"{size}, the size of {_commonest_size(seen)[1]:,} of {total:,} images; {fit}"
    else:
        how = (
            f"{size}, because no size is shared by half of the {total:,} images and the median of their "
            f"short sides is {_median_short_side(seen):g}; {fit}"
        )
    colour = sum(many for f, many in seen.items() if f.mode == "RGB")
    if wish.mode:
        return f"{how}; {wish.mode} as asked for"
    if 0 < colour < total:
        return f"{how}; RGB, because {colour:,} of them have colour"
    return f"{how}; all images are {'grey' if frame.mode == 'L' else 'RGB'}"


def _commonest_size(seen: Counter[Frame]) -> tuple[tuple[int, int], int]:
    """The most common size and how many images have it; the larger of two equally common ones."""
    sizes: Counter[tuple[int, int]] = Counter()
    for frame, many in seen.items():
        sizes[frame.height, frame.width] += many
    return max(sizes.items(), key=lambda item: (item[1], item[0]))


def _median_short_side(seen: Counter[Frame]) -> float:
    return float(np.median(np.repeat([min(f.height, f.width) for f in seen], list(seen.values()))))
