"""Effects found by adjusting: over strata, by what is left of a quantity, or by cross-fitted models."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from bayesight.causal.nuisance import LEARNERS
from bayesight.causal.orthogonal import outcomes_of, partial_slope, prepare
from bayesight.causal.overlap import (
    MOST_WITHOUT,
    Overlap,
    lacking_words,
    model_overlap,
    overlap_notes,
    overlap_of,
)
from bayesight.causal.potential_outcomes import EffectEstimate, PotentialOutcomes
from bayesight.causal.question import PreparedQuestion
from bayesight.causal.sample import as_numbers
from bayesight.causal.strata import Strata, standardise, stratify
from bayesight.causal.weighting import (
    doubly_robust,
    inverse_probability,
    propensity,
    regression_standardised,
)
from bayesight.checks import check
from bayesight.errors import InvalidInput
from bayesight.formatting import percent
from bayesight.language import marked

CROSS_FITTED = marked("doubly robust, cross-fitted")


_INSTEAD = ("overlap", "att", "atc")


_THIN = 10
"""Rows a stratum, on average, below which strata are too thin to stand on their own."""


_MOST_VALUES = 300
"""Values of what is held fixed, in all, beyond which there is no model of main effects."""


_ROWS_A_VALUE = 5
"""Rows that such a model needs for each of these values."""


_FEW = 20
"""Strata of which one that lacks a treatment is a fact to be told, and no accident of thin ice."""


@dataclass(frozen=True)
class Adjustment:
    """The answer of one way of adjusting, with what it rests on."""

    adjusted: EffectEstimate | None
    outcomes: PotentialOutcomes | None = None
    strata: Strata | None = None
    overlap: Overlap | None = None
    others: tuple[EffectEstimate, ...] = ()
    notes: tuple[str, ...] = ()
    instead: tuple[EffectEstimate, ...] = ()
    warning: str = ""
    models: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def by_strata(prepared: PreparedQuestion, held: tuple[str, ...]) -> Adjustment:
    """Standardisation over strata, unless the rows are spread too thinly over them."""
    strata = stratify(prepared.sample, prepared.question.treatment, prepared.y, held, binary=prepared.binary)
    if not held:
        outcomes = standardise(strata)
        return Adjustment(prepared.answer(outcomes, "as they are"), outcomes, strata)
    overlap = overlap_of(strata, prepared.levels)
    values = sum(len(prepared.sample.discrete(name).levels) for name in held)
    few = values <= min(_MOST_VALUES, prepared.sample.total / _ROWS_A_VALUE)
    modelled = len(held) > 1 and few  # one column's strata say all that its model could
    thin = modelled and len(strata.values) > _FEW and prepared.sample.total < _THIN * len(strata.values)
    if thin and overlap.share < 0.9:
        note = marked(
            f"{len(strata.values):,} strata for {prepared.sample.total:,.0f} rows, and {overlap.without:,} "
            "of them lack a treatment: the answer comes from models, not from strata."
        )
        found = by_models(prepared, held)
        return replace(found, strata=strata, notes=(note, *found.notes))
    method = marked("differences within strata") if strata.sampled else marked("standardisation over strata")
    notes, effect = (*filter(None, [strata.words]), *overlap_notes(overlap)), prepared.question.effect
    if effect != "ate":
        adjusted = prepared.by_pairs(
            lambda k, base: standardise(strata.of([base, k]), effect), effect, method
        )
        return Adjustment(adjusted, None, strata, overlap, notes=notes)
    outcomes = standardise(strata)
    adjusted = prepared.answer(outcomes, method)
    opinions = () if strata.sampled else tuple(_opinions(prepared, held, strata, outcomes))
    if overlap.share < 1 - MOST_WITHOUT:
        said = marked(f"Overlap is lacking: {overlap_notes(overlap)[0]}")
        lacking = replace(overlap, lacking=True)
        return Adjustment(adjusted, None, strata, lacking, opinions, notes, warning=said)
    return Adjustment(adjusted, outcomes, strata, overlap, opinions, notes)


def by_slope(prepared: PreparedQuestion, held: tuple[str, ...]) -> Adjustment:
    """The slope of a quantity: what is left of the outcome on what is left of the treatment."""
    name, effect = prepared.question.treatment, prepared.question.effect
    came = f"{effect!r}, and {name} is a quantity that everybody has some of"
    mend = f"Make categories of it (--text {shlex.quote(name)})."
    check(effect in ("ate", "overlap"), "effect", came, "'ate'", mend)
    straight = prepared.line(held)
    if not held:
        return Adjustment(prepared.answer(straight, "as they are"))
    t = as_numbers(prepared.sample.column(name), name)
    found = partial_slope(prepared.sample, t, prepared.y, held, prepared.learners)
    adjusted = prepared.answer(found.line, marked("partially linear, cross-fitted"))
    plain = prepared.answer(straight, marked("least squares, straight lines"))
    notes = (_models_note(found.outcome_models, found.treatment_models), *_disagreement(adjusted, plain))
    models = {"outcome": found.outcome_models, "treatment": found.treatment_models}
    return Adjustment(adjusted, others=(plain,), notes=notes, models=models)


def by_models(prepared: PreparedQuestion, held: tuple[str, ...]) -> Adjustment:
    """From cross-fitted models of outcome and treatment; where overlap is lacking, to other questions."""
    name, asked = prepared.question.treatment, prepared.question.effect
    nuisance = prepare(
        prepared.sample, name, prepared.y, held, binary=prepared.binary, learners=prepared.learners
    )
    overlap = model_overlap(prepared, nuisance, asked)
    answers = {e: prepared.answer_on(nuisance, e, CROSS_FITTED) for e in dict.fromkeys((asked, *_INSTEAD))}
    plain = _main_effects(prepared, held, asked)
    models = {"outcome": nuisance.outcome_models, "treatment": nuisance.treatment_models}
    said = _models_note(nuisance.outcome_models, nuisance.treatment_models)
    if not overlap.lacking:
        notes = (said, *_disagreement(answers[asked], plain[0]))
        outcomes = outcomes_of(nuisance) if asked == "ate" else None
        return Adjustment(answers[asked], outcomes, None, overlap, plain, notes, models=models)
    possible = [e for e in _INSTEAD if e != asked and not model_overlap(prepared, nuisance, e).lacking]
    instead = tuple(answers[e] for e in possible)
    others = (*plain, answers[asked])
    return Adjustment(
        None, None, None, overlap, others, (said,), instead, lacking_words(overlap, asked, instead), models
    )


def _main_effects(
    prepared: PreparedQuestion, held: tuple[str, ...], effect: str
) -> tuple[EffectEstimate, ...]:
    """The same question answered by models in straight lines, the first to be compared with."""
    if effect != "ate":
        name, learners = prepared.question.treatment, LEARNERS[:1]
        found = prepare(prepared.sample, name, prepared.y, held, binary=prepared.binary, learners=learners)
        return (prepared.answer_on(found, effect, marked("doubly robust, main effects")),)
    task = prepared.weighting(held)
    weighted = prepared.answer(
        inverse_probability(task, propensity(task)), marked("inverse probability weighting")
    )
    try:
        return prepared.answer(
            regression_standardised(task), marked("standardisation by regression")
        ), weighted
    except InvalidInput:  # a treatment of fewer rows than there are coefficients
        return (weighted,)


def _models_note(outcome: Mapping[str, float], treatment: Mapping[str, float]) -> str:
    """The models that predicted, with their shares, in a sentence."""

    def mix(share: Mapping[str, float]) -> str:
        return ", ".join(f"{name} {percent(s, 0)}" for name, s in share.items() if s >= 0.005)

    return marked(
        "What is held fixed may bend and interact: each row's outcome was predicted from other rows by "
        f"{mix(outcome)}, its treatment by {mix(treatment)}, mixed by out-of-fold loss."
    )


def _disagreement(adjusted: EffectEstimate, plain: EffectEstimate) -> tuple[str, ...]:
    """A sentence where straight lines give another answer."""
    one, other = adjusted.effect, plain.effect
    if one.low <= other.mean <= one.high or other.low <= one.mean <= other.high:
        return ()
    return (
        marked(
            f"Straight lines ({plain.method}) would say {other.mean:.4g} ({other.low:.4g} to "
            f"{other.high:.4g}): the two disagree, so what is held fixed bends or interacts, and the "
            "answer above allows for it."
        ),
    )


def _opinions(
    prepared: PreparedQuestion, held: Sequence[str], strata: Strata, outcomes: PotentialOutcomes
) -> list[EffectEstimate]:
    """Weighting and doubly robust: by strata one and the same; by a model where strata lack overlap."""
    names = (marked("inverse probability weighting"), marked("doubly robust"))
    if bool(strata.overlap.all()):
        return [prepared.answer(outcomes, marked(f"{name}, probabilities by stratum")) for name in names]
    task = prepared.weighting(held)
    propensities = propensity(task)
    found = (inverse_probability(task, propensities), doubly_robust(task, propensities))
    return [prepared.answer(one, marked(f"{n}, main effects")) for n, one in zip(names, found, strict=True)]
