"""Progress of a long call from Python: ``progress=True`` keeps a line on standard error."""

from __future__ import annotations

import sys
import time

from bayesight.types import Progress, ShownProgress

_EVERY_S = 0.2


def reporter(progress: ShownProgress, label: str, unit: str = "images") -> Progress | None:
    """The listener to a function's progress: none, the caller's own, or a line on standard error.

    Args:
        progress: as the caller gave it; True asks for the line.
        label: what is being done.
        unit: what is counted.

    Example:
        >>> reporter(False, "reading") is None, reporter(print, "reading") is print
        (True, True)
    """
    if progress is True:
        return _Line(label, unit)
    return progress or None


def duration(seconds: float) -> str:
    """A time left, in as few words as will do.

    Example:
        >>> duration(0.4), duration(75), duration(7330)
        ('0 s', '1 min 15 s', '2 h 2 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def told(line: str) -> None:
    """Write a line on standard error."""
    sys.stderr.write(f"{line}\n")


class _Line:
    """A line that is written over until everything is done."""

    def __init__(self, label: str, unit: str) -> None:
        self.label, self.unit = label, unit
        self.began = time.monotonic()
        self.next = 0.0

    def __call__(self, done: int, total: int | None) -> None:
        now, finished = time.monotonic(), total is not None and done >= total
        if now < self.next and not finished:
            return
        self.next = now + _EVERY_S
        rate = done / max(now - self.began, 1e-9)
        of = "" if total is None else f" of {total:,}"
        left = "" if total is None or not rate else f", {duration((total - done) / rate)} left"
        line = f"{self.label}: {done:,}{of} {self.unit}, {rate:,.0f}/s{left}"
        sys.stderr.write(f"\r{line:<78}" + "\n" * finished)
        sys.stderr.flush()

    def announce(self, sentence: str) -> None:
        told(f"\r{sentence:<78}")
