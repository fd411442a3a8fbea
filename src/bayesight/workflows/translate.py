"""Sentences in another language, by the translation model of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bayesight.checks import check
from bayesight.data.text import Subwords
from bayesight.models import TranslationModel
from bayesight.run import Run
from bayesight.training.translation import translated
from bayesight.types import IntArray, Progress

__all__ = ["BEAM", "translate", "translations"]

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
