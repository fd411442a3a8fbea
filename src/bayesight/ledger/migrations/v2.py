"""Beliefs saved on the way, so that a program that starts need not replay from the base."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v2"
down_revision = "v1"


def upgrade() -> None:
    """Make the table."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "snapshots",
        sa.Column("run", sa.String(64), primary_key=True),
        sa.Column("position", number, sa.ForeignKey("entries.sequence"), nullable=False),
        sa.Column("belief", sa.LargeBinary, nullable=False),
    )
