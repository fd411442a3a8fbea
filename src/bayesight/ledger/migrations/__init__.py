"""The steps from one schema to the next, a file each; a step is never edited once a ledger has taken it."""

from __future__ import annotations

__all__: list[str] = []


def __dir__() -> list[str]:
    """No names: ``bayesight.ledger.schema`` reads the files."""
    return __all__
