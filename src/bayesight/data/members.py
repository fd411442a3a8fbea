"""Classify the members of a source: image, quarantined with a reason, or ignored; count what is noticed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from bayesight.data.formats import IMAGE_SUFFIXES, KnownFormat, known_by_name, recognise, suffix_of
from bayesight.language import marked

ENCODED_LIMIT_BYTES = 64 << 20
FOLDER = "a folder"
IGNORED = "ignored"
HIDDEN = "hidden"
NO_CLASS = marked("no class folder")
_JUNK = frozenset((b"__MACOSX", b"Thumbs.db", b"desktop.ini", b"@eaDir", b"$RECYCLE.BIN"))
_SEPARATOR = re.compile(rb"(?<![\x81-\xff])\\")  # behind such a byte it may be half of a character
_DRIVE = re.compile(rb"[A-Za-z]:[/\\]")

Content: TypeAlias = bytes | Callable[[], bytes] | None
"""What a member holds, or the way to read it, or None where there is nothing to be had."""

Member: TypeAlias = tuple[bytes, str | None, int, Content]
"""(name, what it is unless a regular file, size in bytes, content)."""


class Unreadable(Exception):
    """A member whose content cannot be had; the text is the reason."""


@dataclass(frozen=True)
class Quarantined:
    r"""A member of the source that was not taken in, and why.

    Args:
        path: its name inside the source; bytes that are not UTF-8 appear as ``\\xff``.
        reason: a plain phrase ("zero bytes").
        label: the class it would have had; None where it lies in none.
    """

    path: str
    reason: str
    label: str | None = None


@dataclass(frozen=True)
class SkippedFiles:
    """One or more files of one kind in one class that were passed over, for they are no images.

    Args:
        kind: their suffix (".txt"), "no suffix", or "hidden".
        label: the class an image in their place would have; None where they lie in none.
        path: of the first of them inside the source.
        files: how many.
    """

    kind: str
    label: str | None
    path: str
    files: int = 1


@dataclass
class Remarks:
    """Collected while a container is read.

    Args:
        backslashes: names whose folders are separated by backslashes.
        superseded: members that a later one of the same name replaces, as when unpacking.
        linked: members read under a further name, for a link leads to them.
        archives: how many archives are joined in the file.
        unmarked: whether the last tar archive ends without its end marker.
        before: bytes in front of the first archive of a zip file.
        after: bytes after the end, zeros alone not counted.
        after_kind: what those look like; may be empty.
        undecoded: names that are not UTF-8, nor in the encoding that was stated.
        encoding: the one that was stated; may be empty.
    """

    backslashes: int = 0
    superseded: int = 0
    linked: int = 0
    archives: int = 1
    unmarked: bool = False
    before: int = 0
    after: int = 0
    after_kind: str = ""
    undecoded: int = 0
    encoding: str = ""

    def set_after(self, count: int, start: bytes) -> None:
        """Take note of bytes after the end, and of what the first of them look like."""
        found = recognise(start)
        self.after += count
        self.after_kind = found.name.removeprefix("packed with ") if isinstance(found, KnownFormat) else ""

    def sentences(self) -> tuple[str, ...]:
        """Each of them for people, where it needs saying."""
        many = self.superseded
        names = marked("1 name is") if self.undecoded == 1 else marked(f"{self.undecoded:,} names are")
        encodings = marked(f"UTF-8 nor {self.encoding}") if self.encoding else "UTF-8"
        told = [
            (
                self.backslashes,
                marked(
                    f"{self.backslashes:,} names separate folders by backslashes, as Windows does, "
                    "and are read so"
                ),
            ),
            (
                many,
                marked(
                    "1 member is superseded by a later one of the same name, which counts, as when unpacking"
                )
                if many == 1
                else marked(
                    f"{many:,} members are superseded by a later one of the same name, which counts, as when "
                    "unpacking"
                ),
            ),
            (
                self.linked,
                marked("1 link is read as the file it leads to")
                if self.linked == 1
                else marked(f"{self.linked:,} links are read as the files they lead to"),
            ),
            (
                self.archives > 1,
                marked(f"{self.archives:,} archives are joined in this file; all of them are read"),
            ),
            (
                self.unmarked,
                marked(
                    "the tar archive ends between two members without its end marker; all that is "
                    "there is read, but if images are missing it was cut off: fetch it again"
                ),
            ),
            (
                self.before,
                marked(
                    f"{self.before:,} bytes in front of the zip archive are not read, as those of a "
                    "program that unpacks itself"
                ),
            ),
            (self.after, self._after_end()),
            (
                self.undecoded,
                marked(
                    f"{names} not {encodings} and written with \\x.. for each foreign byte; --names ENCODING "
                    "reads them, as --names cp437, cp949, shift_jis, gbk or latin-1"
                ),
            ),
        ]
        return tuple(sentence for holds, sentence in told if holds)

    def _after_end(self) -> str:
        """The sentence on bytes after the end."""
        said = marked(f"{self.after:,} bytes after the end of the archive are not read")
        if not self.after_kind:
            return said
        return marked(f"{said}: they look like {self.after_kind}; split it off and name it apart")


@dataclass
class Position:
    """The progress of a reading pass, as a share of its source in [0, 1]."""

    fraction: float = 0.0


class Judge:
    """Says of a member's name what becomes of it, remembering what it has found out about each folder.

    Attributes:
        place: (class, verdict on everything in this folder) of a folder, whose name ends with its slash.
    """

    def __init__(self, *, labelled: bool) -> None:
        self._labelled = labelled
        self.place = cache(self._place)

    def __call__(self, name: bytes, what: str | None, size: int) -> str | None:
        """None for an image, or why it is none."""
        cut = name.rfind(b"/") + 1
        verdict = self.place(name[:cut])[1]
        if what == FOLDER:
            return FOLDER
        if verdict is None or verdict is NO_CLASS:
            base = name[cut:]
            if not base:
                return marked("its name is empty")
            if base[:1] == b"." or base in _JUNK:
                return IGNORED
            if what is not None:
                return what
            sniffed = must_sniff(base)
            known = known_by_name(base) if sniffed else None
            if known is not None and known.is_large:  # a video is not read to learn what its name says
                return IGNORED if verdict else known.reason
            if size > ENCODED_LIMIT_BYTES and sniffed:
                return IGNORED
            if size > ENCODED_LIMIT_BYTES:
                return marked(f"{size:,} bytes, over the limit of {ENCODED_LIMIT_BYTES:,} for one image")
        return verdict

    def _place(self, folder: bytes) -> tuple[str | None, str | None]:
        parts = [part for part in folder.split(b"/") if part not in (b"", b".")]
        if folder.startswith(b"/") or _DRIVE.match(folder):
            return None, marked("its name is an absolute path")
        if b".." in parts:
            return None, marked("its name leads out of the archive")
        if any(part.startswith(b".") or part in _JUNK for part in parts):
            return None, IGNORED
        if parts:
            return printable(parts[-1]), None
        return None, NO_CLASS if self._labelled else None

    def ignored(self, name: bytes, label: str | None) -> SkippedFiles:
        """The record of a member that was passed over."""
        cut = name.rfind(b"/") + 1
        base = name[cut:]
        if base[:1] == b"." or base in _JUNK or self.place(name[:cut])[1] == IGNORED:
            return SkippedFiles(HIDDEN, None, printable(name))
        suffix = suffix_of(name)
        return SkippedFiles(
            f".{printable(suffix[:16])}" if suffix else marked("no suffix"), label, printable(name)
        )


def with_slashes(name: bytes) -> bytes:
    r"""A name whose folders are separated by backslashes, as some Windows programs write it, with slashes.

    A byte of a character that is written in several, in another encoding than UTF-8, is no separator.

    Example:
        >>> with_slashes(rb"A\x.png"), with_slashes(b"A\x95\x5c.png")  # 0x955C is 表 in Shift_JIS
        (b'A/x.png', b'A\x95\\.png')
    """
    try:
        name.decode()
    except UnicodeDecodeError:
        return name if b"/" in name else _SEPARATOR.sub(b"/", name)
    return name.replace(b"\\", b"/")


def must_sniff(name: bytes) -> bool:
    """True where only the content can say if this is an image, for its name does not promise one."""
    return name[-4:] != b".png" and suffix_of(name) not in IMAGE_SUFFIXES


def undecoded(names: list[bytes]) -> int:
    """Number of names that are not UTF-8."""
    try:
        b"\n".join(names).decode()
    except UnicodeDecodeError:
        return sum("\N{REPLACEMENT CHARACTER}" in name.decode(errors="replace") for name in names)
    return 0


def printable_all(names: list[bytes]) -> list[str]:
    """``printable`` of each, in one go as long as there is nothing to escape."""
    joined = b"\n".join(names)
    try:
        text = joined.decode()
    except UnicodeDecodeError:
        return [printable(name) for name in names]
    plain = joined.count(b"\n") + 1 == len(names) and text.replace("\n", "").isprintable()
    return text.split("\n") if plain else [printable(name) for name in names]


def printable(name: bytes) -> str:
    r"""The name as text on one line: what is not UTF-8 or not printable is escaped.

    Example:
        >>> print(printable(b"A/caf\xc3\xa9 \xff.png"))
        A/café \xff.png
    """
    text = name.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
