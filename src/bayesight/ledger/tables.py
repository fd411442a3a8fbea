"""The ledger's tables. Only ``entries`` and ``payloads`` are evidence; the others make asking quick."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

entries = Table(
    "entries",
    metadata,
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", String(40), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("run", String(64), nullable=False),
    Column("body", Text, nullable=False),  # canonical JSON
    Column("personal", String(64)),  # digest of the row in ``payloads``, while there is one and afterwards
    Column("previous", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Index("entries_by_run", "run", "kind", "sequence"),
)

payloads = Table(
    "payloads",
    metadata,
    Column("sequence", ForeignKey(entries.c.sequence), primary_key=True, autoincrement=False),
    Column("salt", LargeBinary, nullable=False),
    Column("facts", Text, nullable=False),  # canonical JSON
    Column("person", Text, nullable=False),
    Column("image", String(32), nullable=False),
    Column("features", LargeBinary, nullable=False),  # little-endian float32
    Column("pixels", LargeBinary, nullable=False),
    Index("payloads_by_person", "person"),
    Index("payloads_by_image", "image"),
)

absorbed = Table(
    "absorbed",
    metadata,
    Column("label", ForeignKey(entries.c.sequence), primary_key=True, autoincrement=False),
    Column("update_entry", ForeignKey(entries.c.sequence), nullable=False),
    Index("absorbed_by_update", "update_entry", "label"),
)

keys = Table(
    "keys",
    metadata,
    Column("key", String(200), primary_key=True),
    Column("content", String(64), nullable=False),  # digest; empty once something of it was erased
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
)

head = Table(
    "head",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),  # always 1: the row every writer locks
    Column("sequence", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", Text, nullable=False),
    Column("digest", String(64), nullable=False, unique=True),  # SHA-256 of the token, never the token
    Column("scopes", Text, nullable=False),
    Column("created_at", String(40), nullable=False),
    Column("expires_at", String(40)),
    Column("revoked_at", String(40)),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("run", String(64), primary_key=True),
    Column("position", ForeignKey(entries.c.sequence), nullable=False),
    Column("belief", LargeBinary, nullable=False),  # safetensors; believed only if its digest is in the chain
)
