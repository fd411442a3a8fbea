"""Images that look alike: shifted, cropped, brightened or compressed copies.

The middle of an image is compared with windows of every other: moved by up to a ninth of a side, and up to
15 % narrower. What a shift filled in or a crop cut away lies outside both. A window is averaged down to 8x8
cells, less their mean and of unit length, so that brightness and contrast drop out, and a crop that was
enlarged meets the window it came from. Middles are sorted into groups of like ones, and a window is compared
with those of the two groups that suit it best (an inverted file), so that time grows with the number of
images, not with its square. The 24 likeliest partners of an image are aligned with it by Gauss-Newton
steps in shift and scale, and compared pixel by pixel.

Sources: J. Sivic and A. Zisserman, *Video Google* (2003), for inverted files of image descriptors; B. D.
Lucas and T. Kanade, *An iterative image registration technique* (1981), for the alignment.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from bayesight.seeding import numpy_generator
from bayesight.types import FloatArray, ImageArray, IntArray

_Floats = npt.NDArray[np.float32]

_SMALL = 32  # pixels of a side at which images are compared
_CELLS = 8
_MIDDLE = 0.75
_WINDOWS = ((1.0, 0.11, 7), (0.96, 0.02, 3), (0.92, 0.04, 4), (0.88, 0.06, 5), (0.84, 0.08, 6))
_FLAT = 2.0  # grey levels of contrast below which there is nothing to compare
_GROUP, _GROUPS_MET = 256, 2
_LIKELY, _PARTNERS = 0.93, 24
_IMAGES = 512  # whose windows are looked up at once
_SAMPLES, _PAIRS = 24, 4096
_ALIKE_CORRELATION, _ALIKE_LEVELS = 0.96, 5.0
_ALIGNMENTS = ((12, 3, 0.9), (_SAMPLES, 4, _ALIKE_CORRELATION))  # samples, steps, least correlation
_GAIN, _DAMPING = (0.4, 2.5), 0.01
_MOST_MOVED, _NARROWEST, _DISTORTED = 0.15, 0.8, 0.06


@dataclass(frozen=True)
class AlikePairs:
    """Pairs of images that look alike once they are aligned.

    Args:
        first: (P,) positions.
        second: (P,) positions, each greater than the one in ``first``.
        difference: (P,) mean absolute difference, in grey levels of 255, of what both show, after shift,
            scale, brightness and contrast are made alike and pixels are averaged with their neighbours.
    """

    first: IntArray
    second: IntArray
    difference: FloatArray


def alike_pairs(images: ImageArray, rows: IntArray) -> AlikePairs:
    """Pairs of images of which one is, as it looks, a changed copy of the other; the most alike first.

    Found are shifts and crops by up to about 15 % of a side, other brightness and contrast, and compression;
    not found are copies that were turned or mirrored, and images of one grey. Kept in memory are 32x32
    pixels and 64 numbers of each image.

    Args:
        images: uint8 ``(M, H, W)`` or ``(M, H, W, 3)``; may be memory-mapped.
        rows: (N,) those to compare, no two of them equal; positions count among these.
    """
    none = AlikePairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    if len(rows) < 2:
        return none
    small = _by_blocks(lambda block: _shrunk(images[block]), rows)
    first, second, boxes = _candidates(small)
    if not len(first):
        return none
    difference = _by_blocks(
        lambda one, other, box: _difference(small[one], small[other], box), first, second, boxes
    )
    low, high = np.minimum(first, second), np.maximum(first, second)
    order = np.lexsort((difference, high, low))
    order = order[difference[order] <= _ALIKE_LEVELS]
    order = order[np.unique(low[order] * len(rows) + high[order], return_index=True)[1]]
    order = order[np.argsort(difference[order], kind="stable")]
    return AlikePairs(low[order], high[order], difference[order])


def _by_blocks(work: Callable[..., Any], *arrays: np.ndarray) -> Any:
    """The results of some thousand rows at a time, one behind the other."""
    starts = range(0, len(arrays[0]), _PAIRS)
    return np.concatenate([work(*(array[at : at + _PAIRS] for array in arrays)) for at in starts])


def _shrunk(images: ImageArray) -> ImageArray:
    """Images (N, H, W[, 3]) averaged down to at most 32 pixels a side."""
    grey = np.asarray(images).astype(np.float32)
    grey = grey[..., None] if grey.ndim == 3 else grey
    down, across = (_cells(1.0, 0.5, min(length, _SMALL), length) for length in grey.shape[1:3])
    small = np.einsum("ih,nhwc->niwc", down, grey, optimize=True)
    small = np.einsum("jw,niwc->nijc", across, small, optimize=True)
    rounded: ImageArray = np.rint(small).astype(np.uint8)
    return rounded


def _windows() -> _Floats:
    """(V, 3) side, and place of the centre across and down, of every window, in sides of the image."""
    found = [
        (_MIDDLE * scale, 0.5 + across, 0.5 + down)
        for scale, most, steps in _WINDOWS
        for across, down in itertools.product(np.linspace(-most, most, steps), repeat=2)
    ]
    return np.array(found, np.float32)


def _cells(side: float, centre: float, cells: int, length: int) -> _Floats:
    """Weights (cells, length) that average a part of a line of pixels into cells of equal width."""
    edges = (centre + side * (np.linspace(0, 1, cells + 1) - 0.5)) * length
    pixels = np.arange(length)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    weights = np.clip(overlap, 0, None)
    average: _Floats = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return average


def _described(grey: _Floats, side: float, across: float, down: float) -> _Floats:
    """(N, 64) descriptors of a window of images (N, H, W): unit vectors, shorter without contrast."""
    rows, columns = (
        _cells(side, at, _CELLS, n) for at, n in zip((down, across), grey.shape[1:], strict=True)
    )
    cells = (rows @ grey @ columns.T).reshape(len(grey), -1)
    cells -= cells.mean(axis=1, keepdims=True)
    length = np.maximum(np.linalg.norm(cells, axis=1, keepdims=True), _FLAT * _CELLS)
    unit: _Floats = cells / length
    return unit


def _candidates(small: ImageArray) -> tuple[IntArray, IntArray, _Floats]:
    """Likely pairs, (window's image, middle's image), and (P, 4) the windows: centre and half sides."""
    windows = _windows()
    middles = _by_blocks(lambda block: _described(_grey(block), _MIDDLE, 0.5, 0.5), small)
    centres, members = _grouped(middles)
    found = [np.empty((3, 0), np.int64)]
    for at in range(0, len(small), _IMAGES):
        grey = _grey(small[at : at + _IMAGES])
        described = np.stack([_described(grey, *window) for window in windows.tolist()], axis=1)
        found.append(_partners(described, at, middles, centres, members))
    first, second, window = np.concatenate(found, axis=1)
    side, across, down = windows[window].T
    return first, second, np.stack([across, down, side / 2, side / 2], axis=1)


def _grey(images: ImageArray) -> _Floats:
    mean: _Floats = images.astype(np.float32).mean(axis=3)
    return mean


def _grouped(middles: _Floats) -> tuple[_Floats, list[IntArray]]:
    """Centres of groups of like middles by a few steps of k-means, and who is in each; a crowd is cut off."""
    count = max(1, len(middles) // _GROUP)
    random = numpy_generator(0, "near")
    centres = middles[np.sort(random.permutation(len(middles))[:count])]
    sample = middles[np.sort(random.permutation(len(middles))[: 64 * count])]
    for _ in range(4 if count > 1 else 0):
        nearest = (sample @ centres.T).argmax(axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, sample)
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(length > 0, sums / np.maximum(length, 1e-6), centres)
    nearest = _by_blocks(lambda block: (block @ centres.T).argmax(axis=1), middles)
    order = np.argsort(nearest, kind="stable")
    parts = np.split(order, np.searchsorted(nearest[order], np.arange(1, count)))
    return centres, [part[: 8 * _GROUP] if count > 1 else part for part in parts]


def _partners(
    described: _Floats, start: int, middles: _Floats, centres: _Floats, members: list[IntArray]
) -> IntArray:
    """(3, P) of the likeliest partners of some images: image, partner and number of the window."""
    windows, size = described.shape[1:]
    queries = described.reshape(-1, size)
    met = min(_GROUPS_MET, len(centres))
    groups = np.argpartition(-(queries @ centres.T), met - 1, axis=1)[:, :met].ravel()
    asked = np.repeat(np.arange(len(queries)), met)
    order = np.argsort(groups, kind="stable")
    bounds = np.searchsorted(groups[order], np.arange(len(centres) + 1))
    hits, scores = [np.empty((3, 0), np.int64)], [np.empty(0, np.float32)]
    for group, among in enumerate(members):
        rows = asked[order[bounds[group] : bounds[group + 1]]]
        score = queries[rows] @ middles[among].T
        row, column = np.nonzero(score > _LIKELY)
        image, window = np.divmod(rows[row], windows)
        other = among[column] != image + start
        hits.append(np.stack([image + start, among[column], window])[:, other])
        scores.append(score[row, column][other])
    hit, score = np.concatenate(hits, axis=1), np.concatenate(scores)
    best = np.lexsort((-score, hit[1], hit[0]))
    first, second = hit[0][best], hit[1][best]
    best = best[np.r_[True, (first[1:] != first[:-1]) | (second[1:] != second[:-1])][: len(best)]]
    best = best[np.lexsort((-score[best], hit[0][best]))]
    of_image = hit[0][best]
    rank = np.arange(len(best)) - np.searchsorted(of_image, of_image)
    kept: IntArray = hit[:, best[rank < _PARTNERS]]
    return kept


def _difference(windowed: ImageArray, middle: ImageArray, boxes: _Floats) -> FloatArray:
    """(P,) grey levels between two images where both show the same, aligned; inf if they do not look alike.

    They are aligned by the middle of one and compared on all that both show.
    """
    one, other = (torch.from_numpy(part).permute(0, 3, 1, 2).float() for part in (windowed, middle))
    box, likely = torch.from_numpy(boxes), torch.arange(len(boxes))
    grey, middles = one.mean(1, keepdim=True), other.mean(1, keepdim=True)
    for samples, steps, least in _ALIGNMENTS:
        box, correlation = _aligned(grey[likely], middles[likely], box, samples, steps)
        likely, box = likely[correlation > least], box[correlation > least]
    likely, box = likely[_plausible(box)], box[_plausible(box)]
    result = torch.full((len(other),), torch.inf, dtype=torch.float64)
    if len(likely):
        result[likely] = _compared(one[likely], other[likely], box).double()
    return np.asarray(result)


def _plausible(box: Tensor) -> Tensor:
    """(P,) whether boxes show a shift and a crop of like extent both ways, no distortion."""
    across, down = box[:, 2:].T / (_MIDDLE / 2)
    kept: Tensor = (box[:, :2] - 0.5).abs().amax(dim=1) < _MOST_MOVED
    kept &= torch.minimum(across, down) > _NARROWEST
    kept &= torch.maximum(across, down) < 2 - _NARROWEST
    kept &= (across / down).log().abs() < _DISTORTED
    return kept


def _compared(one: Tensor, other: Tensor, box: Tensor) -> Tensor:
    """(P,) mean absolute difference, pixels averaged over 3x3, of the part of images that both show."""
    reach = 0.5 - 1 / _SMALL
    target = _sampled(other, _middle(len(other), reach), _SAMPLES)
    whole = torch.cat([box[:, :2], box[:, 2:] * (2 * reach / _MIDDLE)], dim=1)
    source = _sampled(one, whole, _SAMPLES)
    line = torch.linspace(-1, 1, _SAMPLES)
    inside = [(whole[:, i, None] + whole[:, 2 + i, None] * line - 0.5).abs() < reach + 1e-4 for i in (0, 1)]
    shown = (inside[1][:, :, None] & inside[0][:, None, :])[:, None].float()
    number = shown.sum(dim=(1, 2, 3), keepdim=True).clamp_min(1)

    def mean(part: Tensor) -> Tensor:
        of_channel: Tensor = (part * shown).sum(dim=(2, 3), keepdim=True) / number
        return of_channel.mean(dim=1, keepdim=True)

    source, target = source - mean(source), target - mean(target)
    size, goal = mean(source.square()), mean(target.square())
    product = mean(source * target)
    gain = product / size.clamp_min(1e-3)
    rest = F.avg_pool2d(shown * (target - gain * source), 3, stride=1).abs()
    covered = (F.avg_pool2d(shown, 3, stride=1) > 0.999).float()
    difference = (rest * covered).sum(dim=(2, 3)).mean(dim=1) / covered.sum(dim=(1, 2, 3)).clamp_min(1)
    correlation = product / (size * goal).clamp_min(1e-3).sqrt()
    alike = (correlation > _ALIKE_CORRELATION) & (gain > _GAIN[0]) & (gain < _GAIN[1]) & (goal > _FLAT**2)
    return torch.where(alike.flatten(), difference, torch.inf)


def _middle(count: int, reach: float) -> Tensor:
    return torch.tensor([0.5, 0.5, reach, reach]).expand(count, 4)


def _sampled(images: Tensor, box: Tensor, samples: int) -> Tensor:
    """(P, C, S, S) of boxes (P, 4), centre and half sides in sides of the image."""
    line = torch.linspace(-1, 1, samples)
    across, down = (2 * (box[:, i, None] + box[:, 2 + i, None] * line) - 1 for i in (0, 1))
    shape = (len(box), samples, samples)
    grid = torch.stack([across[:, None, :].expand(shape), down[:, :, None].expand(shape)], dim=-1)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _aligned(images: Tensor, middles: Tensor, box: Tensor, samples: int, steps: int) -> tuple[Tensor, Tensor]:
    """Boxes (P, 4) of images (P, 1, H, W), moved and scaled to show the middles of others; correlations."""
    goal = _sampled(middles, _middle(len(box), _MIDDLE / 2), samples).flatten(1)
    goal = goal - goal.mean(1, keepdim=True)
    line = torch.linspace(-1, 1, samples)
    across, down = line.repeat(samples), line.repeat_interleave(samples)
    best, best_box = torch.full((len(box),), -1.0), box
    for _ in range(steps):
        seen = _sampled(images, box, samples)[:, 0]
        right, below = (torch.gradient(seen, dim=axis)[0].flatten(1) for axis in (2, 1))
        seen = seen.flatten(1) - seen.flatten(1).mean(1, keepdim=True)
        size = seen.square().sum(1).clamp_min(1e-3)
        product = (seen * goal).sum(1)
        gain = product / size
        correlation = product / (size * goal.square().sum(1).clamp_min(1e-3)).sqrt()
        better = correlation > best
        best, best_box = torch.where(better, correlation, best), torch.where(better[:, None], box, best_box)
        slope = torch.stack([right, below, right * across, below * down], dim=-1) * gain[:, None, None]
        slope = slope - slope.mean(dim=1, keepdim=True)
        normal = slope.mT @ slope
        damping = (
            _DAMPING * normal.diagonal(dim1=1, dim2=2).mean(dim=1) + 1e-3
        )  # a bar may slide along itself
        normal += damping[:, None, None] * torch.eye(4)
        step = slope.mT @ (goal - gain[:, None] * seen)[..., None]
        step = torch.linalg.solve(normal, step)[..., 0].clamp(-2, 2)
        box = box + step * (2 * box[:, 2:] / (samples - 1)).repeat(1, 2)
    return best_box, best
