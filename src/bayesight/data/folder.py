"""The files below a folder.

Their names are bytes here, for a name need not be UTF-8; that is why pathlib, which takes text, is not used.
"""

# ruff: noqa: PTH110, PTH112, PTH114, PTH118, PTH120, PTH123

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bayesight.data.members import ENCODED_LIMIT_BYTES, Member, Unreadable
from bayesight.language import marked


def folder_members(root: Path, *, follow_links: bool = False) -> Iterator[Member]:
    """Every file below a folder, each folder in the order of its names.

    A symbolic link is followed when it leads to something inside ``root``, and a linked folder only once, so
    that links cannot go round in circles.

    Args:
        root: the folder.
        follow_links: follow links that lead out of it, too.
    """
    for name, path, status, reason in _entries(root, follow_links=follow_links):
        if status is None:
            yield name, reason, 0, None
        else:
            what = None if stat.S_ISREG(status.st_mode) else marked("neither a file nor a folder")
            yield name, what, status.st_size, partial(_read_file, path)


def folder_signature(root: Path, *, follow_links: bool = False) -> tuple[int, str, int]:
    """(files below a folder, a hash that changes when any of them does, when the last one changed in ns).

    A name, an inode, a size and the times of every file. The time of a file's last change (ctime) is set by
    the system and moves with every write, exchange and renaming, whatever times a program restores; where
    there is no such time, on Windows, the files are read.
    """
    known = hashlib.blake2b(digest_size=16)
    count = newest = 0
    for name, path, status, reason in _entries(root, follow_links=follow_links):
        count += 1
        if status is None:
            known.update(b"%s\0%s\n" % (name, reason.encode()))
            continue
        newest = max(newest, status.st_ctime_ns)
        known.update(b"%s\0%d\0%d\0%d\0%d\n" % (path, *file_stamp(status)))
        if os.name != "posix" and stat.S_ISREG(status.st_mode):
            known.update(_read_file(path))
    return count, known.hexdigest(), newest


def _entries(root: Path, *, follow_links: bool) -> Iterator[tuple[bytes, bytes, os.stat_result | None, str]]:
    """(name inside, path, status or None, why there is none) of everything below a folder but folders."""
    top = os.fsencode(os.path.realpath(root))
    linked: set[bytes] = set()
    waiting = [b""]
    while waiting:
        inside = waiting.pop()
        here = os.path.join(top, inside)
        try:
            with os.scandir(here) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            yield inside, here, None, marked(f"cannot be read: {error.strerror}")
            continue
        folders = []
        for entry in entries:
            name = inside + b"/" + entry.name if inside else entry.name
            try:
                if entry.is_symlink() and (refusal := _link_refusal(entry.path, top, linked, follow_links)):
                    yield name, entry.path, None, refusal
                elif entry.is_dir():
                    folders.append(name)
                else:
                    yield name, entry.path, entry.stat(), ""
            except OSError as error:
                yield name, entry.path, None, marked(f"cannot be read: {error.strerror}")
        waiting.extend(reversed(folders))


def file_stamp(status: os.stat_result) -> tuple[int, int, int, int]:
    """(inode, bytes, time of the last write, time of the last change of any kind in ns)."""
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _link_refusal(link: bytes, top: bytes, linked: set[bytes], follow_links: bool) -> str | None:
    """Why a symbolic link is not followed; None when it is."""
    target = os.path.realpath(link)
    if not os.path.exists(target):
        if os.path.islink(target):
            return marked("a symbolic link that leads round in a circle")
        return marked("a symbolic link that leads nowhere")
    if target != top and not target.startswith(top.rstrip(b"/") + b"/") and not follow_links:
        return marked("a symbolic link that leads out of the folder; --follow-links reads what it leads to")
    if os.path.isdir(target):
        lies_in = os.path.join(os.path.realpath(os.path.dirname(link)), b"")
        if target in linked or any(
            place.startswith(os.path.join(target, b"")) for place in (lies_in, link + b"/", top + b"/")
        ):
            return marked("a symbolic link to a folder that is read already")
        linked.add(target)
    return None


def _read_file(path: bytes) -> bytes:
    """The content of a file, up to the limit."""
    try:
        with open(path, "rb") as file:
            return file.read(ENCODED_LIMIT_BYTES + 1)
    except OSError as error:
        raise Unreadable(marked(f"cannot be read: {error.strerror}")) from None
