"""What a report can say about belief, as plain data: one frozen dataclass a section."""

from __future__ import annotations

from dataclasses import dataclass

import numpy.typing as npt

from bayesight.report.sections import Section
from bayesight.report.words import Number

__all__ = [
    "BaseRates",
    "BeliefStep",
    "BeliefSteps",
    "Measure",
    "NaturalFrequencies",
    "Novelty",
    "PosteriorByPrevalence",
    "UpdateChange",
]


@dataclass(frozen=True)
class Measure:
    """A figure before and after.

    Attributes:
        name: what is measured ("accuracy on the old classes").
        before: its value, NaN when there was none.
        after: its value.
        fraction: whether it is a fraction, to be shown in per cent.
    """

    name: str
    before: Number
    after: Number
    fraction: bool = True


@dataclass(frozen=True)
class BeliefStep:
    """Belief after one piece of news.

    Attributes:
        title: the news ("prior", "1st positive").
        probabilities: one for each hypothesis (K,), summing to 1.
        log_evidence: how probable the news was, nats; None for the prior.
    """

    title: str
    probabilities: npt.ArrayLike
    log_evidence: float | None = None


@dataclass(frozen=True)
class BeliefSteps(Section):
    """Prior to posterior, step by step, for two or many hypotheses.

    Attributes:
        hypotheses: names (K,).
        steps: in order, the prior first.
    """

    hypotheses: tuple[str, ...]
    steps: tuple[BeliefStep, ...]


@dataclass(frozen=True)
class NaturalFrequencies(Section):
    """A test told as whole people, a thousand or as many as it takes.

    Attributes:
        prevalence: P(affected).
        sensitivity: P(positive | affected).
        false_alarm: P(positive | not affected).
        people: how many are told of; None takes a power of ten in which whoever may occur is one at least.
        who: what the dots stand for.
        affected: how the affected are called ("ill", "of class B").
        unaffected: how the others are called.
        positive: what the test says of them ("positive", "called B").
    """

    prevalence: float
    sensitivity: float
    false_alarm: float
    people: int | None = None
    who: str = "people"
    affected: str = "ill"
    unaffected: str = "healthy"
    positive: str = "positive"


@dataclass(frozen=True)
class PosteriorByPrevalence(Section):
    """What a positive and a negative say, at every prevalence.

    Attributes:
        prevalence: ascending (G,), in (0, 1] on a logarithmic axis, in [0, 1] on a linear one.
        after_positive: P(affected | positive) at each (G,).
        after_negative: P(affected | negative) at each (G,), or None.
        low: lower ends of the interval of ``after_positive`` (G,), or None.
        high: upper ends (G,), or None.
        here: the prevalence that applies, marked.
        log: a logarithmic axis.
    """

    prevalence: npt.ArrayLike
    after_positive: npt.ArrayLike
    after_negative: npt.ArrayLike | None = None
    low: npt.ArrayLike | None = None
    high: npt.ArrayLike | None = None
    here: float | None = None
    log: bool = False


@dataclass(frozen=True)
class BaseRates(Section):
    """Base rates of training beside those of where the classifier is used.

    Attributes:
        classes: names (K,).
        training: base rates in training (K,).
        here: base rates where it is used (K,).
        low: lower ends of their intervals (K,), or None when they were stated.
        high: upper ends (K,).
        method: how they were found, one sentence.
        measures: figures before and after the change of base rates.
    """

    classes: tuple[str, ...]
    training: npt.ArrayLike
    here: npt.ArrayLike
    low: npt.ArrayLike | None = None
    high: npt.ArrayLike | None = None
    method: str = ""
    measures: tuple[Measure, ...] = ()


@dataclass(frozen=True)
class Novelty(Section):
    """Known images beside images of nothing that was learned.

    Attributes:
        known: score of each known image (N,).
        unknown: score of each unknown image (M,), or None when there were none to try.
        threshold: score from which an image is called unknown.
        level: fraction of known images the threshold is meant to flag.
        unknown_above: whether larger scores are the unknown ones (False for an evidence).
        label: what the score is.
        auroc: probability that an unknown image scores as more unknown than a known one.
        fpr95: fraction of unknown images that pass when 95 % of the known ones do.
        source: where the unknown images came from.
    """

    known: npt.ArrayLike
    unknown: npt.ArrayLike | None = None
    threshold: float | None = None
    level: float | None = None
    unknown_above: bool = True
    label: str = "novelty score"
    auroc: Number | None = None
    fpr95: Number | None = None
    source: str = ""


@dataclass(frozen=True)
class UpdateChange(Section):
    """A trained classifier before and after it took in new labelled images.

    Attributes:
        classes: names (K,), new ones included.
        before: sensitivity of each class before (K,), NaN for a new one.
        after: sensitivity of each class after (K,).
        absorbed: images taken in.
        removed: images taken out.
        elapsed_s: how long that took, seconds.
        new_classes: the classes that were not there before.
        trust_past: weight of old evidence, in (0, 1].
        measures: further figures before and after.
    """

    classes: tuple[str, ...]
    before: npt.ArrayLike
    after: npt.ArrayLike
    absorbed: int
    removed: int = 0
    elapsed_s: float | None = None
    new_classes: tuple[str, ...] = ()
    trust_past: float = 1.0
    measures: tuple[Measure, ...] = ()
