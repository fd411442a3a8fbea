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
from functools import partial

import torch

from bayesight.data.batches import Batches
from bayesight.milestones.bench.claim import Keys, Measurement
from bayesight.milestones.bench.classifying import augment_of, letters_of
from bayesight.milestones.bench.pictures import page_of, pixels_of, spread
from bayesight.milestones.bench.workbench import Bench, thinned, update_of
from bayesight.models import build_generator, squared_error
from bayesight.seeding import derive
from bayesight.training.generation import generative_task, measure_generator

__all__ = ["project", "remember"]

SHOWN = 10


def remember(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """Train an autoencoder; ``squared_error`` of an image held out, summed over its pixels in [0, 1]."""
    (recipe,) = recipes
    train, test = letters_of(recipe.data, bench)
    network = build_generator(recipe.model.name, train.image_shape, seed=bench.seed, **recipe.model.options)
    seed = bench.derive("data")
    batches = Batches(train, recipe.data["batch"], seed, augment=augment_of(recipe.data), dtype=bench.dtype)
    turns = network.learn_by(recipe.loss.name, **recipe.loss.options)
    task = generative_task(
        network, turns, batches, derive(seed, "noise"), partial(update_of, recipe.optimization)
    )
    seen = bench.fit(task, recipe.optimization["steps"])
    network.eval()
    values = measure_generator(network, test)
    shown = pixels_of(test, spread(len(test), SHOWN))
    with torch.no_grad():
        picture = page_of([shown, network(shown)])
    return Measurement(values, thinned(seen), {"held-out letters, and from 30 numbers": picture})


def project(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """The same from as many principal components, in float64: the best that linear maps can do."""
    (recipe,) = recipes
    train, test = letters_of(recipe.data, bench)
    images, held_out = (pixels_of(part).double().flatten(1) for part in (train, test))
    mean = images.mean(0)
    _, directions = torch.linalg.eigh(torch.cov(images.T))
    kept = directions[:, -recipe.model["code"] :]
    copies = mean + (held_out - mean) @ kept @ kept.T
    error = squared_error(held_out, copies).mean().item()
    shown = torch.from_numpy(spread(len(test), SHOWN))
    picture = page_of([part[shown].view(-1, *test.image_shape) for part in (held_out, copies)])
    return Measurement({"squared_error": error}, (), {"held-out letters, and from 30 components": picture})
