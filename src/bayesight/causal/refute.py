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
from bayesight.causal.effect import Effect, estimate
from bayesight.causal.graph import Dag
from bayesight.causal.sample import Discrete, Numeric, Sample
from bayesight.errors import InvalidInput, listed
from bayesight.seeding import numpy_generator
from bayesight.types import IntArray

__all__ = ["Refutation", "refute"]

DRAWS = 20
STEPS, MOST_STEPS = 20, 100
_RANDOM = "a random common cause"


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
    """Try to break an answer in four ways.

    Args:
        sample: the table the answer came from.
        dag: its graph.
        found: the answer.
        seed: every random choice follows from it.
        draws: how often each attempt is repeated.

    Returns:
        The attempts; none when there is no adjusted answer.
    """
    if found.adjusted is None:
        return ()
    question = found.question if found.held is None else replace(found.question, adjust=found.held)
    original = found.adjusted.effect

    def effect_of(table: Sample, graph: Dag = dag, extra: tuple[str, ...] = ()) -> float:
        asked = (
            replace(question, adjust=(*question.adjust, *extra)) if question.adjust is not None else question
        )
        answer = estimate(table, graph, asked).adjusted
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
        attempts.append(Refutation("placebo treatment", "no effect", _range(placebo), passed))
    half = (original.high - original.low) / 2
    lines = [n for n in question.adjust or () if isinstance(sample.column(n), Numeric)]
    if lines:
        steps = repeat("steps", lambda rng: effect_of(_in_steps(sample, lines)), 1)
        same = bool(len(steps)) and abs(float(steps.mean()) - original.mean) <= half
        name = f"{listed(lines)} as categories instead of a straight line"
        attempts.append(Refutation(name, "the same effect", _range(steps), same))
    if question.adjust is not None:
        wider = replace(
            dag,
            nodes=(*dag.nodes, _RANDOM),
            edges=(*dag.edges, (_RANDOM, question.treatment), (_RANDOM, question.outcome)),
        )
        chance = repeat("cause", lambda rng: effect_of(_split(sample, _RANDOM, rng), wider, (_RANDOM,)))
        same = bool(len(chance)) and abs(float(chance.mean()) - original.mean) <= half
        attempts.append(Refutation("random common cause", "the same effect", _range(chance), same))
    fewer = repeat("subset", lambda rng: effect_of(_thinned(sample, 0.8, rng)))
    same = bool(len(fewer)) and abs(float(fewer.mean()) - original.mean) <= half
    attempts.append(Refutation("four rows in five", "the same effect", _range(fewer), same))
    return tuple(attempts)


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
    p = np.bincount(column.codes, sample.n, minlength=len(column.levels)) / sample.total
    return _spread_over(sample, treatment, column.levels, p, rng)


def _in_steps(sample: Sample, names: Sequence[str]) -> Sample:
    """The table with quantities as categories: of each value where they are few, of twentieths otherwise."""
    for name in names:
        column = sample.column(name)
        assert isinstance(column, Numeric)
        different, codes = np.unique(column.values, return_inverse=True)
        if len(different) > MOST_STEPS:
            cuts = np.unique(np.quantile(column.values, np.linspace(0, 1, STEPS + 1)[1:-1]))
            codes = np.searchsorted(cuts, column.values, side="left")
            different, codes = np.unique(codes, return_inverse=True)
        sample = sample.with_column(
            name, Discrete(codes.astype(np.int64), tuple(map(str, range(len(different)))))
        )
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
