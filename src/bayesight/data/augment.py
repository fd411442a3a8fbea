"""Random changes that leave the class of an image as it was, made on whole batches.

An augmentation is called with images (B, C, H, W) in [0, 1] and a generator, and returns images of the same
shape, dtype and range; every image draws parameters of its own, and the same generator state gives the same
result. Rotation, shear, scale, shift and the elastic field are folded into one bilinear sampling, so an image
is blurred once however many of them are on. What lies outside the image is black.

``SceneAugment`` tells what it did, so that masks, points and boxes follow by the very numbers their image was
moved by; figures are cut out of images by their boxes.

Sources: Simard, Steinkraus and Platt (2003), sec. 2, for the elastic field; Krizhevsky, Sutskever and Hinton
(2012), sec. 4.1, for flips, crops and colour.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from bayesight.checks import check
from bayesight.registry import Registry, require_options
from bayesight.values import Share, Within


class Augment(Protocol):
    """Anything that changes a batch at random."""

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Images (B, C, H, W), floating, in [0, 1], to changed images of the same shape, dtype and range."""


MARGIN = 1.25
"""Side of a cut for one of the longer side of its box."""

AUGMENTATIONS: Registry[Callable[..., Augment]] = Registry("augmentation")


def augmentation(name: str, **options: Any) -> Augment:
    """An augmentation by name: ``none``, ``glyph``, ``photo`` or ``scene``.

    Args:
        name: a registered name.
        options: fields of its class, such as ``GlyphAugment``.

    Raises:
        UnknownName: no such augmentation; the message suggests the nearest.
        InvalidConfig: options it does not have, or values out of range: all of them at once.

    Example:
        >>> shift = augmentation("glyph", rotate_deg=0, shear=0, scale=0, shift_px=2)
        >>> shift(torch.rand(8, 1, 28, 28), torch.Generator().manual_seed(0)).shape
        torch.Size([8, 1, 28, 28])
    """
    made: Augment = AUGMENTATIONS.build(name, **options)
    return made


@AUGMENTATIONS.register("none")
@dataclass(frozen=True)
class NoAugment:
    """Leaves every image as it is."""

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return ``images`` itself; nothing is drawn."""
        return images


@AUGMENTATIONS.register("glyph")
@dataclass(frozen=True, kw_only=True)
class GlyphAugment:
    """Stroke thickness, then rotation, shear, scale, shift and elastic field in one bilinear sampling.

    Each is drawn evenly from -value to +value; 0 is off.

    Args:
        rotate_deg: rotation about the centre, degrees, in [0, 180].
        shear: sideways slant, as columns per row, in [0, 1].
        scale: change of width and of height, drawn apart, as a fraction in [0, 0.9].
        shift_px: displacement along each axis, pixels, in [0, 1000].
        elastic_px: standard deviation of the elastic displacement, pixels, in [0, 20].
        elastic_smooth_px: distance over which the elastic field is alike, pixels, in [1, 1000].
        thickness: strokes grow (or shrink) by up to this many pixels on each side, in [0, 1].

    Raises:
        InvalidConfig: values out of range, all named at once.
    """

    rotate_deg: Annotated[float, Within(0, 180)] = 10.0
    shear: Share = 0.12
    scale: Annotated[float, Within(0, 0.9)] = 0.12
    shift_px: Annotated[float, Within(0, 1000)] = 2.0
    elastic_px: Annotated[float, Within(0, 20)] = 0.0
    elastic_smooth_px: Annotated[float, Within(1, 1000)] = 4.0
    thickness: Share = 0.0

    def __post_init__(self) -> None:
        require_options(type(self), vars(self), "augmentation 'glyph'")

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Images (B, C, H, W) in [0, 1] to images of the same shape, dtype and range.

        Raises:
            InvalidInput: not a floating batch of four dimensions.
        """
        wide, draws = _as_float32(images), _uniform(7, images.shape[0], generator, images.device)
        if self.thickness:
            wide = thicken(wide, draws[6] * self.thickness)
        elastic = None
        if self.elastic_px:
            shape = (images.shape[0], 2, *images.shape[2:])
            elastic = smooth_noise(shape, self.elastic_smooth_px, generator).to(images.device)
            elastic *= self.elastic_px
        if elastic is not None or self.rotate_deg or self.shear or self.scale or self.shift_px:
            wide = warp(wide, self._inverse_affine(draws), elastic)
        return wide.clamp(0, 1).to(images.dtype)

    def _inverse_affine(self, draws: Tensor) -> Tensor:
        """Matrices (B, 2, 3) of output -> input: rotation @ shear @ scale, then shift; draws in [-1, 1]."""
        angle = draws[0] * math.radians(self.rotate_deg)
        slant = draws[1] * self.shear
        wider, taller = 1 + draws[2] * self.scale, 1 + draws[3] * self.scale
        cos, sin = angle.cos(), angle.sin()
        rows = torch.stack(
            [(cos + slant * sin) / wider, (sin - slant * cos) / wider, -sin / taller, cos / taller]
        )
        linear = rows.T.reshape(-1, 2, 2)
        shift = draws[4:6].T * self.shift_px
        return torch.cat([linear, -(linear @ shift.unsqueeze(2))], dim=2)


@AUGMENTATIONS.register("photo")
@dataclass(frozen=True, kw_only=True)
class PhotoAugment:
    """Mirror image, crop with a border, then brightness, contrast and saturation in that order; 0 is off.

    Args:
        flip: probability of a mirror image, left for right, in [0, 1].
        crop_px: black border added on every side before a window of the old size is cut out, whole pixels.
        brightness: the image is multiplied by a factor within 1 ± this, in [0, 1].
        contrast: distance from the image's mean grey is multiplied by a factor within 1 ± this, in [0, 1].
        saturation: distance from grey is multiplied by a factor within 1 ± this, in [0, 1]; RGB only.

    Raises:
        InvalidConfig: values out of range, all named at once.
    """

    flip: Share = 0.5
    crop_px: Annotated[int, Within(0, 1000)] = 4
    brightness: Share = 0.2
    contrast: Share = 0.2
    saturation: Share = 0.2

    def __post_init__(self) -> None:
        require_options(type(self), vars(self), "augmentation 'photo'")

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """As ``GlyphAugment``."""
        wide, draws = _as_float32(images), _uniform(6, images.shape[0], generator, images.device)
        if self.flip:
            mirrored = (draws[0] + 1) / 2 < self.flip
            wide = torch.where(mirrored.view(-1, 1, 1, 1), wide.flip(-1), wide)
        if self.crop_px:
            wide = _crop(wide, self.crop_px, draws[1], draws[2])
        amounts = torch.tensor([[self.brightness], [self.contrast], [self.saturation]], device=images.device)
        return _recolour(wide, 1 + draws[3:6] * amounts).clamp(0, 1).to(images.dtype)


@dataclass(frozen=True, eq=False)
class Moves:
    """An affine map for each image of a batch.

    Args:
        inverse: (B, 2, 3) from a place in the changed image to the place it shows, both in pixels from the
            centre, x to the right and y down.
        size: (H, W) of the images.
        mirrored: (B,) whether left and right have changed sides.
    """

    inverse: Tensor
    size: tuple[int, int]
    mirrored: Tensor

    def masks(self, masks: Tensor, void: int) -> Tensor:
        """Masks (B, H, W) int64 as their images are moved; ``void`` where nothing is."""
        moved = warp((masks[:, None] + 1).float(), self.inverse, mode="nearest")[:, 0].long() - 1
        return moved.where(moved >= 0, void)

    def points(self, image: int, points: Tensor) -> Tensor:
        """Points (..., 2) of one image, x and y in pixels from its corner, where they lie now."""
        linear, shift = self.inverse[image, :, :2].double(), self.inverse[image, :, 2].double()
        centre = torch.tensor([self.size[1] / 2, self.size[0] / 2], dtype=torch.float64)
        moved: Tensor = (points.double() - centre - shift) @ torch.linalg.inv(linear).T + centre
        return moved

    def boxes(self, image: int, boxes: Tensor) -> Tensor:
        """Boxes (G, 4) of one image, left, top, right and bottom: the least that hold the moved ones."""
        corners = boxes[:, [0, 1, 2, 1, 0, 3, 2, 3]].reshape(-1, 4, 2)
        moved = self.points(image, corners)
        return torch.cat([moved.amin(1), moved.amax(1)], dim=1)


@AUGMENTATIONS.register("scene")
@dataclass(frozen=True, kw_only=True)
class SceneAugment:
    """Mirror image, scale, turn and shift in one bilinear sampling, black outside, then colours; 0 is off.

    Args:
        flip: probability of a mirror image, left for right.
        scale: the scene is enlarged by a factor e^u, u drawn evenly within ± this, in [0, 1.5].
        rotate_deg: turned about its centre by up to so many degrees, in [0, 180].
        shift: moved along each side by up to this share of it.
        brightness: the image is multiplied by a factor within 1 ± this.
        contrast: distance from the image's mean grey is multiplied by a factor within 1 ± this.
        saturation: distance from grey is multiplied by a factor within 1 ± this; RGB only.

    Raises:
        InvalidConfig: values out of range, all named at once.
    """

    flip: Share = 0.5
    scale: Annotated[float, Within(0, 1.5)] = 0.3
    rotate_deg: Annotated[float, Within(0, 180)] = 0.0
    shift: Share = 0.1
    brightness: Share = 0.2
    contrast: Share = 0.2
    saturation: Share = 0.2

    def __post_init__(self) -> None:
        require_options(type(self), vars(self), "augmentation 'scene'")

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Images (B, C, H, W) in [0, 1] to images of the same shape, dtype and range."""
        return self.moved(images, generator)[0]

    def moved(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Moves]:
        """The same, with the moves that annotations are to follow."""
        height, width = images.shape[-2:]
        draws = torch.rand((5, len(images)), generator=generator) * 2 - 1
        mirrored = (draws[0] + 1) / 2 < self.flip
        scale, angle = torch.exp(-draws[1] * self.scale), draws[2] * math.radians(self.rotate_deg)
        cos, sin = scale * angle.cos(), scale * angle.sin()
        side = torch.where(mirrored, -1.0, 1.0)
        rows = torch.stack([side * cos, -sin, side * sin, cos]).T.reshape(-1, 2, 2)
        shift = draws[3:5].T * self.shift * torch.tensor([width, height])
        moves = Moves(torch.cat([rows, shift[:, :, None]], dim=2), (height, width), mirrored)
        changed = warp(images.float(), moves.inverse)
        amounts = {"brightness": self.brightness, "contrast": self.contrast, "saturation": self.saturation}
        colours = PhotoAugment(flip=0, crop_px=0, **amounts)
        return colours(changed, generator).to(images.dtype), moves


@dataclass(frozen=True, eq=False)
class Crops:
    """Cuts of images.

    Args:
        images: (M, C, S, S) in [0, 1], black where there is no image.
        corners: (M, 2) left and top of each, pixels of the image it is cut from.
        sides: (M,) its side there.
    """

    images: Tensor
    corners: Tensor
    sides: Tensor

    @property
    def scales(self) -> Tensor:
        """(M,) pixels of the cut for one of the image."""
        return self.images.shape[-1] / self.sides

    def inside(self, points: Tensor) -> Tensor:
        """Points (M, P, 2) of the images, x and y, in the pixels of their cuts."""
        return (points - self.corners[:, None]) * self.scales[:, None, None]

    def outside(self, points: Tensor) -> Tensor:
        """Points (M, P, 2) of the cuts in the pixels of the images."""
        return points / self.scales[:, None, None] + self.corners[:, None]


def crop_boxes(images: Tensor, which: Tensor, boxes: Tensor, side: int, margin: float = MARGIN) -> Crops:
    """Cut a square around the middle of each box, bilinearly sampled.

    Args:
        images: (B, C, H, W).
        which: (M,) the image of each box.
        boxes: (M, 4) left, top, right, bottom, pixels, of some extent.
        side: S, pixels.
        margin: the square's side for one of the box's longer side.
    """
    height, width = images.shape[-2:]
    boxes = boxes.to(torch.float32)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    sides = margin * (boxes[:, 2:] - boxes[:, :2]).amax(dim=1).clamp(min=1e-3)
    halves = sides / 2
    theta = torch.zeros(len(boxes), 2, 3)
    for axis, length in enumerate((width, height)):
        theta[:, axis, axis] = halves / (length / 2)
        theta[:, axis, 2] = centres[:, axis] / (length / 2) - 1
    grid = F.affine_grid(theta, [len(boxes), images.shape[1], side, side], align_corners=False)
    cut = F.grid_sample(images[which].float(), grid, padding_mode="zeros", align_corners=False)
    return Crops(cut, centres - halves[:, None], sides)


def warp(
    images: Tensor, inverse: Tensor, displacement: Tensor | None = None, mode: str = "bilinear"
) -> Tensor:
    """Sample every image at ``inverse @ (x, y, 1) + displacement``, black outside.

    Coordinates are pixels from the image's centre, x to the right and y down, so the matrix takes a pixel of
    the result to the place it shows. A result of ``output = M input + s`` wants ``inverse = [M⁻¹ | -M⁻¹ s]``.

    Args:
        images: (B, C, H, W) float32.
        inverse: (B, 2, 3) float32.
        displacement: (B, 2, H, W) in pixels, added to the sampled place.
        mode: "bilinear", or "nearest" for values that do not mix.

    Example:
        >>> right_by_one = torch.tensor([[[1.0, 0.0, -1.0], [0.0, 1.0, 0.0]]])
        >>> warp(torch.tensor([[[[1.0, 2.0, 3.0]]]]), right_by_one)
        tensor([[[[0., 1., 2.]]]])
    """
    count, _, height, width = images.shape
    places = torch.matmul(inverse, _centred_pixels(height, width, images.device))  # (B, 2, H*W)
    if displacement is not None:
        places += displacement.reshape(count, 2, height * width)
    # grid_sample calls the outer edges of the border pixels -1 and 1
    places *= torch.tensor([[2 / width], [2 / height]], device=images.device)
    grid = places.view(count, 2, height, width).permute(0, 2, 3, 1)
    return F.grid_sample(images, grid, mode=mode, padding_mode="zeros", align_corners=False)


def thicken(images: Tensor, amount_px: Tensor) -> Tensor:
    """Grow bright strokes (or shrink them, for a negative amount) by a part of one pixel on every side.

    The image is mixed with its 3x3 maximum (minimum); the image's border neither gives nor takes ink.

    Args:
        images: (B, C, H, W) in [0, 1].
        amount_px: (B,) in [-1, 1]; 0 changes nothing, 1 is the full 3x3 maximum, -1 the minimum.
    """
    amount = amount_px.view(-1, 1, 1, 1)
    # shrinking what is bright is growing what is dark: one maximum serves both
    positive = torch.where(amount < 0, 1 - images, images)
    grown = _maximum_of_neighbours(_maximum_of_neighbours(positive, -1), -2)
    return images + amount * (grown - positive)


def smooth_noise(shape: tuple[int, int, int, int], smooth_px: float, generator: torch.Generator) -> Tensor:
    """Gaussian noise (B, C, H, W), smoothed over ``smooth_px`` pixels, of variance 1 at every pixel.

    Example:
        >>> smooth_noise((3, 2, 28, 28), 4.0, torch.Generator().manual_seed(0)).shape
        torch.Size([3, 2, 28, 28])
    """
    rows, columns = (_bumps(length, smooth_px, generator.device) for length in shape[2:])
    coarse = (*shape[:2], rows.shape[1], columns.shape[1])
    return rows @ torch.randn(coarse, generator=generator, device=generator.device) @ columns.T


def _maximum_of_neighbours(images: Tensor, dim: int) -> Tensor:
    """The maximum of each pixel and its two neighbours along ``dim``, far faster than ``max_pool2d``."""
    length = images.shape[dim]
    grown = images.clone()
    inner, left = grown.narrow(dim, 1, length - 1), images.narrow(dim, 0, length - 1)
    torch.maximum(inner, left, out=inner)
    outer, right = grown.narrow(dim, 0, length - 1), images.narrow(dim, 1, length - 1)
    torch.maximum(outer, right, out=outer)
    return grown


@lru_cache(maxsize=32)
def _bumps(length: int, smooth_px: float, device: torch.device) -> Tensor:
    """Gaussian bumps (length, M), one every ``smooth_px``, each pixel's weights of unit Euclidean length.

    White noise over the bumps then has unit variance at every pixel: noise smoothed by a Gaussian, for two
    small matrix products.
    """
    centres = torch.arange(-2, math.ceil(length / smooth_px) + 3) * smooth_px
    distance = (torch.arange(length)[:, None] - centres) / smooth_px
    weights = torch.exp(-0.5 * distance**2) * (distance.abs() <= 6)  # denormal floats would slow the products
    unit: Tensor = weights / torch.linalg.vector_norm(weights, dim=1, keepdim=True)
    return unit.to(device)


@lru_cache(maxsize=32)
def _centred_pixels(height: int, width: int, device: torch.device) -> Tensor:
    """Rows x, y, 1 of every pixel, counted from the centre: (3, H*W)."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    centred = [x - (width - 1) / 2, y - (height - 1) / 2, torch.ones(height, width)]
    return torch.stack(centred).reshape(3, -1).to(device)


def _crop(images: Tensor, border_px: int, x: Tensor, y: Tensor) -> Tensor:
    """A window of the old size, somewhere in the image with a black border; x and y in [-1, 1)."""
    height, width = images.shape[2:]
    padded = F.pad(images, (border_px,) * 4)
    places = [((z + 1) / 2 * (2 * border_px + 1)).long().clamp(max=2 * border_px) for z in (y, x)]
    each = torch.arange(images.shape[0], device=images.device)
    return padded.unfold(2, height, 1).unfold(3, width, 1)[each, :, places[0], places[1]]


def _recolour(images: Tensor, factors: Tensor) -> Tensor:
    """Brightness, contrast, saturation, in that order, as one matrix; factors (3, B), 1 for no change.

    With grey g = w·x (ITU-R BT.601, sec. 2.5.1, for RGB) and its mean m over the image: x <- b x, then
    x <- m + c (x - m), then x <- g + s (x - g), each g and m being those of the image so far. Unfolded, that
    is bc (s I + (1 - s) 1wᵀ) x + (1 - c) b m.
    """
    channels = images.shape[1]
    weights = torch.tensor([0.299, 0.587, 0.114]) if channels == 3 else torch.full((channels,), 1 / channels)
    weights = weights.to(images.device)
    brightness, contrast, saturation = factors.view(3, -1, 1, 1)
    if channels != 3:
        saturation = torch.ones_like(saturation)
    eye, to_grey = torch.eye(channels, device=images.device), weights.expand(channels, channels)
    mixing = brightness * contrast * (saturation * eye + (1 - saturation) * to_grey)  # (B, C, C)
    offset = (1 - contrast) * brightness * (images.mean(dim=(2, 3)) @ weights).view(-1, 1, 1)
    return torch.baddbmm(offset, mixing, images.flatten(2)).view_as(images)


def _uniform(count: int, batch: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Even draws from [-1, 1), (count, batch); as many whatever is turned on, so options do not interact."""
    draws = torch.rand((count, batch), generator=generator, device=generator.device)
    return draws.to(device) * 2 - 1


def _as_float32(images: Tensor) -> Tensor:
    """The batch as float32, checked."""
    check(
        images.ndim == 4 and images.is_floating_point(),
        "augmentation",
        f"{images.dtype} images of shape {tuple(images.shape)}",
        "floating (B, C, H, W) in [0, 1]",
        "Divide uint8 images by 255 first.",
    )
    return images.float()
