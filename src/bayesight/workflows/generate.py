"""A text that goes on where a prompt ends, by the language model of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from bayesight.checks import check
from bayesight.models import continuation
from bayesight.run import Run
from bayesight.seeding import torch_generator

__all__ = ["generate"]

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
