"""Updates that correct, labels taken back, classes renamed: no table changes; no older program knows them.

Without this step they would stop in the middle of a replay; with it they say that a newer version is needed.
"""

from __future__ import annotations

revision = "v3"
down_revision = "v2"


def upgrade() -> None:
    """Nothing to do."""
