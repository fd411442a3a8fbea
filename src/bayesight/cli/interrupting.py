"""Ctrl-C, whenever it comes: one line on standard error, and the exit status of an interrupted program."""

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
    """Leave with status 130 and one line where what runs inside was interrupted and did not end in order."""
    interruption = _Interruption()
    try:
        yield
    except BaseException as end:
        if not interruption.came or (isinstance(end, SystemExit) and not end.code):
            raise
        _leave(end)


class _Interruption:
    """Takes Ctrl-C, which has its effect at once, or when the module being loaded is there.

    Cut off while it is loaded, compiled code may abort the process or raise whatever it will.
    """

    def __init__(self) -> None:
        self.came = False
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is to be ignored
            signal.signal(signal.SIGINT, self._stop)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        while frame is not None:
            if frame.f_code.co_filename.startswith("<frozen importlib"):
                threading.Timer(0.05, os.kill, (os.getpid(), number)).start()
                return
            frame = frame.f_back
        raise KeyboardInterrupt


def _leave(end: BaseException) -> None:
    """End the program at once: its threads may be in the middle of something."""
    from bayesight.cli.output import INTERRUPTED, STOPPED, ReportedStatus, say

    if not (isinstance(end, SystemExit) and isinstance(end.code, ReportedStatus)):
        say(STOPPED)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(INTERRUPTED)
