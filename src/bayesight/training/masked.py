"""Pretraining by masking, before any label (Devlin et al. 2018, sec. 3.1): hidden symbols are named."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bayesight.checks import check
from bayesight.data.batches import Batches, Examples
from bayesight.data.text import Marks, Subwords
from bayesight.models.text import PADDING, Bert
from bayesight.optim import build_optimizer, build_schedule
from bayesight.seeding import derive, torch_generator
from bayesight.training.engine import Batch, Budget, Task, Update
from bayesight.training.hardware import Hardware
from bayesight.training.recipe import PretrainKey

FEWEST = 32
"""Texts below which there is too little to learn from."""
MASKED, REPLACED = 0.8, 0.1
"""Shares of the chosen symbols that give way to the mask, and to a symbol drawn at random; the rest stay."""


def masked_symbols(
    symbols: Tensor, marks: Marks, size: int, share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Texts with some symbols hidden, and where those are.

    Each symbol but the marks is chosen with the probability ``share``; at least one of a batch that has any
    is. Of the chosen, 80 % become the mask, 10 % a symbol drawn from all, and 10 % stay as they are.

    Args:
        symbols: (B, T) int64.
        marks: of the vocabulary, with a mask.
        size: of the vocabulary.
        share: of the symbols that are to be named.
        generator: draws.

    Returns:
        (B, T) int64, and (M,) int64 places in the flattened batch, ascending.
    """
    plain = torch.ones_like(symbols, dtype=torch.bool)
    for mark in marks:
        plain &= symbols != (-1 if mark is None else mark)
    drawn = torch.rand(symbols.shape, generator=generator)
    chosen = plain & (drawn < share)
    if not bool(chosen.any()):
        chosen = plain & (drawn == drawn.masked_fill(~plain, 2.0).min())
    fate = torch.rand(symbols.shape, generator=generator)
    other = torch.randint(size, symbols.shape, generator=generator)
    assert marks.mask is not None
    hidden = torch.where(chosen & (fate < MASKED), marks.mask, symbols)
    hidden = torch.where(chosen & (fate >= MASKED) & (fate < MASKED + REPLACED), other, hidden)
    return hidden, chosen.flatten().nonzero()[:, 0]


@dataclass(frozen=True)
class MaskedTexts:
    """Texts with hidden symbols, in place of the texts of a batch and their labels.

    Args:
        batches: of the texts.
        marks: of the vocabulary.
        size: of the vocabulary.
        share: of the symbols that are to be named.
        seed: of the choice.
    """

    batches: Batches
    marks: Marks
    size: int
    share: float
    seed: int

    def __call__(self, model: nn.Module, step: int) -> Batch:
        """Texts (B, T) less columns of padding alone, places (M,) and the symbols (M,) that belong there."""
        device = next(model.parameters()).device
        symbols = self.batches(model, step)[0].cpu().long()
        symbols = symbols[:, : max(1, int((symbols != PADDING).sum(1).max()))]
        generator = torch_generator(self.seed, "masks", step)
        hidden, places = masked_symbols(symbols, self.marks, self.size, self.share, generator)
        return hidden.to(device), places.to(device), symbols.flatten()[places].to(device)


class MaskedModel(nn.Module):
    """A network of texts with the layers that name its masked symbols.

    Args:
        network: its encoder is to be learned; it is part of this module and shares its weights.
    """

    def __init__(self, network: Bert) -> None:
        super().__init__()
        self.encoder = network.encoder

    def forward(self, symbols: Tensor, places: Tensor) -> Tensor:
        """Logits (M, symbols) at places (M,) of the flattened texts (B, T); no other is projected."""
        present = symbols != PADDING
        present = present | (torch.arange(symbols.shape[1], device=symbols.device) == 0)
        vectors = self.encoder(symbols, present).flatten(0, 1)
        logits: Tensor = self.encoder.symbol_logits(vectors[places])
        return logits


def masked_loss(model: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
    """Cross-entropy of the hidden symbols, nats."""
    symbols, places, targets = batch
    return {"total": F.cross_entropy(model(symbols, places).float(), targets)}


def masked(
    key: PretrainKey, network: Bert, examples: Examples, vocabulary: Subwords, hardware: Hardware, seed: int
) -> tuple[Task, Budget]:
    """Resolve a recipe's pretraining against texts and hardware; the network's weights are what is trained.

    Args:
        key: how.
        network: its encoder learns; its last layer is left as it is.
        examples: texts, whose labels are not looked at.
        vocabulary: with a mask.
        hardware: device and precision.
        seed: of order and masks.

    Raises:
        InvalidInput: too few texts, a vocabulary without a mask, or several processes.
    """
    check(len(examples) >= FEWEST, "pretrain", f"{len(examples)} texts", f"at least {FEWEST}")
    world = hardware.fabric.world_size
    check(world == 1, "pretrain", f"{world} processes", "one", "Leave out torchrun.")
    marks = vocabulary.marks
    check(marks.mask is not None, "pretrain", "a vocabulary without a mask", "one with <mask> or [MASK]")
    batches = Batches(examples, key.batch, derive(seed, "pretrain data"))
    steps = max(1, math.ceil(key.epochs * batches.steps_per_epoch))
    network.name_masked(True)
    model = MaskedModel(network).to(hardware.fabric.device)
    update = Update(
        "pretrain",
        build_optimizer("adamw", model, lr=key.lr, weight_decay=key.weight_decay),
        build_schedule("cosine", steps, warmup=0.1),
        1.0,
    )
    data = MaskedTexts(batches, marks, len(vocabulary), key.share, derive(seed, "masks"))
    task = Task(data, model, {"pretrain": masked_loss}, [update])
    every = batches.steps_per_epoch
    return task, Budget(steps, evaluate_every=every, monitor=None, seed=derive(seed, "pretrain steps"))
