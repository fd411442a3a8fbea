"""The trials of models that make images: how far what they make is from real images, by a judge of the run.

```
stage judge   letters(batch) · any network · any loss of a classifier · any optimizer; for every arm the same
stage train   letters(batch, ...) · gan, vae or pca(components) · the model's loss · any optimizer
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
from bayesight.milestones.bench.classifying import letters_of, network_of, train_classifier
from bayesight.milestones.bench.pictures import page_of, pixels_of
from bayesight.milestones.bench.workbench import Bench, update_of
from bayesight.models import GenerativeModel, ImageModel, build_generator, channels_last
from bayesight.seeding import numpy_generator, torch_generator
from bayesight.training.average import WeightAverage
from bayesight.training.generation import generative_task

__all__ = ["draw_gaussian", "generate"]

LOOKS, SHOWN = 6, 40


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
