"""The trial of a language model: the next character of a text, by a small transformer.

```
data          characters(batch, context)
model         transformer(layers, width, heads, dropout=0, tied=True)
loss          next_character
optimization  any registered optimizer
```
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bayesight.milestones.bench.claim import Keys
from bayesight.milestones.bench.workbench import Bench, update_of
from bayesight.models.transformer import CausalTransformer
from bayesight.seeding import torch_generator
from bayesight.training.engine import Batch, Task

__all__ = ["Windows", "next_character", "train_language_model"]


class Windows:
    """Stretches of a text from random places: the batch of a step follows from the step alone.

    Args:
        codes: (N,) int64, the text.
        batch: stretches a step.
        context: characters the model sees.
        seed: of the places.
    """

    def __init__(self, codes: Tensor, batch: int, context: int, seed: int) -> None:
        self.codes, self.batch, self.context, self.seed = codes, batch, context, seed

    def __call__(self, model: nn.Module, step: int) -> Batch:
        """Characters (batch, context), and those after each of them."""
        generator = torch_generator(self.seed, "windows", step)
        starts = torch.randint(len(self.codes) - self.context, (self.batch, 1), generator=generator)
        windows = self.codes[starts + torch.arange(self.context + 1)]
        windows = windows.to(next(model.parameters()).device)
        return windows[:, :-1], windows[:, 1:]


def train_language_model(recipe: Keys, bench: Bench) -> tuple[CausalTransformer, list[float]]:
    """A trained model, and the loss of every step in nats a character."""
    text = bench.sources.text
    context = recipe.data["context"]
    model = CausalTransformer(len(text.alphabet), context, seed=bench.seed, **recipe.model.options)
    windows = Windows(text.codes, recipe.data["batch"], context, bench.derive("data"))
    task = Task(windows, model, {"train": next_character}, [update_of(recipe.optimization, model)])
    return model, bench.fit(task, recipe.optimization["steps"])


def next_character(model: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
    """Cross-entropy of the character that follows each, nats."""
    inputs, targets = batch
    logits = model(inputs)
    return {"total": F.cross_entropy(logits.float().flatten(0, 1), targets.flatten())}
