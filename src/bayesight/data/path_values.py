"""Values of images by their paths: from a column of a table, or from the paths themselves."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bayesight.checks import check, existing_path
from bayesight.errors import InvalidInput, UnknownName
from bayesight.language import marked
from bayesight.names import MISSING, canonical, shared_depth

PATH = "path"
_PATHS = (
    PATH,
    "file_path",
    "filepath",
    "image_path",
    "filename",
    "file_name",
    "file",
    "image",
    "image_id",
    "id",
)
"""Columns of a table that may name the images; the first of them that is there does."""


@dataclass(frozen=True)
class PathValues:
    """Values that paths have, such as labels, environments or patients.

    Args:
        where: the table and its column, or the pattern, in words.
        group: the group of the pattern whose match is the value.
        pattern: a regular expression that is searched in a path; None where a table tells the values.
        known: path to value, of a table; empty text where a row has none.
    """

    where: str
    group: str = ""
    pattern: re.Pattern[str] | None = None
    known: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def stated(cls, text: str, option: str, group: str) -> PathValues:
        r"""The values an option asks for.

        Args:
            text: ``TABLE:COLUMN``, a CSV or Parquet table with a column ``path``, ``filename`` or the like
                beside COLUMN, or a regular expression with a group of the given name.
            option: as it is typed, for messages.
            group: as in ``(?P<group>...)``.

        Raises:
            InvalidInput: neither of the two; a pattern that is none; two values for one path.
            UnknownName: no such column.
            SourceNotFound, SourceUnreadable: the table cannot be read.

        Example:
            >>> values = PathValues.stated(r"(?P<label>\w+)-\d+", "--labels-from", "label")
            >>> values.of(["a/cat-01.png", "x.png"])
            ['cat', '']
        """
        table = cls.table_of(text)
        if table is not None:
            return cls.of_table(table, text.rpartition(":")[2])
        if "(?P<" in text:
            try:
                pattern = re.compile(text)
            except re.error as problem:
                raise InvalidInput(f"{option}: {text!r} is no regular expression: {problem}.") from problem
            if group in pattern.groupindex:
                return cls(marked(f"the pattern {text}"), group, pattern)
        raise InvalidInput(
            f"{option}: got {text!r}; expected TABLE.csv:COLUMN, for a table with a column '{PATH}' beside "
            f"COLUMN, or a regular expression with a group (?P<{group}>...)."
        )

    @staticmethod
    def table_of(text: str) -> Path | None:
        """The table that an option names; None where it is no ``TABLE:COLUMN``.

        Raises:
            SourceNotFound: there is no such file.
        """
        table, _, column = text.rpartition(":")
        return existing_path(table) if table and column and "(?P<" not in text else None

    @classmethod
    def of_table(cls, table: Path, column: str) -> PathValues:
        """A column of a CSV or Parquet table, without the texts that stand for a missing value.

        Raises:
            InvalidInput: two values for one path.
            UnknownName: no such column, or none that names the images.
            SourceUnreadable: the table cannot be read.
        """
        from bayesight.data.tables import Table  # loads Arrow

        opened = Table.of(table)
        named = next((name for name in _PATHS if name in opened.names and name != column), PATH)
        for name in (named, column):
            if name not in opened.names:
                raise UnknownName(f"column of {table.name}", name, opened.names)
        known: dict[str, str] = {}
        for paths, values in opened.texts((named, column)):
            for path, value in zip(paths, values, strict=True):
                name, value = _plain(path), "" if value in MISSING else value
                twice = known.setdefault(name, value) != value
                check(
                    not twice, str(table), f"{name!r} has {known[name]!r} and {value!r}", "one value an image"
                )
        return cls(marked(f"{table.name}, column {column}"), known=known)

    def of(self, paths: Sequence[str]) -> list[str]:
        """The value of each path; empty where it has none."""
        if self.pattern is None:
            return [self.known.get(name, "") for name in self._rows(paths)]
        found = (self.pattern.search(canonical(path)) for path in paths)
        return [(match[self.group] or "").strip() if match else "" for match in found]

    def without_row(self, paths: Sequence[str]) -> list[str]:
        """The paths that no row of the table names."""
        return [path for path, name in zip(paths, self._rows(paths), strict=True) if name not in self.known]

    def without_path(self, paths: Sequence[str]) -> list[str]:
        """The rows of the table that name none of the paths."""
        rows = set(self._rows(paths))
        return [name for name in self.known if name not in rows]

    def nearest(self, path: str) -> str:
        """The path in the table that is most like one, in words."""
        near = difflib.get_close_matches(_plain(path), self.known, n=1, cutoff=0.0)
        return f"the nearest path in the table is {near[0]!r}" if near else "the table is empty"

    def _rows(self, paths: Sequence[str]) -> list[str]:
        """The name each path has in the table, in the way of writing that most rows agree with.

        Whole, or without the folders that all paths share; after the folders that all rows share, as where
        these are relative to another place; with its ending, or without it.
        """
        whole = [_plain(path) for path in paths]
        shared = _shared_folders(whole)
        bare = [name.removeprefix(shared) for name in whole]
        ways = [whole, bare]
        if folder := _shared_folders(self.known):
            ways += [[folder + name for name in names] for names in (whole, bare)]
        ways += [[_without_ending(name) for name in names] for names in ways]
        return max(ways, key=lambda names: sum(name in self.known for name in names))


def _shared_folders(paths: Iterable[str]) -> str:
    """The folders in which all of the paths lie: ``"a/b/"``; empty where there are none."""
    every = list(paths)
    ends = (min(every), max(every)) if every else ()
    folders = [name.split("/")[:-1] for name in ends]
    return "".join(f"{folder}/" for folder in (folders[0] if folders else [])[: shared_depth(folders)])


def _without_ending(path: str) -> str:
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{name.rpartition('.')[0] or name}"


def _plain(path: str) -> str:
    """A path as a store has it: Windows programs write backslashes for slashes."""
    return canonical(path).strip().replace("\\", "/").removeprefix("./")
