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
import math
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
from typing import Any

import numpy as np
import torch
from support import usual_way
from support.record import append, facts, spread
from torch.utils.data import DataLoader, RandomSampler

from bayesight import Recipe, Run, Store, open_store
from bayesight.data import split
from bayesight.data.batches import Examples
from bayesight.training.classification import classification
from bayesight.training.engine import Budget, fit
from bayesight.training.events import Event, StepEvent
from bayesight.training.hardware import available_cores, choose_hardware

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
        target: accuracy on held-out images at which the others may stop.
        epochs: ours.
        their_epochs: of the others.
        seed: of the split, and of the first repeat.
    """

    rounds: int
    turn_s: float
    repeats: int
    target: float
    epochs: float
    their_epochs: int = 10
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
    parser.add_argument("--epochs", type=float, default=8, help="of ours, in the time to accuracy")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=["rate", "accuracy"])
    parser.add_argument("--no-record", action="store_true")
    args = parser.parse_args()
    if not args.data.exists():
        sys.exit(f"{args.data} is not there; name the folder that holds notmnist/ in BAYESIGHT_DATA.")
    plan = Plan(9, 0.5, args.repeats, args.target, args.epochs)
    if args.quick:
        plan = Plan(2, 0.1, 1, args.target, args.epochs, their_epochs=3)
    began = time.perf_counter()
    machine = facts() | {"torch": torch.__version__}
    with tempfile.TemporaryDirectory() as scratch:
        bench = _lay_out(args.data, plan.seed, Path(scratch))
        rows = [] if args.only == "accuracy" else compare_rates(bench, plan)
        rows += [] if args.only == "rate" else compare_times(bench, plan)
    print(f"{time.perf_counter() - began:.0f} s in all")
    if not (args.quick or args.no_record):
        print(append("training.csv", [machine | row for row in rows]))


def recipe(epochs: float, batch: int = 512, seed: int = 0) -> Recipe:
    """784-512-512-10 without augmentation or dropout."""
    changes = {
        "seed": seed,
        "data.augment": {"name": "none"},
        "data.batch": batch,
        "model.dropout": 0.0,
        "optimization.lr": 6e-3,
        "optimization.epochs": epochs,
    }
    return Recipe.default("mlp").changed(changes)


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
        goal = classification(recipe(50, batch, plan.seed), train, kept, len(store.classes), hardware)
        times: list[float] = []

        def listen(event: Event) -> None:
            if isinstance(event, StepEvent):
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


@dataclass(frozen=True)
class Training:
    """A process from start to exit.

    Args:
        seconds: on the clock.
        cpu_s: of all its threads and workers.
        accuracy: on the held-out images after each epoch; of ours, at the end.
        reached_s: seconds at which each epoch ended.
    """

    seconds: float
    cpu_s: float
    accuracy: list[float]
    reached_s: list[float]

    def first(self, target: float) -> float:
        """Seconds at the end of the first epoch that names held-out images this well; inf if none does."""
        good = [s for s, accuracy in zip(self.reached_s, self.accuracy, strict=True) if accuracy >= target]
        return good[0] if good else math.inf


def compare_times(bench: Bench, plan: Plan) -> list[dict[str, object]]:
    """Seconds of fresh processes from the archive to about the same accuracy.

    Ours has its epochs fixed beforehand and is charged for everything up to its report. The others are
    charged twice over: once for their ten epochs, fixed beforehand as well, and once only up to the first
    epoch that reaches the target, as if they had known where to stop.
    """
    ten = ("--epochs", str(plan.their_epochs))
    contestants: dict[str, Callable[[str], Training]] = {
        "ours": lambda seed: _ours(bench, plan, seed),
        "usual way, 0 workers": lambda seed: _other(bench, "usual_way.py", seed, *ten, "--workers", "0"),
        "usual way, 2 workers": lambda seed: _other(bench, "usual_way.py", seed, *ten, "--workers", "2"),
        "scikit-learn MLPClassifier": lambda seed: _other(bench, "scikit_learn.py", seed, *ten),
    }
    found: dict[str, list[Training]] = {name: [] for name in contestants}
    for number in range(plan.repeats):
        for name in list(contestants) if number % 2 == 0 else reversed(contestants):
            found[name].append(contestants[name](str(plan.seed + number)))
    ours = found.pop("ours")
    rows = []
    for name, theirs in found.items():
        rows += _time_rows(name, ours, theirs, plan)
    return rows


def _time_rows(
    name: str, ours: list[Training], theirs: list[Training], plan: Plan
) -> list[dict[str, object]]:
    settings = {
        "threads": available_cores(),
        "batch": 512,
        "seed": f"{plan.seed}..{plan.seed + plan.repeats - 1}",
        "our_accuracy": spread([training.accuracy[-1] for training in ours]),
    }
    mine = [training.seconds for training in ours]
    end = {"their_accuracy": spread([training.accuracy[-1] for training in theirs])}
    best = {"their_accuracy": f">= {plan.target}"}
    cpu = [[training.cpu_s for training in each] for each in (ours, theirs)]
    return [
        _row("seconds, ten epochs", name, mine, [t.seconds for t in theirs], **settings, **end),
        _row("seconds, first", name, mine, [t.first(plan.target) for t in theirs], **settings, **best),
        _row("seconds of processor, ten epochs", name, *cpu, **settings, **end),
    ]


def _ours(bench: Bench, plan: Plan, seed: str) -> Training:
    """``bayesight train`` as a user calls it, with nothing cached; the finished run is judged afterwards."""
    with tempfile.TemporaryDirectory(dir=bench.scratch) as folder:
        out, file = Path(folder, "run"), Path(folder, "recipe.toml")
        file.write_text(recipe(plan.epochs, seed=int(seed)).to_toml(), encoding="utf-8")
        command = ["ours.py", "train", str(bench.train_archive), "--out", str(out), "--recipe", str(file)]
        _, elapsed_s, cpu_s = _process(*command, BAYESIGHT_CACHE=str(Path(folder, "cache")))
        run = Run.open(out)
        seconds = run.metrics()["seconds"]
        classifier = run.classifier()
        kept = Examples((bench.store.images,), bench.kept, bench.store.labels[bench.kept])
        scores = classifier.log_likelihood(classifier.features(kept.in_order(1024))) + classifier.prior.log()
        accuracy = float((scores.argmax(1).numpy() == kept.labels).mean())
    seconds["starting, saving, report"] = elapsed_s - seconds.pop("total")
    parts = ", ".join(f"{name} {s:.2f}" for name, s in seconds.items())
    print(f"ours: {elapsed_s:.2f} s, of processor {cpu_s:.2f} ({parts}), accuracy {accuracy:.4f}", flush=True)
    return Training(elapsed_s, cpu_s, [accuracy], [elapsed_s])


def _other(bench: Bench, script: str, seed: str, *options: str) -> Training:
    data = (str(bench.train_archive), str(bench.judge))
    said, elapsed_s, cpu_s = _process(script, *data, "--seed", seed, *options)
    elapsed_s -= said["aside_s"]
    accuracy, reached_s = said["accuracy"], [elapsed_s - s for s in said["before_end_s"]]
    steps = " ".join(f"{a:.3f}@{s:.1f}" for a, s in zip(accuracy, reached_s, strict=True))
    print(f"{script} {' '.join(options)}: {elapsed_s:.2f} s, of processor {cpu_s:.2f} ({steps})", flush=True)
    return Training(elapsed_s, cpu_s, accuracy, reached_s)


def _process(script: str, *arguments: str, **environment: str) -> tuple[dict[str, Any], float, float]:
    """Run a contestant from nothing: what it printed, its seconds from start to exit, and of processor."""
    settings = ("OMP_", "MKL_", "OPENBLAS_", "PYTHON")  # everyone starts as on a machine just set up
    kept = {name: value for name, value in os.environ.items() if not name.startswith(settings)}
    began, used = time.perf_counter(), _children_cpu_s()
    done = subprocess.run(
        [sys.executable, str(SUPPORT / script), *arguments],
        env=kept | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    elapsed_s, cpu_s = time.perf_counter() - began, _children_cpu_s() - used
    if done.returncode:
        sys.exit(f"{script} failed:\n{done.stderr}")
    last = done.stdout.splitlines()[-1]
    return json.loads(last) if last.startswith("{") else {}, elapsed_s, cpu_s


def _children_cpu_s() -> float:
    used = os.times()
    return used.children_user + used.children_system


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
