"""Databases that restart, disks that fill, clocks that jump: told in a sentence, and nothing is lost."""

import contextlib
import os
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event

from bayesight.ledger import Ledger, create_token, find_token, revoke_token, verify
from bayesight.service import Settings, create_app
from bayesight.service.http import auth

LIBFAKETIME = [*Path("/usr/lib").glob("*/faketime/libfaketime.so.1")]


def until(true) -> None:
    """Wait, but not for ever."""
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def progress(teachers, more: int = 4) -> None:
    """Wait for so many more labels to be acknowledged."""
    wanted = sum(len(one.acknowledged) for one in teachers) + more
    until(lambda: sum(len(one.acknowledged) for one in teachers) >= wanted)


def fill(path: Path) -> None:
    """Take up all the room there is."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def refusals(teachers) -> list[str]:
    return [words for one in teachers for words in one.refused]


@pytest.mark.parametrize("workers", [1, 2])
def test_postgresql_restarts_under_a_stream_of_labels(
    shapes_run, postgres, serving, teacher, check_kept, workers
) -> None:
    url = postgres.database()
    with serving(shapes_run, url, workers=workers) as (process, address):
        teachers = [teacher(address, f"p{n}") for n in range(3)]
        for one in teachers:
            one.start()
        for mode in ("fast", "immediate"):
            progress(teachers)
            known = len(refusals(teachers))
            postgres.stop(mode)
            until(lambda known=known: len(refusals(teachers)) > known + 3)
            ready = httpx.get(f"{address}/ready", timeout=30)
            assert ready.status_code == 503
            assert ready.headers["retry-after"] == "1"
            assert httpx.get(f"{address}/health", timeout=30).status_code == 200
            postgres.start()
        progress(teachers)
        for one in teachers:
            one.stop.set()
            one.join(60)
        assert process.poll() is None
        assert httpx.get(f"{address}/v1/belief", timeout=30).json()["queued"] == 0
    for words in refusals(teachers):
        assert "Repeat with the same idempotency key" in words
        assert len(words) <= 400
        assert "\n" not in words
    check_kept(url, shapes_run, teachers)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a small disk")
def test_the_disk_fills_and_there_is_room_again(
    shapes_run, tmp_path, serving, teacher, check_kept, draw
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("no small disk can be mounted here")
    ledger, ballast = disk / "ledger.sqlite", disk / "ballast"
    try:
        with serving(shapes_run, ledger) as (_, address):
            teachers = [teacher(address, f"d{n}") for n in range(2)]
            for one in teachers:
                one.start()
            for _ in range(2):
                progress(teachers)
                known = len(refusals(teachers))
                fill(ballast)
                until(lambda known=known: len(refusals(teachers)) > known + 2)
                kind = {"content-type": "image/png"}
                told = httpx.post(f"{address}/v1/predictions", content=draw("bar"), headers=kind, timeout=30)
                assert told.status_code == 200  # an answer needs no room
                ballast.unlink()
            progress(teachers)
            for one in teachers:
                one.stop.set()
                one.join(60)
        assert set(refusals(teachers)) == {
            f"ledger sqlite:///{ledger}: the disk is full; nothing was written. Free some space, then repeat."
        }
        check_kept(str(ledger), shapes_run, teachers)
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_database_that_is_full_is_told_and_forgotten(settings: Settings, draw) -> None:
    """The same without root: SQLite is told that there is no room."""
    full = [False]
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        ledger = client.app.state.service.ledger

        @event.listens_for(ledger.engine, "checkout")
        def _limit(connection, *_) -> None:
            connection.execute(f"PRAGMA max_page_count = {1 if full[0] else 2**30}")

        def label(number: int):
            files, data = {"images": draw("bar", number)}, {"options": '{"labels": ["bar"]}'}
            return client.post(
                "/v1/labels", files=files, data=data, headers={"Idempotency-Key": f"k{number}"}
            )

        told = label(0).json()
        full[0] = True
        for number in range(1, 40):
            refused = label(number)
            if refused.status_code != 200:
                break
        assert refused.status_code == 503
        assert "the disk is full; nothing was written. Free some space" in refused.json()["message"]
        full[0] = False
        assert label(number).status_code == 200
        assert label(0).json()["receipt"] == told["receipt"]
        assert verify(ledger).good


def test_a_clock_that_is_set_changes_no_order(settings: Settings, draw, monkeypatch) -> None:
    now = [datetime(2030, 1, 1, 12, tzinfo=UTC)]
    monkeypatch.setattr(auth, "KNOWN_S", 0.0)
    guarded = Settings(**{**vars(settings), "require_token": True})
    with TestClient(create_app(guarded), base_url="http://letters.example") as client:
        ledger = client.app.state.service.ledger
        ledger.clock = lambda: now[0]
        lasting = create_token(ledger, "lasting", ["admin"]).secret
        short = create_token(ledger, "short", ["admin"], expires_in_s=3600).secret
        revoked = create_token(ledger, "revoked", ["admin"], expires_in_s=3600).secret

        def allowed(secret: str) -> bool:
            bearer = {"Authorization": f"Bearer {secret}"}
            return client.get("/v1/runs", headers=bearer).status_code == 200

        receipts = []
        for number, step_h in enumerate((0.0, -48.0, 0.5, -1.0, 96.0)):
            now[0] += timedelta(hours=step_h)
            files, data = {"images": draw("bar", number)}, {"options": '{"labels": ["bar"]}'}
            answer = client.post(
                "/v1/labels", files=files, data=data, headers={"Authorization": f"Bearer {lasting}"}
            )
            assert answer.status_code == 200
            receipts.append(answer.json()["receipt"])
        firsts = [receipt["first"] for receipt in receipts]
        assert firsts == sorted(firsts)
        assert [receipt["at"] for receipt in receipts] != sorted(receipt["at"] for receipt in receipts)
        assert verify(ledger).good
        # A token goes by the clock, whatever it says; one that was revoked is none whatever it says.
        assert not allowed(short)
        now[0] = datetime(2030, 1, 1, 12, 59, tzinfo=UTC)
        assert allowed(short)
        revoke_token(ledger, find_token(ledger, revoked).id)
        now[0] -= timedelta(days=365)
        assert allowed(short)
        assert allowed(lasting)
        assert not allowed(revoked)
    with TestClient(create_app(settings), base_url="http://localhost") as again:
        assert again.get("/v1/belief").json()["exact"]


@pytest.mark.skipif(not LIBFAKETIME, reason="no libfaketime; install Debian's package faketime")
def test_a_served_process_whose_clock_jumps(shapes_run, tmp_path, serving, teacher, check_kept) -> None:
    shift, ledger = tmp_path / "shift", tmp_path / "ledger.sqlite"
    shift.write_text("+0")
    environment = {
        "LD_PRELOAD": str(LIBFAKETIME[0]), "FAKETIME_TIMESTAMP_FILE": str(shift),
        "FAKETIME_CACHE_DURATION": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip

    def ahead() -> timedelta:
        """Of the newest label before the clock of this test."""
        with Ledger.open(str(ledger)) as opened:
            newest = list(opened.since(0, kinds=("label",)))[-1]
        return datetime.fromisoformat(newest.at) - datetime.now(UTC)

    with serving(shapes_run, ledger, environment=environment) as (_, address):
        one = teacher(address, "c")
        one.start()
        progress([one])
        shift.write_text("-2h")
        until(lambda: ahead() < timedelta(hours=-1))
        shift.write_text("+1d")
        until(lambda: ahead() > timedelta(hours=23))
        progress([one])
        one.stop.set()
        one.join(60)
    assert one.refused == []
    check_kept(str(ledger), shapes_run, [one])
    with Ledger.open(str(ledger)) as opened:
        times = [entry.at for entry in opened.since(0, kinds=("label",))]
    assert times != sorted(times)
    assert times[-1] > times[0]
