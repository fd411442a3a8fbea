"""Columns of counts: tables whose every line stands for many rows, such as a cross-classification.

A column is taken for the counts when it is called like one, holds whole numbers of 0 or more, and every other
column (names or numbers of lines apart) has few values whose combinations come once each. Where only its name
speaks for it, it is suggested.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from bayesight.causal.sample import MAX_LEVELS
from bayesight.data.tables import first_rows

__all__ = ["CountsColumn", "find_counts"]

_NAMES = frozenset(
    """
    freq freqs frequency frequencies count counts cnt n nobs n_obs nrow ncases haeufigkeit häufigkeit
    anzahl fréquence effectif effectifs frecuencia 빈도 도수 빈도수 인원 인원수 명수
    """.split()  # noqa: SIM905
)
_PLAIN_NAMES = frozenset(
    ["freq", "frequency", "frequencies", "count", "counts", "häufigkeit", "haeufigkeit", "빈도", "도수"]
)
_LOOK_LINES = 20_000
_WHOLE = re.compile(r"\d+(\.0*)?")


@dataclass(frozen=True)
class CountsColumn:
    """A column that seems to say how many rows each line stands for.

    Attributes:
        name: of the column.
        certain: whether the table bears it out, so that it is taken for the counts.
    """

    name: str
    certain: bool


def find_counts(
    path: str | os.PathLike[str], columns: Sequence[str], used: Collection[str]
) -> CountsColumn | None:
    """Find the column of a table that says how many rows each line stands for.

    Args:
        path: CSV or Parquet.
        columns: of the table.
        used: those that are variables of the question, and are no counts therefore.
    """
    named = [name for name in columns if name.casefold().strip() in _NAMES and name not in used]
    if len(named) != 1:
        return None
    name = named[0]
    values = first_rows(path, columns, _LOOK_LINES + 1)
    counts = values.pop(name)
    whole = all(_WHOLE.fullmatch(value.strip()) for value in counts)
    if not whole or {float(value) for value in counts} <= {0.0, 1.0}:
        return None
    if len(counts) <= _LOOK_LINES and _is_cross_classified(values, len(counts)):
        return CountsColumn(name, True)
    return CountsColumn(name, False) if name.casefold().strip() in _PLAIN_NAMES else None


def _is_cross_classified(values: Mapping[str, Sequence[str]], lines: int) -> bool:
    """Tell lines that differ in two or more columns of few values, numbers of lines apart."""
    kept = [column for column in values.values() if not _names_lines(column)]
    few = all(len(set(column)) <= min(MAX_LEVELS, max(lines - 1, 2)) for column in kept)
    return len(kept) > 1 and few and len(set(zip(*kept, strict=True))) == lines


def _names_lines(column: Sequence[str]) -> bool:
    """Tell a column that numbers the lines, from 0 or from 1."""
    return any(all(value == str(k) for k, value in enumerate(column, first)) for first in (0, 1))
