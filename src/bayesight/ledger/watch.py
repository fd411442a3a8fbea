"""A watch on a run's part of the ledger, to notice at little cost that its belief or base rates have changed.

Asking costs microseconds on SQLite (``PRAGMA data_version`` tells whether anything was committed, and an
index whether it matters), and one small query on PostgreSQL.
"""

from __future__ import annotations

import sqlite3
import threading
from typing import Protocol

from sqlalchemy import Connection, Select, func, select
from sqlalchemy.exc import SQLAlchemyError

from bayesight.ledger.database import identity, storage_errors
from bayesight.ledger.records import CHANGES, PriorRecord
from bayesight.ledger.store import Ledger
from bayesight.ledger.tables import entries


class LedgerWatch(Protocol):
    """Tells by a mark whether a run's belief or base rates have changed; any number of threads may ask."""

    def mark(self) -> object:
        """A value that is another one after every commit that matters, by whichever process.

        Read the ledger after taking the mark: a commit in between then shows in the next one.

        Raises:
            StorageFailed: the database cannot be reached.
        """

    def close(self) -> None:
        """Give the connection back."""


def watch(ledger: Ledger, run: str) -> LedgerWatch:
    """A watch on a ledger for changes of a run's belief and base rates; predictions and labels do not count.

    Args:
        ledger: to be watched.
        run: its name.
    """
    if ledger.engine.dialect.name == "sqlite":
        return _FileWatch(str(ledger.engine.url.database), run)
    return _ServerWatch(ledger, run)


class _FileWatch:
    """The newest entries that matter in a SQLite file, looked for when others have committed something."""

    def __init__(self, path: str, run: str) -> None:
        self._query = str(_newest(run).compile(compile_kwargs={"literal_binds": True}))
        self._path, self._file = path, identity(path)
        self._connection = sqlite3.connect(path, timeout=60, check_same_thread=False, isolation_level=None)
        self._lock = threading.Lock()
        self._version: object = None
        self._newest: object = None

    def mark(self) -> object:
        with self._lock:
            if identity(self._path) != self._file:  # the file was taken away: whoever catches up is told
                return object()
            try:  # this connection never writes, so every commit is another's and counts
                version = self._connection.execute("PRAGMA data_version").fetchone()
                if version != self._version:
                    self._newest = self._connection.execute(self._query).fetchone()
                    self._version = version  # of before the looking: a commit in between shows next time
            except sqlite3.Error:  # like no other mark: whoever catches up is told what is wrong
                return object()
            return self._newest

    def close(self) -> None:
        self._connection.close()


class _ServerWatch:
    """The same on a server, on a connection kept for it and made anew when it breaks."""

    def __init__(self, ledger: Ledger, run: str) -> None:
        self._ledger, self._query = ledger, _newest(run)
        self._lock = threading.Lock()
        self._connection = self._opened()

    def mark(self) -> object:
        with self._lock:
            try:
                return self._found(self._connection)
            except SQLAlchemyError:  # the server was restarted, or closed an idle connection
                self._connection.close()
                with storage_errors(self._ledger.engine):
                    self._connection = self._opened()
                    return self._found(self._connection)

    def close(self) -> None:
        self._connection.close()

    def _found(self, connection: Connection) -> object:
        return tuple(connection.execute(self._query).one())

    def _opened(self) -> Connection:
        return self._ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT")


def _newest(run: str) -> Select[tuple[int, ...]]:
    """The newest entries of a run that change its belief or base rates."""
    columns = entries.c
    parts = [
        select(func.max(columns.sequence)).where(columns.run == run, columns.kind == kind).scalar_subquery()
        for kind in (*CHANGES[1:], PriorRecord.kind)
    ]
    return select(*parts)
