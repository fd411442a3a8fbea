"""From a text to a run that goes on with texts like it."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bayesight.data.text import Characters, Subwords, read_text
from bayesight.files import write_atomic
from bayesight.language import marked
from bayesight.models import LanguageModel, continuation
from bayesight.run import Run
from bayesight.seeding import torch_generator
from bayesight.training.checkpoint import FileCheckpointer
from bayesight.training.events import Listener, SourceEvent
from bayesight.training.hardware import Hardware
from bayesight.training.language import language, stretch_loss
from bayesight.training.recipe import Recipe
from bayesight.workflows.reporting import language_report
from bayesight.workflows.training.finish import FinishedTraining, fit_run, identity_of, start_run
from bayesight.workflows.training.request import NAMED, TrainRequest, refuse_options_of_images

__all__ = ["train_language_model"]

SAMPLES, SAMPLE_SYMBOLS = 3, 400


@dataclass(frozen=True, eq=False)
class Texts:
    """The texts of a language model: learned from, and held out.

    Args:
        vocabulary: the symbols, of the training part only where they are subwords.
        train: (N,) int64, learned from: the first part of the source, then every further source.
        validation: (M,) int64, the last part of the source, never learned from.
        held_out: the same as text.
        characters: how many are learned from.
        sources: each one's path and SHA-256.
    """

    vocabulary: Characters | Subwords
    train: Tensor
    validation: Tensor
    held_out: str
    characters: int
    sources: tuple[dict[str, Any], ...]


def train_language_model(
    request: TrainRequest,
    recipe: Recipe,
    hardware: Hardware,
    *,
    resuming: bool,
    listeners: Iterable[Listener] = (),
) -> tuple[Run, Mapping[str, Any]]:
    """Train a language model and save its run.

    Args:
        request: source, run folder and options; the source is a text in UTF-8, plain or ``.gz``.
        recipe: the four keys; its model is a language model.
        hardware: device, precision, threads.
        resuming: the run folder is there already.
        listeners: told every event of training.

    Returns:
        The run and its metrics.

    Raises:
        SourceNotFound, SourceUnreadable: no such text, or none in UTF-8; says in which line.
        InvalidInput: too short a text, or options that such a run has no use for.
        TrainingDiverged: a loss ran away; only good weights of an earlier look are left.
    """
    began = time.perf_counter()
    refuse_options_of_images(request, "a language model")
    texts = _read(request, recipe)
    read_s = time.perf_counter() - began
    notes = (
        marked(
            f"learns from {texts.characters:,} characters as {len(texts.train):,} symbols of "
            f"{len(texts.vocabulary):,}; the last {len(texts.held_out):,} characters are held out"
        ),
    )
    listeners = tuple(listeners)
    for listener in listeners:
        listener(SourceEvent(notes))
    plan = language(recipe, texts.train, texts.validation, len(texts.vocabulary), hardware)
    run = start_run(request, recipe, hardware, None, resuming=resuming)
    run.save_vocabulary(texts.vocabulary)
    hashes = [source["content_hash"] for source in texts.sources]
    identity = identity_of(recipe, hardware, hashes)
    keeper = FileCheckpointer(run.folder / "checkpoint", identity, every_s=request.checkpoint_every_s)
    state = fit_run(run, plan, hardware, keeper, listeners)
    training = FinishedTraining(recipe, plan, state, hardware, began, read_s)
    return run, _finish(run, plan.network.eval(), training, texts, notes)


def _read(request: TrainRequest, recipe: Recipe) -> Texts:
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
    sources = tuple(
        {
            "source": str(path),
            "content_hash": hashlib.sha256(text.encode()).hexdigest(),
            "characters": len(text),
        }
        for path, text in zip((request.source, *request.also), (whole, *parts[1:]), strict=True)
    )
    return Texts(vocabulary, train, validation, held_out, sum(map(len, parts)), sources)


def _finish(
    run: Run,
    network: LanguageModel,
    training: FinishedTraining,
    texts: Texts,
    notes: Sequence[str],
) -> dict[str, Any]:
    """Judge, write samples and save a run; the metrics come last, for they say that it is finished."""
    recipe = training.recipe
    loss = stretch_loss(network, texts.validation, recipe.data.context)
    per_character = len(texts.validation) / len(texts.held_out)
    samples = _samples(network, texts, recipe)
    learned = {
        "kind": recipe.kind,
        "classes": [],
        "examples": {"train": texts.characters, "validation": len(texts.held_out)},
        "sources": list(texts.sources),
        "symbols": len(texts.vocabulary),
        "notes": list(notes),
    }
    judged = {
        "selection": marked("weights of the look with the lowest log-loss on the text held out"),
        "validation": {
            "log_loss": loss,
            "perplexity": math.exp(loss),
            "bits_per_character": loss * per_character / math.log(2),
            "examples": len(texts.held_out),
        },
    }
    metrics = training.metrics(learned, NAMED, judged)
    run.save_network(network)
    run.save_history(training.state.history)
    write_atomic(run.folder / "samples.txt", "\n\n".join(samples) + "\n")
    run.save_metrics(metrics)
    language_report(run, samples)
    run.drop_checkpoint()
    return metrics


def _samples(network: LanguageModel, texts: Texts, recipe: Recipe) -> list[str]:
    """Continuations of the first symbols of the part held out, each with what it begins with."""
    prompt = texts.validation[: min(16, recipe.data.context)].expand(SAMPLES, -1)
    prompt = prompt.to(next(network.parameters()).device)
    generator = torch_generator(recipe.seed, "samples")
    drawn = torch.stack(
        list(continuation(network, prompt, SAMPLE_SYMBOLS, temperature=0.8, generator=generator)), 1
    )
    return [texts.vocabulary.decode(row.tolist()) for row in torch.cat([prompt, drawn], 1)]
