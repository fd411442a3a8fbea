"""Stick figures on textured ground with glyphs behind and before them, and the place of every key point.

A figure faces the viewer, so that its left is on the picture's right; its limbs point as they like.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from bayesight.checks import check
from bayesight.letters.scenes import SceneOptions, ground, paste, scaled
from bayesight.seeding import numpy_generator
from bayesight.types import FloatArray, ImageArray

_SIDES = ("left", "right")
POINTS = (
    "head",
    *(
        f"{side}_{joint}"
        for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
        for side in _SIDES
    ),
)
"""Key points by name, in COCO's order; the head stands for COCO's five of the face."""

SKELETON = (
    *((1, 2), (1, 3), (3, 5), (2, 4), (4, 6)),
    *((1, 7), (2, 8), (7, 8), (7, 9), (9, 11), (8, 10), (10, 12)),
)
"""Pairs of points with a line between them; the head is on a neck of its own."""

_FINE = 4
"""Pixels a side that figures are drawn with in place of one."""


@dataclass(frozen=True)
class FigureOptions:
    """The look of a picture with a figure.

    Args:
        side: pixels of its sides.
        smallest: longer side of a figure's box, pixels, at least 12.
        largest: likewise, at most ``side``.
        behind: glyphs behind the figure.
        before: glyphs before it, which may hide points.
        outside: share of a figure's box that may lie outside the picture, to each side.
        texture: contrast of the ground, in [0, 1].
        noise: standard deviation of every pixel, as a share of white.
    """

    side: int = 48
    smallest: int = 30
    largest: int = 46
    behind: int = 2
    before: int = 2
    outside: float = 0.1
    texture: float = 0.4
    noise: float = 0.08

    def __post_init__(self) -> None:
        came = f"figures of {self.smallest} to {self.largest} pixels in pictures of {self.side}"
        sized = 12 <= self.smallest <= self.largest <= self.side
        check(sized, "figures", came, "12 <= smallest <= largest <= side")
        check(min(self.behind, self.before) >= 0, "figures", "fewer than no glyphs", "0 or more")
        check(0 <= self.outside < 0.5, "figures.outside", f"got {self.outside:g}", "a share below .5")

    @property
    def scene(self) -> SceneOptions:
        """The look of the ground and of the glyphs on it, a quarter to a third as large as the picture."""
        low, high = max(4, self.side // 4), max(4, self.side // 3)
        return SceneOptions(
            side=self.side, smallest=low, largest=high, texture=self.texture, noise=self.noise
        )


@dataclass(frozen=True, eq=False)
class Figures:
    """Pictures of one figure each, and its key points.

    Args:
        images: (N, S, S) uint8, grey.
        points: (N, P, 2) x and y of each of ``POINTS``, pixels from the outer edge of the first pixel on.
        there: (N, P) whether the point lies in the picture.
        hidden: (N, P) whether a glyph lies over it.
        boxes: (N, 4) left, top, right, bottom of the figure as far as it lies in the picture, pixels.
    """

    images: ImageArray
    points: FloatArray
    there: npt.NDArray[np.bool_]
    hidden: npt.NDArray[np.bool_]
    boxes: FloatArray


def draw_figures(
    glyphs: ImageArray, count: int, options: FigureOptions | None = None, *, seed: int = 0
) -> Figures:
    """Pictures of stick figures, each with a pose, a size, a place and a brightness of its own.

    Args:
        glyphs: (M, h, w) uint8, white ink on black, to lie around and over them.
        count: N pictures.
        options: how they look.
        seed: everything random follows from it.

    Raises:
        InvalidInput: no glyphs.
    """
    check(glyphs.ndim == 3 and len(glyphs) > 0, "figures", f"glyphs {glyphs.shape}", "(M, h, w), M >= 1")
    look, rng = options or FigureOptions(), numpy_generator(seed, "figures")
    side, marks = look.side, (count, len(POINTS))
    images, boxes = np.empty((count, side, side), np.uint8), np.empty((count, 4))
    points, hidden = np.empty((*marks, 2)), np.empty(marks, bool)
    for number in range(count):
        points[number], sizes, boxes[number] = _placed(_pose(rng), look, rng)
        canvas = ground(look.scene, rng)
        for _ in range(look.behind):
            _cover(canvas, glyphs, look, rng)
        ink = _drawn(points[number], sizes, side)
        canvas += ink * (rng.uniform(0.65, 1.0) - canvas)
        over = np.zeros((side, side), bool)
        for _ in range(look.before):
            over |= _cover(canvas, glyphs, look, rng)
        canvas += rng.normal(0, look.noise, canvas.shape)
        images[number] = (canvas.clip(0, 1) * 255).round()
        x, y = np.floor(points[number]).astype(int).clip(0, side - 1).T
        hidden[number] = over[y, x]
    there = np.asarray(((points >= 0) & (points < side)).all(axis=-1), dtype=bool)
    return Figures(images, points, there, hidden & there, boxes)


def coco_of(figures: Figures, names: Sequence[str]) -> dict[str, Any]:
    """The key points as a document of COCO: 2 where a point is seen, 1 where hidden, 0 where not there.

    Args:
        figures: one in each image.
        names: (N,) of the image files.
    """
    side = figures.images.shape[1]
    seen = figures.there * (2 - figures.hidden)
    marks = np.concatenate([figures.points * figures.there[..., None], seen[..., None]], axis=2)
    sides = figures.boxes[:, 2:] - figures.boxes[:, :2]
    boxes = np.concatenate([figures.boxes[:, :2], sides], axis=1)
    return {
        "images": [
            {"id": number, "file_name": name, "width": side, "height": side}
            for number, name in enumerate(names)
        ],
        "categories": [
            {
                "id": 1,
                "name": "figure",
                "keypoints": list(POINTS),
                "skeleton": [[one + 1, other + 1] for one, other in SKELETON],
            }
        ],
        "annotations": [
            {
                "id": number,
                "image_id": number,
                "category_id": 1,
                "iscrowd": 0,
                "bbox": boxes[number].round(2).tolist(),
                "area": float(sides[number].prod().round(2)),
                "num_keypoints": int(figures.there[number].sum()),
                "keypoints": marks[number].round(2).ravel().tolist(),
            }
            for number in range(len(names))
        ],
    }


def _pose(rng: np.random.Generator) -> FloatArray:
    """Key points (P, 2) of a figure that stands about the origin, in units of about its height."""
    spine = _turned(rng.normal(0, 0.3))  # upwards is negative y
    across = np.array([-spine[1], spine[0]])  # towards the figure's left, the picture's right
    neck = 0.3 * spine
    joints = {"head": neck + 0.13 * _turned(np.arctan2(spine[0], -spine[1]) + rng.normal(0, 0.15))}
    for side, sign in zip(_SIDES, (1, -1), strict=True):
        outwards = sign * across
        joints[f"{side}_shoulder"] = neck + 0.1 * outwards
        joints[f"{side}_hip"] = 0.07 * outwards
        for chain, (low, high), bend, length in (
            (("shoulder", "elbow", "wrist"), (-0.3, 2.8), 2.0, 0.17),
            (("hip", "knee", "ankle"), (-0.3, 1.1), 1.0, 0.23),
        ):
            angle = rng.uniform(low, high)  # from straight down, outwards
            for (upper, lower), more in zip(
                itertools.pairwise(chain), (0.0, rng.uniform(-bend, bend)), strict=True
            ):
                angle += more
                along = -np.cos(angle) * spine + np.sin(angle) * outwards
                joints[f"{side}_{lower}"] = joints[f"{side}_{upper}"] + length * along
    return np.array([joints[name] for name in POINTS])


def _turned(angle: float) -> FloatArray:
    """The unit vector at an angle from straight up, clockwise."""
    return np.array([np.sin(angle), -np.cos(angle)])


def _placed(
    pose: FloatArray, look: FigureOptions, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The pose in pixels of the picture, the radii of its points, and its box cut by the picture."""
    size = rng.uniform(look.smallest, look.largest)
    radii = np.full((len(pose), 1), 0.08 * rng.uniform(0.2, 0.4))  # of the head's radius
    radii[0] = 0.08
    low, high = (pose - radii).min(axis=0), (pose + radii).max(axis=0)
    scale = size / (high - low).max()
    extent = scale * (high - low)
    slack = look.outside * extent
    corner = rng.uniform(-slack, np.maximum(look.side - extent + slack, -slack))
    box = np.concatenate([corner, corner + extent]).clip(0, look.side)
    return (pose - low) * scale + corner, radii[:, 0] * scale, box


def _drawn(points: FloatArray, radii: FloatArray, side: int) -> FloatArray:
    """The share (S, S) of each pixel that a figure covers."""
    page = Image.new("L", (side * _FINE,) * 2)
    pen, fine = ImageDraw.Draw(page), points * _FINE
    width = max(1, round(2 * _FINE * radii[1]))
    neck = np.stack([fine[1:3].mean(axis=0), fine[0]])
    for line in (neck, *(fine[list(pair)] for pair in SKELETON)):
        pen.line(line.ravel().tolist(), 255, width)
    for (x, y), radius in zip(fine, radii * _FINE, strict=True):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), 255)
    return np.asarray(page.reduce(_FINE)) / 255


def _cover(
    canvas: FloatArray, glyphs: ImageArray, look: FigureOptions, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Lay a glyph of any kind anywhere on the canvas; the pixels of its ink."""
    scene = look.scene
    glyph = scaled(glyphs[rng.integers(len(glyphs))], int(rng.integers(scene.smallest, scene.largest + 1)))
    y, x = (int(rng.integers(look.side - length + 1)) for length in glyph.shape)
    over = np.zeros(canvas.shape, bool)
    over[y : y + glyph.shape[0], x : x + glyph.shape[1]] = paste(canvas, glyph, (y, x), rng)
    return over
