"""The effect of one variable on another from a table and a graph: seeing beside doing.

The conditional answer compares rows as they are; the adjusted answer is what the graph says would happen if
the treatment were set. What cannot be known from the graph and the columns is said, not guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import ndtri

from bayesight.causal.adjusting import by_models, by_slope, by_strata
from bayesight.causal.adjustment import (
    AdjustFor,
    FrontDoor,
    Identification,
    Instrument,
    NotIdentified,
    identify,
    objection,
)
from bayesight.causal.coding import LevelChoice
from bayesight.causal.cross_products import CrossProducts, slope
from bayesight.causal.front_door_iv import WEAK, front_door_outcomes, front_door_slope, instrument_slope
from bayesight.causal.graph import Dag
from bayesight.causal.nuisance import LEARNERS
from bayesight.causal.orthogonal import partial_slope, prepare, unfolded
from bayesight.causal.overlap import Overlap
from bayesight.causal.potential_outcomes import EffectEstimate, answer
from bayesight.causal.question import (
    EffectQuestion,
    PreparedQuestion,
    as_difference,
    as_zero_one,
    named_together,
)
from bayesight.causal.sample import Sample, as_numbers, centre_and_scale
from bayesight.causal.sensitivity import EValue, Reversal, e_value, find_reversal
from bayesight.causal.strata import Strata
from bayesight.checks import check, probability
from bayesight.errors import InvalidInput
from bayesight.language import marked
from bayesight.types import FloatArray


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
    counted: LevelChoice | None = None
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
    prepared = PreparedQuestion.of(sample, question, tuple(learners))
    known = identify(dag, question.treatment, question.outcome, direct=question.direct)
    conditional, _ = prepared.adjust((), marked("as they are"))
    notes: list[str] = list(prepared.notes)
    held = known.variables if isinstance(known, AdjustFor) else None
    if question.adjust is not None:
        held = tuple(sorted(question.adjust))
        notes += _objections(dag, question, held)
    if held is None:
        if not isinstance(known, NotIdentified):
            came = f"{question.effect!r}, and the effect is not found by adjusting"
            check(question.effect == "ate", "effect", came, "'ate'")
        adjusted, more = _otherwise(prepared, known)
        return Effect(
            question,
            known,
            None,
            conditional,
            adjusted,
            notes=(*notes, *more),
            rows=sample.total,
            binary=prepared.binary,
            counted=prepared.counted,
        )
    return _adjusted(prepared, known, held, conditional, notes)


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
    conditional = answer(line, marked("as they are"), level=question.level)
    rows = float(moments.second[0, 0])
    if held is None:
        return Effect(question, known, None, conditional, None, rows=rows)
    names = [n for n in moments.names if n.split("=")[0] in held or n in held]
    line = slope(moments, question.treatment, question.outcome, names)
    adjusted = answer(line, marked("least squares from moments"), level=question.level)
    notes = [
        marked(
            "The table is too large for memory: slopes come from sums, without second opinions. "
            "Whether what is held fixed acts in a straight line cannot be checked there; try a "
            "sample of the rows."
        )
    ]
    notes += _objections(dag, question, held)
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
    prepared = PreparedQuestion.of(sample, question, tuple(learners))
    name = question.treatment
    if prepared.levels:
        found = prepare(
            prepared.sample, name, prepared.y, held, binary=prepared.binary, learners=prepared.learners
        )
        rows = unfolded(prepared.sample)[0]
        own = found.mean[np.arange(len(found.y)), found.treatment]
        return rows, found.y - own, found.treatment - found.p[:, -1]
    t = as_numbers(prepared.sample.column(name), name)
    left = partial_slope(prepared.sample, t, prepared.y, held, prepared.learners)
    rows = unfolded(prepared.sample)[0]
    return rows, left.outcome - left.line.slope * left.treatment, left.treatment


def _objections(dag: Dag, question: EffectQuestion, held: Sequence[str]) -> list[str]:
    """A sentence where holding these variables fixed does not give the effect."""
    wrong = objection(dag, question.treatment, question.outcome, held, direct=question.direct)
    said = marked(f"By this graph, holding {named_together(held)} fixed does not give the effect: {wrong}.")
    return [said] if wrong else []


def _adjusted(
    prepared: PreparedQuestion,
    known: Identification,
    held: tuple[str, ...],
    conditional: EffectEstimate,
    notes: list[str],
) -> Effect:
    """The answer with ``held`` held fixed, second opinions, overlap, reversal and E-value."""
    if not prepared.levels:
        found = by_slope(prepared, held)
    elif prepared.sample.is_discrete(held):
        found = by_strata(prepared, held)
    else:
        found = by_models(prepared, held)
    strength = None
    if found.outcomes is not None and len(prepared.levels) == 2:
        base, z = prepared.levels.index(prepared.reference), ndtri((1 + prepared.question.level) / 2)
        spread = centre_and_scale(prepared.y, prepared.sample.n)[1]
        strength = e_value(found.outcomes, 1 - base, base, float(spread), float(z))
    adjusted = found.adjusted
    reversal = find_reversal(conditional, adjusted, found.strata, held) if adjusted else None
    if reversal and adjusted and all(a.effect.low <= 0 <= a.effect.high for a in (conditional, adjusted)):
        notes.append(marked("Neither of the two is beyond chance: both intervals include no effect."))
    return Effect(
        prepared.question,
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
        prepared.sample.total,
        prepared.binary,
        prepared.counted,
        found.warning,
        found.instead,
        found.models,
    )


def _otherwise(prepared: PreparedQuestion, known: Identification) -> tuple[EffectEstimate | None, list[str]]:
    """Through the front door, by an instrument, or not at all."""
    sample, question = prepared.sample, prepared.question
    if isinstance(known, FrontDoor):
        if prepared.levels and sample.is_discrete(known.mediators):
            outcomes = front_door_outcomes(
                sample, known, question.treatment, prepared.y, binary=prepared.binary
            )
            return prepared.answer(outcomes, marked("front-door formula")), []
        if prepared.levels and len(prepared.levels) > 2:
            raise InvalidInput(
                f"front door: {question.treatment} has {len(prepared.levels)} values and a mediator is "
                "continuous; expected two treatments or discrete mediators. Group the mediator's values."
            )
        coded, name = as_zero_one(prepared)
        line = front_door_slope(coded, known, name, prepared.y)
        return as_difference(prepared, line, marked("front-door formula, straight lines")), []
    if isinstance(known, Instrument):
        line, strength = instrument_slope(sample, known, question.treatment, prepared.y, prepared.reference)
        notes = [marked(f"By an instrument only under an assumption: {known.assumption}.")]
        if strength < WEAK:
            notes.append(
                marked(
                    f"The instrument {known.variable} hardly moves the treatment (first-stage F "
                    f"{strength:.1f}; expected at least {WEAK:g}); its interval is not to be trusted."
                )
            )
        return as_difference(prepared, line, marked("two-stage least squares")), notes
    return None, []
