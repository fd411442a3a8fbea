"""Every schema there has been is still read: a saved ledger of each, made when it was new."""

import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

from bayesight.errors import LedgerBroken
from bayesight.ledger import LabelRecord, Ledger, verify
from bayesight.ledger.database import open_engine
from bayesight.ledger.schema import schema_version, versions

SAVED = Path(__file__).parent / "databases"


def test_there_is_a_saved_ledger_of_every_schema():
    assert sorted(path.stem for path in SAVED.glob("*.sqlite")) == sorted(versions())


@pytest.mark.parametrize("version", versions())
def test_a_ledger_of_every_schema_opens_whole(version, tmp_path, label):
    path = Path(shutil.copy(SAVED / f"{version}.sqlite", tmp_path / "ledger.sqlite"))
    engine = open_engine(str(path), create=False)
    assert schema_version(engine) == version
    engine.dispose()
    with Ledger.open(str(path)) as ledger:
        assert schema_version(ledger.engine) == versions()[-1]
        found = verify(ledger)
        assert (found.good, found.entries, found.erased) == (True, 7, 1)
        kinds = [entry.kind for entry in ledger.since(0)]
        assert kinds == ["run", "label", "label", "prediction", "update", "prior", "erasure"]
        assert ledger.entry(2).record == label(1)
        assert ledger.entry(3).record is None
        assert ledger.receipt("first").first == 2
        assert ledger.absorbed_by([2]) == {2: 5}
        assert ledger.append([label(7)]).first == 8
        assert verify(ledger).entries == 8


def test_a_newer_schema_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "ledger.sqlite"
    Ledger.open(str(path)).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v99'")
    with pytest.raises(LedgerBroken, match=r"has schema 'v99'; this version knows up to .* Install a newer"):
        Ledger.open(str(path))
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("v99",)]


def test_programs_that_start_at_once_make_one_ledger(ledger_url, run_record):
    problems, barrier = [], threading.Barrier(6)

    def start():
        barrier.wait()
        try:
            with Ledger.open(ledger_url) as ledger:
                ledger.register(run_record)
        except Exception as problem:  # noqa: BLE001
            problems.append(problem)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    with Ledger.open(ledger_url) as ledger:
        assert ledger.head().sequence == 1
        assert isinstance(ledger.runs()[0].record, type(run_record))
    assert LabelRecord.kind == "label"
