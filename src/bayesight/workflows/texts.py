"""A text that goes on where a prompt ends, by the language model of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from bayesight.checks import check
from bayesight.data.text import Subwords
from bayesight.models import TranslationModel, continuation
from bayesight.run import Run
from bayesight.seeding import torch_generator
from bayesight.training.translation import translated
from bayesight.types import IntArray, Progress

HALF_A_CHARACTER = "\N{REPLACEMENT CHARACTER}"
"""Stands at the end of a text while some of its last character's bytes are missing."""


def generate(
    run: Path, prompt: str, tokens: int, *, temperature: float = 0.8, top: int | None = None, seed: int = 0
) -> Iterator[str]:
    """Go on with a prompt, piece by piece as it is written.

    Args:
        run: the run folder of a language model.
        prompt: at least one character.
        tokens: symbols to write, characters or subwords as the run has them.
        temperature: 0 writes what is most probable, 1 draws as the model believes.
        top: draw from so many of the most probable symbols; None from all.
        seed: every draw follows from it.

    Raises:
        SourceNotFound, RunUnreadable: no run, or a damaged one.
        InvalidInput: a run of another kind, an empty prompt, one with characters the model has not learned,
            or a value out of range.
    """
    check(bool(prompt), "--prompt", "nothing", "a beginning to go on from")
    opened = Run.open(run)
    network, vocabulary = opened.language_model(), opened.vocabulary()
    codes = torch.from_numpy(vocabulary.encode(prompt))[None]
    generator = torch_generator(seed, "generate")
    written: list[int] = []
    told = ""
    for symbol in continuation(network, codes, tokens, temperature=temperature, top=top, generator=generator):
        written.append(int(symbol))
        text = vocabulary.decode(written)
        if len(written) == tokens or not text.endswith(HALF_A_CHARACTER):
            yield text[len(told) :]
            told = text


BEAM = 4
"""Beginnings that the search keeps unless told otherwise."""


def translate(
    run: Path, sentences: Sequence[str], *, beam: int = BEAM, progress: Progress | None = None
) -> list[str]:
    """Translate sentences, each on its own.

    Args:
        run: the run folder of a translation model.
        sentences: an empty one stays empty.
        beam: beginnings that the search keeps; 1 takes the most probable symbol each time.
        progress: told how many are translated.

    Raises:
        SourceNotFound, RunUnreadable: no run, or a damaged one.
        InvalidInput: a run of another kind, no sentences, or one that is longer than the model reads.
    """
    check(bool(sentences), "sentences", "none", "at least one")
    opened = Run.open(run)
    network, vocabulary = opened.translation_model(), opened.vocabulary()
    assert isinstance(vocabulary, Subwords)
    codes = vocabulary.encode_all(sentences)
    for number, one in enumerate(codes, 1):
        came = f"{len(one):,} symbols"
        mend = "Give a sentence a line."
        check(
            len(one) < network.context, f"sentence {number:,}", came, f"{network.context - 1} at most", mend
        )
    return translations(network, vocabulary, codes, beam=beam, progress=progress)


def translations(
    network: TranslationModel,
    vocabulary: Subwords,
    sources: Sequence[IntArray],
    *,
    beam: int = BEAM,
    progress: Progress | None = None,
) -> list[str]:
    """The texts that a network in evaluation mode makes of encoded sentences, each on one line."""
    found = translated(network, sources, beam=beam, progress=progress)
    return [" ".join(vocabulary.decode(symbols).split()) for symbols in found]
