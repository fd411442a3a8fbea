"""The service against the model called directly, and against a bare FastAPI route around it.

    python benchmarks/serving.py RUN             # two minutes on two idle cores
    python benchmarks/serving.py RUN --look      # a look at whether everything runs; nothing is recorded

One worker, one thread for products. Every turn asks each server for some seconds by the same connections with
the same image file; ratios are taken turn by turn. The service does more than the route: it looks for new
updates, checks limits, and writes every prediction to its ledger (on this machine's disk) within a moment.
Beside the rates stand the processor's milliseconds an image costs the server, which other load disturbs less.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from support.load import Load, fire, post
from support.record import append, facts, spread
from support.serving import free_port, processor_s, served, small_run, wait_for

from bayesight.data.codecs import quick_png
from bayesight.run import Run
from bayesight.workflows.predict import Readings, judge

HERE = Path(__file__).parent
CONNECTIONS = (1, 8, 32)
BATCH = 64


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, nargs="?", help="a run folder; by default a small mlp is made")
    parser.add_argument("--look", action="store_true")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each server, each turn")
    options = parser.parse_args()
    turns, seconds = (1, 0.5) if options.look else (options.turns, options.seconds)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        run = options.run or small_run(Path(folder))
        rows = measure(run, turns, seconds)
    for row in rows:
        print(json.dumps(row))
    if not options.look:
        append("serving.csv", rows)


def measure(run: Path, turns: int, seconds: float) -> list[dict[str, object]]:
    classifier = Run.open(run).classifier()
    pixels = images(classifier.classes.image_shape)
    single = quick_png(pixels[0])
    many = json.dumps({"images": [{"data": base64.b64encode(quick_png(image)).decode()} for image in pixels]})
    requests = {
        "service": post("/v1/predictions", single, "image/png"),
        "route": post("/terms", single, "image/png"),
        "softmax": post("/softmax", single, "image/png"),
        "nothing": post("/nothing", single, "image/png"),
    }
    before = facts()
    with (
        tempfile.TemporaryDirectory() as folder,
        bare(run) as (route, route_port),
        served(run, f"{folder}/ledger.sqlite") as (service, port),
    ):
        ports = dict.fromkeys(requests, route_port) | {"service": port}
        servers = dict.fromkeys(requests, route) | {"service": service}
        for name, request in requests.items():
            fire(ports[name], request, connections=4, seconds=min(1.0, seconds))
        loads: dict[tuple[str, int], list[Load]] = {}
        calls: list[float] = []
        together: list[float] = []
        batches: list[Load] = []
        for _ in range(turns):
            for connections in CONNECTIONS:
                for name, request in requests.items():
                    began_s = processor_s(servers[name])
                    load = fire(ports[name], request, connections=connections, seconds=seconds)
                    spent_s = processor_s(servers[name]) - began_s
                    loads.setdefault((name, connections), []).append(replace(load, processor_s=spent_s))
            calls.append(1 / called(classifier, pixels[:1], seconds))
            together.append(BATCH / called(classifier, pixels, seconds))
            request = post("/v1/predictions", many.encode(), "application/json")
            batches.append(fire(port, request, connections=1, seconds=seconds))
    rows = [
        row(before, f"{name}, {connections} connections", found, loads["route", connections], calls)
        for (name, connections), found in loads.items()
    ]
    batched = [load.per_s * BATCH for load in batches]
    ratios = [a / b for a, b in zip(batched, together, strict=True)]
    rows.append({
        **before, "question": f"service, {BATCH} images a request", "images_per_s": spread(batched),
        "median_ms": spread([1e3 * load.quantile(0.5) for load in batches]),
        "p99_ms": spread([1e3 * load.quantile(0.99) for load in batches]),
        "to_model_call": round(statistics.median(ratios), 2),
    })  # fmt: skip
    return rows


def row(
    before: dict[str, object], question: str, loads: list[Load], route: list[Load], calls: list[float]
) -> dict[str, object]:
    to_route = [mine.per_s / theirs.per_s for mine, theirs in zip(loads, route, strict=True)]
    cheaper = [theirs.each_ms / mine.each_ms for mine, theirs in zip(loads, route, strict=True)]
    to_call = [mine.per_s / theirs for mine, theirs in zip(loads, calls, strict=True)]
    return {
        **before,
        "question": question,
        "images_per_s": spread([load.per_s for load in loads]),
        "median_ms": spread([1e3 * load.quantile(0.5) for load in loads]),
        "p99_ms": spread([1e3 * load.quantile(0.99) for load in loads]),
        "to_route": round(statistics.median(to_route), 2),
        "processor_ms": spread([load.each_ms for load in loads]),
        "to_route_by_processor": round(statistics.median(cheaper), 2),
        "to_model_call": round(statistics.median(to_call), 2),
    }


def images(shape: tuple[int, int, int]) -> torch.Tensor:
    """Some images of blurred noise; what is on them costs nothing."""
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(0, 256, (BATCH, *shape), dtype=np.uint8))


def called(classifier, pixels: torch.Tensor, seconds: float) -> float:
    """Seconds of one direct call for these images: features and the four terms."""
    names, elapsed, end = ["image"] * len(pixels), [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        judge(classifier, names, classifier.features([(pixels, pixels)]), Readings())
        elapsed.append(time.perf_counter() - began)
    return statistics.median(elapsed)


@contextmanager
def bare(run: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port = free_port()
    command = [sys.executable, str(HERE / "support" / "bare_route.py"), str(run), str(port)]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)
    try:
        wait_for(port, process, "/openapi.json")
        yield process, port
    finally:
        process.terminate()
        process.wait(60)


if __name__ == "__main__":
    main()
