"""A generative model's recipe, resolved against data and hardware."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from bayesight.checks import check
from bayesight.data.batches import Batches, Examples
from bayesight.models import GenerativeModel, Turn, build_generator, channels_last
from bayesight.seeding import derive, torch_generator
from bayesight.training.engine import Budget, Plan, Task, Update
from bayesight.training.hardware import Hardware
from bayesight.training.recipe import Recipe

FEWEST = 16
"""Images below which nothing is learned that could be called a likeness."""


@dataclass(frozen=True)
class NoiseBatches:
    """Batches of images, their labels replaced by standard normal noise of the model's code.

    Args:
        batches: of the images.
        code: numbers in a code, D.
        seed: of the noise.
    """

    batches: Batches
    code: int
    seed: int

    def __call__(self, model: nn.Module, step: int) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W) in [0, 1] and noise (B, D) of ``step``."""
        images, _ = self.batches(model, step)
        noise = torch.randn(len(images), self.code, generator=torch_generator(self.seed, "noise", step))
        return images, noise.to(images.device)


def generation(
    recipe: Recipe, train: Examples, validation: Examples, hardware: Hardware
) -> Plan[GenerativeModel]:
    """Resolve a generative model's recipe against data and hardware.

    Raises:
        InvalidInput: too few images, an image the model cannot take, several processes, a moving average.
    """
    check(len(train) >= FEWEST, "training images", f"got {len(train)}", f"at least {FEWEST}", "Add images.")
    world = hardware.fabric.world_size
    check(world == 1, f"model {recipe.model.name!r}", f"{world} processes", "one", "Leave out torchrun.")
    key = recipe.optimization
    check(key.average is None, "optimization.average", "got a value", "none for generative models")
    network = build_generator(recipe.model.name, train.image_shape, seed=recipe.seed, **recipe.model.options)
    channels_last(network).to(hardware.fabric.device)
    seed = derive(recipe.seed, "data")
    batches = Batches(
        train, recipe.data.batch, seed, augment=recipe.data.augmentation(), dtype=hardware.dtype
    )
    steps = max(1, math.ceil(key.epochs * batches.steps_per_epoch))
    task = generative_task(
        network,
        network.learn_by(recipe.loss.name, **recipe.loss.options),
        batches,
        seed,
        lambda part, name: key.update(part, steps, name),
    )
    some = train.images(np.arange(min(len(train), 1000))).double().div_(255)
    limit = network.divergence_limit(some.flatten(1))
    budget = Budget(
        steps,
        evaluate_every=batches.steps_per_epoch,
        accumulate=key.accumulate,
        patience=key.patience if network.monitor else None,
        monitor=network.monitor.name if network.monitor else None,
        seed=derive(recipe.seed, "steps"),
        diverged_above={f"{name}.total": limit for name in task.losses},
    )

    def evaluate(model: nn.Module) -> Mapping[str, float]:
        return measure_generator(network, validation, model, hardware.dtype)

    return Plan(task, budget, evaluate, network)


def generative_task(
    network: GenerativeModel,
    turns: Mapping[str, Turn],
    batches: Batches,
    seed: int,
    update: Callable[[nn.Module, str], Update],
) -> Task:
    """A generative model's training in four keys.

    Args:
        network: the model.
        turns: its own, from ``learn_by``.
        batches: of images.
        seed: of the noise.
        update: the optimizer's turn of a network that moves, under a name.
    """
    updates = [update(turn.part, name) for name, turn in turns.items()]
    return Task(NoiseBatches(batches, network.code, seed), network, turns, updates)


@torch.no_grad()
def measure_generator(
    network: GenerativeModel,
    examples: Examples,
    model: nn.Module | None = None,
    dtype: torch.dtype = torch.float32,
    batch: int = 512,
) -> dict[str, float]:
    """A generative model's ``measures``, as means over images it has not seen; in evaluation mode.

    Args:
        network: the model.
        examples: N images.
        model: the network as it was wrapped for device and precision; None takes it as it is.
        dtype: floating type the images are handed over in.
        batch: images at a time.
    """
    device = next(network.parameters()).device
    generator = torch_generator(0, "measured noise")
    totals: dict[str, float] = {}
    for images, _ in examples.in_order(batch):
        pixels = images.to(device=device, dtype=dtype).div_(255)
        noise = torch.randn(len(images), network.code, generator=generator).to(device)
        for name, value in network.measure(model or network, pixels, noise).items():
            totals[name] = totals.get(name, 0.0) + value.double().sum().item()
    return {name: total / len(examples) for name, total in totals.items()}
