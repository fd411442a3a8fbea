"""A slope and its error from sums alone, for tables that no memory holds.

Least squares needs the second moments of the variables; its robust error needs the fourth, for

    Σ e² x x'   with   e = y - x'b   is a sum of products of four variables with known coefficients

(White 1980). Both are added up batch by batch, in any order, and parts of a table can be merged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bayesight.causal.potential_outcomes import Slope
from bayesight.causal.sample import Discrete, Numeric, Sample, as_numbers
from bayesight.checks import check
from bayesight.types import FloatArray, IntArray

MOST = 24
"""Variables and dummies at most: the table of fourth moments has the fourth power of their number."""


@dataclass(frozen=True)
class CrossProducts:
    """Sums over rows of products of (1, variables), each variable shifted and scaled for accuracy.

    Attributes:
        names: the variables, a discrete one as many 0/1 columns (P - 1,).
        centre: subtracted from them (P - 1,).
        scale: they are divided by it (P - 1,).
        second: Σ n v v' (P, P).
        fourth: Σ squares u u', with u the products of all pairs of v (Q, Q).
        squares: Σ of squared weights.
    """

    names: tuple[str, ...]
    centre: FloatArray
    scale: FloatArray
    second: FloatArray
    fourth: FloatArray
    squares: float


def begin(sample: Sample, names: Sequence[str]) -> CrossProducts:
    """Empty sums, shifted and scaled as the first part of a table suggests.

    Raises:
        InvalidInput: more than 23 variables and dummies.
    """
    labels, values = _columns(sample, names)
    size = len(labels) + 1
    came = f"{size - 1} variables and dummies"
    check(
        size <= MOST, "streamed regression", came, f"at most {MOST - 1}", "Hold fewer or coarser ones fixed."
    )
    spread = values.std(axis=0)
    pairs = size * (size + 1) // 2
    return CrossProducts(
        labels, values.mean(axis=0), np.where(spread > 0, spread, 1.0), np.zeros((size, size)),
        np.zeros((pairs, pairs)), 0.0,
    )  # fmt: skip


def add(moments: CrossProducts, sample: Sample, names: Sequence[str]) -> CrossProducts:
    """Take a part of the table in."""
    _, values = _columns(sample, names)
    v = np.column_stack([np.ones(len(values)), (values - moments.centre) / moments.scale])
    first, second = _pairs(v.shape[1])
    u = v[:, first] * v[:, second]
    return replace(
        moments,
        second=moments.second + v.T @ (v * sample.n[:, None]),
        fourth=moments.fourth + u.T @ (u * sample.squares[:, None]),
        squares=moments.squares + float(sample.squares.sum()),
    )


def slope(moments: CrossProducts, treatment: str, outcome: str, held: Sequence[str] = ()) -> Slope:
    """Slope of the outcome on the treatment with others held fixed, with its robust error.

    Args:
        moments: sums over the whole table.
        treatment: a variable.
        outcome: another.
        held: names as in ``moments.names``; those that others determine do no harm.

    Raises:
        InvalidInput: what is held fixed determines the treatment.

    Example:
        >>> from bayesight.causal import sample_of
        >>> t = np.arange(50.0)
        >>> table = sample_of({"t": t, "y": 2 * t + (-1) ** t})
        >>> line = slope(add(begin(table, ["t", "y"]), table, ["t", "y"]), "t", "y")
        >>> round(line.slope, 2), round(line.error, 3)
        (2.0, 0.01)
    """
    at = {name: i + 1 for i, name in enumerate(moments.names)}
    x = [0, *(at[name] for name in held), at[treatment]]
    y = at[outcome]
    gram = moments.second[np.ix_(x, x)]
    inverse = np.linalg.pinv(gram, rcond=1e-12, hermitian=True)
    others = np.linalg.pinv(gram[:-1, :-1], rcond=1e-12, hermitian=True)
    left = gram[-1, -1] - gram[-1, :-1] @ others @ gram[:-1, -1]
    came = f"{', '.join(held) or 'nothing'} determine the treatment"
    check(left > 1e-9 * gram[-1, -1], treatment, came, "some variation left when they are held fixed")
    beta = inverse @ moments.second[x, y]
    residual = np.zeros(len(moments.second))
    residual[x], residual[y] = -beta, 1.0
    first, second = _pairs(len(residual))
    # e² as a sum over pairs of variables: each pair of different ones comes twice.
    weight = residual[first] * residual[second] * np.where(first == second, 1.0, 2.0)
    place = np.zeros((len(residual), len(residual)), np.int64)
    place[first, second] = place[second, first] = np.arange(len(first))
    meat = (weight @ moments.fourth)[place[np.ix_(x, x)]]
    rows = float(moments.second[0, 0]) ** 2 / moments.squares
    dof = rows - len(x)
    variance = (inverse @ meat @ inverse)[-1, -1] * rows / max(dof, 1.0)
    unit = moments.scale[y - 1] / moments.scale[x[-1] - 1]
    return Slope(float(beta[-1] * unit), float(np.sqrt(max(variance, 0.0)) * unit), dof)


def _columns(sample: Sample, names: Sequence[str]) -> tuple[tuple[str, ...], FloatArray]:
    """Continuous columns as they are, the first two by number whatever they are, others as dummies."""
    labels: list[str] = []
    values: list[npt.NDArray[np.float64]] = []
    for i, name in enumerate(names):
        column = sample.column(name)
        if isinstance(column, Numeric) or (
            i < 2 and isinstance(column, Discrete) and column.numbers is not None
        ):
            labels.append(name)
            values.append(as_numbers(column, name))
        else:
            labels += [f"{name}={level}" for level in column.levels[1:]]
            values += [(column.codes == k).astype(np.float64) for k in range(1, len(column.levels))]
    return tuple(labels), np.column_stack(values)


def _pairs(size: int) -> tuple[IntArray, IntArray]:
    first, second = np.triu_indices(size)
    return first.astype(np.int64), second.astype(np.int64)
