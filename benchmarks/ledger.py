"""The ledger: appends, verification and replay a second on both databases, and writers killed fifty times.

    python benchmarks/ledger.py           # a few minutes
    python benchmarks/ledger.py --quick   # a look at whether everything runs; nothing is recorded

Every append is durable: its receipt comes after the disk has it. Beside ours, by turns in the same run,
stands a bare insert of the same bytes into one table of the same database, committed as durably, one
transaction each; on SQLite through Python's sqlite3, on PostgreSQL through psycopg. Learning stands beside
absorbing the same batches with no ledger. PostgreSQL is Debian's package, started here with its default
durability; without it only SQLite is measured.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import torch
from support.record import append, facts, spread
from support.suite import part

from bayesight import Recipe, RenderOptions, Run, TrainRequest, render, train
from bayesight.belief.absorbed import Rows
from bayesight.belief.updating import absorb
from bayesight.ledger import (
    LabelRecord,
    Ledger,
    PredictionRecord,
    RunRecord,
    begin,
    belief_digest,
    erase,
    learn,
    verify,
)

SIZE = 1024
RUN = RunRecord("run1", "ab" * 32, tuple("ABCDEFGHIJ"), SIZE, "mlp")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--run", type=Path, help="a finished run, instead of training one")
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        run = Run.open(options.run) if options.run else small_run(Path(folder), options.seed, 2)
        for backend, place in places(Path(folder), options.only):
            if options.only in (None, backend):
                rows += measure(backend, place, run, quick=options.quick, seed=options.seed)
    for row in rows:
        print("  ".join(f"{key} {value}" for key, value in row.items() if key not in facts()))
    if not options.quick:
        append("ledger.csv", rows)


def places(folder: Path, only: str | None) -> list[tuple[str, Callable[[], str]]]:
    """Each backend, and what makes an empty place for a ledger on it."""
    counter = iter(range(10_000))
    found = [("sqlite", lambda: str(folder / f"{next(counter)}.sqlite"))]
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if programs and only != "sqlite":
        conftest = part("conftest.py")
        server = conftest.Server(programs[-1], Path(tempfile.mkdtemp(prefix="bayesight-pg-")), fsync=True)
        import atexit

        atexit.register(server.stop, "immediate")
        found.append(("postgresql", server.database))
    return found


def measure(backend: str, place: Callable[[], str], run: Run, *, quick: bool, seed: int) -> list[dict]:
    """Every question on one backend."""
    shared = {**facts(), "backend": backend, "seed": seed}

    def row(question: str, ours: list[float], theirs: list[float] | None = None, **more: object) -> dict:
        told = {**shared, "question": question, "ours": spread(ours)}
        if theirs:
            ratio = statistics.median(ours) / statistics.median(theirs)
            told |= {"bare": spread(theirs), "ratio": round(ratio, 3)}
        return told | more

    count, turns = (20, 2) if quick else (60, 3)
    found = []
    for batch in (1, 20, 200):
        ours, theirs = [], []
        for turn in range(turns):
            ours.append(appends(place(), count // (1 + batch // 20), batch, seed + turn))
            theirs.append(bare(backend, place(), count // (1 + batch // 20), batch))
        found.append(row(f"labels/s, {batch} in a transaction", ours, theirs))
    predicted = [appends(place(), count // 4, 20, seed, kind="prediction") for _ in range(turns)]
    found.append(row("predictions/s, 20 in a transaction", predicted))
    together = [writers(place(), 4, count // 4, 1) for _ in range(2)]
    found.append(row("labels/s, 4 processes, 1 in a transaction", together))
    url = place()
    with Ledger.open(url) as ledger:
        ledger.register(RUN)
        for start in range(0, 200 if quick else 2000, 200):
            ledger.append([label(n) for n in range(start, start + 200)])
        rates = []
        for _ in range(turns):
            began = time.perf_counter()
            entries = verify(ledger).entries
            rates.append(entries / (time.perf_counter() - began))
        found.append(row("records verified/s", rates, records=entries))
    found += replays(place(), run, row, updates=4 if quick else 10)
    found.append(killed(place(), row, rounds=3 if quick else 50, seed=seed))
    return found


def label(number: int) -> LabelRecord:
    features = np.random.default_rng(number).normal(size=SIZE).astype(np.float32)
    return LabelRecord(
        "run1", f"{number:032x}", "ABCDEFGHIJ"[number % 10], "alice", features, b"\x89PNG" + bytes(600)
    )


def prediction(number: int) -> PredictionRecord:
    shares = dict(
        zip("ABCDEFGHIJ", np.random.default_rng(number).dirichlet(np.ones(10)).tolist(), strict=True)
    )
    return PredictionRecord("run1", "cd" * 32, f"{number:032x}", "A", shares, shares, -1234.5, shares, 0.5)


def appends(url: str, transactions: int, batch: int, seed: int, kind: str = "label") -> float:
    """Records a second, each transaction under a key of its own."""
    make = label if kind == "label" else prediction
    records = [make(seed * 10**6 + n) for n in range(transactions * batch)]
    with Ledger.open(url) as ledger:
        ledger.register(RUN)
        began = time.perf_counter()
        for n in range(transactions):
            ledger.append(records[n * batch : (n + 1) * batch], key=f"{n}")
        return len(records) / (time.perf_counter() - began)


def bare(backend: str, url: str, transactions: int, batch: int) -> float:
    """The same bytes a second into one table with nothing around it."""
    content = [(n, label(n).features.tobytes() + bytes(600)) for n in range(transactions * batch)]
    table = "CREATE TABLE bare (n INTEGER PRIMARY KEY, content {})"
    if backend == "sqlite":
        connection = sqlite3.connect(url, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(table.format("BLOB"))
        many, insert = connection.executemany, "INSERT INTO bare VALUES (?, ?)"
    else:
        import psycopg

        connection = psycopg.connect(url, autocommit=True)
        connection.execute(table.format("BYTEA"))
        many, insert = connection.cursor().executemany, "INSERT INTO bare VALUES (%s, %s)"
    began = time.perf_counter()
    for n in range(transactions):
        connection.execute("BEGIN")
        many(insert, content[n * batch : (n + 1) * batch])
        connection.execute("COMMIT")
    elapsed_s = time.perf_counter() - began
    connection.close()
    return len(content) / elapsed_s


def _write(url: str, who: int, count: int, batch: int, ready: Barrier) -> None:
    records = [label(who * count * batch + n) for n in range(count * batch)]
    with Ledger.open(url) as ledger:
        ready.wait()
        for n in range(count):
            ledger.append(records[n * batch : (n + 1) * batch], key=f"{who}-{n}")
        ready.wait()


def writers(url: str, processes: int, count: int, batch: int) -> float:
    """Labels a second of several processes together, from when all are ready until all have written."""
    with Ledger.open(url) as ledger:
        ledger.register(RUN)
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(processes + 1)
    working = [
        context.Process(target=_write, args=(url, who, count, batch, ready)) for who in range(processes)
    ]
    for one in working:
        one.start()
    ready.wait()
    began = time.perf_counter()
    ready.wait()
    elapsed_s = time.perf_counter() - began
    for one in working:
        one.join()
    with Ledger.open(url) as ledger:
        assert ledger.head().sequence == 1 + processes * batch * count
        assert verify(ledger).good
    return processes * count * batch / elapsed_s


def small_run(folder: Path, seed: int, epochs: int) -> Run:
    """The packaged mlp on rendered letters: 1,024 features."""
    letters = render(folder / "letters.tar.gz", RenderOptions(images_per_class=100, seed=seed)).path
    recipe = Recipe.default("mlp").changed({"optimization.epochs": epochs, "seed": seed})
    return train(TrainRequest(letters, folder / "run", recipe)).run


def replays(url: str, run: Run, row: Callable[..., dict], updates: int) -> list[dict]:
    """Learning, replaying and erasing, one label an update and a hundred, against absorbing alone."""
    found = []
    with Ledger.open(url) as ledger:
        held = begin(ledger, run)
        base = held.base
        for batch in (1, 100):
            lessons = [
                [told(held.run, base, u * batch + n, batch) for n in range(batch)] for u in range(updates)
            ]
            learning, absorbing = [], []
            alone = held.classifier
            for labels in lessons:
                began = time.perf_counter()
                held, _ = learn(ledger, held, labels)
                middle = time.perf_counter()
                alone, _ = absorb(alone, rows_of(labels, base))
                learning.append(batch / (middle - began))
                absorbing.append(batch / (time.perf_counter() - middle))
            same = belief_digest(alone) == held.belief
            found.append(row(f"labels learned/s, {batch} an update", learning, absorbing, exact=same))
        began = time.perf_counter()
        replayed = begin(ledger, run, fresh=True)
        rate = 2 * updates / (time.perf_counter() - began)
        found.append(row("updates replayed/s", [rate], exact=replayed.exact, updates=2 * updates))
        began = time.perf_counter()
        begin(ledger, run)
        again_s = time.perf_counter() - began
        began = time.perf_counter()
        begin(ledger, run)
        found.append(
            row("start from a snapshot, s", [time.perf_counter() - began], [again_s], updates=2 * updates)
        )
        began = time.perf_counter()
        held, erased = erase(ledger, held, person="person 0")
        elapsed_s = time.perf_counter() - began
        exact = begin(ledger, run, fresh=True).exact
        found.append(row("erasing a person, s", [elapsed_s], exact=exact, unlearned=erased.unlearned))
    return found


def told(run: str, base, number: int, batch: int) -> LabelRecord:
    at = number % len(base.reference)
    name = base.classes.names[int(base.reference_labels[at])]
    image = f"{batch:016x}{number:016x}"
    return LabelRecord(run, image, name, f"person {number % 10}", base.reference[at].numpy().copy())


def rows_of(labels: list[LabelRecord], base) -> Rows:
    names = base.classes.names
    return Rows(
        torch.from_numpy(np.stack([one.features for one in labels])),
        torch.tensor([names.index(one.label) for one in labels]),
        torch.tensor([list(bytes.fromhex(one.image)) for one in labels], dtype=torch.uint8),
    )


def killed(url: str, row: Callable[..., dict], rounds: int, seed: int) -> dict:
    """A writer killed again and again under its own stream; what it acknowledged, and what is there."""
    faults = part("ledger/test_faults.py")
    with Ledger.open(url) as ledger:
        ledger.register(RUN)
    script = [sys.executable, "-c", faults.KILLED, url, str(rounds), str(seed)]
    done = subprocess.run(script, capture_output=True, text=True, check=True)
    acknowledged = [json.loads(line) for line in done.stdout.splitlines()]
    with Ledger.open(url) as ledger:
        found = faults.acknowledged_once(ledger, acknowledged)
        lost = sum(key not in found for key, *_ in acknowledged)
        return row(
            f"{rounds} kills of a writer",
            [len(acknowledged)], lost=lost, twice=0, unacknowledged_but_whole=len(found) - len(acknowledged),
        )  # fmt: skip


if __name__ == "__main__":
    main()
