"""The chain, its erasable side, and what makes asking quick."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v1"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "entries",
        sa.Column("sequence", number, primary_key=True, autoincrement=False),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("run", sa.String(64), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("personal", sa.String(64)),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
    )
    op.create_index("entries_by_run", "entries", ["run", "kind", "sequence"])
    op.create_table(
        "payloads",
        sa.Column(
            "sequence", number, sa.ForeignKey("entries.sequence"), primary_key=True, autoincrement=False
        ),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("image", sa.String(32), nullable=False),
        sa.Column("features", sa.LargeBinary, nullable=False),
        sa.Column("pixels", sa.LargeBinary, nullable=False),
    )
    op.create_index("payloads_by_person", "payloads", ["person"])
    op.create_index("payloads_by_image", "payloads", ["image"])
    op.create_table(
        "absorbed",
        sa.Column("label", number, sa.ForeignKey("entries.sequence"), primary_key=True, autoincrement=False),
        sa.Column("update_entry", number, sa.ForeignKey("entries.sequence"), nullable=False),
    )
    op.create_index("absorbed_by_update", "absorbed", ["update_entry", "label"])
    op.create_table(
        "keys",
        sa.Column("key", sa.String(200), primary_key=True),
        sa.Column("content", sa.String(64), nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
    )
    head = op.create_table(
        "head",
        sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
    )
    op.bulk_insert(head, [{"one": 1, "sequence": 0, "digest": "0" * 64}])
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("created_at", sa.String(40), nullable=False),
        sa.Column("expires_at", sa.String(40)),
        sa.Column("revoked_at", sa.String(40)),
    )
