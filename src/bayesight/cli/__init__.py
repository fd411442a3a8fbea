"""The command line: parse, call a workflow, render. One file a group of commands."""

from __future__ import annotations

import gc
import os

__all__ = ["main"]


def main() -> None:
    """Run the command line; every refused input is one sentence on standard error and exit status 1."""
    from bayesight.cores import available_cores

    # Two threads that share a core with other work wait for each other most of the time, so half the cores
    # do the work unless the user says otherwise. It must be said before torch is imported.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, available_cores() // 2)))
    from bayesight.cli.interrupting import ended_by_ctrl_c

    with ended_by_ctrl_c():
        from bayesight.cli.app import run

        try:
            run()
        finally:
            gc.freeze()  # the process ends: nothing is looked through once more
