"""Images as trials take them and show them; play as moving pictures, drawn from what the network observes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn

from bayesight.data.annotated import as_tensor
from bayesight.data.batches import Examples
from bayesight.milestones.bench.workbench import Bench
from bayesight.report.overlays import class_colours
from bayesight.seeding import numpy_generator
from bayesight.training.engine import Batch
from bayesight.types import ImageArray, IntArray

CELL, MARGIN = 24, 22
"""Pixels of a weight's square, and of the words beside it at least."""

FRAMES = 120
"""A film has so many at most."""
SIDE = 120
"""Pixels of its height, and of its width."""
GROUND, INK, ACCENT = (250, 250, 247), (45, 55, 72), (200, 80, 60)


@dataclass(frozen=True)
class ImageBatches:
    """Batches of images with their targets: the batch of a step follows from the step alone.

    Args:
        images: uint8 (N, H, W) or (N, H, W, 3), to be drawn from.
        targets: (N, ...) each.
        batch: images a step.
        seed: of the draws.
        stream: a name of the draws, which tells them from others of the seed.
        dtype: the floating type images come in.
    """

    images: ImageArray
    targets: tuple[Tensor, ...]
    batch: int
    seed: int
    stream: str
    dtype: torch.dtype

    def __call__(self, model: nn.Module, step: int) -> Batch:
        """Images (batch, C, H, W) in [0, 1] and their targets, where the model is."""
        rows = numpy_generator(self.seed, self.stream, step).integers(len(self.images), size=self.batch)
        device = next(model.parameters()).device
        images = as_tensor(self.images[rows], self.dtype).to(device)
        return images, *(target[torch.from_numpy(rows)].to(device) for target in self.targets)


@torch.no_grad()
def outputs(
    model: nn.Module, images: ImageArray, bench: Bench, *more: Tensor, batch: int = 100
) -> Iterator[Tensor]:
    """The output of a network for images uint8 (N, ...) and further inputs (N, ...), a batch at a time."""
    device = next(model.eval().parameters()).device
    for start in range(0, len(images), batch):
        rows = slice(start, start + batch)
        inputs = (as_tensor(images[rows], bench.dtype), *(one[rows] for one in more))
        with bench.hardware.fabric.autocast():
            yield model(*(one.to(device) for one in inputs))


def pixels_of(examples: Examples, rows: IntArray | None = None) -> Tensor:
    """Images (N, C, H, W) in [0, 1]: all of them, or those at ``rows``."""
    return examples.images(np.arange(len(examples)) if rows is None else rows).float().div_(255)


def spread(count: int, shown: int) -> IntArray:
    """So many of ``count`` rows, spread over all of them.

    Example:
        >>> spread(100, 4).tolist()
        [0, 33, 66, 99]
    """
    return np.linspace(0, count - 1, shown).astype(np.int64)


def page_of(rows: Iterable[Tensor]) -> ImageArray:
    """Grey images side by side, one row below the other.

    Args:
        rows: (N, C, H, W) in [0, 1] each, as many images in every row; the first channel is shown.

    Example:
        >>> page_of([torch.zeros(3, 1, 4, 5), torch.ones(3, 1, 4, 5)]).shape
        (8, 15)
    """
    page = torch.cat([torch.cat(list(row[:, 0]), dim=1) for row in rows])
    pixels: ImageArray = page.clamp(0, 1).mul(255).round().to(torch.uint8).numpy()
    return pixels


def weights_page(weights: Tensor, rows: Sequence[str], columns: Sequence[str]) -> ImageArray:
    """A table of weights in [0, 1] drawn with its words, dark where a weight is near 1.

    Args:
        weights: (R, C).
        rows: R words, written at the left.
        columns: C words, written upwards at the top.

    Example:
        >>> weights_page(torch.eye(2), ["a", "b"], ["c", "d"]).shape
        (70, 70)
    """
    font = ImageFont.load_default(CELL // 2)
    left, top = (
        max(CELL // 4 * 2 + int(np.ceil(font.getlength(word))) for word in words) for words in (rows, columns)
    )
    left, top = max(left, MARGIN), max(top, MARGIN)
    page = Image.new("L", (left + CELL * len(columns), top + CELL * len(rows)), 255)
    pen = ImageDraw.Draw(page)
    for i, word in enumerate(rows):
        pen.text((left - CELL // 4, top + CELL * i + CELL // 2), word, 0, font, anchor="rm")
    upright = Image.new("L", (top, CELL * len(columns)), 255)
    sideways = ImageDraw.Draw(upright)
    for i, word in enumerate(columns):
        sideways.text((CELL // 4, CELL * i + CELL // 2), word, 0, font, anchor="lm")
    page.paste(upright.rotate(90, expand=True), (left, 0))
    pixels = np.array(page)
    shades = (255 * (1 - weights.clamp(0, 1))).round().to(torch.uint8).numpy()
    pixels[top:, left:] = np.kron(shades, np.ones((CELL, CELL), np.uint8))
    return pixels


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
