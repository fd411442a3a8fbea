"""A translation model's recipe, resolved against pairs of sentences and hardware."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bayesight.checks import check
from bayesight.data.pairs import PairBatches, SentencePairs, padded
from bayesight.data.text import Subwords
from bayesight.models import TranslationModel, build_translation_model, decoded
from bayesight.seeding import derive
from bayesight.training.engine import Batch, Loss, Plan
from bayesight.training.hardware import Hardware
from bayesight.training.recipe import Recipe
from bayesight.types import PAD_SYMBOL, IntArray, Progress

Encoded: TypeAlias = Sequence[tuple[IntArray, IntArray]]
"""Symbols of sentences and of their translations, without marks."""
LOOKED_AT = 1000
"""Pairs held out that a look during training takes; the last judgement takes all."""
TOGETHER = 64
"""Sentences of like length that are translated at a time."""


def translation(
    recipe: Recipe, train: Encoded, validation: Encoded, symbols: int, hardware: Hardware
) -> Plan[TranslationModel]:
    """Resolve a translation model's recipe against pairs and hardware.

    Args:
        recipe: the four keys; its model is a translation model.
        train: pairs that are learned from, each within the context.
        validation: pairs held out.
        symbols: size of the vocabulary.
        hardware: device, precision, threads.

    Raises:
        InvalidInput: no pairs on one side, or several processes.
    """
    world = hardware.fabric.world_size
    check(world == 1, f"model {recipe.model.name!r}", f"{world} processes", "one", "Leave out torchrun.")
    network = build_translation_model(
        recipe.model.name, symbols, recipe.data.context, seed=recipe.seed, **recipe.model.options
    )
    network.to(hardware.fabric.device)
    sources, targets = zip(*train, strict=True)
    batches = PairBatches(sources, targets, recipe.data.batch, derive(recipe.seed, "data"))

    def evaluate(model: nn.Module) -> Mapping[str, float]:
        return {"log_loss": pair_loss(model, validation[:LOOKED_AT])}

    loss, limits = translation_loss(**recipe.loss.options), {"train.total": 2 * math.log(symbols)}
    return recipe.plan(network, batches, batches.pass_steps, {"train": loss}, evaluate, limits)


def translation_loss(*, label_smoothing: float = 0.0) -> Loss:
    """Cross-entropy of the symbols of the translations, nats a symbol, each from the true ones before it.

    It takes the batches of ``PairBatches``.
    """

    def loss(model: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        weight = batch[3][0] / len(batch[0])
        return {"total": weight * _cross_entropy(model, batch, label_smoothing)}

    return loss


@torch.no_grad()
def pair_loss(model: nn.Module, pairs: Encoded, batch: int = 128) -> float:
    """Mean cross-entropy of the translations' symbols, their ends among them, nats.

    Args:
        model: in evaluation mode.
        pairs: at least one.
        batch: pairs at a time.
    """
    device = next(model.parameters()).device
    ordered = sorted(pairs, key=lambda pair: (len(pair[0]), len(pair[1])))
    total, count = 0.0, 0
    for start in range(0, len(ordered), batch):
        part = padded(*zip(*ordered[start : start + batch], strict=True))
        total += _cross_entropy(model, tuple(one.to(device) for one in part), 0.0).item()
        count += int((part[2] != PAD_SYMBOL).sum())
    return total / count


def encoded(vocabulary: Subwords, pairs: SentencePairs) -> Encoded:
    """The symbols of sentences and of their translations."""
    sides = (vocabulary.encode_all(side) for side in (pairs.sources, pairs.targets))
    return list(zip(*sides, strict=True))


def translated(
    network: TranslationModel, sources: Sequence[IntArray], *, beam: int, progress: Progress | None = None
) -> list[list[int]]:
    """The symbols that a network in evaluation mode makes of sentences, in their order; nothing of nothing.

    Args:
        network: a translation model.
        sources: symbols of each sentence, without marks.
        beam: beginnings that the search keeps.
        progress: told how many are translated.
    """
    nothing, device = np.empty(0, np.int64), next(network.parameters()).device
    found: list[list[int]] = [[] for _ in sources]
    order = sorted((row for row, one in enumerate(sources) if len(one)), key=lambda row: len(sources[row]))
    for start in range(0, len(order), TOGETHER):
        rows = order[start : start + TOGETHER]
        source, *_ = padded([sources[row] for row in rows], [nothing] * len(rows))
        for row, symbols in zip(rows, decoded(network, source.to(device), beam=beam), strict=True):
            found[row] = symbols
        if progress is not None:
            progress(start + len(rows), len(order))
    return found


def _cross_entropy(model: Callable[..., Tensor], batch: Batch, label_smoothing: float) -> Tensor:
    """The sum over a batch's symbols; padding is left out before the last layer."""
    source, given, wanted = batch[:3]
    said = wanted != PAD_SYMBOL
    logits = model(source, given, source != PAD_SYMBOL, said).float()
    return F.cross_entropy(logits, wanted[said], label_smoothing=label_smoothing, reduction="sum")
