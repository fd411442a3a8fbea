"""From a text to a run that writes on, and from pairs of sentences to a run that translates."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from bayesight import report
from bayesight.checks import check
from bayesight.data.manifest import digests_of
from bayesight.data.pairs import SentencePairs, read_pairs
from bayesight.data.splits import split
from bayesight.data.text import Characters, Subwords, read_text
from bayesight.errors import InvalidInput
from bayesight.evaluation.bleu import bleu
from bayesight.files import write_atomic
from bayesight.language import marked, tr
from bayesight.models import LanguageModel, continuation
from bayesight.run import Run
from bayesight.seeding import torch_generator
from bayesight.training.engine import Plan
from bayesight.training.language import language, stretch_loss
from bayesight.training.recipe import Recipe
from bayesight.training.translation import Encoded, encoded, pair_loss, translation
from bayesight.workflows.reporting import run_report
from bayesight.workflows.texts import BEAM, translations
from bayesight.workflows.training.job import FinishedTraining, TrainingJob, TrainResult
from bayesight.workflows.training.request import TrainRequest, refuse_given

SAMPLES, SAMPLE_SYMBOLS = 3, 400
LEAST = 10
"""Different sentences that a training needs at least."""
SHOWN = 12
"""Translations of sentences held out that a run keeps to look at."""

V = TypeVar("V")
S = TypeVar("S")
H = TypeVar("H")
N = TypeVar("N", bound=nn.Module)


@dataclass(frozen=True, eq=False)
class Corpus(Generic[V, S, H]):
    """Texts, or pairs of sentences: learned from, and held out.

    Args:
        vocabulary: the symbols; subwords are those of the training part only.
        train: learned from, as symbols: those of the source, then of every further source.
        validation: those of the source that are never learned from; no sentence of pairs is on both sides.
        held_out: the same as text.
        learned: how many characters or pairs are learned from.
        sources: files and SHA-256 of each.
        notes: what was read and what was left out, in words.
    """

    vocabulary: V
    train: S
    validation: S
    held_out: H
    learned: int
    sources: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]


def train_language_model(job: TrainingJob) -> TrainResult:
    """Train a language model on a text in UTF-8, plain or ``.gz``, and save its run.

    Raises:
        SourceNotFound, SourceUnreadable: no such text, or none in UTF-8; says in which line.
        InvalidInput: too short a text, or options that such a run has no use for.
        TrainingDiverged: a loss ran away; only good weights of an earlier look are left.
    """
    _refuse_options_of_images(job.request, "a language model")
    texts = _read_text(job.request, job.recipe)
    training, network = _trained(job, texts, language)
    loss = stretch_loss(network, texts.validation, job.recipe.data.context)
    samples = _samples(network, texts.vocabulary, texts.validation, job.recipe)
    write_atomic(training.run.folder / "samples.txt", "\n\n".join(samples) + "\n")
    bits = loss * len(texts.validation) / len(texts.held_out) / math.log(2)
    return _saved(
        training,
        texts,
        marked("weights of the look with the lowest log-loss on the text held out"),
        {"log_loss": loss, "perplexity": math.exp(loss), "bits_per_character": bits},
        lambda: _report_texts(training.run, samples),
    )


def train_translation_model(job: TrainingJob) -> TrainResult:
    """Train a translation model on sentence pairs (``read_pairs``) and save its run.

    Raises:
        SourceNotFound, SourceUnreadable: no such files, or none in UTF-8; says in which line.
        InvalidInput: sentences without translations, too few, or options that such a run has no use for.
        MissingExtra: the extra ``text`` is not installed.
        TrainingDiverged: a loss ran away; only good weights of an earlier look are left.
    """
    _refuse_options_of_images(job.request, "a translation model")
    bleu(["a"], ["a"])  # missing, it is missed before the training and not after it
    pairs = _read_pairs(job.request, job.recipe)
    (training, network), held_out = _trained(job, pairs, translation), pairs.held_out
    loss = pair_loss(network, pairs.validation)
    said = translations(network, pairs.vocabulary, [source for source, _ in pairs.validation])
    score = bleu(said, held_out.targets)
    shown = list(zip(held_out.sources, said, held_out.targets, strict=True))[:SHOWN]
    lines = [f"{source}\n{text}\n({reference})\n" for source, text, reference in shown]
    write_atomic(training.run.folder / "samples.txt", "\n".join(lines))
    measures = {"log_loss": loss, "perplexity": math.exp(loss), "bleu": score.score, "scorer": score.scorer}
    return _saved(
        training,
        pairs,
        marked("weights of the look with the lowest log-loss on pairs held out"),
        {**measures, "beam": BEAM},
        lambda: _report_translations(training.run, shown),
    )


def _refuse_options_of_images(request: TrainRequest, model: str) -> None:
    """Refuse options of a request that a model of texts has no use for."""
    given = {"--init-from": request.init_from, "--weights": request.weights, "--labels-file": request.labels}
    refuse_given(given, model)


def _trained(
    job: TrainingJob, corpus: Corpus[Any, Any, Any], plan: Callable[..., Plan[N]]
) -> tuple[FinishedTraining, N]:
    """The training of what ``plan`` makes of the recipe and the corpus, and its network."""
    read_s = job.tell(corpus.notes)
    resolved = plan(job.recipe, corpus.train, corpus.validation, len(corpus.vocabulary), job.hardware)
    identity = job.identity([source["content_hash"] for source in corpus.sources])
    training = job.fit(job.start(None, corpus.vocabulary), resolved, identity, read_s)
    return training, resolved.network.eval()


def _saved(
    training: FinishedTraining,
    corpus: Corpus[Any, Any, Any],
    selection: str,
    measures: dict[str, Any],
    written: Callable[[], object],
) -> TrainResult:
    held_out = len(corpus.held_out)
    return training.save(
        (corpus.learned, held_out),
        corpus.sources,
        corpus.notes,
        selection,
        {**measures, "examples": held_out},
        report=written,
        symbols=len(corpus.vocabulary),
    )


def _source(where: str, text: str, **count: int) -> dict[str, Any]:
    """A source as a run's metrics name it."""
    return {"source": where, "content_hash": hashlib.sha256(text.encode()).hexdigest(), **count}


def _read_text(request: TrainRequest, recipe: Recipe) -> Corpus[Characters | Subwords, Tensor, str]:
    """The source's first part and every further source to learn from, its last part held out."""
    whole = read_text(request.source)
    cut = round((1 - recipe.data.validation) * len(whole))
    parts, held_out = [whole[:cut], *(read_text(path) for path in request.also)], whole[cut:]
    vocabulary: Characters | Subwords
    if recipe.data.vocabulary == "characters":
        vocabulary = Characters.of("".join(parts) + held_out)
    else:
        lines = (line for part in parts for line in part.split("\n"))
        vocabulary = Subwords.learned(lines, recipe.data.vocabulary)
    train = torch.cat([torch.from_numpy(vocabulary.encode(part)) for part in parts])
    validation = torch.from_numpy(vocabulary.encode(held_out))
    read = zip((request.source, *request.also), (whole, *parts[1:]), strict=True)
    sources = tuple(_source(str(path), text, characters=len(text)) for path, text in read)
    learned = sum(map(len, parts))
    note = marked(
        f"learns from {learned:,} characters as {len(train):,} symbols of {len(vocabulary):,}; the last "
        f"{len(held_out):,} characters are held out"
    )
    return Corpus(vocabulary, train, validation, held_out, learned, sources, (note,))


def _samples(
    network: LanguageModel, vocabulary: Characters | Subwords, validation: Tensor, recipe: Recipe
) -> list[str]:
    """Continuations of the first symbols of the part held out, each with what it begins with."""
    prompt = validation[: min(16, recipe.data.context)].expand(SAMPLES, -1)
    prompt = prompt.to(next(network.parameters()).device)
    generator = torch_generator(recipe.seed, "samples")
    drawn = torch.stack(
        list(continuation(network, prompt, SAMPLE_SYMBOLS, temperature=0.8, generator=generator)), 1
    )
    return [vocabulary.decode(row.tolist()) for row in torch.cat([prompt, drawn], 1)]


def _read_pairs(request: TrainRequest, recipe: Recipe) -> Corpus[Subwords, Encoded, SentencePairs]:
    """A share of the source's sentences held out, all others and every further source to learn from."""
    size, context = recipe.data.vocabulary, recipe.data.context
    if size == "characters":
        raise InvalidInput(
            "data.vocabulary is 'characters'; expected how many subwords both languages share, as "
            "--set data.vocabulary=4000."
        )
    read = [read_pairs(path) for path in (request.source, *request.also)]
    source, share = read[0], recipe.data.validation
    different = len(set(source.sources))
    came = f"{different:,} different sentences"
    check(different >= LEAST, str(request.source), came, f"at least {LEAST}, some of which are held out")
    rows = split(
        np.zeros(len(source), np.int64),
        digests_of(one.encode() for one in source.sources),
        {"train": 1 - share, "validation": share},
        recipe.seed,
    )
    learned, held_out = [source.at(rows["train"]), *read[1:]], source.at(rows["validation"])
    texts = [text for pairs in learned for side in (pairs.sources, pairs.targets) for text in side]
    vocabulary = Subwords.learned(texts, size)
    train = [pair for pairs in learned for pair in encoded(vocabulary, pairs)]
    validation = encoded(vocabulary, held_out)
    fitting, judged = (
        [row for row, pair in enumerate(part) if max(map(len, pair)) < context]
        for part in (train, validation)
    )
    mend = "Give shorter sentences, or state a larger --set data.context=N."
    for part, kept in (("training", fitting), ("validation", judged)):
        check(len(kept) > 0, str(request.source), f"no pair for {part} within the context", "some", mend)
    empty = sum(pairs.empty for pairs in read)
    long = len(train) + len(validation) - len(fitting) - len(judged)
    notes = [
        marked(
            f"learns from {len(fitting):,} pairs, {source.direction}, by {len(vocabulary):,} subwords; "
            f"{len(judged):,} pairs are held out"
        )
    ]
    notes += [marked(f"left out {empty:,} pairs of empty lines")] * bool(empty)
    notes += [marked(f"left out {long:,} pairs longer than {context - 1} subwords")] * bool(long)
    sources = tuple(
        _source(
            " -> ".join(map(str, pairs.files)), "\0".join(pairs.sources + pairs.targets), pairs=len(pairs)
        )
        for pairs in read
    )
    train, validation = [train[row] for row in fitting], [validation[row] for row in judged]
    return Corpus(vocabulary, train, validation, held_out.at(judged), len(fitting), sources, tuple(notes))


def _report_texts(run: Run, samples: Sequence[str]) -> None:
    """Write how well a language model foretells, and what it wrote."""
    found = run.metrics()["validation"]
    quality = tr(
        "On {examples:,} characters held out it needs {bits_per_character:.3f} bits a "
        "character (log-loss {log_loss:.4f} nats a symbol, perplexity {perplexity:.2f}).",
        examples=found["examples"],
        bits_per_character=found["bits_per_character"],
        log_loss=found["log_loss"],
        perplexity=found["perplexity"],
    )
    written = report.prose(tr("Texts that it wrote"), *(text.replace("\n", " ↵ ") for text in samples))
    title = tr("{name}: texts by {model!r}", name=run.folder.name, model=run.recipe().model.name)
    sections = [report.prose(tr("How well it foretells"), quality), written]
    run_report(run, title, sections, quantity=tr("log-loss, nats a symbol"))


def _report_translations(run: Run, shown: Sequence[tuple[str, str, str]]) -> None:
    """Write how well a translation model translates, and sentences held out beside their references."""
    found = run.metrics()["validation"]
    quality = tr(
        "On {examples:,} pairs held out its translations score {bleu:.2f} BLEU of 100 "
        "({scorer}; beam {beam}), and it needs {log_loss:.4f} nats a symbol of the references "
        "(perplexity {perplexity:.2f}).",
        examples=found["examples"],
        bleu=found["bleu"],
        scorer=found["scorer"],
        beam=found["beam"],
        log_loss=found["log_loss"],
        perplexity=found["perplexity"],
    )
    lines = [
        tr("{source} → {text} (reference: {reference})", source=source, text=text, reference=reference)
        for source, text, reference in shown
    ]
    title = tr("{name}: translations by {model!r}", name=run.folder.name, model=run.recipe().model.name)
    sections = [
        report.prose(tr("How well it translates"), quality),
        report.prose(tr("Sentences held out, in its words"), *lines),
    ]
    run_report(run, title, sections, quantity=tr("log-loss, nats a symbol"))
