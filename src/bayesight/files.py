"""Files that are either the old one or the new one, never half of each."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from bayesight.errors import StorageFailed

__all__ = ["write_atomic"]


def write_atomic(path: str | os.PathLike[str], data: bytes | str) -> None:
    """Write a file so that a reader, a crash or a full disk never meets half of it.

    The bytes go to a temporary file beside the target, are forced to the disk, and take the target's name in
    one step. A symbolic link is followed, so the file it points to is the one replaced.

    Args:
        path: the file to create or replace; its folder must exist.
        data: the whole content; text is written as UTF-8.

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
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise StorageFailed(f"{path}: is no regular file; expected the name of a file. Give another name.")
    content = data.encode("utf-8") if isinstance(data, str) else data
    # The target's own name may already be as long as the file system allows, so it is not part of this one.
    temporary = target.parent / f".{secrets.token_hex(8)}.part"
    try:
        _write_durably(temporary, content)
        temporary.replace(target)
        _sync_folder(target.parent)
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


def _write_durably(path: Path, content: bytes) -> None:
    """Create ``path``, with the permissions the user's umask gives, and force its bytes to the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Force the new name itself to the disk, on systems that let a folder be opened."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
