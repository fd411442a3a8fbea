"""The command line: parse, call a workflow, render. One file a command group."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn

__all__ = ["main"]


def main() -> None:
    """Run the command line; every refused input is one sentence on standard error and exit status 1."""
    # Two threads that share a core with other work wait for each other most of the time, so half the cores
    # do the work unless the user says otherwise. It must be said before torch is imported.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // 2)))
    with_ctrl_c = _Interruption()
    try:
        from bayesight.cli.app import run

        run()
    except BaseException as end:
        if not with_ctrl_c.came:
            raise
        _leave(end)


class _Interruption:
    """Whether Ctrl-C was pressed, and its effect: at once, or when the module being loaded is there.

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


def _leave(end: BaseException) -> NoReturn:
    """End an interrupted program in one line, at once: its threads may be in the middle of something."""
    from bayesight.cli.common import INTERRUPTED, STOPPED, Told, say

    said = isinstance(end, SystemExit) and isinstance(end.code, Told)
    if not said:
        say(STOPPED)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(INTERRUPTED)
