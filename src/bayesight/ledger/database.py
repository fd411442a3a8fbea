"""Engines for SQLite and PostgreSQL, transactions, and storage errors in plain words."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from bayesight.errors import InvalidInput, LedgerBroken, MissingExtra, SourceNotFound, StorageFailed
from bayesight.language import marked

FILE = "ledger.sqlite"
"""Name of the ledger in a folder."""

BUSY_S = 60.0
"""How long a writer waits for others on one SQLite file."""

MOUNTS = Path("/proc/self/mounts")
NETWORK = frozenset(
    [
        "9p",
        "afs",
        "ceph",
        "cifs",
        "davfs",
        "glusterfs",
        "lustre",
        "nfs",
        "nfs4",
        "smb3",
        "smbfs",
        "vboxsf",
        "fuse.ceph",
        "fuse.gcsfuse",
        "fuse.glusterfs",
        "fuse.juicefs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.sshfs",
        "fuse.vmhgfs-fuse",
    ]
)
"""Kinds of file systems that lie on another machine, as Linux names them."""

_NO_SHARED_MEMORY = {
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_IOERR_SHMLOCK,
    sqlite3.SQLITE_IOERR_SHMMAP,
    sqlite3.SQLITE_IOERR_SHMOPEN,
    sqlite3.SQLITE_IOERR_SHMSIZE,
}
"""Errors by which SQLite says that write-ahead logging is not to be had in a place."""


def open_engine(url: str, *, create: bool) -> Engine:
    """An engine for ``sqlite:///FILE``, ``postgresql://...``, the path of a SQLite file, or of its folder.

    Raises:
        InvalidInput: another kind of database, or a URL that cannot be read.
        SourceNotFound: a SQLite file that is not there, and ``create`` is not given.
        MissingExtra: PostgreSQL without its driver.
    """
    target = _url(url)
    if target.get_backend_name() == "sqlite":
        return _sqlite(target, create=create)
    try:
        # Snapshots for readers; a writer locks the head row, so serialisation failures cannot occur.
        return create_engine(target, pool_pre_ping=True, pool_size=10, max_overflow=20)
    except ImportError as problem:
        raise MissingExtra("a ledger on PostgreSQL", "postgres") from problem


def shown(engine: Engine) -> str:
    """The URL without its password, for messages."""
    return engine.url.render_as_string(hide_password=True)


def caveats(engine: Engine) -> list[str]:
    """Reasons to put a ledger elsewhere, a sentence each.

    Without write-ahead logging SQLite is as safe as with it, but whoever reads keeps writers out meanwhile. A
    network file system is another matter: its locks are promises.
    """
    if engine.dialect.name != "sqlite":
        return []
    with reading(engine) as connection:
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
    where = shown(engine)
    found = []
    if mode != "wal":
        found.append(
            marked(
                f"ledger {where}: no write-ahead logging is to be had there (journal mode {mode!r}); "
                "it works, but readers and writers wait for each other. Put it on a local disk, or "
                "use PostgreSQL."
            )
        )
    system = file_system(_file(engine.url).resolve(), _mounted())
    if system in NETWORK:
        found.append(
            marked(
                f"ledger {where}: it lies on a network file system ({system}); used from several "
                "machines at once it may be damaged, and what is acknowledged may not be on a disk. "
                "Put it on a local disk, or use PostgreSQL."
            )
        )
    return found


def identity(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """The file at a path by its device and its number there, which a new name keeps; None where none is."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def file_system(path: Path, mounted: str) -> str:
    r"""The kind of file system an absolute path lies on; empty where that is not to be seen.

    Args:
        path: the file, or where it will be.
        mounted: what is mounted where, as Linux writes it.

    Example:
        >>> file_system(Path("/mnt/ledger.sqlite"), "/dev/sda / ext4 rw\nnas:/x /mnt nfs4 rw")
        'nfs4'
    """
    best = ("", "")
    for line in mounted.splitlines():
        place, system = [*line.split()[1:3], "", ""][:2]
        place = re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), place)
        if place and path.is_relative_to(place) and len(place) >= len(best[0]):
            best = (place, system)
    return best[1]


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that is alone from its first statement on SQLite; committed at the end.

    Raises:
        StorageFailed: nothing of the transaction is in the ledger, or, if the connection broke in the very
            moment of the commit, all of it: the same idempotency key finds out.
    """
    with storage_errors(engine), engine.connect() as connection:
        connection = connection.execution_options(ledger_begin="alone")
        with connection.begin():
            yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees one state of the ledger, however long it takes.

    Raises:
        StorageFailed: the database cannot be reached.
        LedgerBroken: the file is no database, or a damaged one.
    """
    with storage_errors(engine), engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            yield connection


@contextmanager
def storage_errors(engine: Engine) -> Iterator[None]:
    """Say in our words what the database's driver raises.

    Raises:
        StorageFailed, LedgerBroken: as in ``reading`` and ``writing``.
    """
    try:
        yield
    except DBAPIError as problem:
        raise _translated(engine, problem.orig) from problem
    except sqlite3.Error as problem:  # while a connection is being made
        raise _translated(engine, problem) from problem
    except SQLAlchemyError as problem:  # no connection left in the pool
        raise StorageFailed(f"ledger {shown(engine)}: {problem}; try again.") from problem


def _mounted() -> str:
    try:
        return MOUNTS.read_text(errors="replace")
    except OSError:
        return ""


def _file(target: URL) -> Path:
    return Path(str(target.database).removeprefix("file:"))


def _url(text: str) -> URL:
    if text.endswith(":memory:"):
        raise _unknown("':memory:', which is gone when the program ends")
    if "://" not in text:
        path = Path(text).expanduser()
        return URL.create("sqlite", database=str(path / FILE if path.is_dir() else path))
    try:
        target = make_url(text)
    except ArgumentError as problem:
        raise _unknown("a URL that cannot be read") from problem
    if target.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        return target.set(drivername="postgresql+psycopg")
    if target.drivername == "sqlite" and target.database:
        return target
    raise _unknown(target.drivername)


def _unknown(came: str) -> InvalidInput:
    return InvalidInput(
        f"ledger: {came}; expected the path of a SQLite file, sqlite:///FILE, or "
        "postgresql://USER:PASSWORD@HOST/DATABASE."
    )


def _sqlite(target: URL, *, create: bool) -> Engine:
    path = _file(target)
    if not create and not path.exists():
        raise SourceNotFound(f"ledger {path} does not exist; 'bayesight serve' and 'token create' make one.")
    if create and not path.absolute().parent.is_dir():
        raise SourceNotFound(f"ledger {path}: the folder {path.absolute().parent} does not exist; make it.")
    engine = create_engine(target, connect_args={"timeout": BUSY_S}, pool_size=10, max_overflow=20)
    opened = _OpenedFile(path, shown(engine))

    @event.listens_for(engine, "do_connect")
    def _look(*_: Any) -> None:
        opened.check()  # SQLite would make an empty file in the place of one that is gone

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions begin where we say so, not where the driver thinks
        cursor = connection.cursor()
        _into_wal(cursor)
        cursor.execute("PRAGMA synchronous=FULL")  # a commit is on the disk, not on its way
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA secure_delete=ON")  # what is erased is overwritten
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        opened.check()
        if "ledger_begin" in connection.get_execution_options():
            _begin_alone(connection.connection.cursor())
        else:
            connection.exec_driver_sql("BEGIN")

    return engine


class _OpenedFile:
    """The file a ledger was opened in, which has to stay the one at its path.

    SQLite goes on writing into a file that was deleted or moved away, and nobody would find it there again.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name
        self._first = identity(path)

    def check(self) -> None:
        """Look at the path.

        Raises:
            StorageFailed: another file is there, or none.
        """
        now = identity(self._path)
        if self._first is None:
            self._first = now
        elif now != self._first:
            raise StorageFailed(
                f"ledger {self._name}: its file was deleted, moved or replaced while it was open; nothing "
                "was written. Put the file back, or start again with the one that is to go on."
            )


def _begin_alone(cursor: Any) -> None:
    """Begin as the only writer; others are waited for in short steps.

    SQLite's own waiting sleeps up to a tenth of a second at a time, so that the latest comer is served first.
    """
    end_s = time.monotonic() + BUSY_S
    cursor.execute("PRAGMA busy_timeout=0")
    try:
        while True:
            try:
                cursor.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as problem:
                if problem.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end_s:
                    raise
                time.sleep(0.002)
    finally:
        cursor.execute(f"PRAGMA busy_timeout={round(1000 * BUSY_S)}")
        cursor.close()


def _into_wal(cursor: sqlite3.Cursor) -> None:
    """Write-ahead logging where it is to be had; the switch does not wait for other programs by itself."""
    for patience in range(100):
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as problem:
            if problem.sqlite_errorcode in _NO_SHARED_MEMORY:
                return  # it works with a rollback journal; ``caveats`` says what follows
            if patience == 99 or problem.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            time.sleep(0.05)


def _translated(engine: Engine, problem: BaseException | None) -> Exception:
    reason = next(iter(str(problem).strip().splitlines()), "no reason given")
    where = f"ledger {shown(engine)}"
    code = getattr(problem, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or reason.startswith("Could not decode"):
        return LedgerBroken(f"{where} is damaged: {reason}. Restore it from a copy.")
    if code == sqlite3.SQLITE_FULL or re.search("disk is full|No space left", reason):
        return StorageFailed(f"{where}: the disk is full; nothing was written. Free some space, then repeat.")
    if code == sqlite3.SQLITE_READONLY:
        return StorageFailed(f"{where}: {reason}; nothing was written. Make the file writable, then repeat.")
    if code == sqlite3.SQLITE_CANTOPEN:
        return StorageFailed(
            f"{where}: {reason}; expected a file in a folder where this user may write. Change the folder's "
            "permissions, or give another ledger."
        )
    if code == sqlite3.SQLITE_BUSY:
        return StorageFailed(f"{where}: others have been writing for {BUSY_S:.0f} s; nothing was written.")
    return StorageFailed(
        f"{where}: {reason}. Repeat with the same idempotency key: what was written is not written twice."
    )
