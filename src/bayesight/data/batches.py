"""The fast path: rows of uint8 arrays gathered by index, a whole batch at a time.

One indexed copy takes a batch out of the memory map; nothing is opened, decoded or collated image by image.
Of a set of images it is told if their mirror images could be of it: letters say no, photographs yes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bayesight.checks import check, probability
from bayesight.data.augment import Augment
from bayesight.data.dataset import as_input, gather
from bayesight.seeding import numpy_generator, torch_generator
from bayesight.types import ImageArray, IntArray

_MOST_MIRRORED = 4000
_SMALL_SIDE = 12
_FEWEST_MIRRORED = 40
_RIDGE = 1.0


@dataclass(frozen=True)
class Examples:
    """Chosen rows of one or more image arrays, in one numbering.

    Args:
        arrays: uint8 (N_i, H, W) or (N_i, H, W, 3), all of the same H, W and mode; memory maps are fine. Of
            texts int32 (N_i, T), their symbols.
        rows: (N,) rows in the concatenation of the arrays.
        labels: (N,) class of each row.
        environments: (N,) number of the environment each row comes from, or None.
    """

    arrays: tuple[ImageArray, ...]
    rows: IntArray
    labels: IntArray
    environments: IntArray | None = None

    def __post_init__(self) -> None:
        shapes = {array.shape[1:] for array in self.arrays}
        check(len(shapes) == 1, "Examples", f"images of shapes {sorted(shapes)}", "one shape")
        check(
            len(self.rows) == len(self.labels),
            "Examples",
            f"{len(self.rows)} rows, {len(self.labels)} labels",
            "equally many",
        )
        if self.environments is not None:
            came = f"{len(self.rows)} rows, {len(self.environments)} environments"
            check(len(self.rows) == len(self.environments), "Examples", came, "equally many")

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image as the network sees it."""
        height, width, *channels = self.arrays[0].shape[1:]
        return (channels[0] if channels else 1, height, width)

    def images(self, positions: IntArray) -> Tensor:
        """uint8 images (B, C, H, W), or texts (B, T), at ``positions`` of this numbering."""
        rows = self.rows[positions]
        if len(self.arrays) == 1:
            return gather(self.arrays[0], rows)
        starts = np.cumsum([0, *(len(array) for array in self.arrays)])
        none = gather(self.arrays[0], rows[:0])
        out = none.new_empty((len(rows), *none.shape[1:]))
        for start, end, array in zip(starts[:-1], starts[1:], self.arrays, strict=True):
            inside = np.flatnonzero((rows >= start) & (rows < end))
            if len(inside):
                out[torch.from_numpy(inside)] = gather(array, rows[inside] - start)
        return out

    def in_order(self, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """(images, labels) of every row once, ``batch`` at a time."""
        for start in range(0, len(self), batch):
            positions = np.arange(start, min(start + batch, len(self)))
            yield self.images(positions), torch.from_numpy(self.labels[positions])

    def at(self, positions: IntArray) -> Examples:
        """Those at the given positions."""
        environments = None if self.environments is None else self.environments[positions]
        return replace(
            self, rows=self.rows[positions], labels=self.labels[positions], environments=environments
        )

    def without_environments(self) -> Examples:
        """The same images, for a loss that does not see where they come from."""
        return replace(self, environments=None)

    def joined(self, other: Examples) -> Examples:
        """This and then ``other``, as one; environments are kept where both have them."""
        both = None
        if self.environments is not None and other.environments is not None:
            both = np.concatenate([self.environments, other.environments])
        offset = sum(len(array) for array in self.arrays)
        return Examples(
            self.arrays + other.arrays,
            np.concatenate([self.rows, other.rows + offset]),
            np.concatenate([self.labels, other.labels]),
            both,
        )

    def channel_moments(self, sample: int = 20_000) -> tuple[list[float], list[float]]:
        """Mean and standard deviation of each channel, pixels in [0, 1], over up to ``sample`` rows."""
        positions = np.unique(np.linspace(0, len(self) - 1, min(sample, len(self))).astype(np.int64))
        totals = torch.zeros(2, self.image_shape[0], dtype=torch.float64)
        for start in range(0, len(positions), 1024):
            images = self.images(positions[start : start + 1024]).to(torch.float64) / 255
            totals += torch.stack([images.mean((2, 3)).sum(0), images.square().mean((2, 3)).sum(0)])
        mean, square = totals / len(positions)
        return mean.tolist(), (square - mean.square()).clamp_min(0).sqrt().tolist()


@dataclass(frozen=True)
class Mixture:
    """Further images that fill a share of every batch.

    Args:
        examples: at least one.
        share: of a batch, in (0, 1).
    """

    examples: Examples
    share: float

    def __post_init__(self) -> None:
        check(len(self.examples) > 0, "Mixture", "no examples", "at least one")
        probability(self.share, "Mixture.share", open_interval=True)


class Batches:
    """The batch of any step: a fresh order each epoch, then augmentation, from seeds derived from the step.

    Nothing is remembered between steps, so step s of a resumed run sees what it would have seen. Every epoch
    leaves out the remainder that does not fill a batch; the order changes, so no image is left out for long.

    Args:
        examples: what to draw from, at least one. An epoch is one pass over them.
        batch: images a step, over all processes; at most all of them.
        seed: of order and augmentation.
        augment: random changes, or None.
        dtype: floating type of the images handed out.
        share: (rank, world): this process takes every world-th image of a batch, from rank on; those that
            do not go round are left out, so that the mean over processes is the mean over the images.
        mixture: other images that fill their share of each batch, in passes of their own.
    """

    def __init__(
        self,
        examples: Examples,
        batch: int,
        seed: int,
        *,
        augment: Augment | None = None,
        dtype: torch.dtype = torch.float32,
        share: tuple[int, int] = (0, 1),
        mixture: Mixture | None = None,
    ) -> None:
        check(len(examples) > 0, "Batches", "no examples", "at least one")
        self.seed, self.augment, self.dtype = seed, augment, dtype
        self.rank, self.world = share
        check(batch > 1 or mixture is None, "batch", f"got {batch}", "2 or more, for images of both sources")
        extra = 0 if mixture is None else max(1, min(round(batch * mixture.share), batch - 1))
        self.own = min(batch - extra, len(examples))
        self.batch = self.own + extra
        check(self.batch >= self.world, "batch", f"got {batch}", f"{self.world} or more, one a process")
        self.steps_per_epoch = len(examples) // self.own
        self._pools = [(examples, self.own, "order")]
        if mixture is not None:
            self._pools.append((mixture.examples, extra, "mixture order"))
            examples = examples.joined(mixture.examples)
        self.examples = examples
        given = (examples.labels, examples.environments)
        self._facts = [torch.from_numpy(part) for part in given if part is not None]
        self._unit = torch.tensor(1 / 255, dtype=dtype)
        self._order = lru_cache(maxsize=4)(self._shuffled)

    def __call__(self, model: nn.Module, step: int) -> tuple[Tensor, ...]:
        """Images (B, C, H, W) in [0, 1] and labels (B,) of ``step``, on the model's device.

        Where the examples have environments, those (B,) come third.
        """
        positions = self._positions(step)
        positions = positions[self.rank : len(positions) // self.world * self.world : self.world]
        images = self.examples.images(positions)
        if self.augment is not None:
            generator = torch_generator(self.seed, "augment", self.rank, step)
            pixels = self.augment(images.to(torch.float32).div_(255), generator).to(self.dtype)
        elif images.dtype != torch.uint8:
            pixels = as_input(images)
        else:
            pixels = torch.mul(images, self._unit)  # converts and scales in one pass over the memory
        device = next(model.parameters()).device
        at = torch.from_numpy(positions)
        return pixels.to(device), *(part[at].to(device) for part in self._facts)

    def _positions(self, step: int) -> IntArray:
        """Which of ``examples`` make the batch: some of each pool."""
        parts, offset = [], 0
        for number, (pool, size, _) in enumerate(self._pools):
            epoch, within = divmod(step, max(1, len(pool) // size))
            order = self._order(number, epoch)
            parts.append(np.take(order, np.arange(within * size, (within + 1) * size), mode="wrap") + offset)
            offset += len(pool)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _shuffled(self, number: int, epoch: int) -> IntArray:
        pool, _, name = self._pools[number]
        return numpy_generator(self.seed, name, epoch).permutation(len(pool))


def mirror_images_differ(examples: Examples) -> bool:
    """True where a class is told worse from the mirror image than from the image.

    A linear classifier of small copies learns from one half of the images and is judged on the other, as they
    are and mirrored left for right, and the other way about. Where it finds clearly fewer classes in mirror
    images (two standard errors of the paired difference), left and right mean something. With too few images
    to tell it is False.

    Args:
        examples: of two classes at least.
    """
    count = len(examples)
    if count < _FEWEST_MIRRORED:
        return False
    positions = np.unique(np.linspace(0, count - 1, min(count, _MOST_MIRRORED)).astype(np.int64))
    images = torch.cat(
        [_small(examples.images(some)) for some in np.array_split(positions, -(-len(positions) // 256))]
    )
    labels = torch.from_numpy(examples.labels[positions]).long()
    classes = int(labels.max()) + 1
    halves = torch.arange(len(labels)) % 2
    differences = torch.cat(
        [_lost(images, labels, classes, halves == half) for half in (0, 1)]
    )  # 1 where only the image was told, -1 where only its mirror image was
    error = differences.std() / len(differences) ** 0.5
    return bool(differences.mean() > 2 * error + 0.01)


def _small(images: Tensor) -> Tensor:
    """(B, C, _SMALL_SIDE, _SMALL_SIDE) float64 of uint8 images, less their own mean."""
    small: Tensor = F.adaptive_avg_pool2d(images.double() / 255, _SMALL_SIDE)
    means: Tensor = small.mean((1, 2, 3), keepdim=True)
    return small - means


def _lost(images: Tensor, labels: Tensor, classes: int, learned: Tensor) -> Tensor:
    """For each image not learned from: told from the image (1 or 0) less told from its mirror image."""
    x, y = images[learned].flatten(1), F.one_hot(labels[learned], classes).double()
    y = y - y.mean(0)
    gram = x.T @ x + _RIDGE * torch.eye(x.shape[1], dtype=x.dtype)
    weights = torch.linalg.solve(gram, x.T @ y)
    judged, truth = images[~learned], labels[~learned]
    told, mirrored = ((part.flatten(1) @ weights).argmax(1) == truth for part in (judged, judged.flip(3)))
    lost: Tensor = told.double() - mirrored.double()
    return lost
