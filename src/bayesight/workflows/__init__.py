"""Whole jobs, one a module: what a command of the command line does, without the printing.

A workflow reads, computes, saves and returns a frozen result; it decides who hears the engine's events, and
never prints. Its function is called as its module is, so it is imported from there:
``from bayesight.workflows.train import TrainRequest, train``. The same functions are at the front door,
``import bayesight``.
"""

from __future__ import annotations

__all__: list[str] = []


def __dir__() -> list[str]:
    """No names: the modules are the door."""
    return __all__
