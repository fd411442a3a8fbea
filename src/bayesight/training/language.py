"""A language model's recipe, resolved against a text and hardware."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bayesight.checks import check
from bayesight.data.text import Windows
from bayesight.models import LanguageModel, build_language_model
from bayesight.seeding import derive
from bayesight.training.engine import Batch, Plan
from bayesight.training.hardware import Hardware
from bayesight.training.recipe import Recipe

TARGET_OF_NONE = -100
"""Target of a place that is not judged."""
LOOKED_AT = 200_000
"""Symbols held out that a look during training takes; the last judgement takes all."""


def language(
    recipe: Recipe, train: Tensor, validation: Tensor, symbols: int, hardware: Hardware
) -> Plan[LanguageModel]:
    """Resolve a language model's recipe against a text and hardware.

    Args:
        recipe: the four keys; its model is a language model.
        train: (N,) int64, the part of the text that is learned from.
        validation: (M,) int64, the part held out.
        symbols: size of the vocabulary.
        hardware: device, precision, threads.

    Raises:
        InvalidInput: a part that is shorter than a stretch, several processes, pieces of a batch.
    """
    context, world = recipe.data.context, hardware.fabric.world_size
    check(world == 1, f"model {recipe.model.name!r}", f"{world} processes", "one", "Leave out torchrun.")
    for name, part in (("training", train), ("validation", validation)):
        came = f"{len(part):,} symbols for {name}"
        mend = "Give a longer text, or state a smaller --set data.context=N."
        check(len(part) > context, "text", came, f"more than the context of {context}", mend)
    network = build_language_model(
        recipe.model.name, symbols, context, seed=recipe.seed, **recipe.model.options
    )
    network.to(hardware.fabric.device)
    windows = Windows(train, recipe.data.batch, context, derive(recipe.seed, "data"))
    pass_steps = max(1, round(len(train) / (recipe.data.batch * context)))
    some = validation[: max(LOOKED_AT, context + 1)]

    def evaluate(model: nn.Module) -> Mapping[str, float]:
        return {"log_loss": stretch_loss(model, some, context)}

    limits = {"train.total": 2 * math.log(max(symbols, 2))}
    return recipe.plan(network, windows, pass_steps, {"train": next_symbol_loss}, evaluate, limits)


def next_symbol_loss(model: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
    """Cross-entropy of the symbol that follows each, nats; places with ``TARGET_OF_NONE`` are left out."""
    inputs, targets = batch
    logits = model(inputs).float().flatten(0, 1)
    return {"total": F.cross_entropy(logits, targets.flatten(), ignore_index=TARGET_OF_NONE)}


@torch.no_grad()
def stretch_loss(model: nn.Module, codes: Tensor, context: int, batch: int = 128) -> float:
    """Mean cross-entropy of the next symbol, nats, over a text read in stretches of the context.

    Every stretch begins with nothing known before it, so that the symbols near its beginning are foretold
    from little; the few symbols after the last whole stretch are left out.

    Args:
        model: in evaluation mode.
        codes: (N,) int64, more than ``context``.
        context: symbols of a stretch.
        batch: stretches at a time.
    """
    device = next(model.parameters()).device
    count = (len(codes) - 1) // context
    inputs, targets = (codes[i : i + count * context].view(count, context) for i in (0, 1))
    total = 0.0
    for rows in torch.arange(count).split(batch):
        logits = model(inputs[rows].to(device)).float().flatten(0, 1)
        total += F.cross_entropy(logits, targets[rows].to(device).flatten(), reduction="sum").item()
    return total / targets.numel()
