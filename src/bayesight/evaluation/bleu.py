"""BLEU (Papineni et al. 2002): how many of a translation's words and short phrases a reference has too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bayesight.checks import check
from bayesight.errors import MissingExtra


@dataclass(frozen=True)
class Bleu:
    """A score and how it was measured, without which it says nothing.

    Args:
        score: from 0 to 100, as it is published everywhere.
        scorer: sacreBLEU's signature: references, case, tokens, smoothing, version (Post 2018).
    """

    score: float
    scorer: str


def bleu(translations: Sequence[str], references: Sequence[str], *, tokenised: bool = False) -> Bleu:
    """The geometric mean of the shares of 1- to 4-grams that the references have, times a brevity penalty.

    Args:
        translations: at least one.
        references: one for each.
        tokenised: their words are apart already (``tokenize=none``); else they are parted as WMT does (13a).

    Raises:
        MissingExtra: the library sacrebleu is not installed.
        InvalidInput: no translations, or unequally many.

    Example:
        >>> round(bleu(["the cat sat on the mat ."], ["the cat sat on a mat ."], tokenised=True).score, 1)
        48.9
    """
    try:
        from sacrebleu.metrics.bleu import BLEU
    except ImportError as problem:
        raise MissingExtra("BLEU", "text") from problem
    came = f"{len(translations):,} translations and {len(references):,} references"
    check(len(translations) == len(references) > 0, "bleu", came, "as many of both, at least one")
    scorer = BLEU(tokenize="none" if tokenised else "13a", force=True)
    score = scorer.corpus_score(list(translations), [list(references)]).score
    return Bleu(float(score), str(scorer.get_signature()))
