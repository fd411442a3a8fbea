"""Images that a belief holds by their statistics alone: those of parts, too many to keep a row of each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from bayesight.types import IntArray


@dataclass(frozen=True)
class HeldParts:
    """Parts that were absorbed by their statistics; which images they are stands in files beside the belief.

    Args:
        keys: of the parts, in the order in which they came.
        weights: what an image of each counts now.
        counts: (K,) weights of their images by class; those that are rows of the belief are not among them.
        released: (R, 16) images of parts that left the statistics for a row of their own, or for good.
    """

    keys: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    counts: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))
    released: Tensor = field(default_factory=lambda: torch.empty(0, 16, dtype=torch.uint8))

    def __len__(self) -> int:
        return len(self.keys)

    def counted(self, classes: int) -> Tensor:
        """(K,) ``counts`` of so many classes, the later of which may be new."""
        return torch.cat([self.counts, self.counts.new_zeros(classes - len(self.counts))])

    def discounted(self, trust_past: float) -> HeldParts:
        """The same, of which every image counts ``trust_past`` of what it did."""
        weights = tuple(weight * trust_past for weight in self.weights)
        return replace(self, weights=weights, counts=self.counts * trust_past)

    def without_class(self, number: int, classes: int) -> HeldParts:
        """The same once a class of which there are no images is gone."""
        counts = self.counted(classes)
        return replace(self, counts=torch.cat([counts[:number], counts[number + 1 :]]))

    def with_parts(self, keys: tuple[str, ...], counts: Tensor) -> HeldParts:
        """These and further parts, whose images count 1 each and ``counts`` (K,) by class."""
        return replace(
            self,
            keys=(*self.keys, *keys),
            weights=(*self.weights, *(1.0 for _ in keys)),
            counts=self.counted(len(counts)) + counts,
        )

    def without_images(self, digests: Tensor, labels: Tensor, weights: Tensor) -> HeldParts:
        """The same without images (N, 16) of classes (N,) that counted (N,)."""
        counts = self.counts.index_add(0, labels, -weights)
        counts = torch.where(counts < 1e-9, 0.0, counts)  # what rounding leaves of discounted weights
        return replace(self, counts=counts, released=torch.cat([self.released, digests]))

    def left(self) -> tuple[np.ndarray, IntArray]:
        """Keys (M,) of images that left parts, ascending, and how many files (M,) each has left.

        Those are the first of the files that name it: one part at most holds an image, so that each time it
        is released the earliest of them is meant.
        """
        return np.unique(image_keys(self.released.numpy()), return_counts=True)


def image_keys(digests: np.ndarray) -> np.ndarray:
    """Digests (N, 16) as N values that compare as they do."""
    keys: np.ndarray = np.ascontiguousarray(digests).view("S16")[:, 0]
    return keys
