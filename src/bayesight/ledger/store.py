"""The ledger: records in, receipts out, one order for everybody."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TypeAlias

from sqlalchemy import Connection, Engine, insert, select

from bayesight.checks import check
from bayesight.errors import BeliefMoved, InvalidInput, UnknownName
from bayesight.ledger import tables
from bayesight.ledger.chain import content_digest
from bayesight.ledger.database import caveats, open_engine, reading, shown, writing
from bayesight.ledger.records import (
    CHANGES,
    ChainHead,
    Entry,
    LabelRecord,
    PredictionRecord,
    PriorRecord,
    Receipt,
    Record,
    RenameRecord,
    RunRecord,
    UpdateRecord,
    WithdrawalRecord,
    plain_text,
)
from bayesight.ledger.rows import (
    BeliefChange,
    append_records,
    change_of,
    check_queued,
    entries_with_payloads,
    entry_of,
    head_of,
    latest_of,
    lock_head,
    receipt_of,
    remember,
    repeated,
)
from bayesight.ledger.schema import migrate

Clock: TypeAlias = Callable[[], datetime]
"""Tells the time in UTC."""


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class Ledger:
    """An append-only ledger in a SQLite file or a PostgreSQL database.

    What it guarantees, on both:

    - *Durability.* A receipt is returned after the commit is on the disk (SQLite: write-ahead log with
      ``synchronous=FULL``; PostgreSQL: ``synchronous_commit`` as the server has it, on by default). A process
      killed, a disk that fills or a server that restarts loses nothing a receipt was given for.
    - *Atomicity.* The records of one call are there together or not at all.
    - *Order.* Every record has the next sequence number, from 1, without gaps. Writers take turns at one row,
      so numbers become visible in their order: who has read up to n misses nothing by asking ``since(n)``.
      Clocks decide nothing.
    - *Once.* The same key with the same content gives the same receipt and writes nothing; with other content
      it is refused. A label is absorbed by one update at most.
    - *One belief.* An update says which change of belief it was computed from, and is refused when that is no
      longer the last one. So updates form one line, whoever computed them.
    - *Evidence.* Every entry's digest covers the one before. What can be erased lies beside the chain, which
      holds a salted digest of it, so an erasure breaks nothing and is itself on record.

    Any number of threads may share one object; each process opens its own, after it was forked.

    Args:
        engine: an open database, already at this program's schema; use ``Ledger.open``.
        clock: tells the time for people; tests set it.

    Example:
        >>> import tempfile, numpy as np
        >>> from bayesight.ledger import LabelRecord, RunRecord
        >>> ledger = Ledger.open(tempfile.mkdtemp() + "/ledger.sqlite")
        >>> _ = ledger.register(RunRecord("r1", belief="00" * 32, classes=("A", "B"), features=2))
        >>> label = LabelRecord("r1", "0f" * 16, "B", "alice", np.zeros(2, np.float32))
        >>> receipt = ledger.append([label], key="request 7")
        >>> receipt.first, ledger.append([label], key="request 7") == receipt, ledger.head().sequence
        (2, True, 2)
        >>> [entry.record.label for entry in ledger.queued("r1")]
        ['B']
        >>> ledger.close()
    """

    def __init__(self, engine: Engine, clock: Clock = utc_now) -> None:
        self.engine, self.clock = engine, clock
        self._features: dict[str, int] = {}
        self._settled: dict[str, int] = {}  # up to there no label of a run is queued, nor ever will be again

    @classmethod
    def open(cls, url: str, *, create: bool = True, clock: Clock = utc_now) -> Ledger:
        """A ledger by the path of a SQLite file or its folder, ``sqlite:///FILE`` or ``postgresql://...``.

        An older schema is brought up to date first.

        Args:
            url: where.
            create: make the ledger where there is none.
            clock: tells the time.

        Raises:
            InvalidInput: no such kind of database.
            SourceNotFound: no file, and ``create`` is not given; or no folder to make it in.
            StorageFailed: the database cannot be reached or written.
            LedgerBroken: no database, a damaged one, or one of a newer version.
        """
        engine = open_engine(url, create=create)
        try:
            migrate(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, clock)

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def caveats(self) -> list[str]:
        """Reasons to put the ledger elsewhere, a sentence each; none where it lies well."""
        return caveats(self.engine)

    @property
    def url(self) -> str:
        """The ledger's URL, without a password."""
        return shown(self.engine)

    # Writing. Each call is one transaction; its receipt is given after the commit.

    def register(self, record: RunRecord) -> Receipt:
        """Begin with a run, or find that the ledger began with it, for which it need not be writable.

        Raises:
            InvalidInput: the ledger began with another belief of the same network.
            StorageFailed: as in ``append``.
        """
        with reading(self.engine) as connection:
            found = latest_of(connection, record.run, (RunRecord.kind,))
        if found is None:
            with writing(self.engine) as connection:
                lock_head(connection)
                found = latest_of(connection, record.run, (RunRecord.kind,))
                if found is None:
                    return append_records(connection, [record], self.clock())
        known = json.loads(found.body)["belief"]
        check(
            known == record.belief, "run", "its belief is another one than the ledger began with",
            "a run folder that is only changed through the ledger",
            "Record offline updates with --ledger, or begin a new ledger.",
        )  # fmt: skip
        return Receipt(found.sequence, found.sequence, found.at, found.digest, repeated=True)

    def append(
        self, records: Sequence[PredictionRecord | LabelRecord | PriorRecord], key: str = ""
    ) -> Receipt:
        """Write predictions, labels (queued until an update absorbs them) and priors.

        Args:
            records: one or more, of any of the three kinds; their order is kept.
            key: idempotency key, at most 200 characters; empty for none.

        Raises:
            KeyReused: the key stands for other content.
            UnknownName: a run that was not registered.
            InvalidInput: no records, another kind, or features of the wrong length.
            StorageFailed: nothing was written; or the connection broke while committing, and repeating the
                call with the same key finds out.
        """
        [outcome] = self.append_each([(records, key)])
        if isinstance(outcome, InvalidInput):
            raise outcome
        return outcome

    def append_each(
        self, batches: Sequence[tuple[Sequence[PredictionRecord | LabelRecord | PriorRecord], str]]
    ) -> list[Receipt | InvalidInput]:
        """``append`` for several callers at once: one transaction, so one wait for the disk.

        Args:
            batches: of each caller the records and the key.

        Returns:
            For each its receipt, or why it was refused; who was refused has written nothing, and the others
            are as if they had come alone.

        Raises:
            StorageFailed: as in ``append``, for all of them.
        """
        with writing(self.engine) as connection:
            lock_head(connection)
            return [self._append_one(connection, records, key) for records, key in batches]

    def _append_one(
        self,
        connection: Connection,
        records: Sequence[PredictionRecord | LabelRecord | PriorRecord],
        key: str,
    ) -> Receipt | InvalidInput:
        try:  # everything that can be refused is, before the first row is written
            _check_appended(records)
            content = content_digest(records) if plain_text(key, "key") else ""
            if key and (found := repeated(connection, key, content)):
                return found
            self._check_runs(connection, records)
            receipt = append_records(connection, records, self.clock())
        except InvalidInput as refused:
            return refused
        remember(connection, key, content, receipt)
        return receipt

    def append_update(self, made: UpdateRecord, labels: Sequence[LabelRecord] = (), key: str = "") -> Receipt:
        """Write an update, together with labels that come with it, in one transaction.

        ``learning`` computes the update, and computes it again where it is refused.

        Args:
            made: what was computed; ``made.labels`` are queued labels.
            labels: new ones, which are written first and absorbed after the queued ones.
            key: idempotency key of the whole.

        Returns:
            A receipt of the new labels and, as its last record, the update.

        Raises:
            BeliefMoved: ``made.position`` is not the last change of the belief; nothing was written.
            InvalidInput: labels that are not there, of another run, or absorbed already.
            KeyReused, UnknownName, StorageFailed: as in ``append``.
        """
        content = content_digest([*labels, made]) if plain_text(key, "key") else ""
        with writing(self.engine) as connection:
            lock_head(connection)
            if key and (found := repeated(connection, key, content)):
                return found
            self._check_runs(connection, [*labels, made])
            self._check_position(connection, made)
            check_queued(connection, made)
            first = head_of(connection).sequence + 1
            new = range(first, first + len(labels))
            whole = UpdateRecord(**{**vars(made), "labels": (*sorted(made.labels), *new)})
            receipt = append_records(connection, [*labels, whole], self.clock())
            rows = [{"label": label, "update_entry": receipt.last} for label in whole.labels]
            if rows:
                connection.execute(insert(tables.absorbed), rows)
            remember(connection, key, content, receipt)
            return receipt

    def append_change(self, made: WithdrawalRecord | RenameRecord, key: str = "") -> Receipt:
        """Write a change of the belief that brings no labels; ``amending`` computes it.

        Args:
            made: what was computed.
            key: idempotency key.

        Raises:
            BeliefMoved: ``made.position`` is not the last change of the belief; nothing was written.
            KeyReused, UnknownName, StorageFailed: as in ``append``.
        """
        content = content_digest([made]) if plain_text(key, "key") else ""
        with writing(self.engine) as connection:
            lock_head(connection)
            if key and (found := repeated(connection, key, content)):
                return found
            self._check_runs(connection, [made])
            self._check_position(connection, made)
            receipt = append_records(connection, [made], self.clock())
            remember(connection, key, content, receipt)
            return receipt

    # Reading. Each call sees one state of the ledger.

    def head(self) -> ChainHead:
        """The end of the chain: a cheap way to see whether anything is new."""
        with reading(self.engine) as connection:
            return head_of(connection)

    def since(
        self, sequence: int, *, limit: int = 1000, run: str = "", kinds: Sequence[str] = ()
    ) -> list[Entry]:
        """Entries after ``sequence``, in order.

        Args:
            sequence: the last one already seen; 0 for none.
            limit: at most so many.
            run: of this run only; empty for every run.
            kinds: of these kinds only; empty for every kind.
        """
        query = entries_with_payloads().where(tables.entries.c.sequence > sequence)
        if run:
            query = query.where(tables.entries.c.run == run)
        if kinds:
            query = query.where(tables.entries.c.kind.in_(kinds))
        return self._list(query.order_by(tables.entries.c.sequence).limit(limit))

    def entry(self, sequence: int) -> Entry:
        """The entry with this number.

        Raises:
            UnknownName: there is none.
        """
        found = self._list(entries_with_payloads().where(tables.entries.c.sequence == sequence))
        if not found:
            raise UnknownName("entry", str(sequence), [])
        return found[0]

    def latest(self, run: str, kind: str, *, limit: int = 1) -> list[Entry]:
        """The newest entries of a kind, newest first."""
        query = entries_with_payloads().where(tables.entries.c.run == run, tables.entries.c.kind == kind)
        return self._list(query.order_by(tables.entries.c.sequence.desc()).limit(limit))

    def renames(self, run: str) -> tuple[tuple[int, str, str], ...]:
        """(sequence number, old, new) of every new name a class of the run was given, in order."""
        found = self.since(0, run=run, kinds=(RenameRecord.kind,), limit=1_000_000)
        return tuple(
            (e.sequence, e.record.old, e.record.new) for e in found if isinstance(e.record, RenameRecord)
        )

    def runs(self) -> list[Entry]:
        """Every run the ledger began with."""
        return self.since(0, kinds=(RunRecord.kind,), limit=10_000)

    def queued(self, run: str, *, limit: int = 1000) -> list[Entry]:
        """Labels no update has absorbed yet, less erased ones, in order."""
        query = (
            entries_with_payloads()
            .outerjoin(tables.absorbed, tables.absorbed.c.label == tables.entries.c.sequence)
            .where(
                tables.entries.c.run == run,
                tables.entries.c.kind == LabelRecord.kind,
                tables.absorbed.c.label.is_(None),
                tables.payloads.c.sequence.is_not(None),
            )
        )
        query = query.where(tables.entries.c.sequence > self._settled.get(run, 0))
        with reading(self.engine) as connection:
            end = head_of(connection).sequence
            rows = connection.execute(query.order_by(tables.entries.c.sequence).limit(limit)).all()
        self._settled[run] = rows[0].sequence - 1 if rows else end
        return [entry_of(row) for row in rows]

    def about(self, run: str, image: str, *, limit: int = 100) -> list[Entry]:
        """An image's predictions and labels, newest first, with features and pixels."""
        query = entries_with_payloads().where(
            tables.entries.c.run == run, tables.payloads.c.image == plain_text(image, "image")
        )
        return self._list(query.order_by(tables.entries.c.sequence.desc()).limit(limit))

    def absorbed_by(self, labels: Sequence[int]) -> dict[int, int]:
        """Label -> the update that absorbed it, for those that were absorbed."""
        column = tables.absorbed.c.label
        with reading(self.engine) as connection:
            rows = connection.execute(select(tables.absorbed).where(column.in_(labels)))
            return {row.label: row.update_entry for row in rows}

    def receipt(self, key: str) -> Receipt | None:
        """The receipt given for a key; None for a key that was never used."""
        with reading(self.engine) as connection:
            found = connection.execute(
                select(tables.keys).where(tables.keys.c.key == plain_text(key, "key"))
            ).first()
            return None if found is None else receipt_of(connection, found)

    def position(self, run: str) -> int:
        """Sequence number of the last change of a run's belief; 0 when the run is unknown."""
        with reading(self.engine) as connection:
            return self.position_in(connection, run)

    @staticmethod
    def position_in(connection: Connection, run: str) -> int:
        """``position`` inside a transaction."""
        found = latest_of(connection, run, CHANGES)
        return 0 if found is None else int(found.sequence)

    def changes(self, run: str, since: int, *, limit: int = 100) -> list[BeliefChange]:
        """Changes of a run's belief after entry ``since``, in order, with the labels they are made of."""
        with reading(self.engine) as connection:
            columns = tables.entries.c
            query = entries_with_payloads().where(
                columns.run == run, columns.kind.in_(CHANGES), columns.sequence > since
            )
            rows = connection.execute(query.order_by(columns.sequence).limit(limit)).all()
            return [change_of(connection, entry_of(row)) for row in rows]

    def _list(self, query: Any) -> list[Entry]:
        with reading(self.engine) as connection:
            return [entry_of(row) for row in connection.execute(query)]

    def _check_position(
        self, connection: Connection, made: UpdateRecord | WithdrawalRecord | RenameRecord
    ) -> None:
        """Refuse a change computed from another belief than the last one."""
        now = self.position_in(connection, made.run)
        if now != made.position:
            raise BeliefMoved(
                f"{made.kind}: computed from change {made.position} of the belief; the last one is {now}. "
                "Catch up and compute it again."
            )

    def _check_runs(self, connection: Connection, records: Sequence[Record]) -> None:
        """Refuse what a replay could not digest."""
        for record in records:
            if record.run not in self._features:
                found = latest_of(connection, record.run, (RunRecord.kind,))
                if found is None:
                    known = connection.execute(select(tables.entries.c.run).distinct()).scalars().all()
                    raise UnknownName("run of this ledger", record.run, known)
                self._features[record.run] = json.loads(found.body)["features"]
            if isinstance(record, LabelRecord | PredictionRecord) and record.features is not None:
                size, right = len(record.features), self._features[record.run]
                mend = "Use the features of this run's network."
                check(size == right, f"{record.kind} features", f"{size} numbers", f"{right}", mend)


def _check_appended(records: Sequence[Record]) -> None:
    """Refuse what others write: runs, updates, erasures."""
    check(len(records) > 0, "append", "no records", "at least one")
    for record in records:
        good = isinstance(record, PredictionRecord | LabelRecord | PriorRecord)
        check(good, "append", f"a record of kind {record.kind!r}", "predictions, labels and priors")
