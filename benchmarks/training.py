"""Training against the usual way and scikit-learn, and against what the processor's matrix units can do.

    python benchmarks/training.py            # all of it, under six minutes on two idle cores
    python benchmarks/training.py --quick    # a look at whether everything runs; nothing is recorded

Everything compared is measured in the same run, by turns, so that other load on the machine meets all alike.
Rows go to ``results/training.csv``; ``README.md`` says what the columns mean.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from support import usual_way
from support.ours import recipe
from support.record import append, facts, spread
from torch.utils.data import DataLoader, RandomSampler

from bayesight import Run, Store, open_store
from bayesight.data import split
from bayesight.data.batches import Examples
from bayesight.train.classification import classification
from bayesight.train.engine import Budget, fit
from bayesight.train.events import Event, StepDone
from bayesight.train.hardware import available_cores, choose_hardware

SUPPORT = Path(__file__).parent / "support"
BATCHES = (512, 2048)
"""Ours at the batch of the packaged recipe, and at one that hides the fixed cost of a step better."""

LIMIT = 2048
"""Side of the square matrices whose product is called the limit."""

Rate = Callable[[], float]


@dataclass(frozen=True)
class Plan:
    """How much of everything.

    Args:
        rounds: turns each contestant gets in the comparison of rates.
        turn_s: about how long a turn lasts.
        repeats: whole trainings of each contestant.
        target: accuracy on held-out images that ends the clock of the others.
        epochs: ours; fixed beforehand.
        seed: of the split, and of the first repeat.
    """

    rounds: int
    turn_s: float
    repeats: int
    target: float
    epochs: float
    seed: int = 0


@dataclass(frozen=True)
class Bench:
    """The data, laid out once for everyone.

    Args:
        train_archive: ``.tar.gz`` of the images to learn from, one folder a class.
        judge: ``.npz`` of the images kept back.
        folder: the archive extracted.
        store: all images.
        learn: rows of the store that are in the archive.
        kept: rows that are kept back.
        scratch: a folder for what is made on the way.
    """

    train_archive: Path
    judge: Path
    folder: Path
    store: Store
    learn: np.ndarray
    kept: np.ndarray
    scratch: Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=_data())
    parser.add_argument("--quick", action="store_true", help="one short turn of each; records nothing")
    parser.add_argument("--target", type=float, default=0.905)
    parser.add_argument("--epochs", type=float, default=6, help="of ours, in the time to accuracy")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", choices=["rate", "accuracy"])
    parser.add_argument("--no-record", action="store_true")
    args = parser.parse_args()
    if not args.data.exists():
        sys.exit(f"{args.data} is not there; name the folder that holds notmnist/ in BAYESIGHT_DATA.")
    plan = Plan(9, 0.5, args.repeats, args.target, args.epochs)
    if args.quick:
        plan = Plan(2, 0.1, 1, args.target, args.epochs)
    began = time.perf_counter()
    machine = facts() | {"torch": torch.__version__}
    with tempfile.TemporaryDirectory() as scratch:
        bench = _lay_out(args.data, plan.seed, Path(scratch))
        rows = [] if args.only == "accuracy" else compare_rates(bench, plan)
        rows += [] if args.only == "rate" else compare_times(bench, plan)
    print(f"{time.perf_counter() - began:.0f} s in all")
    if not (args.quick or args.no_record):
        print(append("training.csv", [machine | row for row in rows]))


# Rates: images a second of steady training, and the share of the limit.


def compare_rates(bench: Bench, plan: Plan) -> list[dict[str, object]]:
    """Images a second of training, ours at each thread count and batch, theirs at 0 and 2 workers."""
    cores = available_cores()
    threads = sorted({1, cores})
    contestants: dict[tuple[str, int, int], Rate] = {}
    for count in threads:
        contestants["limit", count, LIMIT] = lambda: _limit(plan.turn_s)
        for batch in BATCHES:
            contestants["ours", count, batch] = _our_rate(bench, plan, batch, count)
    for workers in (0, 2):
        contestants["usual", cores, workers] = _usual_rate(bench, plan, workers)
    found: dict[tuple[str, int, int], list[float]] = {key: [] for key in contestants}
    for number in range(-1, plan.rounds):  # the first turn warms everything up
        order = list(contestants)
        for key in order if number % 2 else reversed(order):
            torch.set_num_threads(key[1])
            rate = contestants[key]()
            if number >= 0:
                found[key].append(rate)
    torch.set_num_threads(cores)
    return _rate_rows(found, threads, plan)


def _rate_rows(
    found: dict[tuple[str, int, int], list[float]], threads: list[int], plan: Plan
) -> list[dict[str, object]]:
    rows = []
    usual = {key[2]: rates for key, rates in found.items() if key[0] == "usual"}
    for count in threads:
        limits = found["limit", count, LIMIT]
        print(f"limit, {count} threads: {spread(limits)} GFLOP/s")
        for batch in BATCHES:
            ours = found["ours", count, batch]
            settings = {"threads": count, "batch": batch, "seed": plan.seed}
            for workers, theirs in usual.items():
                rows.append(_row("images/s", f"usual way, {workers} workers", ours, theirs, **settings))
            used = [rate * flop_per_image() / 1e9 for rate in ours]
            rows.append(_row("share of limit", f"{LIMIT}^2 matmul, GFLOP/s", used, limits, **settings))
    return rows


def flop_per_image() -> int:
    """Floating-point operations of the matrix products of one image's step; no gradient reaches pixels."""
    weights = 784 * 512 + 512 * 512 + 512 * 10
    return 6 * weights - 2 * 784 * 512


def _limit(turn_s: float) -> float:
    """GFLOP/s of square products at the precision our engine would choose."""
    precision = (
        torch.bfloat16 if choose_hardware(threads=torch.get_num_threads()).precision == "bf16" else None
    )
    a, b = (torch.randn(LIMIT, LIMIT).to(precision or torch.float32) for _ in range(2))
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < turn_s:
        a @ b
        count += 1
    return count * 2 * LIMIT**3 / (time.perf_counter() - began) / 1e9


def _our_rate(bench: Bench, plan: Plan, batch: int, threads: int) -> Rate:
    """Our engine from the memory-mapped store; listeners, loss terms and schedule as in any run."""
    store = bench.store
    train, kept = (Examples((store.images,), rows, store.labels[rows]) for rows in (bench.learn, bench.kept))
    steps = 4

    def rate() -> float:
        nonlocal steps
        hardware = choose_hardware(threads=threads)
        goal = classification(recipe(plan.seed, 50, batch), train, kept, len(store.classes), hardware)
        times: list[float] = []

        def listen(event: Event) -> None:
            if isinstance(event, StepDone):
                times.append(time.perf_counter())

        fit(
            goal.task, Budget(steps + 2, evaluate_every=steps + 2), fabric=hardware.fabric, listeners=[listen]
        )
        each_s = (times[-1] - times[1]) / (len(times) - 2)
        steps = max(4, round(plan.turn_s / each_s))
        return batch / each_s

    return rate


def _usual_rate(bench: Bench, plan: Plan, workers: int) -> Rate:
    """The stock loader over files; what its workers fetched ahead meanwhile is not timed."""
    data = usual_way.PngFolder(bench.folder)
    endless = RandomSampler(data, num_samples=10**9, generator=torch.Generator().manual_seed(plan.seed))
    loader = DataLoader(data, usual_way.BATCH, sampler=endless, num_workers=workers)
    model = usual_way.network()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    batches: Iterator[list[torch.Tensor]] = iter(loader)

    def rate() -> float:
        for _ in range(2 * workers + 1):
            usual_way.train_step(model, optimizer, *next(batches))
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < 2 * plan.turn_s:
            usual_way.train_step(model, optimizer, *next(batches))
            count += 1
        return count * usual_way.BATCH / (time.perf_counter() - began)

    return rate


# Times: whole processes, from the archive to an accuracy.


def compare_times(bench: Bench, plan: Plan) -> list[dict[str, object]]:
    """Seconds of fresh processes until held-out images are named as well as asked."""
    contestants: dict[str, Callable[[int], dict[str, float]]] = {
        "ours": lambda seed: _ours(bench, plan, seed),
        "usual way, 0 workers": lambda seed: _other(bench, plan, seed, "usual_way.py", "--workers", "0"),
        "usual way, 2 workers": lambda seed: _other(bench, plan, seed, "usual_way.py", "--workers", "2"),
        "scikit-learn MLPClassifier": lambda seed: _other(bench, plan, seed, "scikit_learn.py"),
    }
    found: dict[str, list[dict[str, float]]] = {name: [] for name in contestants}
    for number in range(plan.repeats):
        for name in list(contestants) if number % 2 == 0 else reversed(contestants):
            found[name].append(contestants[name](plan.seed + number))
    ours = found.pop("ours")
    rows = []
    for name, theirs in found.items():
        reached = statistics.mean(result["accuracy"] for result in theirs)
        row = _row(
            "seconds to accuracy", name, [r["seconds"] for r in ours], [r["seconds"] for r in theirs],
            threads=available_cores(), batch=512, seed=f"{plan.seed}..{plan.seed + plan.repeats - 1}",
        )  # fmt: skip
        mine = [result["accuracy"] for result in ours]
        row |= {
            "target": plan.target,
            "our_accuracy": spread(mine, 4),
            "their_accuracy": f"{reached:.4f}",
            "their_epochs": spread([result["epochs"] for result in theirs], 3),
        }
        print(f"    accuracy ours {row['our_accuracy']}, theirs {reached:.4f}, target {plan.target}")
        rows.append(row)
    return rows


def _ours(bench: Bench, plan: Plan, seed: int) -> dict[str, float]:
    """Train as a user does, with nothing cached; the finished run is judged afterwards."""
    with tempfile.TemporaryDirectory(dir=bench.scratch) as folder:
        out, cache = Path(folder, "run"), str(Path(folder, "cache"))
        command = ["ours.py", str(bench.train_archive), str(out), "--epochs", str(plan.epochs)]
        said, elapsed_s = _process(*command, "--seed", str(seed), BAYESIGHT_CACHE=cache)
        classifier = Run.open(out).classifier()
        kept = Examples((bench.store.images,), bench.kept, bench.store.labels[bench.kept])
        scores = classifier.log_likelihood(classifier.features(kept.in_order(1024))) + classifier.prior.log()
        accuracy = float((scores.argmax(1).numpy() == kept.labels).mean())
    parts = ", ".join(f"{name} {s:.2f}" for name, s in said["seconds"].items())
    print(f"ours: {elapsed_s:.2f} s ({parts}), accuracy {accuracy:.4f}", flush=True)
    return {"seconds": elapsed_s, "accuracy": accuracy}


def _other(bench: Bench, plan: Plan, seed: int, script: str, *options: str) -> dict[str, float]:
    target = ("--target", str(plan.target), "--seed", str(seed))
    said, elapsed_s = _process(script, str(bench.train_archive), str(bench.judge), *target, *options)
    elapsed_s -= said["aside_s"]
    how = f"{elapsed_s:.2f} s, {said['epochs']} epochs, accuracy {said['accuracy']:.4f}"
    print(f"{script} {' '.join(options)}: {how}", flush=True)
    return {"seconds": elapsed_s, "accuracy": said["accuracy"], "epochs": said["epochs"]}


def _process(script: str, *arguments: str, **environment: str) -> tuple[dict, float]:
    """Run a contestant from nothing; what it printed, and its wall-clock seconds from start to exit."""
    settings = ("OMP_", "MKL_", "OPENBLAS_", "PYTHON")  # everyone starts as on a machine just set up
    kept = {name: value for name, value in os.environ.items() if not name.startswith(settings)}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(SUPPORT / script), *arguments],
        env=kept | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    elapsed_s = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{script} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1]), elapsed_s


# Laying out and writing down.


def _data() -> Path:
    return Path(os.environ.get("BAYESIGHT_DATA") or Path(__file__).parents[2] / "shared" / "data")


def _lay_out(data: Path, seed: int, scratch: Path) -> Bench:
    """A fifth of the letters is kept back; the rest becomes an archive like the one it comes from."""
    source = data / "notmnist" / "notMNIST_real8k.tar.gz"
    store = open_store(source, cache=scratch / "stores")
    parts = split(store.labels, store.digests, {"learn": 0.8, "kept": 0.2}, seed)
    wanted = {store.path_of(int(row)) for row in parts["learn"]}
    archive = scratch / "learn.tar.gz"
    with tarfile.open(source) as old, tarfile.open(archive, "w:gz") as new:
        for member in old:
            if member.name in wanted:
                new.addfile(member, io.BytesIO(old.extractfile(member).read()))
    judge = scratch / "kept.npz"
    np.savez(judge, images=store.images[parts["kept"]], labels=store.labels[parts["kept"]])
    folder = usual_way.extract(archive, scratch / "extracted")
    return Bench(archive, judge, folder, store, parts["learn"], parts["kept"], scratch)


def _row(
    question: str, baseline: str, ours: list[float], theirs: list[float], **settings: object
) -> dict[str, object]:
    """One line of the results; the ratio says how many times better ours is, or for the limit the share."""
    better = [t / o if question.startswith("seconds") else o / t for o, t in zip(ours, theirs, strict=True)]
    row: dict[str, object] = {
        "question": question,
        "baseline": baseline,
        "ours": spread(ours),
        "theirs": spread(theirs),
        "ratio": f"{statistics.median(better):.3g}",
        "ratio_spread": spread(better, 3),
        "turns": len(ours),
    } | settings
    said = ", ".join(f"{name} {value}" for name, value in settings.items())
    print(f"{question} ({said}) against {baseline}: {row['ours']} to {row['theirs']}: {row['ratio_spread']}")
    return row


if __name__ == "__main__":
    main()
