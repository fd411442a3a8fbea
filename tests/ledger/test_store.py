import itertools
import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bayesight.errors import (
    BeliefMoved,
    InvalidInput,
    KeyReused,
    MissingExtra,
    SourceNotFound,
    StorageFailed,
    UnknownName,
)
from bayesight.ledger import ErasureRecord, LabelRecord, Ledger, PriorRecord, RunRecord, UpdateRecord, verify
from bayesight.ledger.database import open_engine


def test_what_goes_in_comes_out(ledger, run_record, label, prediction):
    first = ledger.register(run_record)
    written = [label(1), prediction(2, "bob"), PriorRecord("run1", {"bar": 0.1, "disc": 0.9}, person="carl")]
    receipt = ledger.append(written)
    assert (first.last, receipt.first, receipt.last) == (1, 2, 4)
    entries = ledger.since(0)
    assert [entry.record for entry in entries] == [run_record, *written]
    assert [entry.kind for entry in entries] == ["run", "label", "prediction", "prior"]
    assert np.array_equal(entries[1].record.features, label(1).features)
    assert entries[1].record.pixels == b"PNG 1"
    assert np.array_equal(entries[2].record.features, np.ones(3, np.float32))
    assert [entry.sequence for entry in entries] == [1, 2, 3, 4]
    assert ledger.head().sequence == 4
    assert ledger.head().digest == receipt.digest == entries[-1].digest
    assert ledger.entry(3) == entries[2]
    assert [entry.sequence for entry in ledger.since(0, kinds=("label",))] == [2]
    assert [entry.sequence for entry in ledger.since(2, limit=1)] == [3]
    assert ledger.latest("run1", "prior")[0].record.shares == {"bar": 0.1, "disc": 0.9}
    assert [entry.sequence for entry in ledger.about("run1", label(1).image)] == [2]
    assert [entry.record for entry in ledger.runs()] == [run_record]


def test_it_is_there_after_opening_again(ledger_url, run_record, label):
    with Ledger.open(ledger_url) as one:
        one.register(run_record)
        receipt = one.append([label(n) for n in range(5)])
    with Ledger.open(ledger_url, create=False) as other:
        assert other.head().digest == receipt.digest
        assert [entry.record for entry in other.queued("run1")] == [label(n) for n in range(5)]


def test_registering_again_finds_the_run_and_refuses_another_belief(ledger, run_record):
    first = ledger.register(run_record)
    again = ledger.register(run_record)
    assert (again, again.repeated) == (first, True)
    changed = RunRecord(**{**vars(run_record), "belief": "00" * 32})
    with pytest.raises(InvalidInput, match="another one than the ledger began with"):
        ledger.register(changed)
    assert ledger.head().sequence == 1


def test_a_key_gives_one_receipt_and_one_record(ledger, run_record, label):
    ledger.register(run_record)
    first = ledger.append([label(1), label(2)], key="a")
    other_bits = LabelRecord(**{**vars(label(1)), "features": label(1).features + 1e-6})
    again = ledger.append([other_bits, label(2)], key="a")
    assert (again, again.repeated, first.repeated) == (first, True, False)
    assert ledger.receipt("a") == first
    assert ledger.receipt("b") is None
    for content in ([label(1)], [label(2), label(1)], [label(1), label(2, person="bob")]):
        with pytest.raises(KeyReused, match="stands for other content, written as entry 2"):
            ledger.append(content, key="a")
    assert ledger.head().sequence == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"label": " "}, "an empty name"),
        ({"label": "x" * 1001}, "at most 1,000 printable"),
        ({"label": "a\x00b"}, "at most 1,000 printable"),
        ({"image": "zz"}, "32 hexadecimal digits"),
        ({"features": np.array([1, np.nan, 0], np.float32)}, "NaN or infinity"),
        ({"features": np.zeros(3)}, "float64"),
    ],
)
def test_a_label_nobody_could_replay_is_refused(label, change, words):
    with pytest.raises(InvalidInput, match=words):
        LabelRecord(**{**vars(label(1)), **change})


def test_refusals_write_nothing(ledger, run_record, label):
    ledger.register(run_record)
    with pytest.raises(InvalidInput, match="no records"):
        ledger.append([])
    with pytest.raises(InvalidInput, match=r"2 numbers; expected 3\. Use the features of this run"):
        ledger.append([label(1), label(2, size=2)])
    with pytest.raises(UnknownName, match="did you mean 'run1'"):
        ledger.append([label(1, run="run2")])
    with pytest.raises(InvalidInput, match="of kind 'erasure'"):
        ledger.append([ErasureRecord("run1", (1,), 1, "", "")])
    with pytest.raises(InvalidInput, match="200 printable"):
        ledger.append([label(1, person="a\nb")])
    with pytest.raises(InvalidInput, match="200 printable"):
        ledger.append([label(1)], key="k" * 201)
    with pytest.raises(InvalidInput, match="finite numbers"):
        ledger.append([PriorRecord("run1", {"bar": float("nan")})])
    with pytest.raises(UnknownName, match="no entry is called '7'"):
        ledger.entry(7)
    assert ledger.head().sequence == 1


def test_a_key_with_characters_no_database_takes_is_refused(ledger, run_record, label):
    ledger.register(run_record)
    for key in ("a\x00", "\ud800", "line\n"):
        with pytest.raises(InvalidInput, match="printable"):
            ledger.append([label(1)], key=key)


def test_an_update_and_its_labels_are_one(ledger, run_record, label):
    ledger.register(run_record)
    queued = ledger.append([label(1), label(2)])
    made = UpdateRecord("run1", 1, run_record.belief, "ef" * 32, labels=tuple(queued.sequences))
    receipt = ledger.append_update(made, [label(3)], key="u")
    assert (receipt.first, receipt.last) == (4, 5)
    assert ledger.entry(5).record.labels == (2, 3, 4)
    assert ledger.queued("run1") == []
    assert ledger.absorbed_by([2, 4, 5]) == {2: 5, 4: 5}
    assert ledger.position("run1") == 5
    (change,) = ledger.changes("run1", 1)
    assert [entry.sequence for entry in change.labels] == [2, 3, 4]
    assert ledger.append_update(made, [label(3)], key="u") == receipt
    with pytest.raises(KeyReused):
        ledger.append_update(UpdateRecord(**{**vars(made), "trust_past": 0.5}), [label(3)], key="u")


def test_a_queue_is_asked_again_and_again_and_misses_nothing(ledger, run_record, label):
    ledger.register(run_record)
    position = 1
    for turn in range(4):
        assert ledger.queued("run1") == []
        first = ledger.append([label(10 * turn + n) for n in range(3)]).first
        assert [entry.sequence for entry in ledger.queued("run1", limit=2)] == [first, first + 1]
        made = UpdateRecord(
            "run1", position, "", "", labels=(first, first + 2)
        )  # the one between stays behind
        position = ledger.append_update(made).last
        assert [entry.sequence for entry in ledger.queued("run1")] == [first + 1]
        position = ledger.append_update(UpdateRecord("run1", position, "", "", labels=(first + 1,))).last


def test_an_update_from_an_older_belief_is_refused(ledger, run_record, label):
    ledger.register(run_record)
    ledger.append_update(UpdateRecord("run1", 1, "", "aa"), [label(1)])
    with pytest.raises(BeliefMoved, match=r"computed from change 1 .* the last one is 3"):
        ledger.append_update(UpdateRecord("run1", 1, "", "bb"), [label(2)])
    assert ledger.head().sequence == 3
    for labels in ((2,), (1,), (99,), (4, 4)):
        ledger.append([label(9)])
        with pytest.raises(InvalidInput, match="expected sequence numbers of queued labels"):
            ledger.append_update(UpdateRecord("run1", 3, "", "bb", labels=labels))


def test_the_clock_decides_nothing(ledger_url, run_record, label):
    now = datetime(2030, 1, 1, tzinfo=UTC)
    times = iter([now, now + timedelta(days=1), now - timedelta(days=400), now - timedelta(days=401)])
    with Ledger.open(ledger_url, clock=lambda: next(times)) as ledger:
        ledger.register(run_record)
        for number in range(3):
            ledger.append([label(number)])
        entries = ledger.since(0)
        assert [entry.at[:4] for entry in entries] == ["2030", "2030", "2028", "2028"]
        assert [entry.sequence for entry in entries] == [1, 2, 3, 4]
        assert [entry.record for entry in ledger.since(0, kinds=("label",))] == [label(n) for n in range(3)]
        assert verify(ledger).good


def test_many_writers_lose_nothing_and_write_nothing_twice(ledger_url, run_record, label):
    with Ledger.open(ledger_url) as first:
        first.register(run_record)
    seen = [[] for _ in range(4)]

    def write(who):
        with Ledger.open(ledger_url) as mine:
            for number in range(25):
                # Each key is used by two writers, as a client does that asks a second worker.
                key = f"{who % 2}-{number}"
                seen[who].append((key, mine.append([label(number, person=str(who % 2))], key=key)))

    threads = [threading.Thread(target=write, args=(who,)) for who in range(4)]
    reader = Ledger.open(ledger_url)
    read = []
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        read += reader.since(read[-1].sequence if read else 0)
    read += reader.since(read[-1].sequence)
    assert [entry.sequence for entry in read] == list(range(1, 52))
    receipts = {}
    for key, receipt in itertools.chain(*seen):
        assert receipts.setdefault(key, receipt) == receipt
        assert read[receipt.first - 1].digest == receipt.digest
    assert len({receipt.first for receipt in receipts.values()}) == 50
    assert verify(reader).entries == 51
    reader.close()


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(1, 7), min_size=1, max_size=6), cuts=st.integers(1, 9))
def test_however_records_come_and_are_read_the_order_is_theirs(tmp_path_factory, sizes, cuts):
    path = tmp_path_factory.mktemp("law") / "ledger.sqlite"
    number, expected = 0, []
    with Ledger.open(str(path)) as ledger:
        ledger.register(RunRecord("run1", "", ("a",), 1))
        for size in sizes:
            batch = [PriorRecord("run1", {"a": 1.0}, detail={"n": number + i}) for i in range(size)]
            receipt = ledger.append(batch)
            assert list(receipt.sequences) == list(range(number + 2, number + 2 + size))
            number += size
            expected += [record.detail["n"] for record in batch]
        found, last = [], 1
        while page := ledger.since(last, limit=cuts):
            found += [entry.record.detail["n"] for entry in page]
            last = page[-1].sequence
        assert found == expected
        assert verify(ledger).entries == number + 1


def test_urls_that_lead_nowhere_are_told(tmp_path, monkeypatch):
    with pytest.raises(SourceNotFound, match="does not exist"):
        Ledger.open(str(tmp_path / "none.sqlite"), create=False)
    with pytest.raises(SourceNotFound, match=r"the folder .* does not exist"):
        Ledger.open(str(tmp_path / "no" / "none.sqlite"))
    for url in ("mysql://host/x", "sqlite://", "://"):
        with pytest.raises(InvalidInput, match="expected the path of a SQLite file"):
            Ledger.open(url)
    with pytest.raises(StorageFailed, match="Repeat with the same idempotency key") as told:
        Ledger.open("postgresql://someone:hunter2@127.0.0.1:1/none?connect_timeout=2")
    assert "hunter2" not in str(told.value)
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r"bayesight\[postgres\]"):
        open_engine("postgresql://host/x", create=True)
