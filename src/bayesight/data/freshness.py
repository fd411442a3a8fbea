"""Tells whether a source still holds the bytes a store was made of: by its times, or else by reading."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bayesight.data.folder import file_stamp, folder_signature
from bayesight.data.sources import Source
from bayesight.files import reading

__all__ = ["Stamp", "content_of", "digest_of", "stamp"]

_TICK_NS = 20_000_000
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class Stamp:
    """The file system's account of a source, without reading it.

    Args:
        values: equal only for a source that was not touched; as JSON gives them back.
        files: how many files it has, where that is known.
        tells: whether equal values prove equal bytes here.
    """

    values: list[Any]
    files: int | None
    tells: bool


def stamp(source: Source) -> Stamp:
    """Look at a source's files, once they have been at rest for a tick of the file system's clock.

    A write within the same tick as the look would leave every time as it was.

    Raises:
        SourceUnreadable: a file cannot be looked at.
    """
    found, newest = _look(source)
    tick = 2 * _SECOND_NS if newest % _SECOND_NS == 0 else _TICK_NS  # some keep whole seconds only
    if time.time_ns() - newest < tick:
        time.sleep(tick / 1e9)
        found, _ = _look(source)
    return found


def content_of(source: Source, stamped: Stamp) -> list[Any]:
    """A value that changes when a source's bytes do: an archive's hash of its files, a folder's stamp.

    Raises:
        SourceUnreadable: a file cannot be read.
    """
    if source.kind == "folder":
        return stamped.values
    return [source.kind, *[digest_of(path) for path in _files(source)]]


def _look(source: Source) -> tuple[Stamp, int]:
    """(what the file system says, the time of the last change in ns)."""
    if source.kind == "folder":
        count, digest, newest = folder_signature(source.path, follow_links=source.options.follow_links)
        return Stamp(["folder", count, digest], count, tells=True), newest
    with reading(source.path):
        found = [path.stat() for path in _files(source)]
    values = [source.kind, *[list(file_stamp(status)) for status in found]]
    return Stamp(values, None, tells=os.name == "posix"), max(status.st_ctime_ns for status in found)


def _files(source: Source) -> list[Path]:
    return [path for path in (source.path, source.labels) if path is not None]


def digest_of(path: Path) -> str:
    """The hash of a file's bytes.

    Raises:
        SourceUnreadable: it cannot be read.
    """
    with reading(path), path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
