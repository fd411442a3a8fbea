"""A service on a small run, in the same process or as one of its own, and who asks it."""

import base64
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from bayesight.ledger import LabelRecord, Ledger, begin, verify
from bayesight.run import Run
from bayesight.service import Settings, create_app


def png(pixels: np.ndarray) -> bytes:
    """An array as a PNG file."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def drawing(name: str, seed: int = 3) -> bytes:
    """A PNG of a bar, a disc or a ring, in its own place."""
    rng = np.random.default_rng([seed, *name.encode()])
    y, x = np.mgrid[:28, :28]
    cy, cx = rng.uniform(12, 16, 2)
    distance = np.hypot(y - cy, x - cx)
    shape = {"bar": np.abs(x - cx) < 3, "disc": distance < 8, "ring": np.abs(distance - 7) < 2}[name]
    return png(np.clip(shape * 100 + 60 + rng.normal(0, 20, (28, 28)), 0, 255).astype(np.uint8))


def stripes(seed: int = 0) -> bytes:
    """A PNG unlike anything the run was trained on."""
    rng = np.random.default_rng(seed)
    rows = (np.arange(28) // 3 % 2)[:, None] * 200 + rng.normal(0, 10, (28, 28)) + 20
    return png(np.clip(rows, 0, 255).astype(np.uint8))


@contextmanager
def served(
    run, ledger, *, workers: int = 1, environment: dict | None = None, options: Sequence[str] = ()
) -> Iterator[tuple[subprocess.Popen, str]]:
    """``bayesight serve`` in a process group of its own, ready to answer."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "bayesight", "serve", str(run), "--ledger", str(ledger), "--rate", ""]
    command += ["--port", str(port), "--workers", str(workers), "--log-level", "warning", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})}
    process = subprocess.Popen(command, start_new_session=True, env=environment)
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
    """Labels one image after the other until the service is gone or it is stopped.

    A label refused for now (503) is sent again with the same key; what was acknowledged is kept.
    """

    def __init__(self, url: str, name: str) -> None:
        super().__init__()
        self.url, self.who = url, name
        self.sent: list[str] = []
        self.acknowledged: dict[str, dict] = {}
        self.refused: list[str] = []
        self.stop = threading.Event()

    def run(self) -> None:
        with httpx.Client(base_url=self.url, timeout=60) as client:
            number = 0
            while number < 10_000 and not self.stop.is_set():
                name = ("bar", "disc", "ring")[number % 3]
                data = base64.b64encode(
                    drawing(name, number * 100_000 + int.from_bytes(self.who.encode()))
                ).decode()
                key = f"{self.who}-{number}"
                body = {"labels": [{"label": "disc", "data": data}]}
                self.sent.append(key)
                try:
                    answer = client.post("/v1/labels", json=body, headers={"Idempotency-Key": key})
                except httpx.TransportError:
                    return
                if answer.status_code == 503:
                    self.refused.append(answer.json()["message"])
                    self.stop.wait(0.05)
                    continue
                assert answer.status_code == 200, answer.text
                self.acknowledged[key] = answer.json()
                number += 1


def kept(url: str, run, teachers: list[Teacher]) -> None:
    """Everything acknowledged is there once, and the belief is the replay."""
    with Ledger.open(url) as ledger:
        labels = {entry.sequence: entry.record for entry in ledger.since(0, kinds=("label",), limit=100_000)}
        told = [answer for teacher in teachers for answer in teacher.acknowledged.values()]
        numbers = [answer["receipt"]["first"] for answer in told]
        assert len(set(numbers)) == len(numbers)
        for answer in told:
            record = labels[answer["receipt"]["first"]]
            assert isinstance(record, LabelRecord)
            assert [record.image] == answer["images"]
        assert len(labels) <= sum(len(set(teacher.sent)) for teacher in teachers)
        images = [record.image for record in labels.values()]
        assert len(set(images)) == len(images)
        absorbed = ledger.absorbed_by(numbers)
        assert absorbed == {answer["receipt"]["first"]: answer["update"] for answer in told}
        held = begin(ledger, Run.open(run))
        assert held.exact
        assert verify(ledger).broken is None


@pytest.fixture
def settings(shapes_run: Path, tmp_path: Path) -> Settings:
    """How the service of a test is run: on loopback, with a ledger of its own, as fast as it can."""
    return Settings(str(shapes_run), str(tmp_path / "ledger.sqlite"), rate="")


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """A service and whoever asks it."""
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        yield client


@pytest.fixture
def draw():
    """Draw a bar, a disc or a ring; a seed for each."""
    return drawing


@pytest.fixture
def strange() -> bytes:
    """A PNG unlike anything the run was trained on."""
    return stripes()


@pytest.fixture
def serving() -> Callable[..., AbstractContextManager[tuple[subprocess.Popen, str]]]:
    """Start ``bayesight serve`` on a run and a ledger."""
    return served


@pytest.fixture
def teacher() -> type[Teacher]:
    """Make somebody who labels images: address of the service, name."""
    return Teacher


@pytest.fixture
def check_kept() -> Callable[[str, Path, list[Teacher]], None]:
    """Check a ledger against a run and what was acknowledged to teachers."""
    return kept
