"""A network and what is believed about its classes: images in, the four terms of Bayes' theorem out."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Classes"]


@dataclass(frozen=True)
class Classes:
    """What a run's numbers 0 .. K-1 and its pixels mean.

    Args:
        names: class names in the order of the network's outputs; never recomputed.
        mode: "L" or "RGB".
        size: (height, width) in pixels.
    """

    names: tuple[str, ...]
    mode: str
    size: tuple[int, int]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) as the network sees an image."""
        return (1 if self.mode == "L" else 3, *self.size)
