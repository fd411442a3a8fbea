"""From a text to a run that goes on with texts like it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
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
from bayesight.training.language import language, stretch_loss
from bayesight.training.recipe import Recipe
from bayesight.workflows.reporting import language_report
from bayesight.workflows.training.finish import TrainingJob
from bayesight.workflows.training.request import TrainRequest, refuse_options_of_images

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


def train_language_model(job: TrainingJob) -> tuple[Run, Mapping[str, Any]]:
    """Train a language model on a text in UTF-8, plain or ``.gz``, and save its run; that and its metrics.

    Raises:
        SourceNotFound, SourceUnreadable: no such text, or none in UTF-8; says in which line.
        InvalidInput: too short a text, or options that such a run has no use for.
        TrainingDiverged: a loss ran away; only good weights of an earlier look are left.
    """
    recipe = job.recipe
    refuse_options_of_images(job.request, "a language model")
    texts = _read(job.request, recipe)
    notes = (
        marked(
            f"learns from {texts.characters:,} characters as {len(texts.train):,} symbols of "
            f"{len(texts.vocabulary):,}; the last {len(texts.held_out):,} characters are held out"
        ),
    )
    read_s = job.tell(notes)
    plan = language(recipe, texts.train, texts.validation, len(texts.vocabulary), job.hardware)
    identity = job.identity([source["content_hash"] for source in texts.sources])
    training = job.fit(job.start(None, texts.vocabulary), plan, identity, read_s)
    run, network = training.run, plan.network.eval()
    loss = stretch_loss(network, texts.validation, recipe.data.context)
    samples = _samples(network, texts, recipe)
    write_atomic(run.folder / "samples.txt", "\n\n".join(samples) + "\n")
    return run, training.save(
        (texts.characters, len(texts.held_out)),
        texts.sources,
        notes,
        marked("weights of the look with the lowest log-loss on the text held out"),
        {
            "log_loss": loss,
            "perplexity": math.exp(loss),
            "bits_per_character": loss * len(texts.validation) / len(texts.held_out) / math.log(2),
            "examples": len(texts.held_out),
        },
        report=lambda: language_report(run, samples),
        symbols=len(texts.vocabulary),
    )


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


def _samples(network: LanguageModel, texts: Texts, recipe: Recipe) -> list[str]:
    """Continuations of the first symbols of the part held out, each with what it begins with."""
    prompt = texts.validation[: min(16, recipe.data.context)].expand(SAMPLES, -1)
    prompt = prompt.to(next(network.parameters()).device)
    generator = torch_generator(recipe.seed, "samples")
    drawn = torch.stack(
        list(continuation(network, prompt, SAMPLE_SYMBOLS, temperature=0.8, generator=generator)), 1
    )
    return [texts.vocabulary.decode(row.tolist()) for row in torch.cat([prompt, drawn], 1)]
