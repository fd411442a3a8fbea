"""From pairs of sentences to a run that translates."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesight.checks import check
from bayesight.data.manifest import digests_of
from bayesight.data.pairs import SentencePairs, read_pairs
from bayesight.data.splits import split
from bayesight.data.text import Subwords
from bayesight.errors import InvalidInput
from bayesight.evaluation.bleu import bleu
from bayesight.files import write_atomic
from bayesight.language import marked
from bayesight.run import Run
from bayesight.training.recipe import Recipe
from bayesight.training.translation import Encoded, encoded, pair_loss, translation
from bayesight.workflows.reporting import translation_report
from bayesight.workflows.training.finish import TrainingJob
from bayesight.workflows.training.request import TrainRequest, refuse_options_of_images
from bayesight.workflows.translate import BEAM, translations

__all__ = ["train_translation_model"]

LEAST = 10
"""Different sentences that a training needs at least."""
SHOWN = 12
"""Translations of sentences held out that a run keeps to look at."""


@dataclass(frozen=True, eq=False)
class Corpus:
    """The pairs of a translation model: learned from, and held out.

    Args:
        vocabulary: subwords of both languages, of the training part only.
        train: pairs learned from, as symbols.
        held_out: pairs never learned from; the same sentence is never on both sides.
        validation: the same as symbols.
        sources: each source's files and SHA-256.
        notes: what was read and what was left out, in words.
    """

    vocabulary: Subwords
    train: Encoded
    held_out: SentencePairs
    validation: Encoded
    sources: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]


def train_translation_model(job: TrainingJob) -> tuple[Run, Mapping[str, Any]]:
    """Train a translation model on sentence pairs (``read_pairs``) and save its run; that and its metrics.

    Raises:
        SourceNotFound, SourceUnreadable: no such files, or none in UTF-8; says in which line.
        InvalidInput: sentences without translations, too few, or options that such a run has no use for.
        MissingExtra: the extra ``text`` is not installed.
        TrainingDiverged: a loss ran away; only good weights of an earlier look are left.
    """
    refuse_options_of_images(job.request, "a translation model")
    bleu(["a"], ["a"])  # missing, it is missed before the training and not after it
    corpus = _read(job.request, job.recipe)
    read_s, held_out = job.tell(corpus.notes), corpus.held_out
    plan = translation(job.recipe, corpus.train, corpus.validation, len(corpus.vocabulary), job.hardware)
    identity = job.identity([source["content_hash"] for source in corpus.sources])
    training = job.fit(job.start(None, corpus.vocabulary), plan, identity, read_s)
    run, network = training.run, plan.network.eval()
    loss = pair_loss(network, corpus.validation)
    said = translations(network, corpus.vocabulary, [source for source, _ in corpus.validation])
    score = bleu(said, held_out.targets)
    shown = list(zip(held_out.sources, said, held_out.targets, strict=True))[:SHOWN]
    lines = [f"{source}\n{text}\n({reference})\n" for source, text, reference in shown]
    write_atomic(run.folder / "samples.txt", "\n".join(lines))
    return run, training.save(
        (len(corpus.train), len(held_out)),
        corpus.sources,
        corpus.notes,
        marked("weights of the look with the lowest log-loss on pairs held out"),
        {
            "log_loss": loss,
            "perplexity": math.exp(loss),
            "bleu": score.score,
            "scorer": score.scorer,
            "beam": BEAM,
            "examples": len(held_out),
        },
        report=lambda: translation_report(run, shown),
        symbols=len(corpus.vocabulary),
    )


def _read(request: TrainRequest, recipe: Recipe) -> Corpus:
    """A share of the source's sentences held out, all others and every further source to learn from."""
    size = recipe.data.vocabulary
    if size == "characters":
        raise InvalidInput(
            "data.vocabulary is 'characters'; expected how many subwords both languages share, as "
            "--set data.vocabulary=4000."
        )
    read = [read_pairs(path) for path in (request.source, *request.also)]
    source = read[0]
    different = len(set(source.sources))
    came = f"{different:,} different sentences"
    check(different >= LEAST, str(request.source), came, f"at least {LEAST}, some of which are held out")
    share = recipe.data.validation
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
    fitting, judged = (_within(recipe.data.context, part) for part in (train, validation))
    mend = "Give shorter sentences, or state a larger --set data.context=N."
    for part, kept in (("training", fitting), ("validation", judged)):
        check(len(kept) > 0, str(request.source), f"no pair for {part} within the context", "some", mend)
    empty, long = (
        sum(pairs.empty for pairs in read),
        len(train) + len(validation) - len(fitting) - len(judged),
    )
    notes = [
        marked(
            f"learns from {len(fitting):,} pairs, {source.direction}, by {len(vocabulary):,} subwords; "
            f"{len(judged):,} pairs are held out"
        )
    ]
    notes += [marked(f"left out {empty:,} pairs of empty lines")] * bool(empty)
    notes += [marked(f"left out {long:,} pairs longer than {recipe.data.context - 1} subwords")] * bool(long)
    kept_rows = [i for i, pair in enumerate(validation) if _fits(recipe.data.context, pair)]
    sources = tuple(
        {
            "source": " -> ".join(map(str, pairs.files)),
            "content_hash": hashlib.sha256("\0".join(pairs.sources + pairs.targets).encode()).hexdigest(),
            "pairs": len(pairs),
        }
        for pairs in read
    )
    return Corpus(vocabulary, fitting, held_out.at(kept_rows), judged, sources, tuple(notes))


def _fits(context: int, pair: tuple[Any, Any]) -> bool:
    return max(map(len, pair)) < context


def _within(context: int, pairs: Encoded) -> Encoded:
    return [pair for pair in pairs if _fits(context, pair)]
