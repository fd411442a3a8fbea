"""Scenes composed of glyphs on textured ground, with what is where: a mask, and a box of each glyph.

Whatever glyphs are given are used, letters of an archive or rendered ones, so that scenes to learn from and
scenes to be judged on need share none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, zoom

from bayesight.checks import check
from bayesight.seeding import numpy_generator
from bayesight.types import FloatArray, ImageArray, IntArray

_INK = 128
"""From this value on a pixel of a glyph is ink."""
_TRIES = 20


@dataclass(frozen=True)
class SceneOptions:
    """The look of a scene.

    Args:
        side: pixels of its sides.
        glyphs: in each scene.
        smallest: side of a glyph, pixels, at least 4.
        largest: likewise, at most ``side``.
        overlap: share of a glyph's box that others may cover, in [0, 1].
        texture: contrast of the ground, in [0, 1].
        noise: standard deviation of every pixel, as a share of white.
    """

    side: int = 48
    glyphs: int = 3
    smallest: int = 14
    largest: int = 22
    overlap: float = 0.25
    texture: float = 0.4
    noise: float = 0.08

    def __post_init__(self) -> None:
        came = f"glyphs of {self.smallest} to {self.largest} pixels in scenes of {self.side}"
        sized = 4 <= self.smallest <= self.largest <= self.side
        check(sized, "scenes", came, "4 <= smallest <= largest <= side")
        check(self.glyphs >= 1, "scenes", f"{self.glyphs} glyphs", "at least 1")
        for name in ("overlap", "texture", "noise"):
            value = getattr(self, name)
            check(0 <= value <= 1, f"scenes.{name}", f"got {value:g}", "a share in [0, 1]")


@dataclass(frozen=True, eq=False)
class Scenes:
    """Scenes and what is in them.

    Args:
        images: (N, S, S) uint8, grey.
        masks: (N, S, S) uint8: 0 is ground, k + 1 ink of a glyph of class k.
        boxes: (N, G, 4) left, top, right, bottom of each glyph's ink in pixels, behind others or not.
        labels: (N, G) class of each glyph.
    """

    images: ImageArray
    masks: ImageArray
    boxes: FloatArray
    labels: IntArray


def compose(
    glyphs: ImageArray, labels: IntArray, count: int, options: SceneOptions | None = None, *, seed: int = 0
) -> Scenes:
    """Scenes of glyphs drawn at random, each at a size, a place and a brightness of its own.

    A place is drawn anew while the box overlaps those before it too much; the last try is taken as it is.

    Args:
        glyphs: (M, h, w) uint8, white ink on black.
        labels: (M,) their classes.
        count: N scenes.
        options: how they look.
        seed: everything random follows from it.

    Raises:
        InvalidInput: no glyphs, or labels that are not theirs.
    """
    fits = glyphs.ndim == 3 and len(glyphs) == len(labels) > 0
    check(fits, "scenes", f"glyphs {glyphs.shape}, labels {labels.shape}", "(M, h, w) and (M,), M >= 1")
    look, rng = options or SceneOptions(), numpy_generator(seed, "scenes")
    shape = (count, look.side, look.side)
    images, masks = np.empty(shape, np.uint8), np.zeros(shape, np.uint8)
    boxes = np.zeros((count, look.glyphs, 4))
    chosen = rng.integers(len(glyphs), size=(count, look.glyphs))
    for scene in range(count):
        canvas = ground(look, rng)
        for place, glyph in enumerate(chosen[scene].tolist()):
            drawn = scaled(glyphs[glyph], int(rng.integers(look.smallest, look.largest + 1)))
            y, x = _free_place(drawn.shape, boxes[scene, :place], look, rng)
            ink = paste(canvas, drawn, (y, x), rng)
            masks[scene, y : y + ink.shape[0], x : x + ink.shape[1]][ink] = labels[glyph] + 1
            boxes[scene, place] = _box_of(ink, y, x)
        canvas += rng.normal(0, look.noise, canvas.shape)
        images[scene] = (canvas.clip(0, 1) * 255).round()
    return Scenes(images, masks, boxes, labels[chosen].astype(np.int64))


def ground(look: SceneOptions, rng: np.random.Generator) -> FloatArray:
    """Clouds of grey (S, S) in [0, 1], darker than ink."""
    coarse = gaussian_filter(rng.normal(size=(look.side, look.side)), rng.uniform(1.0, 4.0), mode="wrap")
    clouds = coarse / max(float(np.abs(coarse).max()), 1e-9)
    greys: FloatArray = 0.3 + 0.5 * look.texture * clouds * rng.uniform(0.3, 1.0)
    return greys


def scaled(glyph: ImageArray, side: int) -> FloatArray:
    """A glyph whose longer side has so many pixels; values in [0, 255]."""
    factor = side / max(glyph.shape)
    drawn: FloatArray = zoom(glyph.astype(float), factor, order=1, grid_mode=True, mode="nearest")
    return drawn.clip(0, 255)


def paste(
    canvas: FloatArray, glyph: FloatArray, corner: tuple[int, int], rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Lay a scaled glyph on the canvas, top left at (y, x), in a brightness of its own.

    Returns:
        (h, w) pixels of the glyph that are ink.
    """
    y, x = corner
    area = canvas[y : y + glyph.shape[0], x : x + glyph.shape[1]]
    area += glyph / 255 * (rng.uniform(0.65, 1.0) - area)
    return glyph >= _INK


def _free_place(
    shape: tuple[int, ...], taken: FloatArray, look: SceneOptions, rng: np.random.Generator
) -> tuple[int, int]:
    """Top and left of a glyph of this shape that covers little of the boxes taken."""
    y = x = 0
    for _ in range(_TRIES):
        y, x = (int(rng.integers(look.side - side + 1)) for side in shape)
        low = np.maximum(taken[:, :2], [x, y])
        high = np.minimum(taken[:, 2:], [x + shape[1], y + shape[0]])
        both = (high - low).clip(0, None).prod(axis=1)
        areas = (taken[:, 2:] - taken[:, :2]).prod(axis=1)
        if (both <= look.overlap * np.minimum(areas, shape[0] * shape[1])).all():
            break
    return y, x


def _box_of(ink: np.ndarray, y: int, x: int) -> tuple[float, float, float, float]:
    """The box of ink whose corner lies at (y, x); of a glyph without ink that of its whole."""
    rows, columns = (np.flatnonzero(ink.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return x, y, x + ink.shape[1], y + ink.shape[0]
    return x + columns[0], y + rows[0], x + columns[-1] + 1, y + rows[-1] + 1
