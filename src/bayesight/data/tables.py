"""Tables of variables: CSV and Parquet, read in batches and reduced while they are read.

A table of discrete variables is a few distinct rows with counts, however long the file; where only the
outcome is continuous, every cell keeps its first two moments. Both need memory for the cells alone. Further
continuous variables need their rows, and what that takes is said before it is tried.
"""

from __future__ import annotations

import codecs
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bayesight.causal.sample import Column, Discrete, Numeric, Sample, level_name, level_order
from bayesight.checks import check, existing_path
from bayesight.data.dialect import Dialect, find_dialect, uneven_line
from bayesight.data.levels import MAX_CATEGORIES, MAX_SETS, Kind, Role, is_number, kind_of, levels_of
from bayesight.errors import InvalidInput, SourceUnreadable, UnknownName, shown
from bayesight.types import FloatArray, IntArray, Progress

if TYPE_CHECKING:
    Batch: TypeAlias = dict[str, pa.Array[Any]]

__all__ = [
    "MISSING",
    "ReadOptions",
    "TableRead",
    "TooLarge",
    "column_names",
    "first_rows",
    "read_parts",
    "read_sample",
]

MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "<NA>", "#N/A")
"""Text that stands for a missing value."""

MAX_NAMES = 1000
"""A column of text with more different values than this is no variable of categories."""

MEMORY_BYTES = 1 << 30
"""Rows with continuous variables are held up to this size; working on them takes several times as much."""

_BLOCK_BYTES = 4 << 20
_LOOK_ROWS = 200_000
_COMMA = r"^\s*([-+]?\d+),(\d+)\s*$"
_GROUPED = r"^\s*([-+]?\d{1,3})\.(\d{3})(?:\.(\d{3}))?(?:\.(\d{3}))?(,\d+)\s*$"
_DENSE = 1 << 20
_PARQUET_ROWS = 1 << 18
_PARQUET = (".parquet", ".pq")
_NO_TABLES = {
    b"PK\x03\x04": "an Excel workbook or another zip",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b'{"': "JSON",
    b'[{"': "JSON",
    b"ARROW1": "an Arrow file",
}


@dataclass(frozen=True)
class ReadOptions:
    """The way a table is read.

    Attributes:
        columns: the variables that are needed.
        outcome: of these, the one whose moments suffice; may be empty.
        counts: a column that says how many rows each stands for; may be empty.
        weights: a column of sampling weights; may be empty.
        numeric: columns that are continuous whatever their values.
        text: columns whose values are names even where they look like numbers.
        drop_missing: leave rows with a missing value out instead of refusing them.
        held: columns that are held fixed: numbers that are names are categories there.
        treatment: of the columns, the one that is set; may be empty.
        compared: whether a value of the treatment was named that the others are compared with.
    """

    columns: tuple[str, ...]
    outcome: str = ""
    counts: str = ""
    weights: str = ""
    numeric: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    drop_missing: bool = False
    held: tuple[str, ...] = ()
    treatment: str = ""
    compared: bool = False

    @property
    def alone(self) -> str:
        """The column that is held fixed where nothing else is; empty otherwise."""
        return self.held[0] if len(self.held) == 1 and self.treatment else ""

    def role(self, name: str) -> Role:
        """The role of a column."""
        return "treatment" if name == self.treatment else "held" if name in self.held else "outcome"

    @property
    def every(self) -> tuple[str, ...]:
        """All columns that have to be read."""
        extra = (self.counts, self.weights)
        return tuple(dict.fromkeys([*self.columns, *(name for name in extra if name)]))


@dataclass(frozen=True)
class TableRead:
    """A table, reduced.

    Attributes:
        sample: distinct rows with counts, or rows.
        rows: lines read.
        dropped: lines left out for a missing value.
        missing: column to how many values are missing.
        kinds: column to the kind of variable it was taken for.
        notes: rows that were left out, and spellings that are one.
    """

    sample: Sample
    rows: int
    dropped: int
    missing: dict[str, int]
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def column_names(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """The names of a table's columns.

    Raises:
        SourceNotFound: there is no such file.
        SourceUnreadable: it is no CSV or Parquet table, or a name comes twice.
    """
    return _Table.of(existing_path(path)).names


def first_rows(path: str | os.PathLike[str], columns: Sequence[str], most: int) -> dict[str, list[str]]:
    """The values of the first lines of a table, as text; empty where one is missing.

    Args:
        path: as for ``read_sample``.
        columns: which.
        most: lines at most.
    """
    found: dict[str, list[str]] = {name: [] for name in columns}
    for batch in _Table.of(existing_path(path)).batches(columns):
        for name, values in batch.items():
            left = values.slice(0, most - len(found[name])).to_pylist()
            found[name] += ["" if v is None else level_name(v) for v in left]
        if len(found[columns[0]]) >= most:
            break
    return found


def read_sample(
    path: str | os.PathLike[str], options: ReadOptions, progress: Progress | None = None
) -> TableRead:
    """Read a table's columns, reduced as far as they can be.

    Args:
        path: CSV (comma, semicolon or tab; also compressed) or Parquet.
        options: which columns, and how.
        progress: called with (lines read, None).

    Raises:
        SourceNotFound: there is no such file.
        SourceUnreadable: it is no table, or it has no rows.
        UnknownName: a column that is not there; the message suggests the nearest.
        InvalidInput: missing values without ``drop_missing``, text where numbers belong, too many categories,
            counts or weights that are none, rows that do not fit into memory.
    """
    source = existing_path(path)
    table = _Table.of(source)
    for name in (*options.every, *options.numeric, *options.text):
        if name not in table.names:
            raise UnknownName("column", name, table.names)
    kinds = _kinds(table, options)
    numeric = {name for name, kind in kinds.items() if kind.line}
    while True:
        sets = "" if options.treatment in numeric else options.alone
        reading = _Reading(source, options, frozenset(numeric), sets)
        try:
            for batch in table.batches(options.every):
                reading.take(batch)
                if progress is not None:
                    progress(reading.rows, None)
            read = reading.result()
        except _ManyValues as found:  # the column is continuous after all: begin again, knowing that
            numeric.add(found.column)
            continue
        gaps = ", ".join(f"{count:,} of {name}" for name, count in read.missing.items())
        said = [f"{read.dropped:,} of {read.rows:,} rows left out: missing {gaps}"] if read.dropped else []
        late = {
            n: Kind(line=True, because="more different numbers than categories can hold") for n in numeric
        }
        kinds = {n: k if k.line == (n in numeric) else late[n] for n, k in kinds.items()}
        return replace(read, kinds=kinds, notes=(*said, *read.notes))


class TooLarge(InvalidInput):
    """Rows with continuous variables that do not fit into memory.

    Args:
        message: the sentence.
        numeric: the continuous columns.
    """

    def __init__(self, message: str, numeric: tuple[str, ...]) -> None:
        super().__init__(message)
        self.numeric = numeric


class _ManyValues(Exception):
    def __init__(self, column: str) -> None:
        self.column = column


class _Reading:
    """The state of one pass over a table."""

    def __init__(self, source: Path, options: ReadOptions, numeric: frozenset[str], sets: str = "") -> None:
        self.source, self.options, self.sets = source, options, sets
        self.numeric = [n for n in options.columns if n in numeric]
        self.discrete = [n for n in options.columns if n not in numeric]
        self.cells_suffice = set(self.numeric) <= {options.outcome}
        self.codes: dict[str, dict[str, int]] = {n: {} for n in self.discrete}
        self.first_row: dict[str, dict[str, int]] = {n: {} for n in self.discrete}
        self.cells: dict[tuple[int, ...], FloatArray] = {}
        self.parts: list[dict[str, npt.NDArray[Any]]] = []
        self.bytes, self.most_bytes = 0, float(MEMORY_BYTES)
        self.rows = self.kept = 0
        self.missing: Counter[str] = Counter()
        self.notes: list[str] = []

    def take(self, batch: Batch) -> None:
        """Take a batch of lines in."""
        lines = len(next(iter(batch.values())))
        gone = np.zeros(lines, bool)
        batch = {
            n: values if n in self.numeric else _encoded(values, self._most_names(n))
            for n, values in batch.items()
        }
        for name, values in batch.items():
            absent = _is_missing(values, blank_only=name in self.options.text)
            self.missing[name] += int(absent.sum())
            gone |= absent
        if gone.any() and self.options.drop_missing:
            keep = pa.array(~gone)
            batch = {name: values.filter(keep) for name, values in batch.items()}
        start, self.rows = self.rows, self.rows + lines
        if gone.any() and not self.options.drop_missing:
            return  # counted to the end, then refused
        left = np.flatnonzero(~gone)
        self.kept += len(left)
        if not len(left):
            return
        weight, square = self._weights(batch, start + left)
        chosen = weight > 0
        codes = {n: self._codes(n, batch[n], start + left)[chosen] for n in self.discrete}
        numbers = {n: self._numbers(n, batch[n], start + left)[chosen] for n in self.numeric}
        add = self._add_cells if self.cells_suffice else self._add_rows
        add(codes, numbers, weight[chosen], square[chosen])

    def part(self) -> Sample:
        """The rows taken in since the last part, which are then let go."""
        sample = self._from_rows()
        self.parts, self.bytes = [], 0
        return sample

    def result(self) -> TableRead:
        """The rows read."""
        self.refuse_missing()
        if not self.cells and not self.parts:
            raise SourceUnreadable(f"{self.source}: no rows; expected at least one below the header.")
        sample = self._from_cells() if self.cells_suffice else self._from_rows()
        missing, notes = dict(+self.missing), tuple(self.notes)
        return TableRead(sample, self.rows, self.rows - self.kept, missing, notes=notes)

    def refuse_missing(self) -> None:
        """Refuse what is missing, unless such rows are to be left out."""
        missing = +self.missing
        if missing and not self.options.drop_missing:
            said = ", ".join(f"{c:,} in {n}" for n, c in missing.items())
            raise InvalidInput(
                f"{self.source.name}: missing values ({said} of {self.rows:,} rows); expected none. "
                "Blanks, NA, NaN, null and their like are missing. "
                "Leave those rows out with --drop-missing, if they are missing by chance."
            )

    def _weights(self, batch: Batch, lines: IntArray) -> tuple[FloatArray, FloatArray]:
        one = np.ones(len(lines))
        if self.options.counts:
            n = self._numbers(self.options.counts, batch[self.options.counts], lines)
            whole = bool((n >= 0).all() and (n == n.round()).all())
            mend = "Sampling weights go to --weights."
            check(whole, self.options.counts, "a count below 0 or not whole", "whole numbers of rows", mend)
            return n, n
        if self.options.weights:
            w = self._numbers(self.options.weights, batch[self.options.weights], lines)
            check(bool((w >= 0).all()), self.options.weights, "a weight below 0", "weights of 0 or more")
            return w, w**2
        return one, one

    def _codes(self, name: str, values: pa.Array[Any], lines: IntArray) -> IntArray:
        """Codes of the texts of a discrete column, new ones added as they come."""
        if not pa.types.is_dictionary(values.type):
            raise self._too_many(name)
        encoded: Any = values
        codes = _indices(encoded)
        used, rows = np.unique(codes, return_index=True)
        first = dict(zip(used.tolist(), lines[rows].tolist(), strict=True))
        known, place = self.codes[name], []
        for i, value in enumerate(encoded.dictionary.to_pylist()):
            text = value.strip() if isinstance(value, str) else level_name(value)
            if text not in known and i in first:  # what was missing is in the dictionary too
                known[text] = len(known)
                self.first_row[name][text] = int(first[i])
            place.append(known.get(text, -1))
        if len(known) > self._most_names(name):
            raise self._too_many(name)
        many = len(known) > MAX_CATEGORIES and name not in (*self.options.text, self.sets)
        if many and _mostly_numbers(known):
            raise _ManyValues(name)
        return np.asarray(np.array(place, np.int64)[codes])

    def _most_names(self, name: str) -> int:
        return MAX_SETS if name == self.sets else MAX_NAMES

    def _too_many(self, name: str) -> Exception:
        if name not in self.options.text:
            return _ManyValues(name)
        most = self._most_names(name)
        return InvalidInput(f"{name}: more than {most:,} different values; expected few categories.")

    def _numbers(self, name: str, values: pa.Array[Any], lines: IntArray) -> FloatArray:
        """A column as finite numbers; text among them is named with its row."""
        if pa.types.is_dictionary(values.type):
            values = cast("Any", values).dictionary_decode()
        try:
            trimmed = pc.utf8_trim_whitespace(values) if pa.types.is_string(values.type) else values
            numbers = np.asarray(pc.cast(trimmed, pa.float64()).to_numpy(zero_copy_only=False), np.float64)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            for line, value in zip(lines.tolist(), values.to_pylist(), strict=True):
                try:
                    float(cast("Any", value))
                except (TypeError, ValueError):
                    raise InvalidInput(
                        f"{name}: {value!r} in row {line + 1:,}; expected a number. "
                        "If its values are names, they must be few (at most 1,000; --text NAME)."
                    ) from None
            raise
        if not np.isfinite(numbers).all():
            line = int(lines[np.flatnonzero(~np.isfinite(numbers))[0]])
            raise InvalidInput(f"{name}: a value in row {line + 1:,} is not finite; expected finite numbers.")
        return numbers

    def _add_cells(
        self, codes: dict[str, IntArray], values: dict[str, FloatArray], n: FloatArray, squares: FloatArray
    ) -> None:
        """Counts, and for a continuous outcome its first two moments, by cell."""
        key, different = _joint([codes[name] for name in self.discrete], len(n))
        size = len(different)
        y = next(iter(values.values())) if values else np.zeros(len(n))
        total = np.bincount(key, n, minlength=size)
        mean = np.divide(np.bincount(key, n * y, minlength=size), total, out=np.zeros(size), where=total > 0)
        spread = np.bincount(key, n * (y - mean[key]) ** 2, minlength=size)
        square = np.bincount(key, squares, minlength=size)
        for cell, sums in zip(different, np.column_stack([total, square, mean, spread]), strict=True):
            before = self.cells.get(cell)
            self.cells[cell] = sums if before is None else _merged(before, sums)

    def _add_rows(
        self, codes: dict[str, IntArray], values: dict[str, FloatArray], n: FloatArray, squares: FloatArray
    ) -> None:
        part: dict[str, npt.NDArray[Any]] = {name: c.astype(np.int16) for name, c in codes.items()}
        part |= values | {"\0n": n, "\0squares": squares}
        self.bytes += sum(a.nbytes for a in part.values())
        if self.bytes > self.most_bytes:
            size, most = self.bytes / 2**30, self.most_bytes / 2**30
            raise TooLarge(
                f"{self.source.name}: {', '.join(self.numeric)} are continuous, and the first {self.kept:,} "
                f"rows take {size:.0f} GiB of memory; expected at most {most:.0f}. "
                "Group their values into a few levels, or take a sample of the rows.",
                tuple(self.numeric),
            )
        self.parts.append(part)

    def _from_cells(self) -> Sample:
        cells = np.array(list(self.cells), np.int64).reshape(len(self.cells), len(self.discrete))
        sums = np.array(list(self.cells.values()))
        n, squares, y = sums[:, 0], sums[:, 1], sums[:, 2]
        if self.numeric:
            cell, share, y = _two_points(n, y, sums[:, 3])
            cells, n, squares = cells[cell], n[cell] * share, squares[cell] * share
        columns: dict[str, Column] = {
            name: self._discrete(name, cells[:, j], n) for j, name in enumerate(self.discrete)
        }
        columns |= {name: Numeric(y) for name in self.numeric}
        return Sample({name: columns[name] for name in self.options.columns}, n, squares)

    def _from_rows(self) -> Sample:
        def join(name: str) -> npt.NDArray[Any]:
            return np.concatenate([part[name] for part in self.parts])

        columns: dict[str, Column] = {
            name: self._discrete(name, join(name).astype(np.int64), join("\0n"))
            if name in self.codes
            else Numeric(join(name))
            for name in self.options.columns
        }
        return Sample(columns, join("\0n"), join("\0squares"))

    def _discrete(self, name: str, codes: IntArray, n: FloatArray) -> Column:
        """The column with its levels in order; numbers and text mixed are refused."""
        found, as_text = self.codes[name], name in self.options.text
        numbers = [text for text in found if is_number(text)]
        words = [text for text in found if not is_number(text)]
        if numbers and words and not as_text:
            word = min(words, key=lambda text: self.first_row[name][text])
            raise InvalidInput(
                f"{name}: the text {shown(word)} in row {self.first_row[name][word] + 1:,} among numbers; "
                f"expected numbers. If its values are names, say --text {name}."
            )
        counts = np.bincount(codes, n, minlength=len(found)).tolist()
        named, note = levels_of(name, dict(zip(found, counts, strict=True)), text=as_text)
        if note and note not in self.notes:
            self.notes.append(note)
        levels = sorted(set(named.values()), key=level_order)
        at = {level: place for place, level in enumerate(levels)}
        place = np.array([at[named[text]] for text in found], np.int64)
        return Discrete(place[codes], tuple(levels), as_text or name == self.options.treatment)


def _two_points(
    n: FloatArray, mean: FloatArray, spread: FloatArray
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Rows with the count, mean and variance of each cell: which cell, its share of the count, the value.

    Two for a cell, with whole counts where its own is whole, so that they can be shared out as rows are; one
    where it is a single row.
    """
    below = np.where(n == n.round(), np.floor(n / 2), n / 2) / n
    above = 1 - below
    s = np.sqrt(spread / n)
    apart = np.sqrt(above / np.where(below > 0, below, 1.0))
    values = np.column_stack([mean - s * apart, mean + s * np.sqrt(below / above)])
    shares = np.column_stack([below, above])
    cell, side = np.nonzero(shares > 0)
    return cell, shares[cell, side], values[cell, side]


def _merged(one: FloatArray, other: FloatArray) -> FloatArray:
    """Count, squares, mean and sum of squares of two parts together (Chan et al. 1979)."""
    total = one[0] + other[0]
    gap = other[2] - one[2]
    mean = one[2] + gap * (other[0] / total if total else 0.0)
    spread = one[3] + other[3] + gap**2 * (one[0] * other[0] / total if total else 0.0)
    return np.array([total, one[1] + other[1], mean, spread])


def _joint(codes: Sequence[IntArray], rows: int) -> tuple[IntArray, list[tuple[int, ...]]]:
    """Which combination each row has, and the combinations."""
    key, bases, size = np.zeros(rows, np.int64), [int(c.max()) + 1 for c in codes], 1
    for column, base in zip(codes, bases, strict=True):
        size *= base
        if size > 1 << 62:
            raise InvalidInput(
                f"the columns have {size:,} combinations of values; expected fewer. Hold fewer of them fixed."
            )
        key = key * base + column
    if size <= _DENSE:  # counting is faster than sorting
        there = np.flatnonzero(np.bincount(key, minlength=size))
        place = np.zeros(size, np.int64)
        place[there] = np.arange(len(there))
        key = place[key]
    else:
        there, key = np.unique(key, return_inverse=True)
    digits = []
    for base in reversed(bases):
        there, digit = np.divmod(there, base)
        digits.append(digit.tolist())
    return key, list(zip(*reversed(digits), strict=True)) if digits else [()]


def _encoded(values: pa.Array[Any], most: int) -> pa.Array[Any]:
    """Codes into a dictionary, where there are few different values; otherwise the values themselves."""
    encoded: Any = values.dictionary_encode()
    return encoded if len(encoded.dictionary) <= most else values


def _indices(encoded: Any) -> IntArray:
    """The codes of a dictionary-encoded array, -1 where there is no value."""
    return np.asarray(pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False), np.int64)


def _is_missing(values: pa.Array[Any], *, blank_only: bool) -> npt.NDArray[np.bool_]:
    if pa.types.is_dictionary(values.type):
        encoded = cast("Any", values)
        return np.append(_is_missing(encoded.dictionary, blank_only=blank_only), True)[_indices(encoded)]
    absent = pc.is_null(values, nan_is_null=True)
    if pa.types.is_string(values.type):
        trimmed = pc.utf8_trim_whitespace(values)
        blank = pa.array(MISSING[:1] if blank_only else MISSING)
        absent = pc.or_(absent, pc.is_in(trimmed, value_set=blank))
    return np.asarray(absent.to_numpy(zero_copy_only=False), bool)


@dataclass(frozen=True)
class _Table:
    """A file, its columns and how it is written; CSV has a dialect, Parquet has none."""

    source: Path
    names: tuple[str, ...]
    dialect: Dialect | None

    @classmethod
    def of(cls, source: Path) -> _Table:
        """Look at the beginning of a file.

        Raises:
            SourceUnreadable: it is no CSV or Parquet table, or a name comes twice.
        """
        try:
            if not _is_parquet(source):
                dialect = find_dialect(source)
                return cls(source, dialect.names, dialect)
            import pyarrow.parquet as pq

            names = tuple(map(str, pq.ParquetFile(source).schema_arrow.names))
        except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:
            raise _unreadable(source, error) from error
        twice = [name for name, n in Counter(names).items() if n > 1]
        if twice:
            raise SourceUnreadable(
                f"{source}: the column {twice[0]!r} comes twice; expected every name once."
            )
        return cls(source, names, None)

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """The columns of the table, in parts; CSV as text, Parquet as it is typed.

        Raises:
            SourceUnreadable: what is there is no table.
        """
        try:
            yield from self._csv(columns) if self.dialect else self._parquet(columns)
        except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:
            uneven = uneven_line(self.source, self.dialect) if self.dialect else ""
            if uneven:
                raise SourceUnreadable(f"{self.source}: {uneven}.") from error
            raise _unreadable(self.source, error) from error

    def _parquet(self, columns: Sequence[str]) -> Iterator[Batch]:
        import pyarrow.parquet as pq

        with pq.ParquetFile(self.source) as file:
            for batch in file.iter_batches(_PARQUET_ROWS, columns=list(columns)):
                yield {n: _plain(n, batch.column(batch.schema.get_field_index(n))) for n in columns}

    def _csv(self, columns: Sequence[str]) -> Iterator[Batch]:
        dialect = self.dialect
        assert dialect is not None
        with _as_utf8(self.source, dialect) as path, _open_csv(path, dialect, columns) as reader:
            for batch in reader:
                if batch.num_rows:
                    part = {name: batch.column(batch.schema.get_field_index(name)) for name in columns}
                    yield {n: _with_points(v) for n, v in part.items()} if dialect.decimal_comma else part


def _kinds(table: _Table, options: ReadOptions) -> dict[str, Kind]:
    """The kind each column is taken for, from the first rows; of a small table, from all."""
    given = {
        name: Kind(line=True, because="as was said") for name in options.numeric if name in options.columns
    }
    given |= {
        name: Kind(line=False, because="as was said") for name in options.text if name in options.columns
    }
    values = _values(table, [name for name in options.columns if name not in given], options.counts)
    kinds: dict[str, Kind] = {}
    for name in sorted(values, key=lambda name: name != options.treatment):
        treated = given.get(options.treatment) or kinds.get(options.treatment)
        alone = name == options.alone and treated is not None and not treated.line
        kinds[name] = kind_of(name, values[name], options.role(name), alone=alone)
    few = options.compared and len(values.get(options.treatment, ())) <= MAX_CATEGORIES
    if few and kinds[options.treatment].line:
        kinds[options.treatment] = Kind(line=False, because="a value was named to compare the others with")
    return {name: given.get(name) or kinds[name] for name in options.columns}


def _values(table: _Table, names: Sequence[str], counts: str) -> dict[str, dict[str, float]]:
    """The rows of each value of some columns, counted, from the first rows."""
    found: dict[str, Counter[str]] = {name: Counter() for name in names}
    rows = 0
    for batch in (
        table.batches(tuple(dict.fromkeys([*names, *([counts] if counts else [])]))) if names else ()
    ):
        lines = len(next(iter(batch.values())))
        rows += lines
        weight = _counts_or_ones(batch[counts]) if counts else np.ones(lines)
        for name in names:
            encoded: Any = batch[name].dictionary_encode()
            if len(found[name]) > MAX_SETS:
                continue
            absent = _is_missing(encoded.dictionary, blank_only=False)
            codes = _indices(encoded)
            n = np.bincount(codes[codes >= 0], weight[codes >= 0], minlength=len(absent)).tolist()
            for value, count, gone in zip(encoded.dictionary.to_pylist(), n, absent.tolist(), strict=True):
                if not gone:
                    found[name][value.strip() if isinstance(value, str) else level_name(value)] += count
        if rows > _LOOK_ROWS:
            break
    return {name: dict(sorted(counted.items())) for name, counted in found.items()}


def _counts_or_ones(values: pa.Array[Any]) -> FloatArray:
    """A column of counts; ones where a value is none, which is refused later in its own words."""
    try:
        n = np.asarray(pc.cast(values, pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return np.ones(len(values))
    return np.where(np.isfinite(n) & (n >= 0), n, 1.0)


def _with_points(values: pa.Array[Any]) -> pa.Array[Any]:
    """Numbers with a decimal comma as others write them."""
    texts: Any = values
    grouped = pc.replace_substring_regex(texts, pattern=_GROUPED, replacement=r"\1\2\3\4\5")
    pointed: pa.Array[Any] = cast("Any", pc).replace_substring_regex(
        grouped, pattern=_COMMA, replacement=r"\1.\2"
    )
    return pointed


def _plain(name: str, values: pa.Array[Any]) -> pa.Array[Any]:
    """Dictionary-encoded and large text as plain text, decimals and halves as doubles."""
    kind: Any = values.type
    if pa.types.is_nested(kind):
        raise InvalidInput(f"{name}: its values are of type {kind}; expected one number or text a row.")
    if pa.types.is_dictionary(kind):
        values = values.cast(kind.value_type)
        kind = values.type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return values.cast(pa.string())
    if pa.types.is_decimal(kind):
        return values.cast(pa.float64())
    return values


@contextmanager
def _as_utf8(source: Path, dialect: Dialect) -> Iterator[Path]:
    """The file, or a copy of it in UTF-8 for as long as it is read.

    Arrow would decode other encodings by calling Python from a thread of its own, which outlives a refusal.
    """
    if dialect.encoding.startswith("utf-8"):
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="bayesight-") as folder:
        copy = Path(folder) / "table.csv"
        decoder = codecs.getincrementaldecoder(dialect.encoding)()
        with (
            pa.input_stream(source, compression="detect") as file,
            copy.open("w", encoding="utf-8", newline="") as out,
        ):
            while block := file.read(_BLOCK_BYTES):
                out.write(decoder.decode(block))
            out.write(decoder.decode(b"", final=True))
        yield copy


def _open_csv(source: Path, dialect: Dialect, columns: Sequence[str]) -> Any:
    """The columns of a CSV file as text, block by block."""
    from pyarrow import csv

    stream: Any = pa.input_stream(source, compression="detect")
    return csv.open_csv(
        stream,
        read_options=csv.ReadOptions(
            block_size=_BLOCK_BYTES,
            use_threads=False,
            skip_rows=dialect.header_lines,
            column_names=list(dialect.names),
        ),
        parse_options=csv.ParseOptions(delimiter=dialect.separator, newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(dialect.names, pa.string()),
            include_columns=list(columns),
            strings_can_be_null=False,
        ),
    )


def read_parts(
    path: str | os.PathLike[str],
    options: ReadOptions,
    numeric: Sequence[str],
    progress: Progress | None = None,
) -> Iterator[Sample]:
    """A table part by part, for what is added up: every part with all levels of its discrete columns.

    Args:
        path: as for ``read_sample``.
        options: which columns, and how.
        numeric: the continuous ones among them, as ``TooLarge`` tells them.
        progress: called with (lines read, None).

    Raises:
        As ``read_sample``; missing values are refused when the last part has been read.
    """
    source = existing_path(path)
    discrete = tuple(n for n in options.columns if n not in numeric)
    levels = read_sample(path, replace(options, columns=discrete, outcome="")).sample if discrete else None
    reading = _Reading(source, replace(options, outcome=""), frozenset(numeric))
    reading.most_bytes = float("inf")  # every part is let go before the next
    if levels is not None:
        reading.codes |= {n: {v: i for i, v in enumerate(levels.discrete(n).levels)} for n in discrete}
        reading.first_row |= {n: dict.fromkeys(reading.codes[n], 0) for n in discrete}
    for batch in _Table.of(source).batches(options.every):
        reading.take(batch)
        if progress is not None:
            progress(reading.rows, None)
        if reading.parts:
            yield reading.part()
    reading.refuse_missing()


def _is_parquet(source: Path) -> bool:
    if source.suffix.lower() in _PARQUET:
        return True
    if source.is_dir():
        raise SourceUnreadable(f"{source}: is a folder; expected a CSV or Parquet file.")
    with source.open("rb") as file:
        head = file.read(8)
    for begin, kind in _NO_TABLES.items():
        if head.startswith(begin):
            raise SourceUnreadable(f"{source}: is {kind}; expected a CSV or Parquet file. Save it as CSV.")
    return head.startswith(b"PAR1")


def _unreadable(source: Path, error: Exception) -> SourceUnreadable:
    said = str(error).splitlines()[0] if str(error) else type(error).__name__
    return SourceUnreadable(f"{source}: {said}; expected a CSV file with a header, or a Parquet file.")


def _mostly_numbers(levels: Sequence[str] | dict[str, int]) -> bool:
    return sum(map(is_number, levels)) * 2 > len(levels)
