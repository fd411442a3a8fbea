"""The trial of a short description: images through a few numbers and back, by a network or by linear maps.

```
data          letters(batch, augment=None, ...), as a classifier has it
model         autoencoder(hidden, code), or pca(code)
loss          squared_error
optimization  any registered optimizer, or eigenvectors
```
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from bayesight.data.batches import Batches, Examples
from bayesight.losses import squared_error
from bayesight.milestones.bench.claim import Keys, Measured
from bayesight.milestones.bench.classifying import augment_of, letters_of
from bayesight.milestones.bench.workbench import Bench, thinned, update_of
from bayesight.models import Autoencoder, build_generator
from bayesight.seeding import derive
from bayesight.train.engine import Task
from bayesight.train.generation import WithNoise, generative_losses, measure_generator
from bayesight.types import ImageArray

__all__ = ["project", "remember"]

SHOWN = 10


def remember(recipes: Sequence[Keys], bench: Bench) -> Measured:
    """Train an autoencoder; ``squared_error`` of an image held out, summed over its pixels in [0, 1]."""
    (recipe,) = recipes
    train, test = letters_of(recipe.data, bench)
    network = build_generator(recipe.model.name, train.image_shape, seed=bench.seed, **recipe.model.options)
    assert isinstance(network, Autoencoder)
    seed = bench.derive("data")
    batches = Batches(train, recipe.data["batch"], seed, augment=augment_of(recipe.data), dtype=bench.dtype)
    losses = generative_losses(recipe.model.name, recipe.loss.name)
    task = Task(
        WithNoise(batches, network.code, derive(seed, "noise")),
        network,
        losses,
        [update_of(recipe.optimization, network, name) for name in losses],
    )
    seen = bench.fit(task, recipe.optimization["steps"])
    network.eval()
    values = measure_generator(network, network, test)
    with torch.no_grad():
        copies = network(_pixels(test, SHOWN))
    return Measured(values, thinned(seen), {"held-out letters, and from 30 numbers": _pairs(test, copies)})


def project(recipes: Sequence[Keys], bench: Bench) -> Measured:
    """The same from as many principal components, in float64: the best that linear maps can do."""
    (recipe,) = recipes
    train, test = letters_of(recipe.data, bench)
    images, held_out = (_pixels(part).double().flatten(1) for part in (train, test))
    mean = images.mean(0)
    _, directions = torch.linalg.eigh(torch.cov(images.T))
    kept = directions[:, -recipe.model["code"] :]
    copies = mean + (held_out - mean) @ kept @ kept.T
    error = squared_error(held_out, copies).mean().item()
    picture = _pairs(test, copies[:SHOWN].float().view(-1, *test.image_shape))
    return Measured({"squared_error": error}, (), {"held-out letters, and from 30 components": picture})


def _pixels(examples: Examples, count: int | None = None) -> Tensor:
    """So many images, spread over all of them, (B, C, H, W) in [0, 1]."""
    every = np.linspace(0, len(examples) - 1, count or len(examples)).astype(np.int64)
    return examples.images(every).float().div_(255)


def _pairs(examples: Examples, copies: Tensor) -> ImageArray:
    """Originals in a row, and below them what came back."""
    rows = [torch.cat(list(part), dim=2)[0] for part in (_pixels(examples, SHOWN), copies)]
    page: ImageArray = torch.cat(rows).clamp(0, 1).mul(255).round().to(torch.uint8).numpy()
    return page
