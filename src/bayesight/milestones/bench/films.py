"""Play as moving pictures, drawn from what the network itself observes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from bayesight.report.overlays import class_colours
from bayesight.types import ImageArray

__all__ = ["FRAMES", "film"]

FRAMES = 120
"""A film has so many at most."""
SIDE = 120
"""Pixels of its height, and of its width."""
GROUND, INK, ACCENT = (250, 250, 247), (45, 55, 72), (200, 80, 60)


def film(game: str, observations: Sequence[npt.NDArray[np.generic]]) -> ImageArray:
    """uint8 (T, H, W, 3) of an episode's observations, of as many as fit evenly into ``FRAMES``.

    Args:
        game: as gymnasium names it; CartPole is drawn, channels of pixels are coloured.
        observations: an episode's, in order: (4,) or (C, H, W) bool each.
    """
    every = -(-len(observations) // FRAMES) if observations[0].ndim == 1 else 1
    chosen = observations[::every][:FRAMES]
    draw = _cart if game.startswith("CartPole") else _pixels
    return np.stack([draw(observation) for observation in chosen])


def _pixels(channels: npt.NDArray[np.generic]) -> ImageArray:
    """(C, H, W) bool, enlarged, each channel in a colour of its own; the first lies on top."""
    frame = np.full((*channels.shape[1:], 3), 20, np.uint8)
    for channel, colour in zip(channels[::-1], class_colours(len(channels))[::-1], strict=True):
        frame[channel.astype(bool)] = colour
    scale = max(1, SIDE // frame.shape[0])
    return frame.repeat(scale, 0).repeat(scale, 1)


def _cart(state: npt.NDArray[np.generic]) -> ImageArray:
    """Position and angle, of (4,), as shares of the bounds that gymnasium gives: 4.8 and 24 degrees."""
    position, angle = 4.8 * float(state[0]), math.radians(24) * float(state[2])
    x, y = SIDE / 2 + position / 2.4 * SIDE / 2, 0.75 * SIDE
    canvas = Image.new("RGB", (SIDE, SIDE), GROUND)
    pen = ImageDraw.Draw(canvas)
    pen.line([(0, y + 8), (SIDE, y + 8)], fill=INK)
    pen.line([(x - 12, y), (x + 12, y)], fill=INK, width=12)
    tip = (x + SIDE / 2 * math.sin(angle), y - SIDE / 2 * math.cos(angle))
    pen.line([(x, y), tip], fill=ACCENT, width=5)
    return np.asarray(canvas)
