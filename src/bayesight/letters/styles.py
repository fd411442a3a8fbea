"""From one drawing of a character to many: bent, fatter, hollow, striped, and stretched to fill its box.

All functions take and return ink (B, S, S), float32 in [0, 1], on a canvas some three times finer than the
image that is wanted, so that the last step, a Lanczos reduction, is the only one that blurs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from bayesight.data.augment import smooth_noise, warp

CANVAS_PER_PIXEL = 3.5
_INK = 0.3
"""Least ink that counts when the box around a glyph is looked for."""


def vary(ink: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """Every glyph in a manner of its own: first bent, then fatter or thinner, then in one of several styles.

    Args:
        ink: (B, S, S), the glyph in the middle with some room around.
        amount: 0 leaves the glyphs as they are, 1 is as wild as notMNIST.
        generator: every choice follows from it.
    """
    if not amount:
        return ink
    bent = _bend(ink, amount, generator)
    weighted = _reweigh(bent, amount, generator)
    return _style(weighted, amount, generator)


def fill_box(ink: Tensor, size: int) -> Tensor:
    """The box around each glyph, stretched to the whole image (B, size, size) in [0, 1].

    Width and height are stretched apart, as notMNIST has it: 94 % of its letters touch all four sides, and a
    plain I is a white square. Lanczos with three lobes, its overshoot cut off; no ink at all stays black.
    """
    rows = _lanczos(*_extent((ink > _INK).any(dim=2)), ink.shape[1], size)
    columns = _lanczos(*_extent((ink > _INK).any(dim=1)), ink.shape[2], size)
    return (rows @ ink @ columns.transpose(1, 2)).clamp(0, 1)


def _extent(occupied: Tensor) -> tuple[Tensor, Tensor]:
    """First and one past the last True along dim 1, (B,) each; the whole range where there is none."""
    length = occupied.shape[1]
    places = torch.arange(length)
    first = torch.where(occupied, places, length).amin(dim=1)
    last = torch.where(occupied, places, -1).amax(dim=1) + 1
    empty = last == 0
    return first.masked_fill(empty, 0).float(), last.masked_fill(empty, length).float()


def _lanczos(first: Tensor, last: Tensor, length: int, size: int) -> Tensor:
    """Weights (B, size, length) that resample [first, last) to ``size`` pixels, each row summing to 1."""
    step = ((last - first) / size).view(-1, 1, 1)
    centres = first.view(-1, 1, 1) + (torch.arange(size).view(1, -1, 1) + 0.5) * step
    places = torch.arange(length).view(1, 1, -1) + 0.5
    distance = (places - centres) / step.clamp(min=1)
    inside = (distance.abs() < 3) & (places > first.view(-1, 1, 1)) & (places < last.view(-1, 1, 1))
    weights = torch.sinc(distance) * torch.sinc(distance / 3) * inside
    return weights / weights.sum(dim=2, keepdim=True)


def _bend(ink: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """Rotation, slant, stretch, taper, arch and a smooth random displacement, in one sampling."""
    count, side = ink.shape[:2]
    normal = torch.randn((7, count), generator=generator).clamp(-2, 2) * amount
    lively = (torch.rand(count, generator=generator) < 0.5).float()  # the others keep their lines straight
    angle, slant = normal[0] * 0.05 * lively, normal[1] * 0.18 + 0.05 * amount
    # only ever narrower or lower: a glyph that grew would leave the canvas, and filling the box undoes size
    wide, tall = (normal[2] * 0.45).clamp(min=0).exp(), (normal[2] * 0.45).clamp(max=0).neg().exp()
    linear = torch.stack([angle.cos() * wide, angle.sin() + slant, -angle.sin(), angle.cos() * tall])
    inverse = F.pad(linear.T.reshape(count, 2, 2), (0, 1))
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, side)] * 2, indexing="ij")
    curves = torch.stack([x * y, y * y, x * x, x * y]) * side
    weights = normal[3:7] * torch.tensor([[0.06], [0.02], [0.02], [0.03]]) * lively
    across = torch.einsum("kb,kyx->byx", weights[:2], curves[:2])
    along = torch.einsum("kb,kyx->byx", weights[2:], curves[2:])
    wobble = torch.rand((count, 1, 1, 1), generator=generator) ** 2 * 0.03 * amount * side
    noise = smooth_noise((count, 2, side, side), side / 5, generator)
    return warp(
        ink.unsqueeze(1),
        inverse,
        torch.stack([across, along], dim=1) + lively.view(-1, 1, 1, 1) * wobble * noise,
    ).squeeze(1)


def _reweigh(ink: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """Strokes fatter or thinner; a glyph that would lose most of its ink keeps it."""
    level = 0.5 - 0.4 * amount * (torch.rand(len(ink), generator=generator) * 2 - 1)
    untouched = torch.rand(len(ink), generator=generator) < 1 - 0.85 * amount
    moved = _threshold(_soften(ink, 0.026), level)
    thinner = torch.minimum(moved, ink)
    # a hairline that thinning would wipe out leaves ink far from all that remains
    lost = ink * (_soften(thinner, 0.03) < 0.08)
    starved = lost.sum(dim=(1, 2)) > 0.01 * ink.sum(dim=(1, 2))
    keep = untouched | ((level > 0.5) & starved)
    changed = torch.where((level < 0.5).view(-1, 1, 1), torch.maximum(moved, ink), thinner)
    return torch.where(keep.view(-1, 1, 1), ink, changed)


def _style(ink: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """A share of the glyphs redrawn, each in one of the styles."""
    chance = torch.tensor([style.share for style in _STYLES]) * amount
    which = torch.bucketize(torch.rand(len(ink), generator=generator), chance.cumsum(0), right=True)
    result = ink.clone()
    for number, style in enumerate(_STYLES):
        chosen = torch.nonzero(which == number).squeeze(1)
        if len(chosen):
            before = ink[chosen]
            after = style.draw(before, generator)
            result[chosen] = torch.where(_survives(before, after).view(-1, 1, 1), after, before)
    return result


def _survives(before: Tensor, after: Tensor) -> Tensor:
    """(B,), true where a redrawn glyph spans its height and width still and keeps a fair part of its ink."""
    spans = [
        (after > _INK).any(dim=dim).sum(dim=1) >= 0.6 * (before > _INK).any(dim=dim).sum(dim=1)
        for dim in (1, 2)
    ]
    return spans[0] & spans[1] & (after.sum(dim=(1, 2)) > 0.25 * before.sum(dim=(1, 2)))


def _rounded(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Corners worn off."""
    return _threshold(_soften(ink, 0.035), torch.full((len(ink),), 0.45))


def _outlined(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Only the edge of the strokes."""
    grown, shrunk = _grown_and_shrunk(ink, 0.02, 0.012)
    return grown * (1 - shrunk)


def _inlined(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Strokes with a dark line inside, or a glyph within its own outline."""
    grown, shrunk = _grown_and_shrunk(ink, 0.035, 0.012)
    return torch.maximum(grown * (1 - ink), shrunk)


def _shadowed(ink: Tensor, generator: torch.Generator) -> Tensor:
    """The glyph, or its outline, with a shadow set off from it."""
    side = ink.shape[1]
    far = max(1, round(side * 0.07))
    grown, shrunk = _grown_and_shrunk(ink, 0.015, 0.012)
    shadow = torch.zeros_like(ink)
    left = torch.rand(len(ink), generator=generator) < 0.3
    for turn, mine in ((1, ~left), (-1, left)):
        stacked = torch.stack([ink[mine].roll((k, turn * k), dims=(1, 2)) for k in range(1, far + 1)])
        shadow[mine] = stacked.amax(dim=0)
    hollow = (torch.rand(len(ink), generator=generator) < 0.5).view(-1, 1, 1)
    return torch.maximum(shadow * (1 - grown), torch.where(hollow, grown * (1 - shrunk), ink))


def _boxed(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Dark on a white box or disc."""
    side = ink.shape[1]
    top, bottom = _extent((ink > _INK).any(dim=2))
    start, end = _extent((ink > _INK).any(dim=1))
    margin = side * (0.02 + 0.1 * torch.rand((len(ink), 1, 1), generator=generator))
    places = torch.arange(side) + 0.5
    y = (places.view(1, -1, 1) - ((top + bottom) / 2).view(-1, 1, 1)).abs()
    x = (places.view(1, 1, -1) - ((start + end) / 2).view(-1, 1, 1)).abs()
    half_y, half_x = ((bottom - top) / 2).view(-1, 1, 1), ((end - start) / 2).view(-1, 1, 1)
    box = (y < half_y + margin) & (x < half_x + margin)
    disc = (y / half_y) ** 2 + (x / half_x) ** 2 < 2.2
    round_ = (torch.rand((len(ink), 1, 1), generator=generator) < 0.3).expand_as(box)
    return torch.where(round_, disc, box) * (1 - ink)


def _striped(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Cut into stripes."""
    side = ink.shape[1]
    angle, period, share = torch.rand((3, len(ink), 1, 1), generator=generator)
    angle, period = angle * math.pi, side * (0.07 + 0.08 * period)
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    phase: Tensor = (x * angle.cos() + y * angle.sin()) / period
    stripes: Tensor = (phase - phase.floor()) < 0.5 + 0.25 * share
    return ink * stripes.float()


def _dotted(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Drawn in coarse squares, or in dots."""
    side = ink.shape[1]
    result = torch.empty_like(ink)
    cells = torch.randint(13, 24, (len(ink),), generator=generator)
    dots = torch.rand(len(ink), generator=generator) < 0.4
    for number in sorted(set(cells.tolist())):
        mine = cells == number
        coarse = F.adaptive_avg_pool2d(ink[mine].unsqueeze(1), number)
        squares = F.interpolate((coarse > 0.4).float(), size=(side, side)).squeeze(1)
        place = (torch.arange(side) + 0.5) * number / side
        place = place - place.floor() - 0.5
        dot = (place.view(-1, 1) ** 2 + place.view(1, -1) ** 2 < 0.2).float()
        result[mine] = torch.where(dots[mine].view(-1, 1, 1), squares * dot, squares)
    return result


def _eroded(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Worn: holes and ragged edges."""
    side = ink.shape[1]
    noise = smooth_noise((len(ink), 1, side, side), max(1.0, side / 40), generator).squeeze(1)
    wear = 0.3 + 1.0 * torch.rand((len(ink), 1, 1), generator=generator)
    soft = _soften(ink, 0.02)
    return ((soft - 0.5) * 4 + 1.3 - noise.abs() * wear > 0.2).float() * (soft > 0.2)


@dataclass(frozen=True)
class _Style:
    draw: Callable[[Tensor, torch.Generator], Tensor]
    share: float


_STYLES = (
    _Style(_rounded, 0.08),
    _Style(_outlined, 0.05),
    _Style(_inlined, 0.02),
    _Style(_shadowed, 0.03),
    _Style(_boxed, 0.015),
    _Style(_striped, 0.015),
    _Style(_dotted, 0.03),
    _Style(_eroded, 0.03),
)


def _grown_and_shrunk(ink: Tensor, grow: float, shrink: float) -> tuple[Tensor, Tensor]:
    """The glyph with its edge moved out, and moved in, by shares of the canvas."""
    outer = _threshold(_soften(ink, grow), torch.full((len(ink),), 0.16))
    inner = _threshold(_soften(ink, shrink), torch.full((len(ink),), 0.9))
    return torch.maximum(outer, ink), torch.minimum(inner, ink)


def _soften(ink: Tensor, share: float) -> Tensor:
    """Gaussian blur with a standard deviation of ``share`` of the canvas, cut off after three of them."""
    side = ink.shape[1]
    places = torch.arange(side)
    distance = (places[:, None] - places) / (share * side)
    # cut off, or products too small for normal floats make the multiplication twenty times slower
    kernel = torch.exp(-0.5 * distance**2) * (distance.abs() <= 3)
    kernel = kernel / kernel.sum(dim=1).amax()
    return kernel @ (ink.reshape(-1, side) @ kernel).view_as(ink)


def _threshold(soft: Tensor, level: Tensor) -> Tensor:
    """1 above ``level``, 0 below, with an edge about one canvas pixel wide."""
    return ((soft - level.view(-1, 1, 1)) * 8 + 0.5).clamp(0, 1)
