"""The command line: parse, call a workflow, render. One file a command group."""

from __future__ import annotations

import os

__all__ = ["main"]


def main() -> None:
    """Run the command line; every refused input is one sentence on standard error and exit status 1."""
    # Threads that wait for each other sleep instead of spinning: on a busy machine that halves the time of
    # training, and on an idle one it costs next to nothing. It must be said before torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from bayesight.cli.app import run

    run()
