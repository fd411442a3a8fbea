"""Records and rows inside a transaction: the chain goes on, and the labels of a change are found again."""

import contextlib
from datetime import UTC, datetime

import pytest

from bayesight.errors import InvalidInput, KeyReused
from bayesight.ledger import PriorRecord, RunRecord, UpdateRecord, WithdrawalRecord, tables
from bayesight.ledger.chain import START, canonical, entry_digest
from bayesight.ledger.database import reading, writing
from bayesight.ledger.rows import (
    append_records,
    change_of,
    check_queued,
    entries_with_payloads,
    entry_of,
    head_of,
    latest_of,
    lock_head,
    remember,
    repeated,
)

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


def appended(ledger, *records):
    with writing(ledger.engine) as connection:
        lock_head(connection)
        return append_records(connection, records, NOW)


def test_each_entry_follows_the_one_before(ledger, run_record, label):
    first = appended(ledger, run_record)
    second = appended(ledger, label(1), label(2))
    assert (first.first, first.last, second.first, second.last) == (1, 1, 2, 3)
    with reading(ledger.engine) as connection:
        rows = connection.execute(entries_with_payloads().order_by(tables.entries.c.sequence)).all()
        head = head_of(connection)
    assert [row.previous for row in rows] == [START, *(row.digest for row in rows[:2])]
    assert (head.sequence, head.digest) == (3, second.digest) == (3, rows[2].digest)
    body = canonical(run_record.body())
    assert first.digest == entry_digest(
        1, "2024-05-06T07:08:09.000000+00:00", "run", "run1", body, None, START
    )
    assert [entry_of(row).record for row in rows] == [run_record, label(1), label(2)]
    assert len({row.salt for row in rows}) == 3


def test_nothing_is_there_where_the_transaction_fails(ledger, run_record, label):
    appended(ledger, run_record)
    with contextlib.suppress(ZeroDivisionError), writing(ledger.engine) as connection:
        lock_head(connection)
        append_records(connection, [label(1)], NOW)
        raise ZeroDivisionError
    assert [entry.kind for entry in ledger.since(0)] == ["run"]
    assert appended(ledger, label(1)).first == 2


def test_a_change_comes_with_its_labels_less_the_erased(ledger, run_record, label):
    ledger.register(run_record)
    update = ledger.append_update(UpdateRecord("run1", 1, "", ""), [label(1), label(2)])
    gone = WithdrawalRecord("run1", label(1).image, "alice", update.last, "", "", (2,))
    back = ledger.append_change(gone)
    entries = {entry.sequence: entry for entry in ledger.since(0)}
    with writing(ledger.engine) as connection:
        taken, withdrawn = (change_of(connection, entries[n]) for n in (update.last, back.last))
        assert [entry.sequence for entry in taken.labels] == [2, 3]
        assert [entry.sequence for entry in withdrawn.labels] == [2]
        assert change_of(connection, entries[1]).labels == ()
        connection.execute(tables.payloads.delete().where(tables.payloads.c.sequence == 2))
        taken, withdrawn = (change_of(connection, entries[n]) for n in (update.last, back.last))
        assert ([entry.sequence for entry in taken.labels], taken.erased) == ([3], 1)
        assert (withdrawn.labels, withdrawn.erased) == ((), 1)


def test_the_newest_of_several_kinds_is_found(ledger, run_record, label):
    appended(ledger, run_record, label(1), PriorRecord("run1", {"bar": 1.0}), label(2))
    with reading(ledger.engine) as connection:
        found = [
            latest_of(connection, "run1", kinds) for kinds in (("label",), ("prior", "run"), ("rename",))
        ]
        assert latest_of(connection, "another", ("label",)) is None
    assert [row and row.sequence for row in found] == [4, 3, None]


def test_a_key_stands_for_one_content_and_for_any_once_it_was_erased(ledger, run_record):
    receipt = appended(ledger, run_record)
    with writing(ledger.engine) as connection:
        assert repeated(connection, "a", "content") is None
        remember(connection, "a", "content", receipt)
        remember(connection, "", "content", receipt)  # no key
        found = repeated(connection, "a", "content")
        assert (found, found.repeated) == (receipt, True)
        with pytest.raises(KeyReused, match="written as entry 1"):
            repeated(connection, "a", "other")
        connection.execute(tables.keys.update().values(content=""))
        assert repeated(connection, "a", "other") == receipt


def test_only_queued_labels_of_the_run_are_absorbed(ledger, run_record, label):
    appended(ledger, run_record, RunRecord("run2", "cd" * 32, ("bar",), 3))
    appended(ledger, label(1), label(2), label(3, run="run2"))
    with writing(ledger.engine) as connection:
        check_queued(connection, UpdateRecord("run1", 1, "", "", labels=(3, 4)))
        for wrong in ((3, 5), (1,), (3, 3), (9,)):
            with pytest.raises(InvalidInput, match="expected sequence numbers of queued labels of this run"):
                check_queued(connection, UpdateRecord("run1", 1, "", "", labels=wrong))
    ledger.append_update(UpdateRecord("run1", 1, "", "", labels=(3,)))
    with reading(ledger.engine) as connection, pytest.raises(InvalidInput, match=r"\[3\]"):
        check_queued(connection, UpdateRecord("run1", 1, "", "", labels=(3, 4)))
