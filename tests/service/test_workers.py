"""Real processes on one ledger: one belief, nothing acknowledged lost, an orderly end."""

import base64
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from bayesight.ledger import Label, Ledger, begin, verify
from bayesight.run import Run


@contextmanager
def serving(run, ledger, *, workers: int = 1) -> Iterator[tuple[subprocess.Popen, str]]:
    """``bayesight serve`` in a process group of its own, ready to answer."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "bayesight", "serve", str(run), "--ledger", str(ledger), "--rate", ""]
    command += ["--port", str(port), "--workers", str(workers), "--log-level", "warning"]
    process = subprocess.Popen(command, start_new_session=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        wait_until_ready(process, f"http://127.0.0.1:{port}")
        yield process, f"http://127.0.0.1:{port}"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)


def wait_until_ready(process: subprocess.Popen, url: str) -> None:
    for _ in range(1200):
        assert process.poll() is None
        try:
            if httpx.get(f"{url}/ready", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    pytest.fail("the service never became ready")


class Teacher(threading.Thread):
    """Labels one image after the other until the service is gone, and keeps what was acknowledged."""

    def __init__(self, url: str, name: str, draw) -> None:
        super().__init__()
        self.url, self.who, self.draw = url, name, draw
        self.sent: list[str] = []
        self.acknowledged: dict[str, dict] = {}

    def run(self) -> None:
        with httpx.Client(base_url=self.url, timeout=30) as client:
            for number in range(10_000):
                content = self.draw(("bar", "disc", "ring")[number % 3], hash_of(self.who, number))
                data = base64.b64encode(content).decode()
                key = f"{self.who}-{number}"
                body = {"labels": [{"label": "disc", "data": data}]}
                self.sent.append(key)
                try:
                    answer = client.post("/v1/labels", json=body, headers={"Idempotency-Key": key})
                except httpx.TransportError:
                    return
                if answer.status_code == 503:  # it is stopping
                    return
                assert answer.status_code == 200, answer.text
                self.acknowledged[key] = answer.json()


def hash_of(name: str, number: int) -> int:
    """A seed for an image of its own."""
    return number * 100_000 + int.from_bytes(name.encode())


def check_kept(url: str, run, teachers: list[Teacher]) -> None:
    """Everything acknowledged is there once, and the belief is the replay."""
    with Ledger.open(url) as ledger:
        labels = {entry.sequence: entry.record for entry in ledger.labels_since(0, limit=100_000)}
        told = [answer for teacher in teachers for answer in teacher.acknowledged.values()]
        numbers = [answer["receipt"]["first"] for answer in told]
        assert len(set(numbers)) == len(numbers)
        for answer in told:
            record = labels[answer["receipt"]["first"]]
            assert isinstance(record, Label)
            assert [record.image] == answer["images"]
        assert len(labels) <= sum(len(teacher.sent) for teacher in teachers)
        images = [record.image for record in labels.values()]
        assert len(set(images)) == len(images)
        absorbed = ledger.absorbed_by(numbers)
        assert absorbed == {answer["receipt"]["first"]: answer["update"] for answer in told}
        held = begin(ledger, Run.open(run))
        assert held.exact
        assert verify(ledger).broken is None


def test_killed_under_a_stream_of_labels_nothing_acknowledged_is_lost(shapes_run, tmp_path, draw) -> None:
    ledger = tmp_path / "ledger.sqlite"
    teachers: list[Teacher] = []
    for kill in range(2):
        with serving(shapes_run, ledger) as (process, url):
            group = [Teacher(url, f"{kill}{n}", draw) for n in range(3)]
            for teacher in group:
                teacher.start()
            deadline = time.monotonic() + 120
            while sum(len(t.acknowledged) for t in group) < 12 and time.monotonic() < deadline:
                time.sleep(0.01)
            os.killpg(process.pid, signal.SIGKILL)
            for teacher in group:
                teacher.join(30)
            teachers += group
    assert sum(len(teacher.acknowledged) for teacher in teachers) >= 24
    check_kept(str(ledger), shapes_run, teachers)


def test_two_workers_see_one_belief_and_end_in_order(shapes_run, tmp_path, draw) -> None:
    ledger = tmp_path / "ledger.sqlite"
    with serving(shapes_run, ledger, workers=2) as (process, url):
        teachers = [Teacher(url, f"t{n}", draw) for n in range(4)]
        for teacher in teachers:
            teacher.start()
        deadline = time.monotonic() + 120
        while sum(len(t.acknowledged) for t in teachers) < 30 and time.monotonic() < deadline:
            # Each connection may meet another worker; any of them knows every label acknowledged before.
            newest = max((a["update"] for t in teachers for a in list(t.acknowledged.values())), default=0)
            assert httpx.get(f"{url}/v1/belief", timeout=30).json()["position"] >= newest
        process.send_signal(signal.SIGTERM)
        assert process.wait(300) == 0
        for teacher in teachers:
            teacher.join(30)
    check_kept(str(ledger), shapes_run, teachers)
    with Ledger.open(str(ledger)) as opened:
        assert opened.queued(begin(opened, Run.open(shapes_run)).run) == []


def test_a_run_or_a_port_that_cannot_be_served_is_said_in_one_sentence(tmp_path, shapes_run) -> None:
    def said(*words: str) -> str:
        command = [sys.executable, "-m", "bayesight", "serve", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 1, done.stderr
        assert len(done.stderr.splitlines()) == 1
        return done.stderr

    assert "is not a run folder" in said(str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        where = ("--ledger", str(tmp_path / "l.sqlite"))
        assert "cannot listen" in said(str(shapes_run), "--port", port, *where)
