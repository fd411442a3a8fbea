"""The trial of a classifier: a recipe in four keys to its loss and its accuracy on letters held out.

```
data          letters(batch, train=None, test_share=0.2, augment=None, canvas=28, shift_px=0)
model         any registered network and its options
loss          any registered classification loss, those that see environments where the images have them
optimization  any registered optimizer (lr, steps, schedule, weight_decay, clip_norm, ...)
```
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from bayesight.checks import check
from bayesight.data.augment import Augment, augmentation
from bayesight.data.batches import Batches, Examples
from bayesight.losses import build_loss, sees_environments
from bayesight.milestones.bench.claim import Keys, Measurement, RecipeKey
from bayesight.milestones.bench.workbench import Bench, parameters_of, thinned, update_of
from bayesight.models import ImageModel, build, channels_last
from bayesight.seeding import numpy_generator
from bayesight.training.classification import clocked, evaluation, group_counts, total_loss
from bayesight.training.engine import Batch, Task
from bayesight.types import ImageArray

TAIL = 0.1
"""The final training loss is the mean over this last share of the steps."""


def classify(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """Train one classifier and judge it on letters held out.

    Returns:
        ``accuracy`` in [0, 1] on the held-out letters; ``train_loss`` in nats, the mean over the last tenth
        of the steps; ``parameters``.
    """
    (recipe,) = recipes
    train, test = letters_of(recipe.data, bench)
    network = network_of(recipe.model, train, bench)
    losses = train_classifier(network, recipe, train, bench)
    values = {"accuracy": accuracy_of(network, test, bench), **_told(losses, network)}
    return Measurement(values, thinned(losses))


def letters_of(data: RecipeKey, bench: Bench) -> tuple[Examples, Examples]:
    """The letters a data key describes: to learn from, and held out."""
    parts = bench.sources.letters.split(data.get("test_share", 0.2), train=data.get("train"))
    canvas, shift_px = data.get("canvas", 28), data.get("shift_px", 0)
    if canvas == 28 and shift_px == 0:
        return parts
    train, test = (moved(part, canvas, shift_px, number) for number, part in enumerate(parts))
    return train, test


def moved(examples: Examples, canvas: int, shift_px: int, seed: int) -> Examples:
    """The images, each put on a larger black canvas at a place of its own.

    Args:
        examples: grey images of H x W.
        canvas: side of the canvas.
        shift_px: furthest from the middle, in each direction; evenly distributed, and the same every time.
        seed: of the places.
    """
    images = examples.images(np.arange(len(examples)))[:, 0].numpy()
    height, width = images.shape[1:]
    room = (canvas - max(height, width)) // 2
    check(0 <= shift_px <= room, "data.shift_px", f"got {shift_px}", f"0 to {room} on a canvas of {canvas}")
    places = numpy_generator(seed, "moved").integers(-shift_px, shift_px + 1, (len(images), 2))
    top, left = (canvas - height) // 2 + places[:, 0], (canvas - width) // 2 + places[:, 1]
    out: ImageArray = np.zeros((len(images), canvas, canvas), np.uint8)
    for image, y, x, target in zip(images, top, left, out, strict=True):
        target[y : y + height, x : x + width] = image
    return Examples((out,), np.arange(len(out)), examples.labels)


def network_of(model: RecipeKey, examples: Examples, bench: Bench, classes: int | None = None) -> ImageModel:
    """A fresh network for these images and classes (default: all letters), normalising by their moments."""
    classes = classes or len(bench.sources.letters.classes)
    network = build(model.name, examples.image_shape, classes, seed=bench.seed, **model.options)
    network.standardise.fit(*examples.channel_moments())
    channels_last(network)
    return network


def train_classifier(
    network: ImageModel, recipe: Keys, train: Examples, bench: Bench, *, chosen_on: Examples | None = None
) -> list[float]:
    """Train ``network`` in place; returns the loss of every step, in nats.

    Args:
        network: a fresh one.
        recipe: the four keys.
        train: what is learned from; a loss that sees environments sees those of these images.
        bench: the trial's surroundings.
        chosen_on: held-out images that choose the weights: by log-loss, adjusted for these images'
            environments where the loss sees environments. None keeps the last weights.
    """
    seeing, steps = sees_environments(recipe.loss.name), recipe.optimization["steps"]
    batches = Batches(
        train if seeing else train.without_environments(),
        recipe.data["batch"],
        bench.derive("data"),
        augment=augment_of(recipe.data),
        dtype=bench.dtype,
    )
    counts = group_counts(train, network.classes) if seeing else None
    loss = build_loss(recipe.loss.name, network.classes, counts, **recipe.loss.options)
    data = clocked(batches, loss, steps) if seeing else batches
    task = Task(data, network, {"train": total_loss(loss)}, [update_of(recipe.optimization, network)])
    if chosen_on is None:
        return bench.fit(task, steps)
    metrics = evaluation(chosen_on, network.classes, bench.dtype)
    monitor = "adjusted_log_loss" if seeing else "log_loss"
    return bench.fit(task, steps, evaluate=metrics, monitor=monitor)


def augment_of(data: RecipeKey) -> Augment | None:
    """The augmentation a data key names, as a name or a key, or None."""
    wanted = data.get("augment")
    if wanted is None:
        return None
    chosen = wanted if isinstance(wanted, RecipeKey) else RecipeKey(wanted)
    return augmentation(chosen.name, **chosen.options)


@torch.no_grad()
def accuracy_of(network: nn.Module, examples: Examples, bench: Bench, batch: int = 512) -> float:
    """Share of the images whose largest logit is their label's."""
    network.eval()
    device, right = next(network.parameters()).device, 0
    for images, labels in examples.in_order(batch):
        with bench.hardware.fabric.autocast():
            logits = network(images.to(device=device, dtype=bench.dtype).div_(255))
        right += int((logits.argmax(1).cpu() == labels).sum())
    return right / len(examples)


def classify_xor(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """Train on the four points of exclusive or and judge on the same.

    Returns:
        ``accuracy`` and ``train_loss`` as ``classify`` has them, and ``parameters``.
    """
    (recipe,) = recipes
    inputs = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]).view(4, 1, 1, 2)
    labels = torch.tensor([0, 1, 1, 0])
    network = build(recipe.model.name, (1, 1, 2), 2, seed=bench.seed, **recipe.model.options)
    network.standardise.fit([0.5], [0.5])
    loss = build_loss(recipe.loss.name, 2, **recipe.loss.options)
    device = bench.hardware.fabric.device
    batch: Batch = (inputs.to(device), labels.to(device))
    update = update_of(recipe.optimization, network)
    task = Task(lambda model, step: batch, network, {"train": total_loss(loss)}, [update])
    losses = bench.fit(task, recipe.optimization["steps"])
    with torch.no_grad():
        right = (network.eval()(batch[0]).argmax(1) == batch[1]).double().mean().item()
    return Measurement({"accuracy": right, **_told(losses, network)}, thinned(losses))


def _told(losses: list[float], network: nn.Module) -> dict[str, float]:
    tail = max(1, round(TAIL * len(losses)))
    return {
        "train_loss": sum(losses[-tail:]) / tail,
        "parameters": parameters_of(network),
    }
