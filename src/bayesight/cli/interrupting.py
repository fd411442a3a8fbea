"""Ctrl-C or SIGTERM, whenever it comes: one line on standard error, and an interrupted program's status."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ended_by_ctrl_c() -> Iterator[None]:
    """Leave with one line where what runs inside was interrupted and did not end in order.

    The status is 128 and the number of the signal: 130 after Ctrl-C, 143 after SIGTERM.
    """
    interruption = _Interruption()
    try:
        yield
    except BaseException as end:
        if not interruption.came or (isinstance(end, SystemExit) and not end.code):
            raise
        _leave(end, 128 + interruption.came)


class _Interruption:
    """Takes Ctrl-C, which has its effect at once, or when the module being loaded is there.

    Cut off while it is loaded, compiled code may abort the process or raise whatever it will.

    SIGTERM, by which schedulers and ``docker stop`` end a program, is taken as Ctrl-C would be at that
    moment: training ends after the step under way, and keeps it. Processes that train together end at once,
    for a step may wait for one of them that is no more.
    """

    def __init__(self) -> None:
        self.came = 0  # number of the signal
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is to be ignored
            signal.signal(signal.SIGINT, self._stop)
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL and "RANK" not in os.environ:
            signal.signal(signal.SIGTERM, self._end)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.came = number
        stop = signal.getsignal(signal.SIGINT)
        (stop if callable(stop) else self._stop)(number, frame)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.came = number
        while frame is not None:
            if frame.f_code.co_filename.startswith("<frozen importlib"):
                threading.Timer(0.05, os.kill, (os.getpid(), number)).start()
                return
            frame = frame.f_back
        raise KeyboardInterrupt


def _leave(end: BaseException, status: int) -> None:
    """End the program at once: its threads may be in the middle of something."""
    from bayesight.cli.output import STOPPED, ReportedStatus, say

    if not (isinstance(end, SystemExit) and isinstance(end.code, ReportedStatus)):
        say(STOPPED)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
