"""What a report can say about cause and effect, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bayesight.bayes.rates import Estimate
from bayesight.report.sections import Section

__all__ = ["CausalGraph", "SeeingAndDoing", "StrataTable", "Stratum", "TitledAnswer"]


@dataclass(frozen=True)
class CausalGraph(Section):
    """The graph, drawn, with what has to be held fixed.

    Attributes:
        nodes: names.
        edges: (cause, effect); without cycles.
        treatment: the variable that would be set.
        outcome: the variable that is looked at.
        held: what is held fixed.
        unobserved: what nobody measured.
        sentences: what follows from the graph, in words.
    """

    nodes: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    treatment: str
    outcome: str
    held: tuple[str, ...] = ()
    unobserved: tuple[str, ...] = ()
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True)
class TitledAnswer:
    """One answer.

    Attributes:
        title: what it is ("as they are").
        values: treatment, or a difference of two, to its number with interval.
        differences: names among ``values`` that are differences or slopes.
    """

    title: str
    values: Mapping[str, Estimate]
    differences: tuple[str, ...] = ()


@dataclass(frozen=True)
class SeeingAndDoing(Section):
    """Both answers side by side, and how far they can be trusted.

    Attributes:
        outcome: what the numbers are a mean of.
        answers: the conditional one first; an effect that cannot be known is not among them.
        fraction: whether the means are probabilities, to be shown in per cent.
        headline: what to remember, such as a reversal.
        others: second opinions: method to effect.
        sentences: what else to know.
        level: probability inside each interval.
    """

    outcome: str
    answers: tuple[TitledAnswer, ...]
    fraction: bool = False
    headline: str = ""
    others: Mapping[str, Estimate] = field(default_factory=dict)
    sentences: tuple[str, ...] = ()
    level: float = 0.95


@dataclass(frozen=True)
class Stratum:
    """Rows that are alike in what is held fixed.

    Attributes:
        label: what they share.
        rows: how many had each treatment (K,).
        means: mean outcome under each treatment (K,), NaN where there are no rows.
    """

    label: str
    rows: tuple[float, ...]
    means: tuple[float, ...]


@dataclass(frozen=True)
class StrataTable(Section):
    """Like compared with like, stratum by stratum.

    Attributes:
        treatments: names (K,).
        strata: the largest first; the first 40 are shown.
        fraction: whether the means are probabilities.
        share: of all rows, those in strata where every treatment occurs.
    """

    treatments: tuple[str, ...]
    strata: tuple[Stratum, ...]
    fraction: bool = False
    share: float = 1.0
