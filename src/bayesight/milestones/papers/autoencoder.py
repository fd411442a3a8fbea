"""Autoencoder: a deep network finds a shorter description of an image than its principal components."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from bayesight.data.batches import Batches, Examples
from bayesight.losses import squared_error
from bayesight.milestones.bench.claim import Arm, Claim, Key, Keys, Measured, Milestone, Paper, Smoke, key
from bayesight.milestones.bench.classifying import augment_of, letters_of
from bayesight.milestones.bench.workbench import Bench, thinned, update_of
from bayesight.models import Autoencoder, build_generator
from bayesight.seeding import derive
from bayesight.train.engine import Task
from bayesight.train.generation import WithNoise, generative_losses, measure_generator
from bayesight.types import ImageArray

SHOWN = 10

LETTERS = key("letters", batch=128, augment=key("glyph", rotate_deg=5, shear=0.1, scale=0.1, shift_px=1))


def recipe(model: Key, optimization: Key) -> Keys:
    """Thirty numbers an image."""
    return Keys(data=LETTERS, model=model, loss=key("squared_error"), optimization=optimization)


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
    """The first images, spread over all of them, (B, C, H, W) in [0, 1]."""
    every = np.linspace(0, len(examples) - 1, count or len(examples)).astype(np.int64)
    return examples.images(every).float().div_(255)


def _pairs(examples: Examples, copies: Tensor) -> ImageArray:
    """Originals in a row, and below them what came back."""
    rows = [torch.cat(list(part), dim=2)[0] for part in (_pixels(examples, SHOWN), copies)]
    page: ImageArray = torch.cat(rows).clamp(0, 1).mul(255).round().to(torch.uint8).numpy()
    return page


MILESTONE = Milestone(
    name="autoencoder",
    year=2006,
    paper=Paper(
        "Hinton, Salakhutdinov",
        "Reducing the Dimensionality of Data with Neural Networks",
        "Science 313",
        "https://doi.org/10.1126/science.1127647",
    ),
    claim="A deep autoencoder brings images back from a few numbers far better than as many principal "
    "components do.",
    figure="MNIST, 784-1000-500-250-30: squared error of a test image 3.00, with 30 principal components "
    "13.87 (fig. 2B).",
    displaced="principal component analysis (Pearson 1901), the best linear code",
    key="model",
    story="The label goes away: the image itself is what is to be said, so any image teaches. The model is "
    "squeezed in the middle, and whatever passes there is a description. With linear layers it would find "
    "the principal components; with rectifiers between them it bends its surface to where the images are.",
    arms=(
        Arm(
            "autoencoder",
            (
                recipe(
                    key("autoencoder", hidden=(512, 256), code=30),
                    key("adamw", lr=1e-3, schedule=key("cosine", warmup=0.05), steps=2000),
                ),
            ),
            remember,
        ),
        Arm("pca", (recipe(key("pca", code=30), key("eigenvectors")),), project),
    ),
    claims=(
        Claim(
            "autoencoder",
            "squared_error",
            "<=",
            against="pca",
            factor=0.7,
            differs=("model", "optimization"),
            smoke=(0.85, 0.0),
        ),
    ),
    metrics={"squared_error": "squared error of a held-out image, summed over its pixels in [0, 1]"},
    watched="training loss, squared error an image",
    smoke=Smoke({"optimization.steps": 800}),
    minutes=4,
    needs=100,
    differences=(
        "784-512-256-30 with rectifiers, trained at once by AdamW, in place of 784-1000-500-250-30 with "
        "sigmoids, pretrained layer by layer as restricted Boltzmann machines.",
        "Training letters move a little each time they are shown, for there are few of them; the components "
        "are found on the letters as they are, which suits them better.",
        "A few thousand letters in place of 60,000 digits.",
    ),
)
