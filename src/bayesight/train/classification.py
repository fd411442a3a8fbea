"""A classifier's four keys, resolved from a recipe: what the engine trains."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bayesight.bayes import calibrate
from bayesight.data.augment import Augment, augmentation
from bayesight.data.batches import Batches, Examples, Mixture
from bayesight.evaluate.calibration import expected_calibration_error, log_loss
from bayesight.losses import ClassificationLoss, build_loss
from bayesight.models import ImageModel, build, channels_last
from bayesight.optim import build_optimizer, build_schedule
from bayesight.seeding import derive
from bayesight.train.average import WeightAverage
from bayesight.train.engine import Batch, Budget, Task, Update
from bayesight.train.hardware import Hardware
from bayesight.train.recipe import Recipe

__all__ = ["Classification", "classification", "log_probabilities"]

EVALUATION_BATCH = 1024


@dataclass(frozen=True)
class Classification:
    """Everything ``engine.fit`` needs to train a classifier.

    Args:
        task: the four keys.
        budget: how long.
        average: of the weights, or None.
        evaluate: accuracy, log_loss (nats), ece and calibrated_log_loss on the validation images. The last
            is the log-loss at the temperature that suits it best, and it is what chooses the weights: a
            temperature is fitted after training in any case, and plain log-loss would stop a network that
            goes on getting better while it grows too sure of itself.
        network: the model, also in ``task.model``.
    """

    task: Task
    budget: Budget
    average: WeightAverage | None
    evaluate: Callable[[nn.Module], Mapping[str, float]]
    network: ImageModel


def classification(
    recipe: Recipe,
    train: Examples,
    validation: Examples,
    classes: int,
    hardware: Hardware,
    also: Examples | None = None,
) -> Classification:
    """Resolve a recipe against data and hardware.

    Args:
        recipe: the four keys by name.
        train: what is learned from.
        validation: what chooses the weights, never trained on.
        classes: K.
        hardware: device, precision, processes.
        also: further images that fill their share of every batch.

    Raises:
        InvalidInput: an image shape the model cannot take, an option out of range.
    """
    network = new_network(recipe, train, classes)
    fabric, dtype = hardware.fabric, torch.bfloat16 if hardware.precision == "bf16" else torch.float32
    batches = Batches(
        train,
        recipe.data.batch,
        derive(recipe.seed, "data"),
        augment=_augment(recipe),
        dtype=dtype,
        share=(fabric.global_rank, fabric.world_size),
        mixture=None if also is None else Mixture(also, recipe.data.also_share),
    )
    key = recipe.optimization
    steps = max(1, math.ceil(key.epochs * batches.steps_per_epoch))
    network.to(fabric.device)
    update = Update(
        "classifier",
        build_optimizer(key.name, network, lr=key.lr, weight_decay=key.weight_decay, **key.options),
        build_schedule(key.schedule.name, steps, **key.schedule.options),
        key.clip_norm,
    )
    loss = build_loss(recipe.loss.name, classes, **recipe.loss.options)
    task = Task(batches, network, {"classifier": _total(loss)}, [update])
    return Classification(
        task,
        Budget(
            steps,
            evaluate_every=batches.steps_per_epoch,
            accumulate=key.accumulate,
            patience=key.patience,
            monitor="calibrated_log_loss",
            seed=derive(recipe.seed, "steps"),
        ),
        None if key.average is None else WeightAverage(network, key.average),
        _evaluation(validation, dtype),
        network,
    )


def new_network(recipe: Recipe, train: Examples, classes: int) -> ImageModel:
    """The recipe's network, initialised from its seed, normalising by the training images' moments."""
    options = recipe.model.options
    network = build(recipe.model.name, train.image_shape, classes, seed=recipe.seed, **options)
    network.standardise.fit(*train.channel_moments())
    channels_last(network)
    return network


@torch.no_grad()
def log_probabilities(
    model: nn.Module, examples: Examples, *, dtype: torch.dtype = torch.float32, batch: int = EVALUATION_BATCH
) -> Tensor:
    """Log-softmax of the model's logits for every example, in order.

    Args:
        model: images (B, C, H, W) in [0, 1] to logits (B, K); put it into evaluation mode first.
        examples: N of them.
        dtype: floating type the images are handed over in.
        batch: images at a time.

    Returns:
        (N, K) float64, nats, on the CPU.
    """
    device = next(model.parameters()).device
    parts = [
        model(images.to(device=device, dtype=dtype).div_(255)).double().log_softmax(dim=1).cpu()
        for images, _ in examples.in_order(batch)
    ]
    return torch.cat(parts)


def _augment(recipe: Recipe) -> Augment | None:
    choice = recipe.data.augment
    return None if choice.name == "none" else augmentation(choice.name, **choice.options)


def _total(loss: ClassificationLoss) -> Callable[[nn.Module, Batch], Mapping[str, Tensor]]:
    def terms(model: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        images, labels = batch
        return {"total": loss(model(images), labels)}

    return terms


def _evaluation(validation: Examples, dtype: torch.dtype) -> Callable[[nn.Module], Mapping[str, float]]:
    labels = torch.from_numpy(validation.labels)

    def evaluate(model: nn.Module) -> Mapping[str, float]:
        log_p = log_probabilities(model, validation, dtype=dtype)
        calibrated = calibrate.apply(calibrate.fit_bcts(log_p, labels, bias=False), log_p)
        return {
            "accuracy": (log_p.argmax(1) == labels).double().mean().item(),
            "log_loss": log_loss(log_p, labels),
            "calibrated_log_loss": log_loss(calibrated, labels),
            "ece": expected_calibration_error(log_p, labels),
        }

    return evaluate
