"""Effects through the front door: by way of everything that lies between treatment and outcome."""

from __future__ import annotations

import numpy as np

from bayesight.causal.adjustment import FrontDoor
from bayesight.causal.potential_outcomes import PotentialOutcomes, Slope
from bayesight.causal.regression import least_squares
from bayesight.causal.sample import Sample, as_numbers, moments
from bayesight.checks import check
from bayesight.types import FloatArray

__all__ = ["front_door_outcomes", "front_door_slope"]


def front_door_outcomes(
    sample: Sample, way: FrontDoor, treatment: str, outcome: FloatArray, *, binary: bool
) -> PotentialOutcomes:
    """The front-door formula on discrete treatment and mediators.

        P(y | do(t)) = Σ_m P(m | t) Σ_t' P(y | m, t') P(t')

    (Pearl 2009, theorem 3.3.4); variance from its influence function (Fulcher et al. 2020, Robust inference
    on population indirect causal effects, theorem 1).

    Raises:
        InvalidInput: a mediator value that occurs under some treatments only.
    """
    given = sample.discrete(treatment)
    mediator, values = sample.strata(way.mediators)
    shape = (len(given.levels), len(values))
    cell = given.codes * shape[1] + mediator
    n, mean, _ = (part.reshape(shape) for part in moments(cell, shape[0] * shape[1], sample.n, outcome))
    empty = np.argwhere(n == 0)
    if len(empty):
        t, m = empty[0]
        what = ", ".join(f"{k}={v}" for k, v in zip(way.mediators, values[m], strict=True))
        came = f"{treatment}={given.levels[t]} never comes with {what}"
        check(False, "front door", came, "every mediator value under every treatment", "Use coarser values.")
    p_t = n.sum(axis=1) / n.sum()
    p_m = n / n.sum(axis=1, keepdims=True)
    through = p_t @ mean
    psi = p_m @ through
    ratio = p_m[:, mediator] / p_m[given.codes, mediator]
    influence = ratio * (outcome - mean[given.codes, mediator])
    influence += (
        (given.codes == np.arange(shape[0])[:, None]) / p_t[:, None] * (through[mediator] - psi[:, None])
    )
    influence += p_m @ mean[given.codes].T - psi[:, None]
    covariance = (influence * sample.squares) @ influence.T / sample.total**2
    return PotentialOutcomes(psi, covariance, binary=binary)


def front_door_slope(sample: Sample, way: FrontDoor, treatment: str, outcome: FloatArray) -> Slope:
    """The same with straight lines: treatment to each mediator, times mediator to outcome, added up."""
    t = as_numbers(sample.column(treatment), treatment)
    m = np.column_stack([as_numbers(sample.column(name), name) for name in way.mediators])
    one = np.ones_like(t)
    second = least_squares(np.column_stack([one, t, m]), outcome, sample.n, sample.squares)
    slope, influence = 0.0, np.zeros_like(t)
    for j in range(m.shape[1]):
        first = least_squares(np.column_stack([one, t]), m[:, j], sample.n, sample.squares)
        a, b = first.coefficients[1], second.coefficients[2 + j]
        slope += a * b
        influence += a * second.influence[:, 2 + j] + b * first.influence[:, 1]
    return Slope(float(slope), float(np.sqrt(sample.squares @ influence**2)), second.dof)
