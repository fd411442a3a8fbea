"""Attempts to break an answer: a treatment that does nothing, a cause that confounds nothing, fewer rows.

What survives is not proved right; what breaks was wrong (Sharma and Kiciman 2020, DoWhy, section 4).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bayesight.bayes.rates import Estimate
from bayesight.causal.adjustment import Instrument
from bayesight.causal.effect import Effect, estimate, leftovers
from bayesight.causal.graph import Dag
from bayesight.causal.nuisance import LEARNERS
from bayesight.causal.question import EffectQuestion
from bayesight.causal.sample import Discrete, Numeric, Sample, moments, sums
from bayesight.errors import InvalidInput, listed
from bayesight.language import marked
from bayesight.seeding import numpy_generator
from bayesight.types import IntArray

DRAWS = 20
_FEW_DRAWS = 6
"""Draws where trees have to be grown for each."""
_BINS = 10
_MOST_CODES, _ROWS_A_CODE = 100, 20
_MIXED_IN = 0.1
"""Share of a kind of model in the predictions from which attempts use it too."""
_RANDOM = marked("a random common cause")


@dataclass(frozen=True)
class Refutation:
    """One attempt.

    Attributes:
        name: what was tried.
        expected: what should come of it, in words.
        effect: what came of it: the mean over draws, and the range that nineteen of twenty draws lie in.
        passed: whether the answer survived.
    """

    name: str
    expected: str
    effect: Estimate
    passed: bool

    def as_dict(self) -> dict[str, object]:
        """All of it, as a dictionary."""
        return {
            "name": self.name,
            "expected": self.expected,
            "effect": self.effect.as_dict(),
            "passed": self.passed,
        }


def refute(
    sample: Sample, dag: Dag, found: Effect, *, seed: int, draws: int = DRAWS
) -> tuple[Refutation, ...]:
    """Try to break an answer: nothing should come of a treatment drawn at random, nothing change otherwise.

    Where models answered, two attempts look for curves they missed: a pattern that outcome and treatment have
    in common, after prediction, along one of the variables held fixed; and the effect found in the lower and
    the upper half of each of them.

    Args:
        sample: the table the answer came from.
        dag: its graph.
        found: the answer.
        seed: every random choice follows from it.
        draws: how often each attempt is repeated, at most.

    Returns:
        The attempts; none when there is no adjusted answer.
    """
    offered = found.offered
    if offered is None:
        return ()
    question = replace(found.question, effect=offered.on)
    question = question if found.held is None else replace(question, adjust=found.held)
    original = offered.effect
    learners = _used(found)
    if found.models and "trees" in learners:
        draws = min(draws, _FEW_DRAWS)

    def effect_of(table: Sample, graph: Dag = dag, extra: tuple[str, ...] = ()) -> float:
        asked = (
            replace(question, adjust=(*question.adjust, *extra)) if question.adjust is not None else question
        )
        answer = estimate(table, graph, asked, learners=learners).offered
        return answer.effect.mean if answer is not None else np.nan

    def repeat(
        name: str, once: Callable[[np.random.Generator], float], times: int = draws
    ) -> npt.NDArray[np.float64]:
        values = []
        for draw in range(times):
            try:
                values.append(once(numpy_generator(seed, "refute", name, draw)))
            except InvalidInput:  # a draw may leave a stratum empty or the treatment constant
                continue
        return np.array(values)

    attempts = []
    if not isinstance(found.identification, Instrument):
        placebo = repeat("placebo", lambda rng: effect_of(_placebo(sample, question.treatment, rng)))
        error = placebo.std(ddof=1) / np.sqrt(len(placebo)) if len(placebo) > 1 else np.inf
        passed = bool(abs(placebo.mean()) <= 3.5 * error) if len(placebo) > 1 else False
        attempts.append(Refutation(marked("placebo treatment"), marked("no effect"), _range(placebo), passed))
    half = (original.high - original.low) / 2

    def unchanged(name: str, effects: npt.NDArray[np.float64]) -> Refutation:
        same = bool(len(effects)) and abs(float(effects.mean()) - original.mean) <= half
        return Refutation(name, marked("the same effect"), _range(effects), same)

    if found.models:
        codes = [n for n in question.adjust or () if _few_values(sample, n)]
        if codes:
            steps = repeat("steps", lambda rng: effect_of(_as_categories(sample, codes)), 1)
            attempts.append(unchanged(marked(f"{listed(codes)} as categories"), steps))
        attempts += _along(sample, found, half)
        attempts += _halves(sample, dag, question, original, learners)
    if question.adjust is not None:
        wider = replace(
            dag,
            nodes=(*dag.nodes, _RANDOM),
            edges=(*dag.edges, (_RANDOM, question.treatment), (_RANDOM, question.outcome)),
        )
        chance = repeat("cause", lambda rng: effect_of(_split(sample, _RANDOM, rng), wider, (_RANDOM,)))
        attempts.append(unchanged(marked("random common cause"), chance))
    fewer = repeat("subset", lambda rng: effect_of(_thinned(sample, 0.8, rng)))
    attempts.append(unchanged(marked("four rows in five"), fewer))
    return tuple(attempts)


def _used(found: Effect) -> tuple[str, ...]:
    """Kinds of model that had a say in the answer."""
    shares = found.models.values()
    used = [i + 1 for i, name in enumerate(LEARNERS) if any(s[name] >= _MIXED_IN for s in shares)]
    return LEARNERS[: max(used, default=len(LEARNERS))]


def _along(sample: Sample, found: Effect, half: float) -> list[Refutation]:
    """The bias that a pattern common to what is left of outcome and treatment would make, by confounder.

    Residuals are averaged in tenths of each variable; the means' products are what an orthogonal score is
    off by, had the models missed that curve.
    """
    lines = [n for n in found.held or () if isinstance(sample.column(n), Numeric)]
    if not lines or len(found.conditional.means) > 2:
        return []
    rows, outcome, treatment = leftovers(sample, found.question, found.held or (), _used(found))
    size = float(rows.n @ treatment**2)
    bias = []
    for name in lines:
        column = rows.column(name)
        assert isinstance(column, Numeric)
        cuts = np.unique(np.quantile(column.values, np.linspace(0, 1, _BINS + 1)[1:-1]))
        place = np.searchsorted(cuts, column.values)
        (count, y, _), (_, t, _) = (moments(place, _BINS, rows.n, v) for v in (outcome, treatment))
        bias.append(float((count * y * t).sum()) / size)
    worst = max(bias, key=abs)
    name = marked(f"a curve that was missed, worst along {lines[bias.index(worst)]}")
    range_ = Estimate(worst, min(*bias, worst), max(*bias, worst))
    return [Refutation(name, marked("no bias"), range_, abs(worst) <= half)]


def _halves(
    sample: Sample, dag: Dag, question: EffectQuestion, original: Estimate, learners: tuple[str, ...]
) -> list[Refutation]:
    """The effect put together from the lower and the upper half of each confounder."""
    together: dict[str, tuple[float, float]] = {}
    for name in question.adjust or ():
        column = sample.column(name)
        if not isinstance(column, Numeric):
            continue
        upper = column.values > np.median(column.values)
        answers = []
        for rows in (np.flatnonzero(~upper), np.flatnonzero(upper)):
            part = replace(sample.take(rows, sample.n[rows]), squares=sample.squares[rows])
            try:
                answer = estimate(part, dag, question, learners=learners).adjusted
            except InvalidInput:  # a half may lack a treatment
                answer = None
            if answer is not None:
                width = answer.effect.high - answer.effect.low
                weight = part.total if question.effect == "ate" and answer.slope is None else width**-2
                answers.append((weight, answer.effect.mean, width / 2))
        if len(answers) == 2:
            (a, one, r), (b, other, q) = answers
            together[name] = (a * one + b * other) / (a + b), float(np.hypot(a * r, b * q)) / (a + b)
    if not together:
        return []
    worst = max(together, key=lambda name: abs(together[name][0] - original.mean))
    values, reach = np.array([v for v, _ in together.values()]), together[worst][1]
    passed = abs(together[worst][0] - original.mean) <= max(reach, (original.high - original.low) / 2)
    name = marked(f"halves, apart and together, worst for {worst}")
    range_ = Estimate(together[worst][0], float(values.min()), float(values.max()))
    return [Refutation(name, marked("the same effect"), range_, bool(passed))]


def _range(values: npt.NDArray[np.float64]) -> Estimate:
    if not len(values):
        return Estimate(np.nan, np.nan, np.nan)
    low, high = np.quantile(values, [0.025, 0.975])
    return Estimate(float(values.mean()), float(low), float(high))


def _placebo(sample: Sample, treatment: str, rng: np.random.Generator) -> Sample:
    """The table with a treatment drawn at random, as often as the real one."""
    column = sample.column(treatment)
    if isinstance(column, Numeric):
        return sample.with_column(treatment, Numeric(rng.permutation(column.values)))
    p = sums(column.codes, len(column.levels), sample.n) / sample.total
    return _spread_over(sample, treatment, column.levels, p, rng)


def _few_values(sample: Sample, name: str) -> bool:
    """True of a quantity that could be a code: as many rows as make a category of each of its values."""
    column = sample.column(name)
    if not isinstance(column, Numeric):
        return False
    values = len(np.unique(column.values))
    return values <= _MOST_CODES and _ROWS_A_CODE * values <= len(column.values)


def _as_categories(sample: Sample, names: Sequence[str]) -> Sample:
    """The table with a category for each value of some quantities."""
    for name in names:
        column = sample.column(name)
        assert isinstance(column, Numeric)
        different, codes = np.unique(column.values, return_inverse=True)
        categories = Discrete(codes.astype(np.int64), tuple(map(str, range(len(different)))), named=True)
        sample = sample.with_column(name, categories)
    return sample


def _split(sample: Sample, name: str, rng: np.random.Generator) -> Sample:
    """The table with a coin toss as a further column."""
    return _spread_over(sample, name, ("0", "1"), np.array([0.5, 0.5]), rng)


def _spread_over(
    sample: Sample, name: str, levels: tuple[str, ...], p: npt.NDArray[np.float64], rng: np.random.Generator
) -> Sample:
    """The rows that each row stands for, shared out at random among the levels of a column."""
    if bool((sample.n**2 <= sample.squares).all()):
        return sample.with_column(name, Discrete(rng.choice(len(p), len(sample.n), p=p), levels))
    counts = rng.multinomial(_rows(sample), p)
    rows, codes = np.nonzero(counts)
    return _counted(sample, rows, counts[rows, codes]).with_column(name, Discrete(codes, levels))


def _thinned(sample: Sample, share: float, rng: np.random.Generator) -> Sample:
    counts = rng.binomial(_rows(sample), share)
    kept = np.flatnonzero(counts)
    return _counted(sample, kept, counts[kept])


def _rows(sample: Sample) -> IntArray:
    """The number of equal rows that each row stands for: its count, or Kish's effective number."""
    return np.maximum(np.round(sample.n**2 / sample.squares), 1).astype(np.int64)


def _counted(sample: Sample, rows: IntArray, counts: IntArray) -> Sample:
    """Some of the rows that each row stands for."""
    weight = (sample.n / _rows(sample))[rows]
    return replace(sample.take(rows, counts * weight), squares=counts * weight**2)
