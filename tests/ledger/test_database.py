"""Places of a ledger: what is said of one without write-ahead logging, or on another machine."""

import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest

from bayesight.errors import InvalidInput
from bayesight.ledger import Ledger, RunRecord, database
from bayesight.ledger.database import file_system
from bayesight.ledger.records import LabelRecord

RUN = RunRecord("r", belief="00" * 32, classes=("A", "B"), features=2)


def label(number: int) -> LabelRecord:
    return LabelRecord("r", f"{number:032x}", "A", "", np.zeros(2, np.float32))


def test_nothing_is_said_of_a_local_disk(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(database, "MOUNTS", tmp_path / "nothing")
    with Ledger.open(str(tmp_path / "l.sqlite")) as ledger:
        assert ledger.caveats() == []


def test_a_place_without_shared_memory_is_told_and_works(tmp_path: Path) -> None:
    """With locks by files beside the database, as on some network file systems, there is none."""
    url = f"sqlite:///file:{tmp_path}/l.sqlite?vfs=unix-dotfile&uri=true"
    with Ledger.open(url) as ledger, Ledger.open(url) as other:
        (said,) = [line for line in ledger.caveats() if "write-ahead" in line]
        assert "journal mode 'delete'" in said
        assert said.endswith(
            "readers and writers wait for each other. Put it on a local disk, or use PostgreSQL."
        )
        ledger.register(RUN)

        def write(which: Ledger, first: int) -> None:
            for number in range(first, first + 10):
                which.append([label(number)])

        threads = [threading.Thread(target=write, args=(which, n)) for which, n in ((ledger, 0), (other, 10))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(other.since(0, kinds=("label",))) == 20


@pytest.mark.parametrize("code", ["SQLITE_IOERR_SHMMAP", "SQLITE_PROTOCOL"])
def test_write_ahead_logging_that_fails_is_done_without(code: str) -> None:
    class Refusing:
        def execute(self, statement: str) -> None:
            problem = sqlite3.OperationalError("disk I/O error")
            problem.sqlite_errorcode = getattr(sqlite3, code)
            raise problem

    database._into_wal(Refusing())


def test_a_network_file_system_is_told(tmp_path: Path, monkeypatch) -> None:
    mounts = tmp_path / "mounts"
    monkeypatch.setattr(database, "MOUNTS", mounts)
    place = str(tmp_path).replace(" ", "\\040")
    mounts.write_text(f"/dev/sda1 / ext4 rw 0 0\nnas:/x {place} nfs4 rw 0 0\n")
    with Ledger.open(str(tmp_path / "l.sqlite")) as ledger:
        (said,) = ledger.caveats()
    assert "lies on a network file system (nfs4)" in said
    assert "several machines at once" in said


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/l.sqlite", "ext4"),
        ("/mnt/l.sqlite", "nfs"),
        ("/mnt/a b/l.sqlite", "cifs"),
        ("/mnt/a b/c/l.sqlite", "cifs"),
        ("/mntx/l.sqlite", "ext4"),
        ("/over/l.sqlite", "tmpfs"),
    ],
)
def test_the_innermost_and_latest_mount_counts(path: str, wanted: str) -> None:
    mounted = (
        "/dev/sda / ext4 rw 0 0\n\nrubbish\n//nas/x /mnt/a\\040b cifs rw 0 0\nnas:/y /mnt nfs rw 0 0\n"
        "a /over ext4 rw 0 0\nb /over tmpfs rw 0 0\n"
    )
    assert file_system(Path(path), mounted) == wanted


@pytest.mark.parametrize("url", [":memory:", "sqlite:///:memory:"])
def test_a_ledger_in_memory_is_refused(url):
    with pytest.raises(InvalidInput, match="gone when the program ends; expected the path of a SQLite file"):
        Ledger.open(url)
