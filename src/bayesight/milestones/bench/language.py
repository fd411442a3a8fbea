"""The trials of a language model: the next character of a text, and pairs learned while they are read.

```
data          characters(batch, context, held_out=0), or pairs(batch, count, symbols)
model         transformer(layers, width, heads, ...), as ``CausalTransformer`` has it, or lstm(layers, width)
loss          next_character, or next_value
optimization  any registered optimizer
```
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bayesight.data.text import Windows
from bayesight.milestones.bench.claim import Keys, Measurement
from bayesight.milestones.bench.workbench import Bench, thinned, update_of
from bayesight.models import CausalTransformer, LanguageModel, RecurrentLanguageModel
from bayesight.seeding import torch_generator
from bayesight.training.engine import Batch, Task
from bayesight.training.language import TARGET_OF_NONE, next_symbol_loss, stretch_loss

SHOTS = (0, 1, 2, 4)
JUDGED = 2000
"""Sequences of pairs that a model is judged on."""


def next_character(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """Train on the first part of a text; ``loss`` on the whole of the last, nats a character.

    The part held out is read in stretches of the context, one after the other, so that a character near the
    beginning of a stretch is foretold from little.
    """
    (recipe,) = recipes
    codes, context = bench.sources.text.codes, recipe.data["context"]
    held_out = codes[learned_part(recipe, codes) :]
    model, losses = train_language_model(recipe, bench)
    loss = stretch_loss(model.eval(), held_out, context)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    values = {"loss": loss, "parameters": float(parameters)}
    return Measurement(values, thinned(losses))


def in_context(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """Train on sequences of pairs, a new assignment in each; ``N_shot`` is the share of values foretold.

    It is taken over the places where the sequence has shown the key N times before.
    """
    (recipe,) = recipes
    data = recipe.data
    pairs = KeyedSequences(data["batch"], data["count"], data["symbols"], bench.derive("data"))
    model = _network(recipe, 2 * data["symbols"], 2 * data["count"], bench)
    task = Task(pairs, model, {"train": next_symbol_loss}, [update_of(recipe.optimization, model)])
    losses = bench.fit(task, recipe.optimization["steps"])
    model.eval()
    symbols, targets, shown = KeyedSequences(
        JUDGED, data["count"], data["symbols"], bench.derive("judged")
    ).drawn(0)
    with torch.no_grad():
        right = model(symbols)[:, ::2].argmax(-1) == targets[:, ::2]
    return Measurement(
        {f"{shots}_shot": right[shown == shots].double().mean().item() for shots in SHOTS}, thinned(losses)
    )


def train_language_model(recipe: Keys, bench: Bench) -> tuple[LanguageModel, list[float]]:
    """A trained model, and the loss of every step in nats a character."""
    text, context = bench.sources.text, recipe.data["context"]
    codes = text.codes[: learned_part(recipe, text.codes)]
    model = _network(recipe, len(text.alphabet), context, bench)
    windows = Windows(codes, recipe.data["batch"], context, bench.derive("data"))
    task = Task(windows, model, {"train": next_symbol_loss}, [update_of(recipe.optimization, model)])
    return model, bench.fit(task, recipe.optimization["steps"])


def learned_part(recipe: Keys, codes: Tensor) -> int:
    """The number of characters from the first that a recipe learns from."""
    return int((1 - recipe.data.get("held_out", 0.0)) * len(codes))


class KeyedSequences:
    """Sequences key, value, key, value, ...: in each sequence every key has one value, drawn anew.

    Args:
        batch: sequences a step.
        count: pairs of a sequence.
        symbols: keys, and values; a key is a number below it, a value one from it on.
        seed: of all draws.
    """

    def __init__(self, batch: int, count: int, symbols: int, seed: int) -> None:
        self.batch, self.count, self.symbols, self.seed = batch, count, symbols, seed

    def __call__(self, model: nn.Module, step: int) -> Batch:
        """Symbols (batch, 2 count) and what follows each; nothing is judged after a value."""
        symbols, targets, _ = self.drawn(step)
        device = next(model.parameters()).device
        return symbols.to(device), targets.to(device)

    def drawn(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Symbols and targets (batch, 2 count), and (batch, count) how often a key was shown before."""
        generator = torch_generator(self.seed, "pairs", step)
        keys = torch.randint(self.symbols, (self.batch, self.count), generator=generator)
        assigned = torch.rand(self.batch, self.symbols, self.symbols, generator=generator).argmax(-1)
        values = self.symbols + assigned.gather(1, keys)
        symbols = torch.stack([keys, values], 2).flatten(1)
        targets = torch.full_like(symbols, TARGET_OF_NONE)
        targets[:, ::2] = values
        same = keys[:, :, None] == keys[:, None, :]
        return symbols, targets, same.tril(-1).sum(-1)


def _network(recipe: Keys, symbols: int, context: int, bench: Bench) -> LanguageModel:
    kind = RecurrentLanguageModel if recipe.model.name == "lstm" else CausalTransformer
    return kind(symbols, context, seed=bench.seed, **recipe.model.options)
