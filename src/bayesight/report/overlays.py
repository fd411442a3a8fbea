"""Answers drawn over their images: masks and boxes in colours, each class its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw

from bayesight.checks import check
from bayesight.types import FloatArray, ImageArray

STRENGTH = 0.55
"""Share of a pixel's colour that is its class's."""
_GAP = 4  # pixels between images side by side
_LEAST = 320  # pixels of the longer side of an image that a skeleton is drawn on


def class_colours(count: int) -> ImageArray:
    """A colour for each of K classes, (K, 3): around the wheel by the golden angle, light and dark in turn.

    Example:
        >>> len(np.unique(class_colours(20), axis=0))
        20
    """
    turns = np.arange(count) * 0.381966
    wave = 0.5 + 0.5 * np.cos(2 * np.pi * (turns[:, None] + np.array([0, 1 / 3, 2 / 3])))
    light = np.where(np.arange(count) % 2, 0.65, 1.0)[:, None]
    colours: ImageArray = (40 + 205 * wave * light).astype(np.uint8)
    return colours


def in_colour(image: ImageArray) -> ImageArray:
    """An image (H, W) or (H, W, 3) as (H, W, 3)."""
    return np.repeat(image[..., None], 3, axis=-1) if image.ndim == 2 else image


def mask_overlay(image: ImageArray, mask: ImageArray, colours: ImageArray) -> ImageArray:
    """An image with each pixel of a class tinted in that class's colour; others are left as they are.

    Args:
        image: uint8 (H, W) or (H, W, 3).
        mask: (H, W) class numbers; those from K on are no class.
        colours: (K, 3).
    """
    check(image.shape[:2] == mask.shape, "mask_overlay", f"{image.shape} and {mask.shape}", "one size")
    drawn = in_colour(image).astype(float)
    named = mask < len(colours)
    drawn[named] = (1 - STRENGTH) * drawn[named] + STRENGTH * colours[mask[named]]
    page: ImageArray = drawn.round().astype(np.uint8)
    return page


def box_overlay(
    image: ImageArray, boxes: FloatArray, colours: ImageArray, marks: Sequence[str] | None = None
) -> ImageArray:
    """An image with boxes drawn on it, and if given a mark inside the corner of each that has room for it.

    Args:
        image: uint8 (H, W) or (H, W, 3).
        boxes: (N, 4) left, top, right, bottom in pixels.
        colours: (N, 3).
        marks: (N,) such as a class with its probability.
    """
    page = Image.fromarray(in_colour(image))
    pen, thick = ImageDraw.Draw(page), max(1, round(min(image.shape[:2]) / 200))
    for box, colour, mark in zip(boxes.tolist(), colours.tolist(), marks or [""] * len(boxes), strict=True):
        left, top, right, bottom = (round(end) for end in box)
        ends = left, top, max(left, right - 1), max(top, bottom - 1)
        pen.rectangle(ends, outline=tuple(colour), width=thick)
        place = (left + thick + 1, top + thick)
        room = pen.textbbox(place, mark)
        if mark and room[2] < right and room[3] < bottom:
            pen.rectangle(room, fill=tuple(colour))
            pen.text(place, mark, fill=(0, 0, 0) if sum(colour) > 380 else (255, 255, 255))
    return np.asarray(page)


def side_by_side(images: Sequence[ImageArray], axis: int = 1) -> ImageArray:
    """Images (H, W, 3) of one height in a row, white between them, or along axis 0 one below the other."""
    ends = [_GAP if along == axis else images[0].shape[along] for along in range(2)]
    gap = np.full((*ends, 3), 255, np.uint8)
    return np.concatenate([part for image in images for part in (gap, image)][1:], axis=axis)


def image_grid(rows: Iterable[Sequence[ImageArray]]) -> ImageArray:
    """Images (H, W, 3) of one size in rows, one below the other."""
    return side_by_side([side_by_side(row) for row in rows], axis=0)


def skeleton_overlay(
    image: ImageArray, points: FloatArray, lines: Sequence[Sequence[int]], p: FloatArray
) -> ImageArray:
    """An image, enlarged where it is small, with figures drawn over it: points green where sure, else red.

    Args:
        image: uint8 (H, W) or (H, W, 3).
        points: (G, P, 2) x and y, pixels of the image.
        lines: pairs of points to be drawn with a line between.
        p: (G, P) probability of each point; NaN where there is none, which is not drawn.

    Returns:
        uint8 (h, w, 3), as large as the image or a whole number of times that.
    """
    times = max(1, -(-_LEAST // max(image.shape[:2])))
    page = Image.fromarray(np.kron(in_colour(image), np.ones((times, times, 1), np.uint8)))
    pen, size = ImageDraw.Draw(page), max(2, max(page.size) // 80)
    for places, sure in zip(points * times, p, strict=True):
        for one, other in lines:
            if np.isfinite(sure[[one, other]]).all():
                pen.line([*places[one], *places[other]], (90, 160, 255), max(1, size // 2))
        for (x, y), chance in zip(places, sure, strict=True):
            if np.isfinite(chance):
                colour = (round(255 * (1 - chance)), round(220 * chance), 40)
                pen.ellipse((x - size, y - size, x + size, y + size), colour, (255, 255, 255))
    return np.asarray(page)
