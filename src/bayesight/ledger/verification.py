"""Verification of a ledger: every entry, in order, the personal parts, and the end of the chain."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from bayesight.errors import LedgerBroken
from bayesight.ledger import tables
from bayesight.ledger.chain import START, entry_digest, personal_digest
from bayesight.ledger.database import reading
from bayesight.ledger.records import ChainHead, ErasureRecord, PersonalPart, Receipt, UpdateRecord, from_parts
from bayesight.ledger.store import Ledger
from bayesight.types import Progress

CHUNK = 2000


@dataclass(frozen=True)
class Verification:
    """The result of a verification.

    Args:
        entries: how many entries are good, counted from the first.
        erased: how many of them were erased in part.
        head: the end of what is good.
        broken: number of the first entry that is not; None when all are.
        reason: what is wrong with it; empty when all is well.
    """

    entries: int
    erased: int
    head: ChainHead
    broken: int | None = None
    reason: str = ""

    @property
    def good(self) -> bool:
        """True where nothing is wrong."""
        return self.broken is None


def verify(
    ledger: Ledger, *, receipt: Receipt | ChainHead | None = None, progress: Progress | None = None
) -> Verification:
    """Check every entry, the personal parts beside them, what was absorbed, and the end of the chain.

    A chain shows that nothing inside it was changed. Somebody who can write the whole database can also cut
    its end off and set the head anew, or make another chain; against that, keep a receipt elsewhere.

    Args:
        ledger: what to check; it is only read.
        receipt: kept from earlier; the ledger has to hold the entry it speaks of.
        progress: told how many entries were checked.

    Raises:
        StorageFailed: the database cannot be reached.
    """
    try:
        return _scan(ledger, _Tally(ChainHead(0, START), 0), receipt, progress, CHUNK)
    except LedgerBroken:
        # The file itself is damaged somewhere: entry by entry, to say where.
        state = _Tally(ChainHead(0, START), 0)
        try:
            return _scan(ledger, state, receipt, progress, 1)
        except LedgerBroken as damage:
            return state.broken(str(damage))


def _scan(
    ledger: Ledger,
    state: _Tally,
    receipt: Receipt | ChainHead | None,
    progress: Progress | None,
    chunk: int,
) -> Verification:
    with reading(ledger.engine) as connection:
        gone = _erased(connection)
        used = {row.label: row.update_entry for row in connection.execute(select(tables.absorbed))}
        total = connection.execute(select(tables.head.c.sequence)).scalar()
        for row in _rows(connection, chunk):
            problem = _problem(row, state, gone, used)
            if problem:
                return state.broken(problem)
            state.accept(row, gone)
            if receipt and row.sequence == _end(receipt) and row.digest != receipt.digest:
                return state.broken("it is not the entry the receipt was given for", at=row.sequence)
            if progress and row.sequence % CHUNK == 0:
                progress(row.sequence, total)
        return _ending(connection, state, used, receipt)


class _Tally:
    """The progress of a verification, for the sentence about its end."""

    def __init__(self, head: ChainHead, erased: int) -> None:
        self.head, self.erased = head, erased

    def accept(self, row: Row[Any], gone: frozenset[int]) -> None:
        self.head = ChainHead(row.sequence, row.digest)
        self.erased += row.sequence in gone

    def broken(self, reason: str, at: int | None = None) -> Verification:
        number = self.head.sequence + 1 if at is None else at
        return Verification(number - 1, self.erased, self.head, number, reason)


def _rows(connection: Connection, chunk: int) -> Iterator[Row[Any]]:
    """Entries in order, each with its personal part, a chunk at a time."""
    personal = [c for c in tables.payloads.c if c.name != "sequence"]
    columns = tables.entries.c
    joined = tables.entries.outerjoin(tables.payloads, columns.sequence == tables.payloads.c.sequence)
    query = select(*columns, *personal).select_from(joined).order_by(columns.sequence).limit(chunk)
    last = -(2**62)
    while rows := connection.execute(query.where(columns.sequence > last)).all():
        yield from rows
        last = rows[-1].sequence


def _problem(row: Row[Any], state: _Tally, gone: frozenset[int], used: dict[int, int]) -> str:
    """The fault of an entry; empty for none."""
    if row.sequence != state.head.sequence + 1:
        return f"it is missing; the next one there is {row.sequence}"
    if row.previous != state.head.digest:
        return "it does not follow the entry before it"
    digest = entry_digest(row.sequence, row.at, row.kind, row.run, row.body, row.personal, row.previous)
    if digest != row.digest:
        return "its content is not what its digest was made of"
    return _personal_problem(row, row.sequence in gone) or _absorbed_problem(row, used)


def _personal_problem(row: Row[Any], erased: bool) -> str:
    if row.personal is None:
        return (
            "it has a personal part that it did not have when it was written" if row.salt is not None else ""
        )
    if row.salt is None:
        return "" if erased else "its personal part is missing, and no erasure speaks of it"
    if erased:
        return "an erasure speaks of it, and its personal part is still there"
    personal = PersonalPart({}, row.person, row.image, row.features, row.pixels)
    if personal_digest(row.salt, row.facts, personal) != row.personal:
        return "its personal part is not what its digest was made of"
    return ""


def _absorbed_problem(row: Row[Any], used: dict[int, int]) -> str:
    """The table of absorbed labels is only a quicker way to ask, so it has to say what the updates say."""
    if row.kind != UpdateRecord.kind:
        return ""
    record = from_parts(row.kind, row.run, json.loads(row.body), None)
    assert isinstance(record, UpdateRecord)
    wrong = [label for label in record.labels if used.pop(label, None) != row.sequence]
    return f"the table of absorbed labels does not have label {wrong[0]} under it" if wrong else ""


def _ending(
    connection: Connection, state: _Tally, used: dict[int, int], receipt: Receipt | ChainHead | None
) -> Verification:
    """Check that the chain ends where the head says, and that no absorbed label is left over."""
    head = connection.execute(select(tables.head)).one()
    if head.sequence > state.head.sequence:
        return state.broken(f"it is missing; the head says there are {head.sequence}")
    if (head.sequence, head.digest) != (state.head.sequence, state.head.digest):
        return state.broken(f"the head says the chain ends with {head.sequence}", at=head.sequence + 1)
    if used:
        label, by = next(iter(used.items()))
        return state.broken(f"label {label} is said to be absorbed by it, and it does not say so", at=by)
    if receipt and _end(receipt) > state.head.sequence:
        return state.broken(f"it is missing; a receipt was given for entry {_end(receipt)}")
    return Verification(state.head.sequence, state.erased, state.head)


def _end(receipt: Receipt | ChainHead) -> int:
    return receipt.last if isinstance(receipt, Receipt) else receipt.sequence


def _erased(connection: Connection) -> frozenset[int]:
    columns = tables.entries.c
    query = select(columns.run, columns.body).where(columns.kind == ErasureRecord.kind)
    gone: set[int] = set()
    for run, body in connection.execute(query):
        # One that was tampered with is named when its turn comes.
        with contextlib.suppress(ValueError, TypeError, KeyError):
            record = from_parts(ErasureRecord.kind, run, json.loads(body), None)
            gone.update(record.erased if isinstance(record, ErasureRecord) else ())
    return frozenset(gone)
