"""A generative model's four keys, resolved from a recipe: what the engine trains."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bayesight.checks import check
from bayesight.data.augment import Augment, augmentation
from bayesight.data.batches import Batches, Examples
from bayesight.losses import build_generative_loss, squared_error
from bayesight.models import (
    GAN,
    GENERATORS,
    VAE,
    Autoencoder,
    GenerativeModel,
    build_generator,
    channels_last,
)
from bayesight.optim import build_optimizer, build_schedule
from bayesight.seeding import derive, torch_generator
from bayesight.train.engine import Batch, Budget, Loss, Task, Update
from bayesight.train.hardware import Hardware
from bayesight.train.recipe import Recipe

__all__ = ["FEWEST", "Generation", "NoiseBatches", "generation", "generative_losses", "measure_generator"]

FEWEST = 16
"""Images below which nothing is learned that could be called a likeness."""

MONITOR = {"squared_error": "squared_error", "evidence_bound": "bound", "adversarial": None}
"""What chooses the weights, by loss; the two sides of a game have no common measure, so its last are kept."""


@dataclass(frozen=True)
class Generation:
    """Everything ``engine.fit`` needs to train a generative model.

    Args:
        task: the four keys; a batch is images and as much noise as there are images.
        budget: how long.
        evaluate: what ``measure_generator`` says of the validation images.
        network: the model, also in ``task.model``.
    """

    task: Task
    budget: Budget
    evaluate: Callable[[nn.Module], Mapping[str, float]]
    network: GenerativeModel


@dataclass(frozen=True)
class NoiseBatches:
    """Batches of images, their labels replaced by standard normal noise of the model's code.

    Args:
        batches: where the images come from.
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


def generation(recipe: Recipe, train: Examples, validation: Examples, hardware: Hardware) -> Generation:
    """Resolve a recipe against data and hardware.

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
    dtype = torch.bfloat16 if hardware.precision == "bf16" else torch.float32
    seed = derive(recipe.seed, "data")
    batches = Batches(train, recipe.data.batch, seed, augment=_augment(recipe), dtype=dtype)
    steps = max(1, math.ceil(key.epochs * batches.steps_per_epoch))
    updates = [
        Update(
            name,
            build_optimizer(key.name, part, lr=key.lr, weight_decay=key.weight_decay, **key.options),
            build_schedule(key.schedule.name, steps, **key.schedule.options),
            key.clip_norm,
        )
        for name, part in network.parts().items()
    ]
    losses = generative_losses(recipe.model.name, recipe.loss.name, **recipe.loss.options)
    monitor = MONITOR[recipe.loss.name]
    return Generation(
        Task(NoiseBatches(batches, network.code, seed), network, losses, updates),
        Budget(
            steps,
            evaluate_every=batches.steps_per_epoch,
            accumulate=key.accumulate,
            patience=key.patience if monitor else None,
            monitor=monitor,
            seed=derive(recipe.seed, "steps"),
            hopeless=_hopeless(recipe.loss.name, train),
        ),
        lambda model: measure_generator(model, network, validation, dtype),
        network,
    )


def _hopeless(loss: str, train: Examples) -> dict[str, float]:
    """Losses that say that training has diverged: several times those of answering with the mean image.

    A game has no such measure; but a discriminator that is never right, or a generator that is always found
    out, has some 20 nats, and a hundred come from weights that have run away.
    """
    if loss == "adversarial":
        return {"discriminator.total": 100.0, "generator.total": 100.0}
    images = train.images(np.arange(min(len(train), 1000))).double().div_(255).flatten(1)
    mean = images.mean(dim=0).clamp(1e-3, 1 - 1e-3)
    if loss == "evidence_bound":
        entropy = -(mean * mean.log() + (1 - mean) * torch.log1p(-mean)).sum()
        return {"vae.total": 5 * float(entropy) + 100}
    return {"autoencoder.total": 2 * float((images - mean).square().sum(dim=1).mean()) + 1}


def generative_losses(model: str, loss: str, **options: Any) -> dict[str, Loss]:
    """The loss of each of a model's turns, on batches of images and noise.

    Args:
        model: a registered generative model.
        loss: the loss it is made for.
        options: the loss's own.

    Raises:
        UnknownName, InvalidConfig: no such model or loss, or options it does not have.
        InvalidInput: another model's loss.

    Example:
        >>> list(generative_losses("gan", "adversarial"))
        ['discriminator', 'generator']
    """
    check(GENERATORS[model].loss == loss, f"model {model!r}", f"loss {loss!r}", repr(GENERATORS[model].loss))
    made = build_generative_loss(loss, **options)
    if loss == "adversarial":
        return {"discriminator": _discriminator(made), "generator": _generator(made)}
    return {"vae": _bound(made)} if loss == "evidence_bound" else {"autoencoder": _reconstruction(made)}


@torch.no_grad()
def measure_generator(
    model: nn.Module,
    network: GenerativeModel,
    examples: Examples,
    dtype: torch.dtype = torch.float32,
    batch: int = 512,
) -> dict[str, float]:
    """What can be said of a generative model by images it has not seen; in evaluation mode.

    Args:
        model: what computes: the network itself, or as the engine wrapped it.
        network: says which kind it is.
        examples: N images.
        dtype: floating type the images are handed over in.
        batch: images at a time.

    Returns:
        For an autoencoder ``squared_error`` an image, summed over pixels in [0, 1]. For a VAE the same and
        ``bound``, the negative evidence bound in nats an image. For a GAN ``told_apart``, the share of real
        and made images, equally many, that the discriminator calls rightly: .5 is the generator's aim.
    """
    device = next(network.parameters()).device
    generator = torch_generator(0, "measured noise")
    totals: dict[str, float] = {}
    for images, _ in examples.in_order(batch):
        pixels = images.to(device=device, dtype=dtype).div_(255)
        noise = torch.randn(len(images), network.code, generator=generator).to(device)
        for name, value in _measured(model, network, pixels, noise).items():
            totals[name] = totals.get(name, 0.0) + value.double().sum().item()
    return {name: total / len(examples) for name, total in totals.items()}


def _measured(
    model: nn.Module, network: GenerativeModel, images: Tensor, noise: Tensor
) -> Mapping[str, Tensor]:
    """Metrics of each image of a batch, (B,) each."""
    if isinstance(network, GAN):
        real, fake = model("judge", images), model("judge", model("generate", noise))
        return {"told_apart": ((real > 0).double() + (fake <= 0).double()) / 2}
    if isinstance(network, VAE):
        logits, mean, log_variance = model(images, noise)
        terms = build_generative_loss("evidence_bound").terms(images, logits, mean, log_variance)
        whole = terms["total"].expand(len(images))
        return {"bound": whole, "squared_error": squared_error(images, logits.float().sigmoid())}
    assert isinstance(network, Autoencoder)
    return {"squared_error": squared_error(images, model(images))}


def _augment(recipe: Recipe) -> Augment | None:
    choice = recipe.data.augment
    return None if choice.name == "none" else augmentation(choice.name, **choice.options)


def _discriminator(loss: Any) -> Loss:
    def terms(model: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        images, noise = batch
        with torch.no_grad():  # the fakes are given: this turn moves the discriminator alone
            fakes = model("generate", noise)
        return {"total": loss.discriminator(model("judge", images), model("judge", fakes))}

    return terms


def _generator(loss: Any) -> Loss:
    def terms(model: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        _, noise = batch
        return {"total": loss.generator(model("judge", model("generate", noise)))}

    return terms


def _bound(loss: Any) -> Loss:
    def terms(model: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        images, noise = batch
        found: Mapping[str, Tensor] = loss.terms(images, *model(images, noise))
        return found

    return terms


def _reconstruction(loss: Any) -> Loss:
    def terms(model: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        images, _ = batch
        return {"total": loss(images, model(images))}

    return terms
