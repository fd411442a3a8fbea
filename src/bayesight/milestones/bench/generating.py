"""The trials of models that make images: from noise, judged by a classifier of the run, and from images.

```
stage judge   letters(batch) · any network · any loss of a classifier · any optimizer; for every arm the same
stage train   letters(batch, ...) · gan, vae or pca(components) · the model's loss · any optimizer
```

An image through a few numbers and back, by a network or by linear maps:

```
data          letters(batch, augment=None, ...), as a classifier has it
model         autoencoder(hidden, code), or pca(code)
loss          squared_error
optimization  any registered optimizer, or eigenvectors
```
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from bayesight.data.batches import Batches, Examples
from bayesight.evaluation.frechet import class_entropy, frechet_distance, moments
from bayesight.milestones.bench.claim import Keys, Measurement
from bayesight.milestones.bench.classifying import augment_of, letters_of, network_of, train_classifier
from bayesight.milestones.bench.pictures import page_of, pixels_of, spread
from bayesight.milestones.bench.workbench import Bench, thinned, update_of
from bayesight.models import GenerativeModel, ImageModel, build_generator, channels_last, squared_error
from bayesight.seeding import derive, numpy_generator, torch_generator
from bayesight.training.average import WeightAverage
from bayesight.training.generation import generative_task, measure_generator

LOOKS, SHOWN = 6, 40
RECALLED = 10
"""Letters that are shown beside what a short description makes of them."""


def generate(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """Train a model that makes images, and let the judge look at as many as there are letters held out.

    Returns:
        ``frechet``, the Fréchet distance over the judge's features from held-out letters; ``class_entropy``
        in nats of what the judge takes the images for; both also ``_real``, of the training letters.
    """
    judge, recipe = recipes
    train, test = letters_of(recipe.data, bench)
    judged = _judgement(judge, bench, train, test)
    model = build_generator(recipe.model.name, train.image_shape, seed=bench.seed, **recipe.model.options)
    channels_last(model).to(bench.hardware.fabric.device)
    decay = recipe.optimization.get("average")
    average = None if decay is None else WeightAverage(model, decay)
    batches = Batches(train, recipe.data["batch"], bench.derive("data"), dtype=bench.dtype)
    steps, curve = recipe.optimization["steps"], []

    def look(_: nn.Module, step: int) -> None:
        if (step + 1) % max(1, steps // LOOKS) == 0:
            with average.applied() if average else nullcontext():
                curve.append((float(step + 1), judged(_made(model, len(test), bench))["frechet"]))

    turns = model.learn_by(recipe.loss.name, **recipe.loss.options)
    task = generative_task(
        model, turns, batches, bench.derive("noise"), partial(update_of, recipe.optimization)
    )
    bench.fit(replace(task, after=(look,)), steps, average=average)
    images = _made(model, len(test), bench)
    return Measurement(judged(images), tuple(curve), {"made": page_of(images[:SHOWN].tensor_split(4))})


def draw_gaussian(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """Images drawn from one Gaussian over the letters' principal components."""
    judge, recipe = recipes
    train, test = letters_of(recipe.data, bench)
    judged = _judgement(judge, bench, train, test)
    pixels = pixels_of(train).double().flatten(1)
    mean, kept = pixels.mean(0), recipe.model["components"]
    values, directions = torch.linalg.eigh(torch.cov(pixels.T))
    root = directions[:, -kept:] * values[-kept:].clamp_min(0).sqrt()
    noise = torch.randn(
        len(test), kept, generator=torch_generator(bench.seed, "samples"), dtype=torch.float64
    )
    images = (mean + noise @ root.T).clamp(0, 1).float().view(-1, *test.image_shape)
    return Measurement(judged(images), (), {"made": page_of(images[:SHOWN].tensor_split(4))})


def _judgement(
    recipe: Keys, bench: Bench, train: Examples, test: Examples
) -> Callable[[Tensor], dict[str, float]]:
    """The judge's figures of images, beside those of as many training letters."""
    judge = _judge(recipe, bench, train)
    classes = len(bench.sources.letters.classes)
    held_out, _ = _seen(judge, pixels_of(test))
    chosen = numpy_generator(0, "real letters").permutation(len(train))[: len(test)]
    learned, named = _seen(judge, pixels_of(train, chosen))
    real = moments(held_out)
    of_real = {
        "frechet_real": frechet_distance(moments(learned), real),
        "class_entropy_real": class_entropy(named, classes),
    }

    def judged(images: Tensor) -> dict[str, float]:
        features, taken_for = _seen(judge, images)
        frechet = frechet_distance(moments(features), real)
        return {"frechet": frechet, "class_entropy": class_entropy(taken_for, classes), **of_real}

    return judged


_TRAINED: dict[str, ImageModel] = {}


"""The judge of the run under way: it is the same for every arm and seed, so it is trained once."""


def _judge(recipe: Keys, bench: Bench, train: Examples) -> ImageModel:
    """A classifier trained from a fixed seed."""
    name = f"{bench.sources.identity} {recipe.as_dict()} {bench.hardware.precision}"
    if name not in _TRAINED:
        fixed = replace(bench, seed=0, one_batch=False, progress=lambda done, total: None)
        judge = network_of(recipe.model, train, fixed)
        train_classifier(judge, recipe, train, fixed)
        _TRAINED.clear()
        _TRAINED[name] = judge.eval()
    return _TRAINED[name]


@torch.no_grad()
def _seen(judge: ImageModel, images: Tensor) -> tuple[Tensor, Tensor]:
    """The judge's features (N, D) of images, and the classes (N,) it takes them for."""
    features = torch.cat([judge.features(part) for part in images.split(512)])
    return features, judge.head(features).argmax(1)


def _made(model: GenerativeModel, count: int, bench: Bench) -> Tensor:
    """Images of noise that is the same at every look."""
    learning = model.training
    images = model.eval().sample(count, torch_generator(bench.seed, "samples"))
    model.train(learning)
    return images


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
    shown = pixels_of(test, spread(len(test), RECALLED))
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
    shown = torch.from_numpy(spread(len(test), RECALLED))
    picture = page_of([part[shown].view(-1, *test.image_shape) for part in (held_out, copies)])
    return Measurement({"squared_error": error}, (), {"held-out letters, and from 30 components": picture})
