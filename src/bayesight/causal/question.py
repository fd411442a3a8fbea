"""The question about an effect: of what on what, on whom, and what counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bayesight.errors import UnknownName
from bayesight.language import marked

__all__ = ["EFFECTS", "ON_WHOM", "EffectQuestion", "named_together"]

ON_WHOM = {
    "ate": marked("everybody"),
    "att": marked("those who had the treatment"),
    "atc": marked("those who did not have the treatment"),
    "overlap": marked("those who could have had either"),
}
"""Effect to the rows it is about, in words."""


EFFECTS = ("ate", "att", "atc", "overlap")
"""Average effect on everybody, on the treated, on the untreated, and on those who could be either: rows
weighted by P(treated | covariates) P(untreated | covariates) (Li, Morgan and Zaslavsky 2018)."""


@dataclass(frozen=True)
class EffectQuestion:
    """A treatment, an outcome, and how the effect of one on the other is asked for.

    Attributes:
        treatment: the variable that would be set.
        outcome: the variable that is looked at.
        reference: the treatment the others are compared with; when empty, what ``reference_of`` chooses. A
            treatment of more than five different numbers is a quantity unless one of them is named here.
        success: the value of the outcome that counts, where it is not a number; when empty, what
            ``success_of`` chooses.
        adjust: hold these fixed whatever the graph says; None for what the graph says.
        direct: only what the treatment does not do by way of other variables of the graph.
        level: probability inside each interval.
        effect: on whom: everybody (``ate``), those who had the treatment (``att``), those who did not
            (``atc``), or those who could have had either (``overlap``). Beyond two treatments, "those who
            had it" are, for each difference, the rows of its own treatment.
    """

    treatment: str
    outcome: str
    reference: str = ""
    success: str = ""
    adjust: tuple[str, ...] | None = None
    direct: bool = False
    level: float = 0.95
    effect: str = "ate"

    def __post_init__(self) -> None:
        """Refuse an effect that is none of ``EFFECTS``."""
        if self.effect not in EFFECTS:
            raise UnknownName("effect", self.effect, EFFECTS)


def named_together(names: Sequence[str]) -> str:
    """Names in a sentence: "A, B and C", or "nothing"."""
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0] if names else "nothing"
