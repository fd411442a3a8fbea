"""Effects by an instrument: something that moves the treatment, and the outcome by no other way."""

from __future__ import annotations

import numpy as np

from bayesight.causal.adjustment import Instrument
from bayesight.causal.potential_outcomes import Slope
from bayesight.causal.regression import design, least_squares
from bayesight.causal.sample import Discrete, Sample, as_numbers, effective_rows
from bayesight.checks import check
from bayesight.types import FloatArray

__all__ = ["WEAK", "instrument_slope"]

WEAK = 10.0
"""An instrument whose first-stage F is below this is weak (Staiger and Stock 1997)."""


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
