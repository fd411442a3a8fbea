"""Forgetting on request: a person's records, or an image's, with the belief as if they had never come.

What is deleted is the personal part of each record: who, which image, its features and pixels, what was said
of it. The chain keeps a salted digest of it, and the salt goes too. The belief is built again from the base
without the erased labels, so it is theirs no more in any bit; taking their statistics out of a sum of floats
would leave their trace in its last digits, and in the record of how well they were predicted.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

import torch
from sqlalchemy import Connection, delete, or_, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from bayesight.checks import check
from bayesight.errors import BeliefMoved
from bayesight.ledger import tables
from bayesight.ledger.belief import BeliefState, belief_digest
from bayesight.ledger.database import reading, writing
from bayesight.ledger.records import ErasureRecord, LabelRecord, PredictionRecord, Receipt, plain_text
from bayesight.ledger.replay import at_head, rebuild
from bayesight.ledger.rows import append_records, lock_head
from bayesight.ledger.snapshots import drop_snapshot
from bayesight.ledger.store import Ledger
from bayesight.types import Progress


@dataclass(frozen=True)
class ErasureOutcome:
    """The outcome of an erasure.

    Args:
        receipt: of the record of it; None when there was nothing to erase.
        labels: labels erased.
        predictions: predictions erased.
        other: further records, such as priors, whose author was erased.
        unlearned: of the labels, those that were part of the belief and are no more.
        in_base: images of theirs the run itself was trained on; these stay in its belief.
    """

    receipt: Receipt | None
    labels: int = 0
    predictions: int = 0
    other: int = 0
    unlearned: int = 0
    in_base: int = 0


def runs_concerned(ledger: Ledger, *, person: str = "", image: str = "") -> list[str]:
    """Names of the runs under which something of a person or an image is kept."""
    _check_asked(person, image)
    with reading(ledger.engine) as connection:
        return sorted({run for _, _, run, _ in _found(connection, None, person, image)})


def erase(
    ledger: Ledger, state: BeliefState, *, person: str = "", image: str = "", progress: Progress | None = None
) -> tuple[BeliefState, ErasureOutcome]:
    """Erase a person's records and images, or an image, from what is kept of one run.

    Of a person everything goes that names them, and everything about the images in it, whoever asked or
    labelled: an image a person brought is theirs. Other processes build their belief anew when they catch up.

    Args:
        ledger: where evidence is kept.
        state: the run's belief; erasing needs its base.
        person: whose.
        image: 32 hexadecimal digits; one of the two.
        progress: told how many changes of the belief were made again.

    Returns:
        The belief after it, and what was erased.

    Raises:
        InvalidInput: neither a person nor an image, or both.
        StorageFailed: as in ``Ledger.append``; nothing was erased.
        BeliefMoved: others kept learning first, a hundred times over.
    """
    _check_asked(person, image)

    def attempt(state: BeliefState) -> tuple[BeliefState, ErasureOutcome]:
        with reading(ledger.engine) as connection:
            found = _found(connection, state.run, person, image)
            used = _used(connection, [number for number, *_ in found])
        if not found:
            return state, ErasureOutcome(None)
        after = rebuild(ledger, state, without=used, progress=progress) if used else state
        digest = belief_digest(after.classifier) if used else state.belief
        numbers = tuple(number for number, *_ in found)
        made = ErasureRecord(
            state.run, numbers, state.position, state.belief, digest, torch.get_num_threads(), len(used)
        )
        receipt = _commit(ledger, made, person, image)
        _overwrite(ledger)
        kinds = [kind for _, kind, _, _ in found]
        base = {bytes(row).hex() for row in state.base.absorbed.digests.numpy()}
        erased = ErasureOutcome(
            receipt,
            labels=kinds.count(LabelRecord.kind),
            predictions=kinds.count(PredictionRecord.kind),
            other=len(kinds) - kinds.count(LabelRecord.kind) - kinds.count(PredictionRecord.kind),
            unlearned=len(used),
            in_base=len({shown for *_, shown in found} & base),
        )
        return replace(after, position=receipt.last, belief=digest), erased

    return at_head(ledger, state, attempt, name="erase")


def _check_asked(person: str, image: str) -> None:
    check(bool(person) != bool(image), "erase", "both or neither", "a person or an image")
    plain_text(person, "person")
    plain_text(image, "image")


def _found(
    connection: Connection, run: str | None, person: str, image: str
) -> list[tuple[int, str, str, str]]:
    """(sequence, kind, run, image) of every record concerned that still has its personal part."""
    kept, entries = tables.payloads.c, tables.entries.c
    if person:
        theirs = select(kept.image).where(kept.person == person, kept.image != "")
        condition = or_(kept.person == person, kept.image.in_(theirs))
    else:
        condition = kept.image == image
    query = select(entries.sequence, entries.kind, entries.run, kept.image)
    query = query.join(tables.payloads, kept.sequence == entries.sequence).where(condition)
    if run is not None:
        query = query.where(entries.run == run)
    return [
        (n, kind, name, which)
        for n, kind, name, which in connection.execute(query.order_by(entries.sequence))
    ]


def _used(connection: Connection, numbers: list[int]) -> frozenset[int]:
    column = tables.absorbed.c.label
    return frozenset(connection.execute(select(column).where(column.in_(numbers))).scalars())


def _commit(ledger: Ledger, made: ErasureRecord, person: str, image: str) -> Receipt:
    """Write the erasure and delete what it speaks of, if nothing has changed since it was computed."""
    with writing(ledger.engine) as connection:
        lock_head(connection)
        found = tuple(number for number, *_ in _found(connection, made.run, person, image))
        if found != made.erased or ledger.position_in(connection, made.run) != made.position:
            raise BeliefMoved("erase: something came first; catch up and compute it again.")
        receipt = append_records(connection, [made], ledger.clock())
        for first, last in made.body()["erased"]:
            of_entry = tables.payloads.c.sequence.between(first, last)
            connection.execute(delete(tables.payloads).where(of_entry))
            of_key = (tables.keys.c.first <= last) & (tables.keys.c.last >= first)
            connection.execute(update(tables.keys).where(of_key).values(content=""))
        drop_snapshot(connection, made.run)
        return receipt


def _overwrite(ledger: Ledger) -> None:
    """Have the database let go of the deleted bytes, not only of their names."""
    sqlite = ledger.engine.dialect.name == "sqlite"
    # The erasure stands already; where others hold the database up, its next checkpoint or vacuum does this.
    with contextlib.suppress(SQLAlchemyError), ledger.engine.connect() as connection:
        if sqlite:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        else:
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(
                text("VACUUM payloads, snapshots")
            )
