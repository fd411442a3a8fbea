"""The trials of a model that translates: sentences, and strings said backwards.

```
data          sentences(batch, source, target, subwords), or strings(batch, symbols, shortest, longest)
model         gru(width, attention, ...) or transformer(layers, width, heads, ...), as they are registered
loss          next_symbol(label_smoothing)
optimization  any registered optimizer
```
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from bayesight.data.pairs import PairBatches, SentencePairs, padded
from bayesight.data.text import Subwords
from bayesight.evaluation.bleu import bleu
from bayesight.milestones.bench.claim import Keys, Measurement
from bayesight.milestones.bench.pictures import weights_page
from bayesight.milestones.bench.workbench import Bench, parameters_of, thinned, update_of
from bayesight.models import RecurrentTranslator, build_translation_model
from bayesight.seeding import numpy_generator
from bayesight.training.engine import Batch, Task
from bayesight.training.translation import encoded, pair_loss, translated, translation_loss
from bayesight.types import PAD_SYMBOL, ImageArray, IntArray

CONTEXT = 128
"""Symbols of a sentence at most; longer ones are not learned from."""
BEAM = 4
JUDGED = 500
"""Strings that a model is judged on."""
SHOWN_WORDS = (7, 12)
"""Words of the sentence whose attention is drawn, at least and at most."""


def translate(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """Train on pairs of sentences; ``bleu`` of the test sentences, by a beam of 4, on their tokens as given.

    ``loss`` is that of the validation pairs, on which everything was chosen; ``symbols`` is what the training
    saw of the translations.
    """
    (recipe,) = recipes
    data = recipe.data
    parts = bench.sources.pairs.between(data["source"], data["target"])
    vocabulary = bench.once(
        ("subwords", data["subwords"], data["source"], data["target"]),
        lambda: Subwords.learned(parts.train.sources + parts.train.targets, data["subwords"]),
    )
    train, validation, test = (encoded(vocabulary, part) for part in parts)
    train = [pair for pair in train if max(map(len, pair)) < CONTEXT]
    model = build_translation_model(
        recipe.model.name, len(vocabulary), CONTEXT, seed=bench.seed, **recipe.model.options
    )
    sources, targets = zip(*train, strict=True)
    batches = PairBatches(sources, targets, data["batch"], bench.derive("data"))
    loss = translation_loss(**recipe.loss.options)
    task = Task(batches, model, {"train": loss}, [update_of(recipe.optimization, model)])
    steps = recipe.optimization["steps"]
    losses = bench.fit(task, steps)
    model.eval()
    asked = [source[: CONTEXT - 1] for source, _ in test]
    said = [vocabulary.decode(symbols) for symbols in translated(model, asked, beam=BEAM)]
    values = {
        "bleu": bleu(said, parts.test.targets, tokenised=True).score,
        "loss": pair_loss(model, validation),
        "symbols": steps / batches.pass_steps * sum(len(target) + 1 for _, target in train),
        "parameters": parameters_of(model),
    }
    pictures: dict[str, ImageArray] = {}
    if isinstance(model, RecurrentTranslator) and model.attention is not None:
        caption = "the source's words (across) that each word of the translation (down) looks at"
        pictures[caption] = attention_of(model, vocabulary, parts.test)
    return Measurement(values, thinned(losses), pictures)


def reverse(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """Train on strings with themselves backwards; ``exact`` is the share of the longest without a fault."""
    (recipe,) = recipes
    data = recipe.data
    strings = Strings(**data.options, seed=bench.derive("data"))
    model = build_translation_model(
        recipe.model.name, strings.vocabulary, CONTEXT, seed=bench.seed, **recipe.model.options
    )
    loss = translation_loss(**recipe.loss.options)
    task = Task(strings, model, {"train": loss}, [update_of(recipe.optimization, model)])
    losses = bench.fit(task, recipe.optimization["steps"])
    generator = numpy_generator(bench.derive("judged"), "strings")
    asked = [strings.drawn(generator, data["longest"]) for _ in range(JUDGED)]
    said = translated(model.eval(), asked, beam=1)
    right = [one == other[::-1].tolist() for one, other in zip(said, asked, strict=True)]
    return Measurement({"exact": sum(right) / JUDGED}, thinned(losses))


class Strings:
    """Strings of random symbols, to be said backwards; the batch of a step follows from the step alone.

    Args:
        batch: strings a step.
        symbols: that a string is made of.
        shortest: symbols of a string, at least.
        longest: at most.
        seed: of all draws.
    """

    def __init__(self, batch: int, symbols: int, shortest: int, longest: int, seed: int) -> None:
        self.batch, self.symbols, self.shortest, self.longest = batch, symbols, shortest, longest
        self.seed, self.vocabulary = seed, symbols + 3

    def __call__(self, model: nn.Module, step: int) -> Batch:
        """A batch as ``PairBatches`` has it."""
        generator = numpy_generator(self.seed, "strings", step)
        lengths = generator.integers(self.shortest, self.longest, self.batch, endpoint=True)
        strings = [self.drawn(generator, length) for length in lengths]
        source, given, wanted = padded(strings, [string[::-1].copy() for string in strings])
        weight = self.batch / (wanted != PAD_SYMBOL).sum()
        device = next(model.parameters()).device
        return tuple(part.to(device) for part in (source, given, wanted, weight.expand(self.batch)))

    def drawn(self, generator: np.random.Generator, length: int) -> IntArray:
        """One string, (length,) int64; the marks' numbers are not among its symbols."""
        return generator.integers(3, self.vocabulary, length)


def attention_of(model: RecurrentTranslator, vocabulary: Subwords, pairs: SentencePairs) -> ImageArray:
    """The attention drawn, of the first sentence that is neither short nor long, word by word.

    A word's weight is the sum over its subwords in the source, and the mean over those in the translation.
    """
    low, high = SHOWN_WORDS
    sentence = next((one for one in pairs.sources if low <= len(one.split()) <= high), pairs.sources[0])
    codes = vocabulary.encode(sentence)[: CONTEXT - 1]
    (said,) = translated(model, [codes], beam=BEAM)
    source, given, _ = padded([codes], [np.array(said, np.int64)])
    with torch.no_grad():
        weights = model.attended(source, given, source != PAD_SYMBOL)[0]
    across, down = (_words(vocabulary, symbols) for symbols in (codes.tolist(), said))
    edges = [start for start, _ in across] + [len(codes), len(codes) + 1]
    summed = torch.stack([weights[:, start:end].sum(1) for start, end in pairwise(edges)], 1)
    edges = [start for start, _ in down] + [len(said), len(said) + 1]
    table = torch.stack([summed[start:end].mean(0) for start, end in pairwise(edges)])
    end = "(end)"
    return weights_page(table, [word for _, word in down] + [end], [word for _, word in across] + [end])


def _words(vocabulary: Subwords, symbols: Sequence[int]) -> list[tuple[int, str]]:
    """The words of symbols, each with the place of its first."""
    starts = [i for i, one in enumerate(symbols) if i == 0 or vocabulary.decode([one]).startswith(" ")]
    edges = pairwise([*starts, len(symbols)])
    return [(start, vocabulary.decode(symbols[start:end]).strip()) for start, end in edges]
