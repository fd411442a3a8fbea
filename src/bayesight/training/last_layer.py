"""Training of the last layer alone, on features that a frozen network gives of each image once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import nn

from bayesight.bayes import sharpness
from bayesight.belief.absorbed import Rows
from bayesight.losses import build_loss, sees_environments
from bayesight.models import ImageModel
from bayesight.seeding import derive, torch_generator
from bayesight.training.classification import figures, total_loss
from bayesight.training.engine import Batch, Plan, Task
from bayesight.training.hardware import Hardware
from bayesight.training.recipe import Recipe

__all__ = ["last_layer", "reads_once"]


def reads_once(recipe: Recipe, network: ImageModel) -> bool:
    """True where each image has the same features in every epoch, so that they need to be read only once.

    The network is frozen but for its last layer, images are not augmented, and the loss does not see where
    they come from.
    """
    plain = recipe.data.augment.name == "none" and not sees_environments(recipe.loss.name)
    return plain and network.learns_head_alone


def last_layer(
    plan: Plan[ImageModel], recipe: Recipe, train: Rows, validation: Rows, hardware: Hardware
) -> Plan[ImageModel]:
    """The plan of a classifier, with features in the place of images and the last layer in the network's.

    Args:
        plan: of the whole network; frozen, but for its last layer.
        recipe: the four keys.
        train: features to learn from.
        validation: features that choose the weights.
        hardware: device, precision.
    """
    network, key = plan.network, recipe.optimization
    batch = min(recipe.data.batch, len(train))
    a_pass = math.ceil(len(train) / batch)
    steps = max(1, math.ceil(key.epochs * a_pass))
    loss = build_loss(recipe.loss.name, network.classes, None, **recipe.loss.options)
    seed = derive(recipe.seed, "data")

    def rows(model: nn.Module, step: int) -> Batch:
        turn, at = divmod(step, a_pass)
        order = torch.randperm(len(train), generator=torch_generator(seed, "order", turn))
        some = order[at * batch : (at + 1) * batch]
        device = next(model.parameters()).device
        return train.features[some].to(device), train.labels[some].to(device)

    task = Task(
        rows, network.head, {"classifier": total_loss(loss)}, [key.update(network.head, steps, "classifier")]
    )
    some = sharpness.judges(len(validation), network.classes)
    features, labels = validation.features[some], validation.labels[some]

    def evaluate(model: nn.Module) -> Mapping[str, float]:
        device = next(model.parameters()).device
        log_p = model(features.to(device)).double().log_softmax(dim=1).cpu()
        return figures(log_p, labels, None, network.classes)

    budget = replace(plan.budget, steps=steps, evaluate_every=a_pass)
    return replace(plan, task=task, budget=budget, evaluate=evaluate, average=None)
