"""Processes killed, disks that fill, servers that restart: nothing a receipt was given for is lost."""

import json
import subprocess
import sys
import threading
import time

import pytest
from sqlalchemy import event

from bayesight.errors import StorageFailed
from bayesight.ledger import Ledger, PriorRecord, verify

KILLED = """
import json, os, random, signal, sys, time
from bayesight.ledger import Ledger, PriorRecord
url, rounds, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
chance = random.Random(seed)
Ledger.open(url).close()  # loads the driver once, not in every child

def work(number):
    # A stream of appends; a line is written once the receipt is there, and only then.
    ledger = Ledger.open(url)
    for n in range(10**6):
        key = f"{number}-{n}"
        parts = [PriorRecord("run1", {"a": 1.0}, detail={"key": key, "part": p}) for p in (0, 1)]
        receipt = ledger.append(parts, key=key)
        os.write(1, (json.dumps([key, receipt.first, receipt.digest]) + "\\n").encode())

for number in range(rounds):
    child = os.fork()
    if not child:
        try:
            work(number)
        finally:
            os._exit(1)
    time.sleep(chance.uniform(0.2, 0.6))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


def acknowledged_once(ledger, told):
    """Every acknowledged request is there once, at its place, whole; so is every other one, or not at all."""
    found = {}
    last = 0
    while page := ledger.since(last, limit=5000, kinds=("prior",)):
        for entry in page:
            found.setdefault(entry.record.detail["key"], []).append(entry)
        last = page[-1].sequence
    for key, first, digest in told:
        assert [entry.sequence for entry in found[key]] == [first, first + 1]
        assert found[key][-1].digest == digest
    assert all([e.record.detail["part"] for e in entries] == [0, 1] for entries in found.values())
    assert verify(ledger).good
    return found


def test_a_writer_killed_again_and_again_loses_nothing_it_acknowledged(ledger_url, run_record):
    with Ledger.open(ledger_url) as ledger:
        ledger.register(run_record)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, ledger_url, "6", "1"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) > 20
    with Ledger.open(ledger_url, create=False) as ledger:
        found = acknowledged_once(ledger, told)
        # A client repeats what it had no answer to: what was written is not written twice.
        for key in [*sorted(found)[:5], "0-999999"]:
            parts = [PriorRecord("run1", {"a": 1.0}, detail={"key": key, "part": p}) for p in (0, 1)]
            assert ledger.append(parts, key=key).repeated == (key in found)
        acknowledged_once(ledger, told)


def test_a_full_disk_is_told_and_costs_nothing_acknowledged(tmp_path, run_record, label):
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger.open(str(path))
    ledger.register(run_record)
    full = [True]

    @event.listens_for(ledger.engine, "checkout")
    def _limit(connection, *_):
        pages = 60 if full[0] else 2**30
        connection.execute(f"PRAGMA max_page_count = {pages}")

    told = []

    def fill():
        told.extend((n, ledger.append([label(n)], key=str(n))) for n in range(10_000))

    with pytest.raises(StorageFailed, match=r"the disk is full; nothing was written\. Free some space"):
        fill()
    assert 5 < len(told) < 5000
    assert verify(ledger).entries == len(told) + 1
    stuck = len(told)
    with pytest.raises(StorageFailed, match="disk is full"):
        ledger.append([label(n) for n in range(stuck, stuck + 50)], key="many")
    full[0] = False
    assert not ledger.append([label(stuck)], key=str(stuck)).repeated
    for number, receipt in told:
        assert ledger.append([label(number)], key=str(number)) == receipt
    assert verify(ledger).entries == len(told) + 2
    ledger.close()


def test_a_ledger_nobody_may_write_is_told(tmp_path, run_record, label):
    path = tmp_path / "ledger.sqlite"
    with Ledger.open(str(path)) as ledger:
        ledger.register(run_record)

        @event.listens_for(ledger.engine, "checkout")
        def _read_only(connection, *_):
            connection.execute("PRAGMA query_only = ON")

        with pytest.raises(StorageFailed, match="attempt to write a readonly database"):
            ledger.append([label(1)])
        assert ledger.head().sequence == 1


@pytest.mark.parametrize("put", ["nothing", "another file"])
def test_a_ledger_taken_away_beneath_takes_no_more_labels(tmp_path, run_record, label, put):
    path, away = tmp_path / "ledger.sqlite", tmp_path / "away.sqlite"
    with Ledger.open(str(path)) as ledger:
        ledger.register(run_record)
        kept = ledger.append([label(1)], key="1")
        path.rename(away)
        if put == "another file":
            path.touch()
        found = path.exists()
        for refused in (lambda: ledger.append([label(2)], key="2"), ledger.head):
            with pytest.raises(StorageFailed, match="deleted, moved or replaced while it was open"):
                refused()
        assert path.exists() is found  # nor is an empty one made in its place
        away.replace(path)
        assert ledger.append([label(2)], key="2").first == kept.last + 1
        assert verify(ledger).entries == 3


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_postgresql_restarts_in_the_middle_of_a_stream(postgres, run_record, mode):
    ledger = Ledger.open(postgres.database())
    ledger.register(run_record)
    told, refused, stop = [], [], threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            key = str(number)
            parts = [PriorRecord("run1", {"a": 1.0}, detail={"key": key, "part": p}) for p in (0, 1)]
            try:
                receipt = ledger.append(parts, key=key)
            except StorageFailed as problem:
                refused.append(str(problem))
                time.sleep(0.05)
                continue
            told.append((key, receipt.first, receipt.digest))
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(2):
            before, deadline = len(told), time.monotonic() + 30
            while len(told) < before + 10 and time.monotonic() < deadline:
                time.sleep(0.02)
            postgres.stop(mode)
            time.sleep(0.2)
            postgres.start()
        before, deadline = len(told), time.monotonic() + 30
        while len(told) < before + 10 and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        stop.set()
        writer.join()
    assert refused, "the restart was not noticed"
    assert all("Repeat with the same idempotency key" in words for words in refused)
    assert len(told) >= 30
    found = acknowledged_once(ledger, told)
    assert sorted(found, key=int) == [key for key, _, _ in told]
    ledger.close()
