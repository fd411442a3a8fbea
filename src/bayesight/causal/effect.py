"""The effect of one variable on another from a table and a graph: seeing beside doing.

The conditional answer compares rows as they are; the adjusted answer is what the graph says would happen if
the treatment were set. What cannot be known from the graph and the columns is said, not guessed.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from bayesight.causal.adjustment import (
    AdjustFor,
    FrontDoor,
    Identification,
    Instrument,
    NotIdentified,
    identify,
    objection,
)
from bayesight.causal.coding import Choice, reference_of, success_of
from bayesight.causal.cross_products import CrossProducts, slope
from bayesight.causal.front_door import front_door_outcomes, front_door_slope
from bayesight.causal.graph import Dag
from bayesight.causal.instrument import WEAK, instrument_slope
from bayesight.causal.nuisance import LEARNERS
from bayesight.causal.orthogonal import CHANCE, Nuisance, outcomes_of, partial_slope, prepare, unfolded
from bayesight.causal.potential_outcomes import Contrast, EffectEstimate, PotentialOutcomes, Slope, answer
from bayesight.causal.regression import design, least_squares
from bayesight.causal.sample import MAX_TREATMENTS, Column, Discrete, Numeric, Sample, as_numbers, is_number
from bayesight.causal.sensitivity import EValue, Reversal, e_value, find_reversal
from bayesight.causal.strata import Strata, standardise, stratify
from bayesight.causal.weighting import (
    WeightingProblem,
    doubly_robust,
    inverse_probability,
    propensity,
    regression_standardised,
)
from bayesight.checks import check, probability
from bayesight.errors import InvalidInput, UnknownName, listed
from bayesight.types import FloatArray

__all__ = [
    "EFFECTS",
    "ON_WHOM",
    "Effect",
    "EffectQuestion",
    "Overlap",
    "estimate",
    "estimate_from_cross_products",
]

ON_WHOM = {
    "ate": "everybody",
    "att": "those who had the treatment",
    "atc": "those who did not have the treatment",
    "overlap": "those who could have had either",
}
"""Effect to the rows it is about, in words."""
CROSS_FITTED = "doubly robust, cross-fitted"
_INSTEAD = ("overlap", "att", "atc")
_MOST_WITHOUT = 0.05
"""Share of rows without overlap beyond which no answer is given to the question as it was asked."""
_LEAST_EFFECTIVE = 3.0
"""Rows that the weighted rows of a treatment have to be worth."""
_NO_OVERLAP_NAMED = 10
_THIN = 10
"""Rows a stratum, on average, below which strata are too thin to stand on their own."""
_MOST_VALUES = 300
"""Values of what is held fixed, in all, beyond which there is no model of main effects."""
_ROWS_A_VALUE = 5
"""Rows that such a model needs for each of these values."""
_FEW = 20
"""Strata of which one that lacks a treatment is a fact to be told, and no accident of thin ice."""


EFFECTS = ("ate", "att", "atc", "overlap")
"""Average effect on everybody, on the treated, on the untreated, and on those who could be either: rows
weighted by P(treated | covariates) P(untreated | covariates) (Li, Morgan and Zaslavsky 2018)."""


@dataclass(frozen=True)
class EffectQuestion:
    """What is asked.

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


@dataclass(frozen=True)
class Effect:
    """Both answers, and how far they can be trusted.

    Attributes:
        question: what was asked.
        identification: what the graph says.
        held: what was held fixed; None when the effect was not found by adjusting.
        conditional: rows as they are.
        adjusted: what would happen; None when it cannot be known, or not without trusting a model where
            there are no rows.
        instead: where overlap is lacking, answers to other questions for which there is some.
        others: second opinions on the adjusted answer.
        overlap: positivity, when something was held fixed.
        reversal: Simpson's, when there is one.
        e_value: for two treatments.
        strata: counts behind the answer, when everything held fixed is discrete.
        notes: sentences the reader should know.
        rows: rows of the table.
        binary: whether the outcome is yes or no, so that means are probabilities.
        counted: the value of the outcome that counts as 1, and why; None where it is a number as it stands.
        warning: what has to be read before any number; empty where nothing has.
        models: share of each kind of model in the predictions of ``outcome`` and of ``treatment``.
    """

    question: EffectQuestion
    identification: Identification
    held: tuple[str, ...] | None
    conditional: EffectEstimate
    adjusted: EffectEstimate | None
    others: tuple[EffectEstimate, ...] = ()
    overlap: Overlap | None = None
    reversal: Reversal | None = None
    e_value: EValue | None = None
    strata: Strata | None = None
    notes: tuple[str, ...] = ()
    rows: float = 0.0
    binary: bool = False
    counted: Choice | None = None
    warning: str = ""
    instead: tuple[EffectEstimate, ...] = ()
    models: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def offered(self) -> EffectEstimate | None:
        """The adjusted answer, or the first that is offered instead."""
        return self.adjusted or (self.instead[0] if self.instead else None)


def estimate(
    sample: Sample, dag: Dag, question: EffectQuestion, *, learners: Sequence[str] = LEARNERS
) -> Effect:
    """Answer a question from a table and a graph.

    Args:
        sample: the table; it must hold treatment, outcome and what has to be held fixed.
        dag: the graph.
        question: what is asked.
        learners: kinds of model that may predict outcome and treatment where strata do not do, of
            ``LEARNERS``.

    Raises:
        InvalidInput: a constant treatment, an outcome that is no number, no overlap anywhere.
        UnknownName: a column or a level that is not there.

    Example:
        >>> from bayesight.causal import parse, sample_of
        >>> table = sample_of(
        ...     {
        ...         "size": ["small"] * 4 + ["large"] * 4,
        ...         "treatment": ["A", "A", "B", "B"] * 2,
        ...         "success": [1, 0] * 4,
        ...     },
        ...     counts=[81, 6, 234, 36, 192, 71, 55, 25],
        ... )
        >>> dag = parse("size -> treatment, size -> success, treatment -> success")
        >>> found = estimate(table, dag, EffectQuestion("treatment", "success", reference="B"))
        >>> [round(found.conditional.means[t].mean, 3) for t in "AB"]
        [0.78, 0.826]
        >>> [round(found.adjusted.means[t].mean, 3) for t in "AB"]
        [0.833, 0.779]
        >>> found.reversal.turned
        2
    """
    probability(question.level, "level", open_interval=True)
    work = _Work.of(sample, question, tuple(learners))
    known = identify(dag, question.treatment, question.outcome, direct=question.direct)
    conditional, _ = work.adjust((), "as they are")
    notes: list[str] = list(work.notes)
    held = known.variables if isinstance(known, AdjustFor) else None
    if question.adjust is not None:
        held = tuple(sorted(question.adjust))
        wrong = objection(dag, question.treatment, question.outcome, held, direct=question.direct)
        if wrong:
            notes.append(f"By this graph, holding {_named(held)} fixed does not give the effect: {wrong}.")
    if held is None:
        if not isinstance(known, NotIdentified):
            came = f"{question.effect!r}, and the effect is not found by adjusting"
            check(question.effect == "ate", "effect", came, "'ate'")
        adjusted, more = _otherwise(work, known)
        return Effect(
            question,
            known,
            None,
            conditional,
            adjusted,
            notes=(*notes, *more),
            rows=sample.total,
            binary=work.binary,
            counted=work.counted,
        )
    return _adjusted(work, known, held, conditional, notes)


def estimate_from_cross_products(moments: CrossProducts, dag: Dag, question: EffectQuestion) -> Effect:
    """The answer for a continuous treatment from sums over a table that no memory holds.

    Args:
        moments: sums over treatment, outcome and what has to be held fixed.
        dag: the graph.
        question: what is asked.

    Raises:
        InvalidInput: an effect that is not found by adjusting needs the rows themselves.
    """
    known = identify(dag, question.treatment, question.outcome, direct=question.direct)
    held = question.adjust if question.adjust is not None else getattr(known, "variables", None)
    if held is None:
        came = "an effect by way of a front door or an instrument"
        check(isinstance(known, NotIdentified), "streamed regression", came, "one found by adjusting")
    line = slope(moments, question.treatment, question.outcome)
    conditional = answer(line, "as they are", level=question.level)
    rows = float(moments.second[0, 0])
    if held is None:
        return Effect(question, known, None, conditional, None, rows=rows)
    wrong = objection(dag, question.treatment, question.outcome, held, direct=question.direct)
    names = [n for n in moments.names if n.split("=")[0] in held or n in held]
    line = slope(moments, question.treatment, question.outcome, names)
    adjusted = answer(line, "least squares from moments", level=question.level)
    notes = [
        "The table is too large for memory: slopes come from sums, without second opinions. Whether what is "
        "held fixed acts in a straight line cannot be checked there; try a sample of the rows."
    ]
    if wrong:
        notes.append(f"By this graph, holding {_named(held)} fixed does not give the effect: {wrong}.")
    reversal = find_reversal(conditional, adjusted, None, tuple(held))
    return Effect(
        question,
        known,
        tuple(sorted(held)),
        conditional,
        adjusted,
        reversal=reversal,
        notes=tuple(notes),
        rows=rows,
    )


def leftovers(
    sample: Sample, question: EffectQuestion, held: Sequence[str], learners: Sequence[str]
) -> tuple[Sample, FloatArray, FloatArray]:
    """The rows, and what cross-fitted models leave of the outcome (under each row's own treatment) and of the
    treatment (of the second of two, or the quantity).
    """  # noqa: D205
    work = _Work.of(sample, question, tuple(learners))
    name = question.treatment
    if work.levels:
        found = prepare(work.sample, name, work.y, held, binary=work.binary, learners=work.learners)
        rows = unfolded(work.sample)[0]
        own = found.mean[np.arange(len(found.y)), found.arm]
        return rows, found.y - own, found.arm - found.p[:, -1]
    t = as_numbers(work.sample.column(name), name)
    left = partial_slope(work.sample, t, work.y, held, work.learners)
    rows = unfolded(work.sample)[0]
    return rows, left.outcome - left.line.slope * left.treatment, left.treatment


@dataclass(frozen=True)
class _Work:
    """A question made ready: the outcome as numbers, the treatment's levels."""

    sample: Sample
    question: EffectQuestion
    y: FloatArray
    binary: bool
    levels: tuple[str, ...]
    reference: str
    counted: Choice | None
    notes: tuple[str, ...]
    learners: tuple[str, ...]

    @classmethod
    def of(cls, sample: Sample, question: EffectQuestion, learners: tuple[str, ...]) -> _Work:
        treatment = _as_set(sample.column(question.treatment), question.reference)
        sample = sample.with_column(question.treatment, treatment)
        y, binary, counted, note = _outcome(sample, question)
        if isinstance(treatment, Numeric):
            varies = float(np.ptp(treatment.values)) > 0
            levels: tuple[str, ...] = ()
        else:
            present = np.bincount(treatment.codes, sample.n, minlength=len(treatment.levels)) > 0
            varies, levels = int(present.sum()) > 1, treatment.levels
            if varies and not present.all():
                sample = sample.with_column(question.treatment, _without_empty(treatment, present))
                levels = sample.discrete(question.treatment).levels
        mend = "An effect needs rows with and rows without it."
        check(varies, question.treatment, "the treatment never varies", "at least two values", mend)
        reference = question.reference or (reference_of(levels).value if levels else "")
        if reference and reference not in levels:
            raise UnknownName(f"value of {question.treatment}", reference, levels)
        return cls(sample, question, y, binary, levels, reference, counted, note, learners)

    def adjust(self, names: Sequence[str], method: str) -> tuple[EffectEstimate, Strata | None]:
        """By strata where everything is discrete, by a straight line where the treatment is continuous."""
        if not self.levels:
            return self.answer(self.line(names), method), None
        strata = stratify(self.sample, self.question.treatment, self.y, names, binary=self.binary)
        return self.answer(standardise(strata), method), strata

    def line(self, names: Sequence[str]) -> Slope:
        """Slope of the outcome on a continuous treatment with others held fixed."""
        t = as_numbers(self.sample.column(self.question.treatment), self.question.treatment)
        centre = float(np.average(t, weights=self.sample.n))
        scale = float(np.sqrt(np.average((t - centre) ** 2, weights=self.sample.n)))
        held = design(self.sample, names).matrix
        unit = (t - centre) / scale
        weight = np.sqrt(self.sample.n)
        rest = (
            unit * weight
            - held @ np.linalg.lstsq(held * weight[:, None], unit * weight, rcond=None)[0] * weight
        )
        check(
            float(rest @ rest) > 1e-10 * self.sample.total,
            self.question.treatment,
            f"{_named(names)} determine the treatment",
            "some variation left when they are held fixed",
        )
        fit = least_squares(np.column_stack([held, unit]), self.y, self.sample.n, self.sample.squares)
        return Slope(
            float(fit.coefficients[-1]) / scale, float(np.sqrt(fit.covariance[-1, -1])) / scale, fit.dof
        )

    def answer(self, found: PotentialOutcomes | Slope, method: str) -> EffectEstimate:
        return answer(found, method, self.levels, self.reference, self.question.level)

    def answer_on(self, found: Nuisance, effect: str, method: str) -> EffectEstimate:
        """The answer on the rows an effect is about; beyond two treatments, pair by pair."""
        if effect == "ate":
            return self.answer(outcomes_of(found), method)
        return self.by_pairs(lambda k, base: outcomes_of(found.pair(k, base), effect), effect, method)

    def by_pairs(
        self, arms: Callable[[int, int], PotentialOutcomes], effect: str, method: str
    ) -> EffectEstimate:
        """Differences of each treatment to the reference, pair by pair; the means too if there is one pair.

        Args:
            arms: from the numbers of a treatment and of the reference to their means, the reference first.
            effect: on whom.
            method: in words.
        """
        base, level = self.levels.index(self.reference), self.question.level
        answers = [
            answer(arms(k, base), method, (self.reference, name), self.reference, level)
            for k, name in enumerate(self.levels)
            if k != base
        ]
        means = answers[0].means if len(answers) == 1 else {}
        return EffectEstimate(method, means, tuple(c for a in answers for c in a.differences), on=effect)

    def task(self, names: Sequence[str]) -> WeightingProblem:
        arm = self.sample.discrete(self.question.treatment)
        x = design(self.sample, names).matrix
        return WeightingProblem(
            x, arm.codes, len(arm.levels), self.y, self.sample.n, self.sample.squares, self.binary
        )


@dataclass(frozen=True)
class _Found:
    """What one way of adjusting gives."""

    adjusted: EffectEstimate | None
    arms: PotentialOutcomes | None = None
    strata: Strata | None = None
    overlap: Overlap | None = None
    others: tuple[EffectEstimate, ...] = ()
    notes: tuple[str, ...] = ()
    instead: tuple[EffectEstimate, ...] = ()
    warning: str = ""
    models: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def _adjusted(
    work: _Work, known: Identification, held: tuple[str, ...], conditional: EffectEstimate, notes: list[str]
) -> Effect:
    """The answer with ``held`` held fixed, second opinions, overlap, reversal and E-value."""
    if not work.levels:
        found = _by_line(work, held)
    elif work.sample.is_discrete(held):
        found = _by_strata(work, held)
    else:
        found = _by_model(work, held)
    strength = None
    if found.arms is not None and len(work.levels) == 2:
        base, z = work.levels.index(work.reference), float(norm.ppf((1 + work.question.level) / 2))
        strength = e_value(found.arms, 1 - base, base, _spread(work.sample, work.y), z)
    adjusted = found.adjusted
    reversal = find_reversal(conditional, adjusted, found.strata, held) if adjusted else None
    if reversal and adjusted and all(a.effect.low <= 0 <= a.effect.high for a in (conditional, adjusted)):
        notes.append("Neither of the two is beyond chance: both intervals include no effect.")
    return Effect(
        work.question,
        known,
        held,
        conditional,
        found.adjusted,
        found.others,
        found.overlap,
        reversal,
        strength,
        found.strata,
        (*notes, *found.notes),
        work.sample.total,
        work.binary,
        work.counted,
        found.warning,
        found.instead,
        found.models,
    )


def _by_strata(work: _Work, held: tuple[str, ...]) -> _Found:
    """Standardisation over strata, unless the rows are spread too thinly over them."""
    strata = stratify(work.sample, work.question.treatment, work.y, held, binary=work.binary)
    if not held:
        arms = standardise(strata)
        return _Found(work.answer(arms, "as they are"), arms, strata)
    overlap = _overlap_of(strata, work.levels)
    values = sum(len(work.sample.discrete(name).levels) for name in held)
    few = values <= min(_MOST_VALUES, work.sample.total / _ROWS_A_VALUE)
    modelled = len(held) > 1 and few  # one column's strata say all that its model could
    thin = modelled and len(strata.values) > _FEW and work.sample.total < _THIN * len(strata.values)
    if thin and overlap.share < 0.9:
        note = (
            f"{len(strata.values):,} strata for {work.sample.total:,.0f} rows, and {overlap.without:,} of "
            "them lack a treatment: the answer comes from models, not from strata."
        )
        found = _by_model(work, held)
        return replace(found, strata=strata, notes=(note, *found.notes))
    method = "differences within strata" if strata.sampled else "standardisation over strata"
    notes, effect = (*filter(None, [strata.words]), *_overlap_notes(overlap)), work.question.effect
    if effect != "ate":
        adjusted = work.by_pairs(lambda k, base: standardise(strata.of([base, k]), effect), effect, method)
        return _Found(adjusted, None, strata, overlap, notes=notes)
    arms = standardise(strata)
    adjusted = work.answer(arms, method)
    opinions = () if strata.sampled else tuple(_opinions(work, held, strata, arms))
    if overlap.share < 1 - _MOST_WITHOUT:
        said = f"Overlap is lacking: {_overlap_notes(overlap)[0]}"
        lacking = replace(overlap, lacking=True)
        return _Found(adjusted, None, strata, lacking, opinions, notes, warning=said)
    return _Found(adjusted, arms, strata, overlap, opinions, notes)


def _by_line(work: _Work, held: tuple[str, ...]) -> _Found:
    """The slope of a quantity: what is left of the outcome on what is left of the treatment."""
    name, effect = work.question.treatment, work.question.effect
    came = f"{effect!r}, and {name} is a quantity that everybody has some of"
    mend = f"Make categories of it (--text {shlex.quote(name)})."
    check(effect in ("ate", "overlap"), "effect", came, "'ate'", mend)
    straight = work.line(held)
    if not held:
        return _Found(work.answer(straight, "as they are"))
    t = as_numbers(work.sample.column(name), name)
    found = partial_slope(work.sample, t, work.y, held, work.learners)
    adjusted = work.answer(found.line, "partially linear, cross-fitted")
    plain = work.answer(straight, "least squares, straight lines")
    notes = (_models_note(found.outcome_models, found.treatment_models), *_disagreement(adjusted, plain))
    models = {"outcome": found.outcome_models, "treatment": found.treatment_models}
    return _Found(adjusted, others=(plain,), notes=notes, models=models)


def _by_model(work: _Work, held: tuple[str, ...]) -> _Found:
    """From cross-fitted models of outcome and treatment; where overlap is lacking, to other questions."""
    name, asked = work.question.treatment, work.question.effect
    nuisance = prepare(work.sample, name, work.y, held, binary=work.binary, learners=work.learners)
    overlap = _model_overlap(work, nuisance, asked)
    answers = {e: work.answer_on(nuisance, e, CROSS_FITTED) for e in dict.fromkeys((asked, *_INSTEAD))}
    plain = _main_effects(work, held, asked)
    models = {"outcome": nuisance.outcome_models, "treatment": nuisance.treatment_models}
    said = _models_note(nuisance.outcome_models, nuisance.treatment_models)
    if not overlap.lacking:
        notes = (said, *_disagreement(answers[asked], plain[0]))
        arms = outcomes_of(nuisance) if asked == "ate" else None
        return _Found(answers[asked], arms, None, overlap, plain, notes, models=models)
    possible = [e for e in _INSTEAD if e != asked and not _model_overlap(work, nuisance, e).lacking]
    instead = tuple(answers[e] for e in possible)
    others = (*plain, answers[asked])
    return _Found(
        None, None, None, overlap, others, (said,), instead, _lacking_words(overlap, asked, instead), models
    )


def _model_overlap(work: _Work, nuisance: Nuisance, effect: str) -> Overlap:
    """Overlap for an effect: that of the poorest pair of treatments, if there are several."""
    base = work.levels.index(work.reference)
    pairs = [nuisance.pair(k, base) for k in range(len(work.levels)) if k != base]
    parts = [nuisance] if effect == "ate" else pairs
    share = 1 - max(part.without(effect) for part in parts)
    effective = min(part.effective(effect) for part in parts)
    lacking = share < 1 - _MOST_WITHOUT or effective < _LEAST_EFFECTIVE
    return Overlap(share, 0, (), 0, float(nuisance.p.min()), effective, lacking)


def _main_effects(work: _Work, held: tuple[str, ...], effect: str) -> tuple[EffectEstimate, ...]:
    """The same question answered by models in straight lines, the first to be compared with."""
    if effect != "ate":
        name, learners = work.question.treatment, LEARNERS[:1]
        found = prepare(work.sample, name, work.y, held, binary=work.binary, learners=learners)
        return (work.answer_on(found, effect, "doubly robust, main effects"),)
    task = work.task(held)
    weighted = work.answer(inverse_probability(task, propensity(task)), "inverse probability weighting")
    try:
        return work.answer(regression_standardised(task), "standardisation by regression"), weighted
    except InvalidInput:  # a treatment of fewer rows than there are coefficients
        return (weighted,)


def _models_note(outcome: Mapping[str, float], treatment: Mapping[str, float]) -> str:
    """The models that predicted, with their shares, in a sentence."""

    def mix(share: Mapping[str, float]) -> str:
        return ", ".join(f"{name} {s:.0%}" for name, s in share.items() if s >= 0.005)

    return (
        "What is held fixed may bend and interact: each row's outcome was predicted from other rows by "
        f"{mix(outcome)}, its treatment by {mix(treatment)}, mixed by out-of-fold loss."
    )


def _disagreement(adjusted: EffectEstimate, plain: EffectEstimate) -> tuple[str, ...]:
    """A sentence where straight lines give another answer."""
    one, other = adjusted.effect, plain.effect
    if one.low <= other.mean <= one.high or other.low <= one.mean <= other.high:
        return ()
    return (
        f"Straight lines ({plain.method}) would say {other.mean:.4g} ({other.low:.4g} to {other.high:.4g}): "
        "the two disagree, so what is held fixed bends or interacts, and the answer above allows for it.",
    )


def _lacking_words(overlap: Overlap, asked: str, instead: Sequence[EffectEstimate]) -> str:
    far = (
        f"{1 - overlap.share:.1%} of {ON_WHOM[asked]} had less than 1 chance in {1 / CHANCE:.0f} of one of "
        "the treatments"
    )
    if overlap.share >= 1 - _MOST_WITHOUT:
        far = f"once weighted, the rows of one treatment are worth {overlap.effective or 0:.0f} rows"
    said = (
        f"Overlap is lacking: {far}. The effect on {ON_WHOM[asked]} cannot be told without trusting a model "
        "where there are no rows"
    )
    return f"{said}; below are answers to another question." if instead else f"{said}, nor can another."


def _opinions(
    work: _Work, held: Sequence[str], strata: Strata, arms: PotentialOutcomes
) -> list[EffectEstimate]:
    """Weighting and doubly robust: by strata one and the same; by a model where strata lack overlap."""
    names = ("inverse probability weighting", "doubly robust")
    if bool(strata.overlap.all()):
        return [work.answer(arms, f"{name}, probabilities by stratum") for name in names]
    task = work.task(held)
    propensities = propensity(task)
    found = (inverse_probability(task, propensities), doubly_robust(task, propensities))
    return [work.answer(one, f"{n}, main effects") for n, one in zip(names, found, strict=True)]


def _otherwise(work: _Work, known: Identification) -> tuple[EffectEstimate | None, list[str]]:
    """Through the front door, by an instrument, or not at all."""
    sample, question = work.sample, work.question
    if isinstance(known, FrontDoor):
        if work.levels and sample.is_discrete(known.mediators):
            arms = front_door_outcomes(sample, known, question.treatment, work.y, binary=work.binary)
            return work.answer(arms, "front-door formula"), []
        if work.levels and len(work.levels) > 2:
            raise InvalidInput(
                f"front door: {question.treatment} has {len(work.levels)} values and a mediator is "
                "continuous; expected two treatments or discrete mediators. Group the mediator's values."
            )
        coded, name = _as_zero_one(work)
        line = front_door_slope(coded, known, name, work.y)
        return _as_difference(work, line, "front-door formula, straight lines"), []
    if isinstance(known, Instrument):
        line, strength = instrument_slope(sample, known, question.treatment, work.y, work.reference)
        notes = [f"By an instrument only under an assumption: {known.assumption}."]
        if strength < WEAK:
            notes.append(
                f"The instrument {known.variable} hardly moves the treatment (first-stage F {strength:.1f}; "
                f"expected at least {WEAK:g}); its interval is not to be trusted."
            )
        return _as_difference(work, line, "two-stage least squares"), notes
    return None, []


def _as_zero_one(work: _Work) -> tuple[Sample, str]:
    """The table with a treatment of two levels read as 0 (the reference) and 1, and that column's name."""
    column, name = work.sample.column(work.question.treatment), work.question.treatment
    if isinstance(column, Numeric):
        return work.sample, name
    codes = (column.codes != column.levels.index(work.reference)).astype(np.int64)
    return work.sample.with_column(name, Discrete(codes, ("0", "1"))), name


def _as_difference(work: _Work, line: Slope, method: str) -> EffectEstimate:
    found = answer(line, method, level=work.question.level)
    if len(work.levels) != 2 or found.slope is None:
        return found
    of = next(level for level in work.levels if level != work.reference)
    return EffectEstimate(method, differences=(Contrast(of, work.reference, found.slope),))


def _as_set(treatment: Column, reference: str) -> Column:
    """The treatment as categories or as a quantity."""
    if isinstance(treatment, Discrete) and not treatment.named and not reference:
        numbers = treatment.numbers
        if numbers is not None and len(numbers) > MAX_TREATMENTS:
            return Numeric(numbers[treatment.codes])
    return treatment


def _outcome(
    sample: Sample, question: EffectQuestion
) -> tuple[FloatArray, bool, Choice | None, tuple[str, ...]]:
    """The outcome as numbers, whether it is yes or no, what counts as 1, and a note if that was chosen."""
    column, name = sample.column(question.outcome), question.outcome
    if isinstance(column, Numeric):
        came = f"{name} is continuous"
        check(not question.success, "success", came, "a value of a discrete outcome")
        return column.values, False, None, ()
    levels = column.levels
    if question.success:
        if question.success not in levels:
            raise UnknownName(f"value of {name}", question.success, levels)
        counted = Choice(question.success, "as was said")
        return (column.codes == levels.index(question.success)).astype(np.float64), True, counted, ()
    numbers = column.numbers
    if numbers is not None and not (len(levels) == 2 and _is_yes_or_no(numbers)):
        return numbers[column.codes], set(numbers.tolist()) <= {0.0, 1.0}, None, ()
    text = next((level for level in levels if not is_number(level)), "")
    mend = f"Name the value that counts as 1 (--success): {listed(levels, quoted=True)}."
    check(len(levels) == 2, name, f"holds the text {text!r}", "numbers, or two values", mend)
    counted = success_of(name, levels)
    other = next(level for level in levels if level != counted.value)
    note = (
        f"The outcome counts {name}={counted.value} as 1 and {other} as 0 ({counted.because}; "
        f"--success {shlex.quote(other)} turns it round)."
    )
    return (column.codes == levels.index(counted.value)).astype(np.float64), True, counted, (note,)


def _is_yes_or_no(numbers: FloatArray) -> bool:
    """Two numbers that are a code of no and yes, and not 0 and 1 already: 1 and 2, or -1 and 1."""
    return tuple(numbers.tolist()) in {(1.0, 2.0), (-1.0, 1.0)}


def _overlap_of(strata: Strata, levels: tuple[str, ...]) -> Overlap:
    empty = np.flatnonzero(~strata.overlap)
    order = empty[np.argsort(-strata.n[:, empty].sum(axis=0), kind="stable")][:_NO_OVERLAP_NAMED]
    named = []
    for s in order.tolist():
        missing = [level for level, n in zip(levels, strata.n[:, s], strict=True) if n == 0]
        named.append(f"{strata.label(s)}: no {' or '.join(missing)} among {strata.n[:, s].sum():,.0f} rows")
    least = float((strata.n / strata.n.sum(axis=0)).min())
    return Overlap(strata.share, len(strata.values), tuple(named), len(empty), least)


def _overlap_notes(overlap: Overlap | None) -> list[str]:
    if overlap is None or not overlap.without:
        return []
    some = "; ".join(overlap.empty[:3]) + ("; ..." if overlap.without > 3 else "")
    return [
        f"{overlap.without} of {overlap.strata} strata lack a treatment ({some}); the answer is for the "
        f"other {overlap.share:.1%} of the rows."
    ]


def _without_empty(column: Discrete, present: npt.NDArray[np.bool_]) -> Discrete:
    kept = np.flatnonzero(present)
    place = np.zeros(len(column.levels), np.int64)
    place[kept] = np.arange(len(kept))
    return Discrete(place[column.codes], tuple(column.levels[k] for k in kept), column.named)


def _spread(sample: Sample, y: FloatArray) -> float:
    return float(np.sqrt(np.average((y - np.average(y, weights=sample.n)) ** 2, weights=sample.n)))


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0] if names else "nothing"
