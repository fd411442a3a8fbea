"""Tables in files: CSV as programs and people write it, and Parquet, read block by block.

Nothing of a file is held but the block at hand, however long it is. CSV comes as text, to the letter, in the
encoding, with the separator, header and decimal comma it has; Parquet as it is typed.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import itertools
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import pyarrow as pa
import pyarrow.compute as pc

from bayesight.causal.sample import level_name
from bayesight.checks import existing_path
from bayesight.errors import InvalidInput, SourceUnreadable, shown

if TYPE_CHECKING:
    Batch: TypeAlias = dict[str, pa.Array[Any]]

_BLOCK_BYTES = 4 << 20
_PARQUET_ROWS = 1 << 18
_PARQUET = (".parquet", ".pq")
_COMMA = r"^\s*([-+]?\d+),(\d+(?:[eE][-+]?\d+)?)\s*$"
_GROUPED = r"^\s*([-+]?\d{1,3})\.(\d{3})(?:\.(\d{3}))?(?:\.(\d{3}))?(,\d+)\s*$"
_GROUPED_WHOLE = r"^\s*([-+]?[1-9]\d{0,2})\.(\d{3})(?:\.(\d{3}))?(?:\.(\d{3}))?\s*$"
_DECIMAL = {mark: re.compile(rf"\s*[-+]?(\d*)\{mark}(\d+)([eE][-+]?\d+)?\s*") for mark in ",."}
_NO_TABLES = {
    b"PK\x03\x04": "an Excel workbook or another zip",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b'{"': "JSON",
    b'[{"': "JSON",
    b"ARROW1": "an Arrow file",
}

_HEAD_BYTES = 1 << 18
_SEARCHED_BYTES = 64 << 20
_SEPARATORS = ",;\t|"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SEPARATOR_LINE = re.compile(r"^\s*sep=(.)\s*$", re.IGNORECASE)
_HANGUL, _KANA = re.compile("[가-힣]"), re.compile("[ぁ-んァ-ヶ]")


def first_rows(path: str | os.PathLike[str], columns: Sequence[str], most: int) -> dict[str, list[str]]:
    """The values of the first lines of a table, as text; empty where one is missing.

    Args:
        path: as for ``read_sample``.
        columns: which.
        most: lines at most.
    """
    found: list[list[str]] = [[] for _ in columns]
    for block in Table.of(path).texts(columns):
        for texts, values in zip(found, block, strict=True):
            texts += map(level_name, values[: most - len(texts)])
        if len(found[0]) >= most:
            break
    return dict(zip(columns, found, strict=True))


@dataclass(frozen=True)
class Table:
    """A file, its columns and how it is written; CSV has a dialect, Parquet has none."""

    source: Path
    names: tuple[str, ...]
    dialect: Dialect | None

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Table:
        """Look at the beginning of a file.

        Raises:
            SourceNotFound: there is no such file.
            SourceUnreadable: it is no CSV or Parquet table, or a name comes twice.
        """
        source = existing_path(path)
        try:
            dialect = None if _is_parquet(source) else find_dialect(source)
            names = dialect.names if dialect else _parquet_names(source)
        except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:
            raise _unreadable(source, error) from error
        twice = [name for name, n in Counter(names).items() if n > 1]
        if twice:
            raise SourceUnreadable(
                f"{source}: the column {shown(twice[0])} comes twice; expected every name once."
            )
        return cls(source, names, dialect)

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

    def texts(self, columns: Sequence[str]) -> Iterator[list[list[str]]]:
        """The values of columns as text without blanks around it, in parts; empty where one is missing.

        Raises:
            SourceUnreadable: what is there is no table.
        """
        for batch in self.batches(columns):
            yield [[_text(value) for value in batch[name].to_pylist()] for name in columns]

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
                    yield {name: dialect.plain(values) for name, values in part.items()}


def _text(value: Any) -> str:
    """A value as text: to the letter where it is text, and empty where it is missing."""
    if isinstance(value, str):
        return value.strip()
    return "" if value is None or value != value else level_name(value)


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


def _parquet_names(source: Path) -> tuple[str, ...]:
    import pyarrow.parquet as pq

    return tuple(map(str, pq.ParquetFile(source).schema_arrow.names))


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


@dataclass(frozen=True)
class Dialect:
    """The way a CSV file is written.

    Args:
        encoding: a Python name.
        separator: one character.
        names: of the columns; a blank one is called by its place.
        header_lines: lines before the first row of values.
        decimal_comma: numbers may have a comma for a point.
        grouping_point: points stand between thousands, for decimals have commas, and none has a point.
    """

    encoding: str
    separator: str
    names: tuple[str, ...]
    header_lines: int
    decimal_comma: bool
    grouping_point: bool = False

    def plain(self, values: pa.Array[Any]) -> pa.Array[Any]:
        """Numbers with a decimal comma as others write them."""
        if not self.decimal_comma:
            return values
        functions, texts = cast("Any", pc), cast("Any", values)
        patterns = [(_GROUPED, r"\1\2\3\4\5")] + [(_GROUPED_WHOLE, r"\1\2\3\4")] * self.grouping_point
        for pattern, replacement in (*patterns, (_COMMA, r"\1.\2")):
            texts = functions.replace_substring_regex(texts, pattern=pattern, replacement=replacement)
        plain: pa.Array[Any] = texts
        return plain


def find_dialect(source: Path) -> Dialect:
    """Look at the beginning of a CSV file, compressed or not.

    Raises:
        SourceUnreadable: no header.
    """
    head = pa.input_stream(source, compression="detect").read(_HEAD_BYTES)
    encoding = encoding_of(head)
    text = head.decode(encoding, "replace").lstrip("\ufeff")
    if "\0" in text:
        raise SourceUnreadable(f"{source}: zero bytes; expected a CSV file with a header, or a Parquet file.")
    lines = text.splitlines(keepends=True)
    stated = _SEPARATOR_LINE.match(lines[0].rstrip("\r\n")) if lines else None
    skipped = 1 if stated else 0
    while skipped < len(lines) and not lines[skipped].strip(" \t\r\n"):
        skipped += 1
    rest = "".join(lines[skipped:])
    if not rest:
        raise SourceUnreadable(f"{source}: no header; expected the names of the columns in the first line.")
    separator = stated[1] if stated else _separator(rest)
    reader = csv.reader(io.StringIO(rest, newline=""), delimiter=separator)
    names = [name.strip() for name in next(reader)]
    if encoding.startswith(("utf-16", "utf-32")) and any("\ufffd" in name for name in names):
        raise SourceUnreadable(
            f"{source}: no {encoding}; expected a CSV file with a header, or a Parquet file."
        )
    header_lines = skipped + reader.line_num
    marks = set() if separator == "," else _decimal_marks(rest, separator)
    rows = [row for row in itertools.islice(reader, 50) if row][:-1] or list(itertools.islice(reader, 1))
    if rows and all(len(row) == len(names) + 1 for row in rows):
        # A separator behind every row, or R's names of rows, which have no name of their own.
        names = [*names, ""] if not any(row[-1].strip() for row in rows) else ["row", *names]
    named = tuple(name or f"column {place}" for place, name in enumerate(names, 1))
    comma = separator != "," and ("," in marks or (separator == ";" and "." not in marks))
    return Dialect(encoding, separator, named, header_lines, comma, grouping_point=marks == {","})


def _decimal_marks(text: str, separator: str) -> set[str]:
    """The marks before decimals of numbers that cannot be whole with thousands set apart, as 1,234 can."""
    marks = set()
    with contextlib.suppress(csv.Error):
        for row in itertools.islice(csv.reader(io.StringIO(text, newline=""), delimiter=separator), 1, None):
            for mark, number in _DECIMAL.items():
                found = (number.fullmatch(cell) for cell in row if mark in cell)
                if any(one and _is_decimal(one[1], one[2]) for one in found):
                    marks.add(mark)
    return marks


def _is_decimal(whole: str, part: str) -> bool:
    """True where digits behind a mark must be decimals: no group of three, or none that a number begins."""
    return len(part) != 3 or not 1 <= len(whole) <= 3 or whole[0] == "0"


def uneven_line(source: Path, dialect: Dialect) -> str:
    """The first line with more or fewer values than there are columns, in words; empty if none is found."""
    head = pa.input_stream(source, compression="detect").read(_SEARCHED_BYTES)
    file = io.StringIO(head.decode(dialect.encoding, "replace"), newline="")
    for _ in range(dialect.header_lines):
        file.readline()
    reader, before = csv.reader(file, delimiter=dialect.separator), 0
    with contextlib.suppress(csv.Error):
        for row in reader:
            if row and len(row) != len(dialect.names):
                line, wanted = dialect.header_lines + before + 1, len(dialect.names)
                return f"line {line:,} has {len(row)} values; expected {wanted}, one for each column"
            before = reader.line_num
    return ""


def encoding_of(head: bytes) -> str:
    """The encoding that the beginning of a text seems to be in: UTF-8 unless something speaks against it."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    pairs = head[: len(head) // 2 * 2]
    zeros = [pairs[side::2].count(0) for side in (0, 1)]
    if max(zeros) * 4 > len(pairs) and min(zeros) * 50 < max(zeros):
        return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
        return "utf-8"
    except UnicodeDecodeError:
        pass
    for name, letters in (("cp949", _HANGUL), ("cp932", _KANA)):
        try:
            text = codecs.getincrementaldecoder(name)().decode(head)
        except UnicodeDecodeError:
            continue
        foreign = [c for c in text if not c.isascii()]
        if len(foreign) > 1 and 2 * len(letters.findall(text)) > len(foreign):
            return name
    return "cp1252"


def _separator(text: str) -> str:
    """The separator that makes most of the first record, quotes respected; a comma where none makes two."""

    def values(separator: str) -> int:
        try:
            return len(next(csv.reader(io.StringIO(text, newline=""), delimiter=separator)))
        except (csv.Error, StopIteration):
            return 0

    return max(_SEPARATORS, key=values)
