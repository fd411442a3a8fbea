"""Effects where adjustment will not do: through the front door, and by an instrument.

The front door is everything that lies between treatment and outcome; an instrument moves the treatment, and
the outcome by no other way.
"""

from __future__ import annotations

import numpy as np

from bayesight.causal.adjustment import FrontDoor, Instrument
from bayesight.causal.potential_outcomes import PotentialOutcomes, Slope
from bayesight.causal.regression import design, least_squares
from bayesight.causal.sample import Discrete, Sample, as_numbers, effective_rows, moments
from bayesight.checks import check
from bayesight.types import FloatArray

WEAK = 10.0
"""An instrument whose first-stage F is below this is weak (Staiger and Stock 1997)."""


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


def instrument_slope(
    sample: Sample, way: Instrument, treatment: str, outcome: FloatArray, reference: str = ""
) -> tuple[Slope, float]:
    """Two-stage least squares with robust errors, and the strength of the first stage.

    Args:
        sample: the table.
        way: the instrument and what is held fixed.
        treatment: continuous, or discrete with two levels.
        outcome: (R,).
        reference: the level of a discrete treatment that counts as 0.

    Returns:
        The slope (for two levels: the difference), and the first-stage F (Wooldridge, Econometric Analysis,
        2nd ed., sections 5.2 and 8.3); an F below 10 is weak.

    Raises:
        InvalidInput: a treatment of several levels that are no numbers, or an instrument without any grip.
    """
    t = _dose(sample, treatment, reference)
    held = design(sample, way.given).matrix
    every = design(sample, [*way.given, way.variable]).matrix
    extra = every.shape[1] - held.shape[1]
    check(extra > 0, "instrument", f"{way.variable!r} does not vary", "an instrument that varies")
    stage = least_squares(every, t, sample.n, sample.squares)
    gain = stage.coefficients[held.shape[1] :]
    spread = stage.covariance[held.shape[1] :, held.shape[1] :]
    strength = float(gain @ np.linalg.pinv(spread, hermitian=True) @ gain / extra)
    check(strength > 1e-8, "instrument", f"{way.variable!r} does not move {treatment!r}", "one that does")
    moved = np.column_stack([every @ stage.coefficients, held])
    actual = np.column_stack([t, held])
    inverse = np.linalg.inv(moved.T @ (actual * sample.n[:, None]))
    beta = inverse @ (moved.T @ (sample.n * outcome))
    residual = outcome - actual @ beta
    influence = (moved * residual[:, None]) @ inverse[0]
    rows = effective_rows(sample.n, sample.squares)
    error = float(np.sqrt(sample.squares @ influence**2 * rows / max(rows - actual.shape[1], 1.0)))
    return Slope(float(beta[0]), error, rows - actual.shape[1]), strength


def _dose(sample: Sample, treatment: str, reference: str) -> FloatArray:
    column = sample.column(treatment)
    if isinstance(column, Discrete) and len(column.levels) == 2:
        return np.where(column.codes == column.levels.index(reference), 0.0, 1.0)
    return as_numbers(column, treatment)
