"""Intervals of measures that are no mean over images: by drawing the images anew (Efron 1979)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bayesight.checks import check, probability
from bayesight.seeding import numpy_generator
from bayesight.types import FloatArray


def bootstrap_interval(
    measure: Callable[[FloatArray], float],
    images: int,
    *,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """The percentile interval of a measure over samples of as many images, drawn with replacement.

    What belongs to one image is drawn together, so that pixels and boxes of an image may depend on each
    other as they like.

    Args:
        measure: how often each image counts, (N,), to the measure; a draw of which it is NaN says nothing.
        images: N, at least 1.
        level: share of the draws inside.
        draws: samples.
        seed: of the draws.

    Returns:
        Both ends; NaN where no draw has a value.

    Raises:
        InvalidInput: no images, a level outside (0, 1), or no draws.

    Example:
        >>> bootstrap_interval(lambda weights: float(weights.sum()), 5)
        (5.0, 5.0)
    """
    low, high = bootstrap_intervals(
        lambda weights: np.array([measure(weights)]), images, level=level, draws=draws, seed=seed
    )[0]
    return float(low), float(high)


def bootstrap_intervals(
    measure: Callable[[FloatArray], FloatArray],
    images: int,
    *,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> FloatArray:
    """The intervals (K, 2) of K measures of the same draws; else as ``bootstrap_interval``."""
    check(images >= 1 and draws >= 1, "bootstrap_interval", f"{images} images, {draws} draws", "at least 1")
    probability(level, "bootstrap_interval.level", open_interval=True)
    generator = numpy_generator(seed, "bootstrap")
    even = np.full(images, 1 / images)
    found = np.array([measure(generator.multinomial(images, even).astype(float)) for _ in range(draws)])
    ends = np.full((found.shape[1], 2), np.nan)
    for column, values in enumerate(found.T):
        known = values[~np.isnan(values)]
        if len(known):
            ends[column] = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return ends
