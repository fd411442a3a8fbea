"""The question about an effect, of what on what, on whom, and what counts; and the question made ready.

Made ready, the outcome is numbers, and the treatment levels or a quantity.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bayesight.causal.coding import LevelChoice, reference_of, success_of
from bayesight.causal.orthogonal import Nuisance, outcomes_of
from bayesight.causal.potential_outcomes import Contrast, EffectEstimate, PotentialOutcomes, Slope, answer
from bayesight.causal.regression import design, least_squares
from bayesight.causal.sample import (
    MAX_TREATMENTS,
    Column,
    Discrete,
    Numeric,
    Sample,
    as_numbers,
    centre_and_scale,
)
from bayesight.causal.strata import Strata, standardise, stratify
from bayesight.causal.weighting import (
    WeightingProblem,
)
from bayesight.checks import check
from bayesight.errors import UnknownName, listed, shown
from bayesight.formatting import is_number
from bayesight.language import marked
from bayesight.types import FloatArray

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


@dataclass(frozen=True)
class PreparedQuestion:
    """A question made ready: the outcome as numbers, the treatment's levels."""

    sample: Sample
    question: EffectQuestion
    y: FloatArray
    binary: bool
    levels: tuple[str, ...]
    reference: str
    counted: LevelChoice | None
    notes: tuple[str, ...]
    learners: tuple[str, ...]

    @classmethod
    def of(cls, sample: Sample, question: EffectQuestion, learners: tuple[str, ...]) -> PreparedQuestion:
        """Prepare a question to a table.

        Raises:
            InvalidInput: a constant treatment, a constant outcome, or one that is no number.
            UnknownName: a column or a level that is not there.
        """
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
        told = binary or float(np.ptp(y)) > 0  # of a share that is 0 or 1 there is something to be said
        check(told, question.outcome, "the outcome never varies", "at least two values")
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
        centre, scale = map(float, centre_and_scale(t, self.sample.n))
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
            f"{named_together(names)} determine the treatment",
            "some variation left when they are held fixed",
        )
        fit = least_squares(np.column_stack([held, unit]), self.y, self.sample.n, self.sample.squares)
        return Slope(
            float(fit.coefficients[-1]) / scale, float(np.sqrt(fit.covariance[-1, -1])) / scale, fit.dof
        )

    def answer(self, found: PotentialOutcomes | Slope, method: str) -> EffectEstimate:
        """Means, differences and slope with the intervals that were asked for."""
        return answer(found, method, self.levels, self.reference, self.question.level)

    def answer_on(self, found: Nuisance, effect: str, method: str) -> EffectEstimate:
        """The answer on the rows an effect is about; beyond two treatments, pair by pair."""
        if effect == "ate":
            return self.answer(outcomes_of(found), method)
        return self.by_pairs(lambda k, base: outcomes_of(found.pair(k, base), effect), effect, method)

    def by_pairs(
        self, outcomes: Callable[[int, int], PotentialOutcomes], effect: str, method: str
    ) -> EffectEstimate:
        """Differences of each treatment to the reference, pair by pair; the means too if there is one pair.

        Args:
            outcomes: means, the reference's first, from the numbers of a treatment and of the reference.
            effect: on whom.
            method: in words.
        """
        base, level = self.levels.index(self.reference), self.question.level
        answers = [
            answer(outcomes(k, base), method, (self.reference, name), self.reference, level)
            for k, name in enumerate(self.levels)
            if k != base
        ]
        means = answers[0].means if len(answers) == 1 else {}
        return EffectEstimate(method, means, tuple(c for a in answers for c in a.differences), on=effect)

    def weighting(self, names: Sequence[str]) -> WeightingProblem:
        """Outcome, treatment and the design of what is held fixed, for estimators by weights."""
        given = self.sample.discrete(self.question.treatment)
        x = design(self.sample, names).matrix
        return WeightingProblem(
            x, given.codes, len(given.levels), self.y, self.sample.n, self.sample.squares, self.binary
        )


def as_zero_one(prepared: PreparedQuestion) -> tuple[Sample, str]:
    """The table with a treatment of two levels read as 0 (the reference) and 1, and that column's name."""
    column, name = prepared.sample.column(prepared.question.treatment), prepared.question.treatment
    if isinstance(column, Numeric):
        return prepared.sample, name
    codes = (column.codes != column.levels.index(prepared.reference)).astype(np.int64)
    return prepared.sample.with_column(name, Discrete(codes, ("0", "1"))), name


def as_difference(prepared: PreparedQuestion, line: Slope, method: str) -> EffectEstimate:
    """A slope on a treatment of two levels as their difference; of a quantity as it is."""
    found = answer(line, method, level=prepared.question.level)
    if len(prepared.levels) != 2 or found.slope is None:
        return found
    of = next(level for level in prepared.levels if level != prepared.reference)
    return EffectEstimate(method, differences=(Contrast(of, prepared.reference, found.slope),))


def _as_set(treatment: Column, reference: str) -> Column:
    """The treatment as categories or as a quantity."""
    if isinstance(treatment, Discrete) and not treatment.named and not reference:
        numbers = treatment.numbers
        if numbers is not None and len(numbers) > MAX_TREATMENTS:
            return Numeric(numbers[treatment.codes])
    return treatment


def _outcome(
    sample: Sample, question: EffectQuestion
) -> tuple[FloatArray, bool, LevelChoice | None, tuple[str, ...]]:
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
        counted = LevelChoice(question.success, marked("as was said"))
        return (column.codes == levels.index(question.success)).astype(np.float64), True, counted, ()
    numbers = column.numbers
    if numbers is not None and not (len(levels) == 2 and _is_yes_or_no(numbers)):
        return numbers[column.codes], set(numbers.tolist()) <= {0.0, 1.0}, None, ()
    text = next((level for level in levels if not is_number(level)), "")
    alone = f"never varies: it is {shown(levels[0])} in every row"
    check(len(levels) > 1, name, alone, "at least two values", "Name it (--success) to count it as 1.")
    mend = f"Name the value that counts as 1 (--success): {listed(levels, quoted=True)}."
    check(len(levels) == 2, name, f"holds the text {text!r}", "numbers, or two values", mend)
    counted = success_of(name, levels)
    other = next(level for level in levels if level != counted.value)
    note = marked(
        f"The outcome counts {name}={counted.value} as 1 and {other} as 0 ({counted.because}; "
        f"--success {shlex.quote(other)} turns it round)."
    )
    return (column.codes == levels.index(counted.value)).astype(np.float64), True, counted, (note,)


def _is_yes_or_no(numbers: FloatArray) -> bool:
    """Two numbers that are a code of no and yes, and not 0 and 1 already: 1 and 2, or -1 and 1."""
    return tuple(numbers.tolist()) in {(1.0, 2.0), (-1.0, 1.0)}


def _without_empty(column: Discrete, present: npt.NDArray[np.bool_]) -> Discrete:
    kept = np.flatnonzero(present)
    place = np.zeros(len(column.levels), np.int64)
    place[kept] = np.arange(len(kept))
    return Discrete(place[column.codes], tuple(column.levels[k] for k in kept), column.named)
