"""Contrastive pretraining, before any label: a recipe's table resolved against images and hardware."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bayesight.checks import check
from bayesight.data.augment import Augment, augmentation
from bayesight.data.batches import Batches, Examples
from bayesight.losses import nt_xent
from bayesight.models import ImageModel, ProjectionHead
from bayesight.optim import build_optimizer, build_schedule
from bayesight.seeding import derive, torch_generator
from bayesight.training.engine import Batch, Budget, Loss, Task, Update
from bayesight.training.hardware import Hardware
from bayesight.training.recipe import PretrainKey

FEWEST = 32
"""Images below which telling one from the others is too easy to teach anything."""


@dataclass(frozen=True)
class TwoViews:
    """Two random views of each image of a batch, in place of the image and its label.

    Args:
        batches: of the images, not augmented.
        augment: makes a view.
        seed: of the views.
        dtype: floating type of the views.
    """

    batches: Batches
    augment: Augment
    seed: int
    dtype: torch.dtype = torch.float32

    def __call__(self, model: nn.Module, step: int) -> tuple[Tensor, Tensor]:
        """First and second views of ``step``, (B, C, H, W) in [0, 1] each."""
        images, _ = self.batches(model, step)
        first, second = (
            self.augment(images.float(), torch_generator(self.seed, name, step)).to(self.dtype)
            for name in ("first view", "second view")
        )
        return first, second


def contrastive_loss(temperature: float) -> Loss:
    """The loss of a batch of two views: NT-Xent of the model's embeddings, in nats."""

    def terms(model: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        both = model(torch.cat(batch))  # in one pass, so that batch normalisation cannot tell the views apart
        first, second = both.chunk(2)
        return {"total": nt_xent(first, second, temperature)}

    return terms


def require_enough(examples: Examples) -> None:
    """Refuse to pretrain on too few images.

    Raises:
        InvalidInput: fewer than ``FEWEST`` images.
    """
    mend = "Add images to the folder unlabelled/ or with --unlabelled."
    check(len(examples) >= FEWEST, "pretrain", f"{len(examples)} images", f"at least {FEWEST}", mend)


def contrastive(
    key: PretrainKey, network: ImageModel, examples: Examples, hardware: Hardware, seed: int
) -> tuple[Task, Budget]:
    """Resolve a recipe's pretraining against data and hardware; the network's weights are what is trained.

    Args:
        key: how.
        network: its features learn; its last layer is left as it is.
        examples: images, whose labels are not looked at.
        hardware: device and precision.
        seed: of order, views and the projection's initial weights.

    Raises:
        InvalidInput: too few images, or several processes.
    """
    require_enough(examples)
    world = hardware.fabric.world_size
    check(world == 1, "pretrain", f"{world} processes", "one", "Leave out torchrun.")
    batches = Batches(examples, key.batch, derive(seed, "pretrain data"))
    steps = max(1, math.ceil(key.epochs * batches.steps_per_epoch))
    model = ProjectionHead(network, size=key.projection, seed=seed).to(hardware.fabric.device)
    views = TwoViews(
        batches, augmentation(key.augment.name, **key.augment.options), derive(seed, "views"), hardware.dtype
    )
    update = Update(
        "pretrain",
        build_optimizer("adamw", model, lr=key.lr, weight_decay=key.weight_decay),
        build_schedule("cosine", steps, warmup=0.1),
    )
    task = Task(views, model, {"pretrain": contrastive_loss(key.temperature)}, [update])
    every = batches.steps_per_epoch
    return task, Budget(steps, evaluate_every=every, monitor=None, seed=derive(seed, "pretrain steps"))
