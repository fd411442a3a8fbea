"""Files that are either the old one or the new one, never half of each; files that may be a stranger's."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from bayesight.errors import BayesightError, RunUnreadable, SourceUnreadable, StorageFailed

_MENDS = {
    errno.ENOSPC: "Free some space there, then repeat.",
    errno.EDQUOT: "Free some space there, then repeat.",
    errno.EROFS: "Choose a place that can be written.",
    errno.EACCES: "Change the permissions, or choose another place.",
    errno.EPERM: "Change the permissions, or choose another place.",
    errno.EMFILE: "Let a process open more files ('ulimit -n'), then repeat.",
    errno.ENFILE: "Close other programs, then repeat.",
    errno.EIO: "Look at the disk: it could not be read or written.",
}
"""Refusals of the machine, and what helps."""


def write_atomic(path: str | os.PathLike[str], data: bytes | str) -> None:
    """Write a file so that a reader, a crash or a full disk never meets half of it.

    The bytes go to a temporary file beside the target, are forced to the disk, and take the target's name in
    one step. A symbolic link is followed, so the file it points to is the one replaced.

    Args:
        path: the file to create or replace; its folder must exist.
        data: the whole content; text is written as UTF-8, a lone surrogate, as in the name of a file that is
            not UTF-8, as JSON escapes it.

    Raises:
        StorageFailed: the folder is missing or not writable, the disk is full, or the path names something
            that is no regular file. The old file, if any, is left as it was.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "note.txt"
        >>> write_atomic(target, "kept")
        >>> target.read_text(encoding="utf-8")
        'kept'
    """
    content = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data
    with open_atomic(path) as file:
        file.write(content)


@contextlib.contextmanager
def open_atomic(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file to be written piece by piece; it takes its name once the block ends without an error.

    Args:
        path: as in ``write_atomic``.

    Raises:
        StorageFailed: as ``write_atomic``.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise StorageFailed(f"{path}: is no regular file; expected the name of a file. Give another name.")
    # The target's own name may already be as long as the file system allows, so it is not part of this one.
    temporary = target.parent / f".{secrets.token_hex(8)}.part"
    try:
        # Created with the permissions the user's umask gives.
        descriptor = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666
        )
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
        temporary.replace(target)
        _sync_folder(target.parent)
    except BayesightError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        mend = (
            "Create the folder first." if not target.parent.is_dir() else "Free some space or choose another."
        )
        raise StorageFailed(
            f"{path}: could not be written ({reason}); expected a writable folder. {mend}"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def make_folder(folder: Path, wanted: str = "a folder") -> None:
    """Make a folder, and those above it, unless it is there.

    Args:
        folder: the path.
        wanted: what was expected, for the message.

    Raises:
        StorageFailed: it cannot be made; says why.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "a file is there" if folder.is_file() else error.strerror or error
        raise StorageFailed(
            f"{folder}: could not be made ({reason}); expected {wanted}. Give another path."
        ) from error


def entries_of(folder: Path) -> list[Path]:
    """The entries of a folder in the order of their names; none where it cannot be listed, only entered."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def read_plain(path: Path, most: int) -> bytes:
    """A plain file of a run, whole; not a pipe that never ends, nor a device.

    Args:
        path: the file.
        most: bytes it may have; with 0 it is looked at and not read.

    Raises:
        RunUnreadable: missing, no plain file, or too large.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as file:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise RunUnreadable(f"{path} is no plain file; expected one that 'bayesight train' wrote.")
            if most and facts.st_size > most:
                raise RunUnreadable(f"{path} has {facts.st_size:,} bytes; expected {most:,} at most.")
            return file.read(most)
    except OSError as problem:
        raise RunUnreadable(f"{path} is missing or damaged ({problem.strerror or problem}).") from problem


def refusal_of_system(problem: OSError) -> StorageFailed | None:
    """A refusal of the machine, of a file nothing else looked after, in one sentence; None of other errors.

    Example:
        >>> print(refusal_of_system(OSError(errno.ENOSPC, "No space left on device", "/tmp/part")))
        /tmp/part: No space left on device. Free some space there, then repeat.
    """
    if (mend := _MENDS.get(problem.errno or 0)) is None:
        return None
    place = f"{problem.filename}: " if problem.filename else ""
    return StorageFailed(f"{place}{problem.strerror}. {mend}")


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say in one sentence that a source cannot be read.

    Raises:
        SourceUnreadable: the system refuses it.
    """
    try:
        yield
    except BayesightError:
        raise
    except OSError as error:
        raise SourceUnreadable(f"{path} cannot be read: {error.strerror or error}") from error


def _sync_folder(folder: Path) -> None:
    """Force the new name itself to the disk, on systems that let a folder be opened."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
