"""Real processes on one ledger: one belief, nothing acknowledged lost, an orderly end."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from bayesight.errors import InvalidInput, SourceNotFound
from bayesight.ledger import Ledger, begin
from bayesight.run import Run
from bayesight.service import Settings, create_app
from bayesight.service.ops import processes


def test_killed_under_a_stream_of_labels_nothing_acknowledged_is_lost(
    shapes_run, tmp_path, serving, teacher, check_kept
) -> None:
    ledger = tmp_path / "ledger.sqlite"
    teachers = []
    for kill in range(2):
        with serving(shapes_run, ledger) as (process, url):
            group = [teacher(url, f"{kill}{n}") for n in range(3)]
            for one in group:
                one.start()
            deadline = time.monotonic() + 120
            while sum(len(t.acknowledged) for t in group) < 12 and time.monotonic() < deadline:
                time.sleep(0.01)
            os.killpg(process.pid, signal.SIGKILL)
            for one in group:
                one.join(30)
            teachers += group
    assert sum(len(one.acknowledged) for one in teachers) >= 24
    check_kept(str(ledger), shapes_run, teachers)


def test_two_workers_see_one_belief_and_end_in_order(
    shapes_run, tmp_path, serving, teacher, check_kept
) -> None:
    ledger = tmp_path / "ledger.sqlite"
    with serving(shapes_run, ledger, workers=2) as (process, url):
        teachers = [teacher(url, f"t{n}") for n in range(4)]
        for one in teachers:
            one.start()
        deadline = time.monotonic() + 120
        while sum(len(t.acknowledged) for t in teachers) < 30 and time.monotonic() < deadline:
            # Each connection may meet another worker; any of them knows every label acknowledged before.
            newest = max((a["update"] for t in teachers for a in list(t.acknowledged.values())), default=0)
            assert httpx.get(f"{url}/v1/belief", timeout=30).json()["position"] >= newest
        process.send_signal(signal.SIGTERM)
        assert process.wait(300) == 0
        for one in teachers:
            one.join(30)
    check_kept(str(ledger), shapes_run, teachers)
    with Ledger.open(str(ledger)) as opened:
        assert opened.queued(begin(opened, Run.open(shapes_run)).run) == []


def test_ctrl_c_ends_it_in_order_and_a_new_start_remembers(shapes_run, tmp_path, draw) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url, kind = f"http://127.0.0.1:{port}", {"content-type": "image/png"}
    where = ["--ledger", str(tmp_path / "l.sqlite"), "--port", str(port), "--log-level", "error"]
    command = [sys.executable, "-m", "bayesight", "serve", str(shapes_run), *where]
    beliefs = []
    for start in range(2):
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        greeting = process.stderr.readline()
        assert greeting == f"serving {shapes_run}: open {url} in a browser; Ctrl-C stops it\n"
        until_ready(url)
        if start == 0:
            seen = httpx.post(f"{url}/v1/predictions", content=draw("ring"), headers=kind, timeout=30).json()
            image = seen["predictions"][0]["image"]
            body = {"labels": [{"label": "new", "image": image}], "new_classes": True}
            assert httpx.post(f"{url}/v1/labels", json=body, timeout=30).status_code == 200
        beliefs.append(httpx.get(f"{url}/v1/belief", timeout=30).json())
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert process.stderr.read() == "stopped; the ledger keeps what it learned\n"
        process.stderr.close()
    assert beliefs[0] == beliefs[1]
    assert "new" in beliefs[1]["classes"]


def until_ready(url: str) -> None:
    for _ in range(600):
        try:
            if httpx.get(f"{url}/ready", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)


def test_a_run_or_a_port_that_cannot_be_served_is_said_in_one_sentence(tmp_path, shapes_run) -> None:
    def said(*words: str) -> str:
        command = [sys.executable, "-m", "bayesight", "serve", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 1, done.stderr
        assert len(done.stderr.splitlines()) == 1
        return done.stderr

    assert "is not a run folder" in said(str(tmp_path))
    assert "--body-mb: got nan" in said(str(shapes_run), "--body-mb", "nan")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        where = ("--ledger", str(tmp_path / "l.sqlite"))
        assert "cannot listen" in said(str(shapes_run), "--port", port, *where)


def test_a_port_is_taken_before_the_address_is_said(shapes_run, tmp_path, monkeypatch) -> None:
    ready, served = [], []
    monkeypatch.setattr(processes, "_serve", lambda workers, listener: served.append(listener))
    settings = Settings(str(shapes_run), ledger=str(tmp_path / "l.sqlite"))
    processes.listen(settings, port=0, workers=1, ready=lambda url, notes: ready.append(url))
    port = served[0].getsockname()[1]
    with pytest.raises(InvalidInput, match=f"cannot listen at 127.0.0.1 port {port}"):
        processes.listen(settings, port=port, workers=1, ready=lambda url, notes: ready.append(url))
    served[0].close()
    assert len(ready) == len(served) == 1


def test_a_worker_that_cannot_start_says_why_in_one_sentence(tmp_path) -> None:
    sent = []

    async def start() -> None:
        async def receive():
            return {"type": "lifespan.startup"}

        async def send(message):
            sent.append(message)

        app = create_app(Settings(str(tmp_path / "gone"), ledger=str(tmp_path / "l.sqlite")))
        with pytest.raises(SourceNotFound):
            await app({"type": "lifespan", "asgi": {}, "state": {}}, receive, send)

    asyncio.run(start())
    [failed] = sent
    assert failed["type"] == "lifespan.startup.failed"
    assert failed["message"] == f"'{tmp_path / 'gone'}' does not exist"
