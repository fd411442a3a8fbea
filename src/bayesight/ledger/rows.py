"""Records written as rows of the database and read again, inside a transaction."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from bayesight.errors import InvalidInput, KeyReused
from bayesight.ledger import tables
from bayesight.ledger.chain import canonical, entry_digest, personal_digest
from bayesight.ledger.records import (
    ChainHead,
    Entry,
    LabelRecord,
    PersonalPart,
    Receipt,
    Record,
    UpdateRecord,
    WithdrawalRecord,
    from_parts,
    plain_text,
)


@dataclass(frozen=True)
class BeliefChange:
    """A change of belief with what is needed to make it again.

    Args:
        entry: an update, a withdrawal, a new name, an erasure, or the run itself.
        labels: entries of the labels absorbed or taken back, in their order, less the erased ones.
        erased: how many of its labels were erased since.
    """

    entry: Entry
    labels: tuple[Entry, ...] = ()
    erased: int = 0


def lock_head(connection: Connection) -> ChainHead:
    """Wait for the other writers; from here on this transaction is alone. The end of the chain."""
    found = connection.execute(select(tables.head).with_for_update()).one()
    return ChainHead(found.sequence, found.digest)


def append_records(connection: Connection, records: Sequence[Record], now: datetime) -> Receipt:
    """Add records to the chain; the caller holds the head and commits.

    Args:
        connection: in a transaction that called ``lock_head``.
        records: one or more.
        now: the time they get.
    """
    at = now.astimezone(UTC).isoformat(timespec="microseconds")
    before = head_of(connection)
    previous, number = before.digest, before.sequence
    entries: list[dict[str, Any]] = []
    payloads: list[dict[str, Any]] = []
    for number, record in enumerate(records, before.sequence + 1):
        row, payload = _rows(number, at, record, previous)
        entries.append(row)
        if payload is not None:
            payloads.append(payload)
        previous = row["digest"]
    connection.execute(insert(tables.entries), entries)
    if payloads:
        connection.execute(insert(tables.payloads), payloads)
    connection.execute(update(tables.head).values(sequence=number, digest=previous))
    return Receipt(before.sequence + 1, number, at, previous)


def _rows(
    number: int, at: str, record: Record, previous: str
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    body, personal = canonical(record.body()), record.personal()
    payload, digest = None, None
    if personal is not None:
        plain_text(personal.person, "person")
        plain_text(personal.image, "image")
        salt, facts = secrets.token_bytes(16), canonical(personal.facts)
        digest = personal_digest(salt, facts, personal)
        payload = {**vars(personal), "sequence": number, "salt": salt, "facts": facts}
    row = {
        "sequence": number, "at": at, "kind": record.kind, "run": record.run, "body": body,
        "personal": digest, "previous": previous,
        "digest": entry_digest(number, at, record.kind, record.run, body, digest, previous),
    }  # fmt: skip
    return row, payload


def entries_with_payloads() -> Any:
    """Every entry with what is left of its personal part."""
    personal = [c for c in tables.payloads.c if c.name != "sequence"]
    joined = tables.entries.outerjoin(
        tables.payloads, tables.entries.c.sequence == tables.payloads.c.sequence
    )
    return select(*tables.entries.c, *personal).select_from(joined)


def entry_of(row: Row[Any]) -> Entry:
    """The entry in a row of ``entries_with_payloads``."""
    personal = None
    if row.salt is not None:
        personal = PersonalPart(json.loads(row.facts), row.person, row.image, row.features, row.pixels)
    record = from_parts(row.kind, row.run, json.loads(row.body), personal)
    return Entry(row.sequence, row.at, row.kind, row.run, record, row.digest, row.previous)


def change_of(connection: Connection, entry: Entry) -> BeliefChange:
    """An entry together with the labels it absorbed or took back."""
    query = entries_with_payloads().order_by(tables.entries.c.sequence)
    if isinstance(entry.record, UpdateRecord):
        absorbed = tables.absorbed.c
        query = query.join(tables.absorbed, absorbed.label == tables.entries.c.sequence)
        query = query.where(absorbed.update_entry == entry.sequence)
    elif isinstance(entry.record, WithdrawalRecord):
        query = query.where(tables.entries.c.sequence.in_(entry.record.labels))
    else:
        return BeliefChange(entry)
    found = [entry_of(row) for row in connection.execute(query)]
    labels = tuple(one for one in found if isinstance(one.record, LabelRecord))
    return BeliefChange(entry, labels, len(found) - len(labels))


def head_of(connection: Connection) -> ChainHead:
    """The end of the chain."""
    found = connection.execute(select(tables.head)).one()
    return ChainHead(found.sequence, found.digest)


def latest_of(connection: Connection, run: str, kinds: Sequence[str]) -> Row[Any] | None:
    """A run's newest entry of any of these kinds."""
    columns = tables.entries.c
    newest = [
        connection.execute(
            select(func.max(columns.sequence)).where(columns.run == run, columns.kind == kind)
        ).scalar()
        for kind in kinds
    ]
    last = max((number for number in newest if number is not None), default=None)
    return (
        None
        if last is None
        else connection.execute(select(tables.entries).where(columns.sequence == last)).one()
    )


def repeated(connection: Connection, key: str, content: str) -> Receipt | None:
    """The receipt an earlier call with this key got."""
    found = connection.execute(select(tables.keys).where(tables.keys.c.key == key)).first()
    if found is None:
        return None
    if found.content not in (content, ""):
        raise KeyReused(
            f"idempotency key {key[:60]!r}: it stands for other content, written as entry "
            f"{found.first}; expected a new key for a new request."
        )
    return receipt_of(connection, found)


def receipt_of(connection: Connection, key: Row[Any]) -> Receipt:
    """The receipt that was given for a key."""
    columns = tables.entries.c
    last = connection.execute(select(columns.at, columns.digest).where(columns.sequence == key.last)).one()
    return Receipt(key.first, key.last, last.at, last.digest, repeated=True)


def remember(connection: Connection, key: str, content: str, receipt: Receipt) -> None:
    """Keep what a key stands for, if there is one."""
    if key:
        row = {
            "key": key,
            "content": content,
            "first": receipt.first,
            "last": receipt.last,
        }
        connection.execute(insert(tables.keys), [row])


def check_queued(connection: Connection, made: UpdateRecord) -> None:
    """Refuse labels that are not there to be absorbed."""
    columns = tables.entries.c
    query = (
        select(columns.sequence)
        .join(tables.payloads, tables.payloads.c.sequence == columns.sequence)
        .outerjoin(tables.absorbed, tables.absorbed.c.label == columns.sequence)
        .where(columns.run == made.run, columns.kind == LabelRecord.kind, tables.absorbed.c.label.is_(None))
        .where(columns.sequence.in_(made.labels))
    )
    found = set(connection.execute(query).scalars())
    wrong = sorted(set(made.labels) - found)
    if wrong or len(set(made.labels)) != len(made.labels):
        raise InvalidInput(
            f"update: {wrong or 'a label twice'}; expected sequence numbers of queued labels of this run, "
            "each once."
        )
