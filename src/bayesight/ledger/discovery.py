"""Ledgers that go on from a run: found beside it or by the mark they leave in it, and only read.

A ledger inside the run folder or beside it is found by looking. Another one is named in a file of the run
folder, ``ledgers.json``, which is written when the ledger begins with the run; it holds no password. A copy
of a run is another run: the file names the folder by its inode, and a ledger by its path.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bayesight.errors import BayesightError
from bayesight.files import entries_of, write_atomic
from bayesight.language import marked
from bayesight.ledger.belief import run_record
from bayesight.ledger.records import (
    CHANGES,
    LabelRecord,
    RunRecord,
    UpdateRecord,
    WithdrawalRecord,
    numbers_in,
)
from bayesight.run import Run

MARK = "ledgers.json"
"""The file in which a run folder names the ledgers that began with it."""
MOST = 50
"""Files looked at in a folder, and ledgers named in a mark."""
_ENDINGS = (".sqlite", ".sqlite3", ".db")
_OF_RUN = "SELECT sequence, body FROM entries WHERE run = ? AND kind = ?"
_LABELS = (
    "SELECT sequence, image, person FROM entries JOIN payloads USING (sequence) WHERE run = ? AND kind = ?"
)
_VARIABLE = "BAYESIGHT_LEDGER"  # where 'bayesight serve' finds its ledger too


@dataclass(frozen=True)
class LinkedLedger:
    """A ledger that goes on from a run.

    Args:
        name: a path or a URL without a password, as ``--ledger`` takes it.
        labels: labels in it that stand and that the run has not; None where it is on a server.
        changes: updates, labels taken back, new names and erasures in it; None likewise.
    """

    name: str
    labels: int | None
    changes: int | None = None

    @property
    def holds(self) -> str:
        """Its additional knowledge in words; that it is empty is said too."""
        if self.labels is None:
            return marked("may hold labels this run has not")
        if self.labels == 0:
            return marked("holds changes this run has not") if self.changes else marked("holds no labels yet")
        if self.labels == 1:
            return marked("holds 1 label this run has not")
        return marked(f"holds {self.labels:,} labels this run has not")


def leave_mark(run: Run, url: str) -> None:
    """Name a ledger in the run folder it began with; silently not where that cannot be written.

    Args:
        run: the folder.
        url: of the ledger, without a password.
    """
    head = "sqlite:///"
    name = str(Path(url.removeprefix(head)).absolute()) if url.startswith(head) else url
    if Path(name).parent == run.folder:
        return
    known = _marked(run)
    if name not in known:
        with contextlib.suppress(OSError, BayesightError):  # a run may lie where nobody may write
            tree = {"inode": run.folder.stat().st_ino, "ledgers": [*known, name][-MOST:]}
            write_atomic(run.folder / MARK, json.dumps(tree, indent=1) + "\n")


def ledgers_of(run: Run) -> list[LinkedLedger]:
    """The ledgers that go on from a run as it is now, those that know most first.

    Args:
        run: the folder; ledgers are looked for in it, beside it, in its mark and in ``BAYESIGHT_LEDGER``.
    """
    files: list[str] = []
    servers: list[str] = []
    for name in dict.fromkeys(_named(run)):
        (servers if "://" in name else files).append(name)
    files = [name for name in files if _is_database(Path(name))]
    if not files and not servers:
        return []
    record = run_record(run, run.classifier())
    found = [one for name in files if (one := _counted(name, run, record)) is not None]
    return sorted(found, key=lambda one: -(one.labels or 0)) + [LinkedLedger(name, None) for name in servers]


def _named(run: Run) -> Iterator[str]:
    for folder in (run.folder, run.folder.parent):
        yield from map(str, _databases(folder))
    yield from _marked(run)
    stated = os.environ.get(_VARIABLE, "")
    if stated.startswith("sqlite:///"):
        yield str(Path(stated.removeprefix("sqlite:///")).absolute())
    elif stated and "://" not in stated:
        path = Path(stated).expanduser().absolute()
        yield str(path / "ledger.sqlite" if path.is_dir() else path)


def _databases(folder: Path) -> list[Path]:
    return [path for path in entries_of(folder) if path.suffix in _ENDINGS][:MOST]


def _marked(run: Run) -> list[str]:
    """The ledgers named in a run folder; a mark that is none, or another folder's, names nothing."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        path = run.folder / MARK
        if path.stat().st_size < 100_000:
            tree = json.loads(path.read_text(encoding="utf-8"))
            if tree["inode"] == run.folder.stat().st_ino:
                names = tree["ledgers"]
                return [name for name in names if isinstance(name, str) and name.isprintable()][:MOST]
    return []


def _is_database(path: Path) -> bool:
    with contextlib.suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                return file.read(16) == b"SQLite format 3\0"
    return False


def _counted(name: str, run: Run, record: RunRecord) -> LinkedLedger | None:
    """A ledger and what it holds of a run; None where it did not begin with the run as it is, and here."""
    uri = f"{Path(name).absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=5)) as ledger:
            rows = {kind: ledger.execute(_OF_RUN, (record.run, kind)).fetchall() for kind in CHANGES}
            labels = ledger.execute(_LABELS, (record.run, LabelRecord.kind)).fetchall()
        if not rows[RunRecord.kind] or not _began(rows[RunRecord.kind][0][1], Path(name), run, record):
            return None
        trees = {kind: [json.loads(body) for _, body in found] for kind, found in rows.items()}
        out = [tree for tree in trees[UpdateRecord.kind] if tree["remove"]]
        gone = {number for tree in trees[WithdrawalRecord.kind] for number in numbers_in(tree["labels"])}
        removing = {number for tree in out for number in numbers_in(tree["labels"])}
    except (sqlite3.Error, ValueError, KeyError, TypeError):
        return None
    removed = {image for number, image, _ in labels if number in removing}
    stand = {(image, who) for number, image, who in labels if number not in gone and image not in removed}
    return LinkedLedger(name, len(stand), sum(map(len, rows.values())) - 1)


def _began(body: str, ledger: Path, run: Run, record: RunRecord) -> bool:
    """A ledger began with this belief, and in this folder or one that is there no more."""
    tree = json.loads(body)
    folder = Path(str(tree.get("folder", "")))
    with contextlib.suppress(OSError):
        elsewhere = folder.is_dir() and not folder.samefile(run.folder)
        return tree["belief"] == record.belief and (ledger.parent == run.folder or not elsewhere)
    return False
