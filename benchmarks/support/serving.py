"""``bayesight serve`` as a process, a small run to serve, and labels to send."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from bayesight import Recipe, RenderOptions, TrainRequest, render, train
from bayesight.data.codecs import quick_png


def small_run(folder: Path) -> Path:
    """An mlp of 64 hidden units on rendered letters."""
    letters = render(folder / "letters.tar.gz", RenderOptions(characters="ABCDE", images_per_class=80)).path
    changes = {"optimization.epochs": 4, "data.batch": 32, "model.hidden": [64]}
    recipe = Recipe.default("mlp").changed(changes)
    return train(TrainRequest(letters, folder / "run", recipe, threads=1)).run.folder


def label_body(seed: int, names: tuple[str, ...]) -> bytes:
    """A request that labels an image of its own."""
    rng = np.random.default_rng(seed)
    image = torch.from_numpy(rng.integers(0, 256, (1, 28, 28), dtype=np.uint8))
    data = base64.b64encode(quick_png(image)).decode()
    return json.dumps({"labels": [{"label": names[seed % len(names)], "data": data}]}).encode()


@contextmanager
def served(
    run: Path,
    ledger: str,
    *,
    workers: int = 1,
    extra: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A service that is ready, in a process group of its own; killed at the end unless it has ended."""
    port = free_port()
    command = [sys.executable, "-m", "bayesight", "serve", str(run), "--port", str(port), "--rate", ""]
    command += ["--ledger", ledger, "--workers", str(workers), "--log-level", "error", *extra]
    whole = {**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})}
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env=whole, stdout=quiet, stderr=quiet, start_new_session=True)
    try:
        wait_for(port, process)
        yield process, port
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)


def wait_for(port: int, process: subprocess.Popen[bytes], path: str = "/ready") -> None:
    while process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30).read()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"the server ended with {process.returncode} before it was ready")


def processor_s(process: subprocess.Popen[bytes]) -> float:
    """Seconds of processor a server has used so far, its threads included."""
    text = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(text[11]) + int(text[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
