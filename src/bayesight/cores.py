"""The processor's cores that this process may use, and work spread over them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
_MOST_THREADS = 8


def available_cores() -> int:
    """Cores this process is allowed to run on, which may be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def spread(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """The answers of some work for each item, in their order, on as many threads as cores, at most 8.

    Cores add up where the work lets go of the interpreter for most of its time. An error of one item is
    raised here.

    Example:
        >>> spread(abs, [-2, 3])
        [2, 3]
    """
    threads = min(available_cores(), _MOST_THREADS, len(items))
    if threads < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(threads, thread_name_prefix="bayesight-spread") as pool:
        return list(pool.map(work, items))
