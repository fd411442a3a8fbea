"""Samples from tables: rows counted, and moments added up, while a table is read block by block.

A table of discrete variables is a few distinct rows with counts, however long the file; where only the
outcome is continuous, every cell keeps its first two moments. Both need memory for the cells alone. Further
continuous variables need their rows, and what that takes is said before it is tried.
"""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bayesight.causal.sample import (
    Discrete,
    Numeric,
    Sample,
    group_rows,
    level_name,
    level_order,
    moments,
    sums,
)
from bayesight.checks import check
from bayesight.data.columns import MAX_CATEGORIES, MAX_SETS, Kind, Role, is_numeral, kind_of, levels_of
from bayesight.data.tables import Table
from bayesight.errors import InvalidInput, SourceUnreadable, UnknownName, shown
from bayesight.language import marked
from bayesight.names import MISSING
from bayesight.types import FloatArray, IntArray, Progress

_MARKS = (".", "?")
"""Marks for a missing value beside ``MISSING``; no more than those can be the name of a category."""

MAX_NAMES = 1000
"""A column of text with more different values than this is no variable of categories."""

MEMORY_BYTES = 1 << 30
"""Rows with continuous variables are held up to this size; working on them takes several times as much."""

_LOOK_ROWS = 200_000
_CELL_BYTES = 64 << 20
_N, _SQUARES, _SPREAD = "\0n", "\0squares", "\0spread"


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


class TooLarge(InvalidInput):
    """Rows with continuous variables that do not fit into memory.

    Args:
        message: the sentence.
        numeric: the continuous columns.
    """

    def __init__(self, message: str, numeric: tuple[str, ...]) -> None:
        super().__init__(message)
        self.numeric = numeric


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
    table = Table.of(path)
    for name in (*options.every, *options.numeric, *options.text):
        if name not in table.names:
            raise UnknownName("column", name, table.names)
    kinds = _kinds(table, options)
    numeric = {name for name, kind in kinds.items() if kind.line}
    while True:
        reader = _Reader(table, options, numeric)
        try:
            sample = reader.sample(reader.read(progress))
        except _ManyValues as found:  # the column is continuous after all: begin again, knowing that
            numeric.add(found.column)
            kinds[found.column] = Kind(
                line=True, because=marked("more different numbers than categories can hold")
            )
            continue
        if not len(sample.n):
            raise _no_rows(table)
        missing, dropped = dict(+reader.missing), reader.rows - reader.kept
        gaps = ", ".join(marked(f"{count:,} of {name}") for name, count in missing.items())
        said = [marked(f"{dropped:,} of {reader.rows:,} rows left out: missing {gaps}")] if dropped else []
        return TableRead(sample, reader.rows, dropped, missing, kinds, (*said, *reader.notes))


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
    table = Table.of(path)
    reader = _Reader(table, replace(options, outcome=""), numeric)
    if reader.discrete:
        try:
            names = _Reader(table, replace(options, columns=tuple(reader.discrete), outcome=""), numeric)
            names.sample(names.read())
        except _ManyValues as found:
            raise InvalidInput(
                f"{found.column}: continuous; expected a variable of few values. Group its values first."
            ) from None
        reader.levels = names.levels
    for block in reader.blocks(progress):
        yield reader.sample(block)


class _ManyValues(Exception):
    """A column taken for discrete has more values than a discrete one may have."""

    def __init__(self, column: str) -> None:
        self.column = column


class _Reader:
    """One pass over a table.

    Args:
        table: the file.
        options: which columns, and how.
        numeric: the continuous columns.
    """

    def __init__(self, table: Table, options: ReadOptions, numeric: Collection[str]) -> None:
        self.table, self.options = table, options
        self.numeric = [n for n in options.columns if n in numeric]
        self.discrete = [n for n in options.columns if n not in numeric]
        self.cells_suffice = set(self.numeric) <= {options.outcome}
        self.sets = "" if options.treatment in numeric else options.alone
        self.texts: dict[str, set[str]] = {n: set() for n in self.discrete}
        self.levels: dict[str, dict[str, str]] = {}
        self.rows = self.kept = 0
        self.missing: Counter[str] = Counter()
        self.notes: list[str] = []

    def read(self, progress: Progress | None = None) -> pa.Table:
        """The cells of the table, or its rows where cells do not suffice.

        Raises:
            SourceUnreadable: no rows.
            TooLarge: rows that do not fit into memory.
            _ManyValues: a column that is continuous after all.
        """
        parts: list[pa.Table] = []
        held, most = 0, _CELL_BYTES if self.cells_suffice else MEMORY_BYTES
        for block in self.blocks(progress):
            parts.append(self._cells(block) if self.cells_suffice else block)
            held += parts[-1].nbytes
            if held > most and not self.cells_suffice:
                raise TooLarge(
                    f"{self.table.source.name}: {', '.join(self.numeric)} are continuous, and the first "
                    f"{self.kept:,} rows take {held / 2**30:.0f} GiB of memory; expected at most "
                    f"{most / 2**30:.0f}. "
                    "Group their values into a few levels, or take a sample of the rows.",
                    tuple(self.numeric),
                )
            if held > most:
                parts = [self._merged(_joined(parts))]
                held = parts[0].nbytes
                most = max(_CELL_BYTES, 2 * held)
        if not self.kept:
            raise _no_rows(self.table)
        return _joined(parts)

    def blocks(self, progress: Progress | None = None) -> Iterator[pa.Table]:
        """The rows without missing values: categories, numbers, and the rows each stands for.

        Raises:
            InvalidInput: missing values, at the end; text where numbers belong; counts that are none.
        """
        weight = self.options.counts or self.options.weights
        for batch in self.table.batches(self.options.every):
            columns = {name: self._clean(name, values) for name, values in batch.items()}
            absent = {n: values.is_null().to_numpy(zero_copy_only=False) for n, values in columns.items()}
            self.missing.update({name: int(gone.sum()) for name, gone in absent.items()})
            gone = np.any(list(absent.values()), axis=0)
            lines = np.flatnonzero(~gone)
            start, self.rows = self.rows, self.rows + len(gone)
            if len(lines) == len(gone) or (self.options.drop_missing and len(lines)):
                self.kept += len(lines)
                if len(lines) < len(gone):
                    columns = {name: values.take(lines) for name, values in columns.items()}
                for name in self.discrete:
                    self._check_texts(name, columns[name])
                numbers = {n: _numbers(n, columns[n], lines + start) for n in self.numeric}
                n = _numbers(weight, columns[weight], lines + start) if weight else np.ones(len(lines))
                self._check_weights(n)
                weights = {_N: n} | ({_SQUARES: n**2} if self.options.weights else {})
                yield pa.table({name: columns[name] for name in self.discrete} | numbers | weights)
            if progress is not None:
                progress(self.rows, None)
        missing = +self.missing
        if missing and not self.options.drop_missing:
            said = ", ".join(f"{c:,} in {n}" for n, c in missing.items())
            raise InvalidInput(
                f"{self.table.source.name}: missing values ({said} of {self.rows:,} rows); expected none. "
                "Blanks, NA, NaN, null and their like are missing. "
                "Leave those rows out with --drop-missing, if they are missing by chance."
            )

    def sample(self, table: pa.Table) -> Sample:
        """The sample of cells or rows, as ``read`` and ``blocks`` give them."""
        parts = {n: _floats(table[n]) for n in table.column_names if n not in self.discrete}
        columns = {name: self._column(name, table[name], parts[_N]) for name in self.discrete}
        rows: IntArray = np.arange(table.num_rows)
        if self.cells_suffice:
            group, rows = group_rows([c.codes for c in columns.values()], table.num_rows)
            parts = self._added(parts, group, len(rows))
        chosen = np.flatnonzero(parts[_N] > 0)
        rows, parts = rows[chosen], {name: values[chosen] for name, values in parts.items()}
        if _SPREAD in parts:
            cell, share, y = _two_points(parts[_N], parts[self.options.outcome], parts[_SPREAD])
            rows = rows[cell]
            parts = {name: values[cell] * share for name, values in parts.items()} | {self.options.outcome: y}
        found = {n: replace(c, codes=c.codes[rows]) for n, c in columns.items()}
        every = {n: found[n] if n in found else Numeric(parts[n]) for n in self.options.columns}
        return Sample(every, parts[_N], parts.get(_SQUARES, parts[_N]))

    def _clean(self, name: str, values: Any) -> Any:
        """A column of a block, null where a value is missing; where it is discrete, as categories."""
        blank_only = name in self.options.text
        if name not in self.discrete:
            return _without_missing(values, blank_only=blank_only)
        encoded = values.dictionary_encode()
        if len(encoded.dictionary) > self._most_texts(name):
            raise self._too_many(name)
        return _categories(encoded, blank_only=blank_only)

    def _most_texts(self, name: str) -> int:
        return MAX_SETS if name == self.sets else MAX_NAMES

    def _too_many(self, name: str) -> Exception:
        if name not in self.options.text:
            return _ManyValues(name)
        most = self._most_texts(name)
        return InvalidInput(f"{name}: more than {most:,} different values; expected few categories.")

    def _check_texts(self, name: str, values: Any) -> None:
        """Refuse a discrete column that has more different texts by now than one may have."""
        known = self.texts[name]
        known.update(values.dictionary.take(values.indices.unique()).to_pylist())
        if len(known) > self._most_texts(name):
            raise self._too_many(name)
        many = len(known) > MAX_CATEGORIES and name not in (*self.options.text, self.sets)
        if many and sum(map(is_numeral, known)) * 2 > len(known):
            raise _ManyValues(name)

    def _check_weights(self, n: FloatArray) -> None:
        counts, weights = self.options.counts, self.options.weights
        if counts:
            whole = bool((n >= 0).all() and (n == n.round()).all())
            mend = "Sampling weights go to --weights."
            check(whole, counts, "a count below 0 or not whole", "whole numbers of rows", mend)
        elif weights:
            check(bool((n >= 0).all()), weights, "a weight below 0", "weights of 0 or more")

    def _cells(self, block: pa.Table) -> pa.Table:
        """The cells of rows; rows of one weight at a time, so that plain moments are theirs."""
        y, added = self.numeric, [name for name in (_N, _SQUARES) if name in block.column_names]
        wanted: list[Any] = [(name, "sum") for name in added]
        wanted += [(name, how) for name in y for how in ("mean", "variance")]
        found = block.group_by([*self.discrete, _N], use_threads=False).aggregate(wanted)
        names = [*self.discrete, "\0weight", *added, *y, *([_SPREAD] if y else [])]
        cells: dict[str, Any] = dict(zip(names, found.columns, strict=True))
        del cells["\0weight"]  # the weight of the rows of a cell
        return pa.table(cells | ({_SPREAD: pc.multiply(cells[_SPREAD], cells[_N])} if y else {}))

    def _merged(self, cells: pa.Table) -> pa.Table:
        """The same cells, each once."""
        group, member = group_rows([_codes(cells[n]) for n in self.discrete], cells.num_rows)
        parts = {n: _floats(cells[n]) for n in cells.column_names if n not in self.discrete}
        kept: dict[str, Any] = {n: cells[n].take(member) for n in self.discrete}
        return pa.table(kept | self._added(parts, group, len(member)))

    def _added(self, parts: Mapping[str, FloatArray], group: IntArray, groups: int) -> dict[str, FloatArray]:
        """The sums and moments of cells, added up by group (Chan et al. 1979)."""
        added = {name: sums(group, groups, values) for name, values in parts.items()}
        if _SPREAD in parts:
            y = self.options.outcome
            _, added[y], between = moments(group, groups, parts[_N], parts[y])
            added[_SPREAD] += between
        return added

    def _column(self, name: str, values: Any, n: FloatArray) -> Discrete:
        """A discrete column with its levels in order."""
        codes, texts = _codes(values), values.chunk(0).dictionary.to_pylist()
        if name not in self.levels:
            counts = np.bincount(codes, n, len(texts)).tolist()
            self.levels[name] = self._levels(name, {texts[k]: counts[k] for k in np.unique(codes).tolist()})
        named = self.levels[name]
        levels = sorted(set(named.values()), key=level_order)
        at = {level: place for place, level in enumerate(levels)}
        place = np.array([at[named[text]] if text in named else -1 for text in texts], np.int64)
        is_named = name in self.options.text or name == self.options.treatment
        return Discrete(place[codes], tuple(levels), is_named)

    def _levels(self, name: str, counts: Mapping[str, float]) -> dict[str, str]:
        """The level of each text; numbers and text mixed are refused."""
        as_text = name in self.options.text
        words = {text for text in counts if not is_numeral(text)}
        if words and len(words) < len(counts) and not as_text:
            numbers = set(counts) - words
            if sum(counts[word] for word in words) > sum(counts[number] for number in numbers):
                row, number = self._first_of(name, numbers)
                raise InvalidInput(
                    f"{name}: the number {number} in row {row:,} among texts; expected one kind of value. If "
                    f"it stands for a missing value, leave it blank; if it is a name, say --text "
                    f"{shlex.quote(name)}."
                )
            row, word = self._first_of(name, words)
            raise InvalidInput(
                f"{name}: the text {shown(word)} in row {row:,} among numbers; "
                f"expected numbers. If its values are names, say --text {shlex.quote(name)}."
            )
        named, note = levels_of(name, counts, text=as_text)
        self.notes += [note] if note else []
        return named

    def _first_of(self, name: str, words: Collection[str]) -> tuple[int, str]:
        """The first row, from 1, that has one of some texts, and the text."""
        columns = (batch[name].dictionary_encode() for batch in self.table.batches([name]))
        texts = (text for column in columns for text in _categories(column, blank_only=False).to_pylist())
        return next((row, text) for row, text in enumerate(texts, 1) if text in words)


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


def _without_missing(values: Any, *, blank_only: bool) -> Any:
    """The values, text without blanks around it; null where one is missing."""
    absent = values.is_null(nan_is_null=True)
    if pa.types.is_string(values.type):
        values = pc.utf8_trim_whitespace(values)
        blank = pa.array(MISSING[:1] if blank_only else (*MISSING, *_MARKS))
        absent = pc.or_(absent, pc.is_in(values, value_set=blank))
    return pc.if_else(absent, pa.scalar(None, values.type), values)


def _categories(encoded: Any, *, blank_only: bool) -> Any:
    """The values of a dictionary-encoded array as texts, null where one is missing; each text once."""
    values = _without_missing(encoded.dictionary, blank_only=blank_only)
    if not pa.types.is_string(values.type):
        values = pa.array([None if v is None else level_name(v) for v in values.to_pylist()], pa.string())
    texts = values.dictionary_encode()
    return pa.DictionaryArray.from_arrays(texts.indices.take(encoded.indices), texts.dictionary)


def _numbers(name: str, values: Any, lines: IntArray) -> FloatArray:
    """A column as finite numbers; text among them is named with its row."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    try:
        numbers = _floats(values)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        for line, value in zip(lines.tolist(), values.to_pylist(), strict=True):
            try:
                float(value)
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


def _joined(parts: Sequence[pa.Table]) -> pa.Table:
    """The parts as one, whose columns of categories have one dictionary each."""
    return pa.concat_tables(parts).unify_dictionaries().combine_chunks()


def _floats(values: Any) -> FloatArray:
    return np.asarray(pc.cast(values, pa.float64()).to_numpy(), np.float64)


def _codes(values: Any) -> IntArray:
    return np.asarray(values.chunk(0).indices.to_numpy(), np.int64)


def _no_rows(table: Table) -> SourceUnreadable:
    return SourceUnreadable(f"{table.source}: no rows; expected at least one below the header.")


def _kinds(table: Table, options: ReadOptions) -> dict[str, Kind]:
    """The kind each column is taken for, from the first rows; of a small table, from all."""
    stated = {**dict.fromkeys(options.numeric, True), **dict.fromkeys(options.text, False)}
    given = {n: Kind(line=stated[n], because=marked("as was said")) for n in options.columns if n in stated}
    values = _values(table, [name for name in options.columns if name not in given], options.counts)
    kinds: dict[str, Kind] = {}
    for name in sorted(values, key=lambda name: name != options.treatment):
        treated = given.get(options.treatment) or kinds.get(options.treatment)
        alone = name == options.alone and treated is not None and not treated.line
        kinds[name] = kind_of(name, values[name], options.role(name), alone=alone)
    few = options.compared and len(values.get(options.treatment, ())) <= MAX_CATEGORIES
    if few and kinds[options.treatment].line:
        kinds[options.treatment] = Kind(
            line=False, because=marked("a value was named to compare the others with")
        )
    return {name: given.get(name) or kinds[name] for name in options.columns}


def _values(table: Table, names: Sequence[str], counts: str) -> dict[str, dict[str, float]]:
    """The rows of each value of some columns, counted, from the first rows."""
    found: dict[str, Counter[str]] = {name: Counter() for name in names}
    rows = 0
    for batch in table.batches(list(dict.fromkeys([*names, *filter(None, [counts])]))) if names else ():
        lines = len(next(iter(batch.values())))
        rows += lines
        n = _counts_or_ones(batch[counts]) if counts else np.ones(lines)
        for name in (name for name in names if len(found[name]) <= MAX_SETS):
            column = _categories(batch[name].dictionary_encode(), blank_only=False)
            codes = np.asarray(pc.fill_null(column.indices, len(column.dictionary)), np.int64)
            counted = np.bincount(codes, n, len(column.dictionary)).tolist()
            for text, count in zip(column.dictionary.to_pylist(), counted, strict=False):
                found[name][text] += count
        if rows > _LOOK_ROWS:
            break
    return {name: dict(sorted(counted.items())) for name, counted in found.items()}


def _counts_or_ones(values: Any) -> FloatArray:
    """A column of counts; ones where a value is none, which is refused later in its own words."""
    try:
        n = np.asarray(pc.cast(values, pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return np.ones(len(values))
    return np.where(np.isfinite(n) & (n >= 0), n, 1.0)
