"""The command line: parse, call a workflow, render. One file a command group."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line; every refused input is one sentence on standard error and exit status 1."""
    from bayesight.cli.app import run

    run()
