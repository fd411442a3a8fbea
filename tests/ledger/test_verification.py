import contextlib
import shutil
import sqlite3

import pytest

from bayesight.errors import LedgerBroken
from bayesight.ledger import ChainHead, Ledger, PriorRecord, UpdateRecord, verify


@pytest.fixture
def filled(ledger, run_record, label, prediction):
    """Run 1, labels 2-4, prediction 5, update 6 (of 2 and 3), prior 7, label 8."""
    ledger.register(run_record)
    ledger.append([label(1), label(2), label(3, person="bob"), prediction(4)])
    ledger.append_update(UpdateRecord("run1", 1, "", "aa", labels=(2, 3)))
    ledger.append([PriorRecord("run1", {"bar": 1.0}), label(5)])
    return ledger


def tamper(ledger, *statements):
    """Change the database behind the ledger's back."""
    if ledger.engine.dialect.name == "sqlite":
        with contextlib.closing(sqlite3.connect(ledger.engine.url.database)) as connection, connection:
            for statement in statements:
                connection.execute(statement)
        return
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_a_good_ledger_is_good(filled):
    told = []
    found = verify(filled, progress=lambda done, total: told.append((done, total)))
    assert (found.good, found.entries, found.erased, found.broken) == (True, 8, 0, None)
    assert found.head == filled.head()
    assert verify(filled, receipt=ChainHead(3, filled.entry(3).digest)).good


def test_an_empty_ledger_is_good(ledger):
    assert verify(ledger).entries == 0


@pytest.mark.parametrize(
    ("statement", "broken", "words"),
    [
        ("UPDATE entries SET at = '2020-01-01T00:00:00+00:00' WHERE sequence = 4", 4, "its content is not"),
        ("UPDATE entries SET kind = 'prior' WHERE sequence = 2", 2, "its content is not"),
        ("UPDATE entries SET body = replace(body, '1', '0') WHERE sequence = 7", 7, "its content is not"),
        ("UPDATE entries SET run = 'run2' WHERE sequence = 8", 8, "its content is not"),
        ("UPDATE entries SET personal = NULL WHERE sequence = 2", 2, "its content is not"),
        ("UPDATE payloads SET person = 'eve' WHERE sequence = 3", 3, "its personal part is not"),
        (
            'UPDATE payloads SET facts = \'{"label":"disc"}\' WHERE sequence = 3',
            3,
            "its personal part is not",
        ),
        ("UPDATE payloads SET image = '0' WHERE sequence = 5", 5, "its personal part is not"),
        ("UPDATE payloads SET pixels = features WHERE sequence = 8", 8, "its personal part is not"),
        ("UPDATE payloads SET salt = pixels WHERE sequence = 8", 8, "its personal part is not"),
        ("DELETE FROM payloads WHERE sequence = 4", 4, "is missing, and no erasure speaks of it"),
        ("DELETE FROM entries WHERE sequence = 4", 4, "it is missing; the next one there is 5"),
        ("DELETE FROM entries WHERE sequence = 1", 1, "it is missing; the next one there is 2"),
        ("DELETE FROM entries WHERE sequence = 8", 8, "it is missing; the head says there are 8"),
        ("UPDATE head SET sequence = 7", 8, "the head says the chain ends with 7"),
        ("UPDATE head SET digest = 'x'", 9, "the head says the chain ends with 8"),
        ("UPDATE absorbed SET update_entry = 7 WHERE label = 2", 6, "does not have label 2 under it"),
        ("DELETE FROM absorbed WHERE label = 3", 6, "does not have label 3 under it"),
        ("INSERT INTO absorbed VALUES (8, 6)", 6, "label 8 is said to be absorbed"),
        ("UPDATE entries SET sequence = sequence + 1 WHERE sequence = 8", 8, "it is missing; the next one"),
    ],
)
def test_the_first_broken_record_is_named(filled, statement, broken, words):
    tamper(filled, statement)
    found = verify(filled)
    assert not found.good
    assert found.broken == broken
    assert words in found.reason
    assert found.entries == broken - 1


def test_entries_that_change_places_are_noticed(filled):
    tamper(
        filled,
        "UPDATE entries SET sequence = 100 WHERE sequence = 2",
        "UPDATE entries SET sequence = 2 WHERE sequence = 3",
        "UPDATE entries SET sequence = 3 WHERE sequence = 100",
    )
    assert (verify(filled).broken, verify(filled).reason) == (2, "it does not follow the entry before it")


def test_a_forger_who_makes_the_chain_anew_is_met_by_a_receipt(filled, label):
    old = filled.append([label(9)])
    before = filled.entry(8)
    tamper(
        filled,
        "DELETE FROM payloads WHERE sequence = 9",
        "DELETE FROM entries WHERE sequence = 9",
        f"UPDATE head SET sequence = 8, digest = '{before.digest}'",
    )
    assert verify(filled).good  # nothing inside contradicts itself
    cut = verify(filled, receipt=old)
    assert (cut.broken, cut.reason) == (9, "it is missing; a receipt was given for entry 9")
    filled.append([label(10)])
    other = verify(filled, receipt=old)
    assert (other.broken, other.reason) == (9, "it is not the entry the receipt was given for")


def test_an_erased_record_that_comes_back_is_noticed(state, ledger, drawn):
    from bayesight.ledger import erase

    receipt = ledger.append([drawn(1)])
    with ledger.engine.connect() as connection:
        row = connection.exec_driver_sql("SELECT * FROM payloads").one()
    erase(ledger, state, person="alice")
    assert verify(ledger).erased == 1
    from bayesight.ledger import tables

    with ledger.engine.begin() as connection:
        connection.execute(tables.payloads.insert(), [row._mapping])
    assert verify(ledger).broken == receipt.first
    assert "an erasure speaks of it" in verify(ledger).reason


@pytest.fixture
def file(tmp_path, run_record, label):
    """A SQLite ledger of 400 labels in one file, closed."""
    path = tmp_path / "ledger.sqlite"
    with Ledger.open(str(path)) as ledger:
        ledger.register(run_record)
        for start in range(0, 400, 50):
            ledger.append([label(n) for n in range(start, start + 50)])
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.99])
def test_a_truncated_file_is_named_not_believed(file, tmp_path, share):
    content = file.read_bytes()
    short = tmp_path / "short.sqlite"
    short.write_bytes(content[: int(len(content) * share)])
    try:
        ledger = Ledger.open(str(short), create=False)
    except LedgerBroken:
        return  # not even its tables can be read
    with ledger:
        found = verify(ledger)
    assert found.broken is not None
    assert found.entries < 401
    assert "is damaged" in found.reason or "missing" in found.reason


@pytest.mark.parametrize("seed", range(6))
def test_flipped_bytes_are_named(file, seed):
    import numpy as np

    rng = np.random.default_rng(seed)
    content = bytearray(file.read_bytes())
    content[20_000 + int(rng.integers(len(content) - 20_000))] ^= 255
    other = file.with_name("flipped.sqlite")
    other.write_bytes(content)
    shutil.copy(file, file.with_name("kept.sqlite"))
    try:
        with Ledger.open(str(other), create=False) as ledger:
            found = verify(ledger)
            intact = [entry.record for entry in ledger.since(0, limit=10_000)]
    except LedgerBroken:
        return
    with Ledger.open(str(file.with_name("kept.sqlite"))) as ledger:
        # A byte no record lies on may flip unnoticed; a record that changed may not.
        assert not found.good or intact == [entry.record for entry in ledger.since(0, limit=10_000)]


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "letter.sqlite"
    path.write_text("Dear ledger, " * 500)
    with pytest.raises(LedgerBroken, match=r"is damaged: file is not a database\. Restore it from a copy"):
        Ledger.open(str(path))
