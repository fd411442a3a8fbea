"""Labelled texts in files: lines of label<TAB>text, a file for each class, or a table with a heading.

A first line that names the columns says which of them holds the labels, and which the texts:

```
label<TAB>text      id<TAB>document<TAB>label      label,text
good<TAB>a fine film     7<TAB>a fine film<TAB>good     good,"a fine, long film"
```

Below tabs a quote is a letter like others; between commas and semicolons it encloses a value, as in CSV.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from bayesight.checks import check, existing_path
from bayesight.data.text import read_text
from bayesight.errors import InvalidInput, listed, shown
from bayesight.files import entries_of
from bayesight.language import marked
from bayesight.names import MISSING, canonical

_SEPARATORS = "\t,;"
_BEFORE = re.compile(r"\s*(?:sep=.[ \t\r]*\n\s*)?", re.IGNORECASE)
"""Blank lines before a heading, and the separator as spreadsheets state it."""
_LABELS = (
    "label", "labels", "class", "category", "target", "sentiment", "topic",
    "레이블", "라벨", "분류", "범주", "클래스", "감정", "주제",
)  # fmt: skip
_TEXTS = (
    "text", "texts", "sentence", "review", "document", "content", "comment", "message",
    "텍스트", "문장", "리뷰", "문서", "본문", "내용", "댓글",
)  # fmt: skip
_Row: TypeAlias = tuple[Path, int, str, str]
"""File, line, label and text."""
_NUMBERS = ("id", "index", "idx", "no", "번호")


class LabelledText(NamedTuple):
    """Texts with their labels.

    Args:
        texts: as they are in the file, blanks at the ends taken off.
        labels: of each.
        places: file and line of each: ``"reviews.tsv:12"``.
        notes: the columns that are read, where the first line names them, and the rows left out.
    """

    texts: list[str]
    labels: list[str]
    places: list[str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TextTable:
    """The columns of a table of texts, by its heading.

    Args:
        names: of the columns.
        separator: one character.
        line: of the heading, from 1 on.
        text: the place of the texts.
        label: that of the labels; None where the table has none.
    """

    names: tuple[str, ...]
    separator: str
    line: int
    text: int
    label: int | None

    @classmethod
    def of(cls, content: str) -> TextTable | None:
        r"""The columns that the first line names; None where it is no heading.

        A heading names texts, and beside them labels or numbers of rows, in the usual words.

        Example:
            >>> found = TextTable.of("id\tdocument\tlabel\n1\ta fine film\t1\n")
            >>> found.text, found.label
            (1, 2)
            >>> TextTable.of("good\ta fine film\n") is None
            True
        """
        before = _BEFORE.match(content)
        begin = before.end() if before else 0
        first, line = content[begin:].partition("\n")[0], content[:begin].count("\n") + 1
        for separator in _SEPARATORS:
            found = (name.strip().strip('"') for name in first.split(separator))
            names = tuple(name or f"column {place}" for place, name in enumerate(found, 1))
            plain = [name.casefold() for name in names]
            text, label, number = (
                next((plain.index(word) for word in words if word in plain), None)
                for words in (_TEXTS, _LABELS, _NUMBERS)
            )
            if text is not None and (label is not None or number is not None):
                return cls(names, separator, line, text, label)
        return None

    def rows(self, content: str, where: str) -> Iterator[tuple[int, str, str]]:
        """Line, label and text of each row that is not blank; the label is empty where the table has none.

        Args:
            content: the whole text, with its heading.
            where: the file, for refusals.

        Raises:
            InvalidInput: a row with more or fewer values than the heading, a column that is there twice, or
                quotes that do not close.
        """
        twice = [name for name, many in Counter(self.names).items() if many > 1]
        check(not twice, where, f"the column {listed(twice)} comes twice", "every name once")
        quoting: Literal[0, 3] = csv.QUOTE_NONE if self.separator == "\t" else csv.QUOTE_MINIMAL
        file = io.StringIO(content, newline="")
        reader = csv.reader(file, delimiter=self.separator, quoting=quoting, strict=True)
        before = 0
        try:
            for values in reader:
                number, before = before + 1, reader.line_num
                if number <= self.line or not any(value.strip() for value in values):
                    continue
                check(
                    len(values) == len(self.names),
                    f"{where}, line {number:,}",
                    f"{len(values)} values",
                    f"{len(self.names)}, as the first line names: {listed(self.names)}",
                    "A text with a separator in it wants quotes around it, or columns parted by tabs.",
                )
                yield number, "" if self.label is None else values[self.label], values[self.text]
        except csv.Error as problem:
            raise InvalidInput(
                f"{where}, line {before + 1:,}: {problem}; expected values parted by "
                f"{shown(self.separator)}, with quotes that close."
            ) from problem

    @property
    def note(self) -> str:
        """The columns that are read, in words."""
        read = [self.names[place] for place in (self.label, self.text) if place is not None]
        others = [name for name in self.names if name not in read]
        if others:
            return marked(f"the first line names the columns: {listed(read)}; left out: {listed(others)}")
        return marked(f"the first line names the columns: {listed(read)}")


def read_labelled(path: str | Path) -> LabelledText:
    """Sentences and their labels: a file of ``label<TAB>text`` lines, or a folder with a file for each class.

    A file whose first line names its columns is a table (``TextTable``). A file of a class is named after it,
    but for the endings ``.gz`` and ``.txt``; empty lines are left out, and so are rows without a label or
    without a text, which a note counts.

    Raises:
        SourceNotFound, SourceUnreadable: as ``read_text``.
        InvalidInput: a line without a tab (says which), texts in the place of labels, or no labelled text.
    """
    path = existing_path(path)
    notes: tuple[str, ...] = ()
    if path.is_dir():
        rows = [
            (file, number, file.name.removesuffix(".gz").removesuffix(".txt"), text.strip())
            for file, lines in text_lines(path)
            for number, text in lines
        ]
    else:
        content = read_text(path)
        table = TextTable.of(content)
        found = table.rows(content, str(path)) if table else _labelled_lines(content, str(path))
        rows, notes = _whole([(path, number, label.strip(), text.strip()) for number, label, text in found])
        notes = (*((table.note,) if table else ()), *notes)
        if table is None:
            _refuse_turned(path, [row[2] for row in rows], [row[3] for row in rows])
    check(bool(rows), str(path), "no lines", "label<TAB>text, or a file for each class")
    places = [f"{file.name}:{number}" for file, number, _, _ in rows]
    return LabelledText([row[3] for row in rows], [canonical(row[2]) for row in rows], places, notes)


def text_lines(path: Path) -> Iterator[tuple[Path, list[tuple[int, str]]]]:
    """Files of texts, a folder's in the order of their names, with their numbered lines but blank ones."""
    for file in entries_of(path) if path.is_dir() else [path]:
        if file.is_file() and not file.name.startswith("."):
            lines = read_text(file).split("\n")
            yield file, [(number, line) for number, line in enumerate(lines, 1) if line.strip()]


def _labelled_lines(content: str, where: str) -> Iterator[tuple[int, str, str]]:
    """Line, label and text of the lines that are not blank."""
    for number, line in enumerate(content.split("\n"), 1):
        if line.strip():
            label, tab, text = line.partition("\t")
            expected = "label<TAB>text, or a first line that names the columns, as label,text"
            check(bool(tab), f"{where}, line {number:,}", f"{shown(label)} has no tab", expected)
            yield number, label, text


def _whole(rows: Sequence[_Row]) -> tuple[list[_Row], tuple[str, ...]]:
    """The rows that have a label and a text, and a note on the others.

    Raises:
        InvalidInput: none of the rows has both.
    """
    lacking = [row for row in rows if row[2] in MISSING or not row[3]]
    if not lacking:
        return list(rows), ()
    file, first = lacking[0][:2]
    came = "a label or a text is empty, there as in every row"
    check(len(lacking) < len(rows), f"{file}, line {first:,}", came, "label<TAB>text")
    note = marked(
        f"{len(lacking):,} of {len(rows):,} rows have no text or no label (blank, NA, NaN, null and their "
        f"like), left out (first: line {first:,})"
    )
    return [row for row in rows if row[2] not in MISSING and row[3]], (note,)


def _refuse_turned(path: Path, labels: Sequence[str], texts: Sequence[str]) -> None:
    """Refuse labels that hardly ever come twice beside texts that mostly do: they are turned round."""
    classes, different = len(set(labels)), len(set(texts))
    check(
        2 * classes <= len(labels) or 2 * different > classes,
        str(path),
        f"{classes:,} different labels of {different:,} different texts",
        "label<TAB>text, with several texts for a label",
        "If the texts come first, let the first line say so: text<TAB>label.",
    )
