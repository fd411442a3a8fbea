"""Play as moving pictures, drawn from what the network itself observes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from bayesight.types import ImageArray

__all__ = ["FRAMES", "film"]

FRAMES = 120
"""A film has so many at most."""
SIDE = 120
"""Pixels of its height, and of its width."""
GROUND, INK, ACCENT = (250, 250, 247), (45, 55, 72), (200, 80, 60)
COLOURS = ((255, 214, 102), (94, 176, 229), (230, 97, 92), (108, 192, 139), (177, 132, 216), (240, 150, 80))
"""Of the channels of a game in pixels, round and round; the first channel lies on top."""


def film(game: str, observations: Sequence[npt.NDArray[np.generic]]) -> ImageArray:
    """uint8 (T, H, W, 3) of an episode's observations, of as many as fit evenly into ``FRAMES``.

    Args:
        game: as gymnasium names it; CartPole and Acrobot are drawn, channels of pixels coloured.
        observations: an episode's, in order: (4,), (6,) or (C, H, W) bool each.
    """
    every = -(-len(observations) // FRAMES) if observations[0].ndim == 1 else 1
    chosen = observations[::every][:FRAMES]
    draw = _cart if game.startswith("CartPole") else _links if game.startswith("Acrobot") else _pixels
    return np.stack([draw(observation) for observation in chosen])


def _pixels(channels: npt.NDArray[np.generic]) -> ImageArray:
    """(C, H, W) bool, enlarged."""
    frame = np.full((*channels.shape[1:], 3), 20, np.uint8)
    for number in reversed(range(len(channels))):
        frame[channels[number].astype(bool)] = COLOURS[number % len(COLOURS)]
    scale = max(1, SIDE // frame.shape[0])
    return frame.repeat(scale, 0).repeat(scale, 1)


def _cart(state: npt.NDArray[np.generic]) -> ImageArray:
    """Position in [-2.4, 2.4] and angle in radians, of (4,)."""
    position, angle = float(state[0]), float(state[2])
    x, y = SIDE / 2 + position / 2.4 * SIDE / 2, 0.75 * SIDE
    tip = (x + 0.5 * SIDE * math.sin(angle), y - 0.5 * SIDE * math.cos(angle))
    return _drawn(
        [((0, y + 8), (SIDE, y + 8), INK, 1), ((x - 12, y), (x + 12, y), INK, 12), ((x, y), tip, ACCENT, 5)]
    )


def _links(state: npt.NDArray[np.generic]) -> ImageArray:
    """Two links that hang from the middle, by cosine and sine of both angles, of (6,)."""
    first, second = math.atan2(float(state[1]), float(state[0])), math.atan2(float(state[3]), float(state[2]))
    length, middle = 0.22 * SIDE, (SIDE / 2, SIDE / 2)
    elbow = (middle[0] + length * math.sin(first), middle[1] + length * math.cos(first))
    tip = (elbow[0] + length * math.sin(first + second), elbow[1] + length * math.cos(first + second))
    goal = SIDE / 2 - length
    return _drawn([((0, goal), (SIDE, goal), INK, 1), (middle, elbow, INK, 5), (elbow, tip, ACCENT, 5)])


def _drawn(
    lines: Sequence[tuple[tuple[float, float], tuple[float, float], tuple[int, int, int], int]],
) -> ImageArray:
    canvas = Image.new("RGB", (SIDE, SIDE), GROUND)
    pen = ImageDraw.Draw(canvas)
    for start, end, colour, width in lines:
        pen.line([start, end], fill=colour, width=width)
    return np.asarray(canvas)
