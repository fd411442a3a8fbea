"""Dialects of CSV files: encoding, separator, header and decimal comma, as programs and people write them."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import itertools
import re
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from bayesight.errors import SourceUnreadable

__all__ = ["Dialect", "encoding_of", "find_dialect", "uneven_line"]

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


@dataclass(frozen=True)
class Dialect:
    """The way a CSV file is written.

    Args:
        encoding: a Python name.
        separator: one character.
        names: of the columns; a blank one is called by its place.
        header_lines: lines before the first row of values.
        decimal_comma: numbers may have a comma for a point.
    """

    encoding: str
    separator: str
    names: tuple[str, ...]
    header_lines: int
    decimal_comma: bool


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
    rows = [row for row in itertools.islice(reader, 50) if row][:-1] or list(itertools.islice(reader, 1))
    if rows and all(len(row) == len(names) + 1 for row in rows):
        # A separator behind every row, or R's names of rows, which have no name of their own.
        names = [*names, ""] if not any(row[-1].strip() for row in rows) else ["row", *names]
    named = tuple(name or f"column {place}" for place, name in enumerate(names, 1))
    return Dialect(encoding, separator, named, header_lines, separator != ",")


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
