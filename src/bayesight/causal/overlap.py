"""Overlap, or positivity: every treatment occurs among the like, or it is said where it does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bayesight.causal.orthogonal import CHANCE, Nuisance
from bayesight.causal.potential_outcomes import EffectEstimate
from bayesight.causal.question import ON_WHOM, PreparedQuestion
from bayesight.causal.strata import Strata
from bayesight.formatting import percent
from bayesight.language import marked

MOST_WITHOUT = 0.05
"""Share of rows without overlap beyond which no answer is given to the question as it was asked."""


_LEAST_EFFECTIVE = 3.0
"""Rows that the weighted rows of a treatment have to be worth."""


_NO_OVERLAP_NAMED = 10


@dataclass(frozen=True)
class Overlap:
    """Positivity: whether every treatment occurs among the like.

    Attributes:
        share: of the rows the effect is about, those in strata where every treatment occurs; by a model,
            those whose probability of each treatment is at least 0.01.
        strata: how many strata there are; 0 when treatment was modelled.
        empty: strata in which some treatment never occurs, in words, with what is missing; the largest ten.
        without: how many such strata there are.
        least: smallest probability of a treatment in any stratum or row.
        effective: by a model, rows that the weighted rows of the thinnest treatment are worth (Kish).
        lacking: whether there is too little of it for the question that was asked.
    """

    share: float
    strata: int
    empty: tuple[str, ...]
    without: int
    least: float
    effective: float | None = None
    lacking: bool = False

    def as_dict(self) -> dict[str, object]:
        """All of it, as a dictionary."""
        return {
            "share": self.share,
            "strata": self.strata,
            "strata_without_overlap": self.without,
            "named": list(self.empty),
            "least_probability": self.least,
            "effective_rows": self.effective,
            "lacking": self.lacking,
        }


def overlap_of(strata: Strata, levels: tuple[str, ...]) -> Overlap:
    """Overlap by counting, of strata and the names of their treatments."""
    empty = np.flatnonzero(~strata.overlap)
    order = empty[np.argsort(-strata.n[:, empty].sum(axis=0), kind="stable")][:_NO_OVERLAP_NAMED]
    named = []
    for s in order.tolist():
        missing = [level for level, n in zip(levels, strata.n[:, s], strict=True) if n == 0]
        named.append(
            marked(f"{strata.label(s)}: no {' or '.join(missing)} among {strata.n[:, s].sum():,.0f} rows")
        )
    least = float((strata.n / strata.n.sum(axis=0)).min())
    return Overlap(strata.share, len(strata.values), tuple(named), len(empty), least)


def overlap_notes(overlap: Overlap | None) -> list[str]:
    """Sentences on strata that lack a treatment; none where none does."""
    if overlap is None or not overlap.without:
        return []
    some = "; ".join(overlap.empty[:3]) + ("; ..." if overlap.without > 3 else "")
    return [
        marked(
            f"{overlap.without} of {overlap.strata} strata lack a treatment ({some}); the answer is for the "
            f"other {percent(overlap.share)} of the rows."
        )
    ]


def model_overlap(prepared: PreparedQuestion, nuisance: Nuisance, effect: str) -> Overlap:
    """Overlap for an effect: that of the poorest pair of treatments, if there are several."""
    base = prepared.levels.index(prepared.reference)
    pairs = [nuisance.pair(k, base) for k in range(len(prepared.levels)) if k != base]
    parts = [nuisance] if effect == "ate" else pairs
    share = 1 - max(part.without(effect) for part in parts)
    effective = min(part.effective(effect) for part in parts)
    lacking = share < 1 - MOST_WITHOUT or effective < _LEAST_EFFECTIVE
    return Overlap(share, 0, (), 0, float(nuisance.p.min()), effective, lacking)


def lacking_words(overlap: Overlap, asked: str, instead: Sequence[EffectEstimate]) -> str:
    """The warning before any number where overlap is lacking for the effect ``asked``."""
    far = marked(
        f"{percent(1 - overlap.share)} of {ON_WHOM[asked]} had less than 1 chance in {1 / CHANCE:.0f} of one "
        "of the treatments"
    )
    if overlap.share >= 1 - MOST_WITHOUT:
        far = marked(f"once weighted, the rows of one treatment are worth {overlap.effective or 0:.0f} rows")
    said = marked(
        f"Overlap is lacking: {far}. The effect on {ON_WHOM[asked]} cannot be told without trusting a model "
        "where there are no rows"
    )
    return (
        marked(f"{said}; below are answers to another question.")
        if instead
        else marked(f"{said}, nor can another.")
    )
