"""Memory of a process that runs for months: what large requests took up goes back to the system.

glibc gives each thread pieces of memory of its own and keeps what was freed in them, which after thousands of
large requests is tens of MiB that nobody uses (``benchmarks/service_requests.py`` shows it). So threads share
two pieces, emptied after each large request. Where there is no glibc, nothing is done.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import os
from collections.abc import Callable

__all__ = ["LARGE_BYTES", "give_back", "share_pieces"]

LARGE_BYTES = 2**16
"""A body after which memory is given back; what is made of it may be a hundred times as large."""

_ARENA_MAX = -8


def share_pieces() -> None:
    """Let all threads of this process and of those it starts share two pieces of memory.

    To be called before there are threads, and so before torch is imported.
    """
    _of_libc("mallopt")(_ARENA_MAX, 2)
    os.environ.setdefault("MALLOC_ARENA_MAX", "2")


def give_back() -> None:
    """Return free memory to the system; takes some milliseconds."""
    gc.collect(1)  # a refusal and what it holds know of each other
    _of_libc("malloc_trim")(0)


@functools.cache
def _of_libc(name: str) -> Callable[..., object]:
    try:
        found: Callable[..., object] = getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError, TypeError):  # another C library, or Windows
        return lambda *_: None
    return found
