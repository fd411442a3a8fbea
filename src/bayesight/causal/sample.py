"""A table as the estimators see it: distinct rows, and how many rows of the world each stands for.

A table of discrete variables, however long, is a few distinct rows with counts; a table with continuous ones
is its rows with a count of one each. Every estimator works on both alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bayesight.checks import check
from bayesight.errors import InvalidInput, UnknownName
from bayesight.formatting import is_number
from bayesight.types import FloatArray, IntArray

MAX_LEVELS = 20
"""A column of numbers with more different values than this is continuous."""

MAX_TREATMENTS = 5
"""A treatment of more different numbers than this is a quantity, unless it was said to be none."""


@dataclass(frozen=True)
class Discrete:
    """A column of few different values.

    Attributes:
        codes: index into ``levels`` of each row (R,).
        levels: names of the values, in their order.
        named: whether the values are known to be names, even where they are numbers.
    """

    codes: IntArray
    levels: tuple[str, ...]
    named: bool = False

    @property
    def numbers(self) -> FloatArray | None:
        """The levels as numbers (L,), or None when one of them is none."""
        try:
            return np.array([float(level) for level in self.levels])
        except ValueError:
            return None


@dataclass(frozen=True)
class Numeric:
    """A column of numbers (R,), all finite."""

    values: FloatArray


Column: TypeAlias = Discrete | Numeric


@dataclass(frozen=True)
class Sample:
    """Distinct rows with counts.

    Attributes:
        columns: name to column, all with R rows.
        n: how many rows each stands for (R,), or the sum of their sampling weights.
        squares: sum of the squares of their weights (R,); equal to ``n`` where every row has weight 1.
    """

    columns: Mapping[str, Column]
    n: FloatArray
    squares: FloatArray

    @property
    def total(self) -> float:
        """Rows that the whole table stands for."""
        return float(self.n.sum())

    def column(self, name: str) -> Column:
        """A column by name.

        Raises:
            UnknownName: there is none; the message suggests the nearest.
        """
        if name not in self.columns:
            raise UnknownName("column", name, self.columns)
        return self.columns[name]

    def discrete(self, name: str) -> Discrete:
        """A column that must be discrete."""
        column = self.column(name)
        if not isinstance(column, Discrete):
            raise InvalidInput(
                f"{name}: continuous; expected a variable of few values. Group its values first."
            )
        return column

    def is_discrete(self, names: Iterable[str]) -> bool:
        """True where all these columns are discrete."""
        return all(isinstance(self.column(n), Discrete) for n in names)

    def strata(self, names: Sequence[str]) -> tuple[IntArray, tuple[tuple[str, ...], ...]]:
        """Which combination of values of discrete columns each row has (R,), and the combinations' values."""
        columns = [self.discrete(name) for name in names]
        stratum, member = group_rows([column.codes for column in columns], len(self.n))
        values = [[column.levels[k] for k in column.codes[member].tolist()] for column in columns]
        return stratum, tuple(zip(*values, strict=True)) if values else ((),)

    def with_column(self, name: str, column: Column) -> Sample:
        """The sample with a column added or replaced."""
        return replace(self, columns={**self.columns, name: column})

    def take(self, rows: npt.NDArray[np.int64], n: FloatArray) -> Sample:
        """Chosen rows with new counts, each of weight 1."""
        columns: dict[str, Column] = {
            name: Discrete(c.codes[rows], c.levels) if isinstance(c, Discrete) else Numeric(c.values[rows])
            for name, c in self.columns.items()
        }
        return Sample(columns, n, n)


def sample_of(
    columns: Mapping[str, Sequence[object] | npt.NDArray[np.generic]], counts: npt.ArrayLike | None = None
) -> Sample:
    """A sample from columns in memory.

    Args:
        columns: name to values, all of one length: text, truth values or numbers. Numbers of more than 20
            different values are continuous.
        counts: how many rows each stands for; 1 when left out.

    Raises:
        InvalidInput: no rows, columns of different lengths, a number that is not finite, a negative count.

    Example:
        >>> table = sample_of({"T": ["A", "B"], "Y": [1, 0]}, counts=[81, 6])
        >>> table.column("T").levels, table.total
        (('A', 'B'), 87.0)
    """
    lengths = {name: len(values) for name, values in columns.items()}
    came = ", ".join(f"{k} {v}" for k, v in lengths.items())
    check(len(set(lengths.values())) == 1, "columns", f"lengths {came}", "one length")
    rows = next(iter(lengths.values()))
    check(rows > 0, "table", "no rows", "at least one")
    n = np.ones(rows) if counts is None else np.asarray(counts, np.float64)
    good = n.shape == (rows,) and bool(np.isfinite(n).all() and (n >= 0).all())
    check(good, "counts", "a count missing, negative or not finite", "one count of 0 or more a row")
    return Sample({name: _column(name, np.asarray(values)) for name, values in columns.items()}, n, n)


def as_numbers(column: Column, name: str) -> FloatArray:
    """The column as numbers (R,).

    Raises:
        InvalidInput: a level that is no number.
    """
    if isinstance(column, Numeric):
        return column.values
    numbers = column.numbers
    if numbers is None:
        text = next(level for level in column.levels if not _is_finite(level))
        raise InvalidInput(f"{name}: holds the text {text!r}; expected numbers.")
    return numbers[column.codes]


def group_rows(codes: Sequence[IntArray], rows: int) -> tuple[IntArray, IntArray]:
    """Number the distinct combinations of codes, in their order.

    Args:
        codes: of each column, 0 or more (R,).
        rows: R, which no columns cannot tell.

    Returns:
        The combination of each row (R,), and the last row of each combination (G,).

    Example:
        >>> group, member = group_rows([np.array([1, 0, 1]), np.array([0, 2, 0])], 3)
        >>> group.tolist(), member.tolist()
        ([1, 0, 1], [1, 2])
    """
    group = np.zeros(rows, np.int64)
    for column in codes:
        group = np.unique(group * (int(column.max(initial=0)) + 1) + column, return_inverse=True)[1]
    member = np.zeros(int(group.max(initial=-1)) + 1, np.int64)
    member[group] = np.arange(rows)
    return group, member


def sums(group: IntArray, groups: int, values: FloatArray) -> FloatArray:
    """The sum of the values (R,) of each group (G,)."""
    return np.asarray(np.bincount(group, values, groups), np.float64)


def moments(
    group: IntArray, groups: int, n: FloatArray, y: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The rows, the mean and the sum of squared deviations of each group.

    Args:
        group: of each row, below ``groups`` (R,).
        groups: G.
        n: rows each stands for (R,).
        y: what is averaged (R,).

    Returns:
        Three of (G,); the mean of a group without rows is 0.
    """
    total = sums(group, groups, n)
    mean = np.divide(sums(group, groups, n * y), total, out=np.zeros(groups), where=total > 0)
    return total, mean, sums(group, groups, n * (y - mean[group]) ** 2)


def centre_and_scale(values: FloatArray, n: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The mean and the standard deviation of columns (R,) or (R, D), each row standing for n rows."""
    centre = np.average(values, axis=0, weights=n)
    return centre, np.sqrt(np.average((values - centre) ** 2, axis=0, weights=n))


def effective_rows(n: FloatArray, squares: FloatArray) -> float:
    """Kish's effective number of rows, from their weights and squared weights; without weights, the rows."""
    return float(n.sum() ** 2 / squares.sum())


def level_name(value: object) -> str:
    """The name of a value as a level; 1, 1.0 and "1" are one.

    Example:
        >>> [level_name(v) for v in (1.0, "2.50", True, "yes ")]
        ['1', '2.5', 'true', 'yes']
    """
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return str(int(value))  # beyond 2**53 neighbours would be one as floating-point numbers
    text = str(value).strip()
    if not _is_finite(text):
        return text
    number = float(text)
    return str(int(number)) if number.is_integer() and abs(number) < 2**53 else repr(number)


def level_order(level: str) -> tuple[int, float, str]:
    """Numbers by size, then text by the alphabet."""
    return (0, float(level), level) if _is_finite(level) else (1, 0.0, level)


def _column(name: str, values: npt.NDArray[np.generic]) -> Column:
    if values.dtype.kind in "fiu":
        numbers = values.astype(np.float64)
        check(bool(np.isfinite(numbers).all()), name, "a value that is missing or infinite", "finite numbers")
        if len(np.unique(numbers)) > MAX_LEVELS:
            return Numeric(numbers)
    named = np.array([level_name(v) for v in values.tolist()])
    different, codes = np.unique(named, return_inverse=True)
    levels = sorted(map(str, different), key=level_order)
    at = {level: k for k, level in enumerate(levels)}
    place = np.array([at[str(level)] for level in different])
    return Discrete(place[codes].astype(np.int64), tuple(levels))


def _is_finite(text: str) -> bool:
    return is_number(text) and bool(np.isfinite(float(text)))
