"""The cache of sources that were read: how large each store is, when it was last used, and their removal."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from bayesight.data.store import cache_home, lock_of
from bayesight.errors import StorageFailed
from bayesight.files import entries_of


@dataclass(frozen=True)
class CachedStore:
    """One kept thing: the images of a source, as they were read for one size and mode.

    Args:
        path: its folder, or file.
        source: what it was made of; empty for what a milestone has rendered and for what killed builds left.
        images: how many.
        bytes: on the disk.
        used: when it was last opened, UTC, ISO 8601.
    """

    path: str
    source: str
    images: int
    bytes: int
    used: str


@dataclass(frozen=True)
class Cache:
    """Everything that is kept, the largest first.

    Args:
        folder: where; $BAYESIGHT_CACHE names another.
        stores: what.
    """

    folder: Path
    stores: tuple[CachedStore, ...]

    @property
    def bytes(self) -> int:
        """All of it together."""
        return sum(store.bytes for store in self.stores)


def cached(cache: str | os.PathLike[str] | None = None) -> Cache:
    """List what is kept.

    Args:
        cache: where; $BAYESIGHT_CACHE or the user's cache folder when not given.
    """
    home = cache_home(cache)
    entries = [path for part in ("stores", "milestones") for path in entries_of(home / part)]
    stores = [_described(path) for path in entries if path.suffix != ".lock"]
    return Cache(home, tuple(sorted(stores, key=lambda store: -store.bytes)))


def clear_cache(cache: str | os.PathLike[str] | None = None) -> Cache:
    """Remove everything that is kept and that nobody is at work on; sources are not touched.

    Processes that have a store open go on reading it. What is needed again is made again.

    Returns:
        What was removed.

    Raises:
        StorageFailed: something cannot be removed.
    """
    found = cached(cache)
    gone = [store for store in found.stores if _removed(Path(store.path))]
    return Cache(found.folder, tuple(gone))


def _described(path: Path) -> CachedStore:
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    sizes, times = [], [0.0]
    for file in files:
        with suppress(OSError):
            sizes.append(file.stat().st_size)
            times.append(file.stat().st_mtime)
    source, images = "", 0
    with suppress(OSError, EOFError, ValueError, KeyError, TypeError, AttributeError):
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        source = str(manifest["source"])
        images = len(np.load(path / "labels.npy", mmap_mode="r", allow_pickle=False))
    used = datetime.fromtimestamp(max(times), UTC).isoformat(timespec="seconds")
    return CachedStore(str(path), source, images, sum(sizes), used)


def _removed(path: Path) -> bool:
    """Remove one thing, unless somebody holds its lock."""
    lock = path.with_suffix(".lock") if path.is_file() else lock_of(path)
    try:
        with FileLock(lock, timeout=0):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    except Timeout:
        return False
    except OSError as problem:
        raise StorageFailed(f"{path} cannot be removed ({problem.strerror or problem}).") from problem
    return True
