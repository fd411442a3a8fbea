"""Labels from many clients at two workers on one ledger: none lost, none twice, one belief.

    python benchmarks/service_load.py                 # 20,000 labels from 20 clients
    python benchmarks/service_load.py --labels 200    # a look; not recorded unless told
    python benchmarks/service_load.py --ledger postgresql://...

Each client sends the next label when the last was acknowledged. Afterwards the ledger is read: every label is
to be there once, the belief has to be the replay of the ledger bit for bit, and its statistics those of all
labels absorbed in one batch.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from support.load import post
from support.record import append, facts
from support.serving import label_body, served, small_run

from bayesight.bayes.head import gaussian
from bayesight.ledger import LabelRecord, Ledger, begin, verify
from bayesight.run import Run


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--labels", type=int, default=20_000)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--ledger", help="by default a SQLite file that is thrown away")
    parser.add_argument("--record", action="store_true", help="record fewer than 20,000 labels too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        run = small_run(Path(folder))
        row = measure(run, options.ledger or f"{folder}/ledger.sqlite", options)
    for name, value in row.items():
        print(f"{name:22} {value}")
    if options.labels >= 20_000 or options.record:
        append("service_load.csv", [row])


def measure(run: Path, ledger: str, options: argparse.Namespace) -> dict[str, object]:
    before, names = facts(), Run.open(run).classes().names
    with served(run, ledger, workers=options.workers) as (process, port):
        began = time.perf_counter()
        answers, elapsed = asyncio.run(send(port, options.labels, options.clients, names))
        took_s = time.perf_counter() - began
        process.terminate()
        process.wait(120)
    elapsed.sort()
    return {
        **before, "labels": options.labels, "clients": options.clients, "workers": options.workers,
        "database": ledger.partition(":")[0] if "://" in ledger else "sqlite", "acknowledged": len(answers),
        "labels_per_s": round(len(answers) / took_s, 1),
        "median_ms": round(1e3 * elapsed[len(elapsed) // 2], 1),
        "p99_ms": round(1e3 * elapsed[int(0.99 * len(elapsed))], 1), **checked(run, ledger, answers),
    }  # fmt: skip


def checked(run: Path, ledger: str, answers: list[dict], belief: str = "") -> dict[str, object]:
    """What the ledger holds, against what was acknowledged and against one batch.

    A label counts as lost unless it lies where its receipt says, absorbed by the update that was named.

    Args:
        run: the base.
        ledger: where.
        answers: to labels, as they came.
        belief: digest the service gave last; empty leaves it out.
    """
    with Ledger.open(ledger) as opened:
        held = begin(opened, Run.open(run), fresh=True)
        labels: dict[int, LabelRecord] = {}
        while entries := opened.since(max(labels, default=0), kinds=("label",)):
            labels |= {entry.sequence: entry.record for entry in entries}
        good = verify(opened).broken is None
        updates = opened.since(0, kinds=("update",), limit=1_000_000)
    by_label = {label: entry.sequence for entry in updates for label in entry.record.labels}
    kept = sum(
        number in labels
        and [labels[number].image] == answer["images"]
        and by_label[number] == answer["update"]
        for answer in answers
        for number in (answer["receipt"]["first"],)
    )
    images = [label.image for label in labels.values()]
    names = held.base.classes.names
    numbers = torch.tensor([names.index(label.label) for label in labels.values()])
    features = torch.from_numpy(np.array([label.features for label in labels.values()]))
    once, _ = gaussian.absorb(held.base.head, features, numbers)
    pairs = ((held.classifier.head, once, part) for part in ("counts", "sums", "second_moments"))
    off = max(
        float((getattr(a, part) - getattr(b, part)).abs().max() / getattr(b, part).abs().max())
        for a, b, part in pairs
    )
    exact = held.exact and belief in ("", held.belief)
    return {
        "lost": len(answers) - kept, "twice": len(images) - len(set(images)), "kept": len(images),
        "updates": len(updates), "replay_exact": exact, "chain_good": good, "from_one_batch": f"{off:.2g}",
    }  # fmt: skip


async def send(
    port: int, labels: int, clients: int, names: tuple[str, ...]
) -> tuple[list[dict], list[float]]:
    answers: list[dict] = []
    elapsed: list[float] = []
    todo = iter(range(labels))

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in todo:
            key = f"Idempotency-Key: label-{number}\r\n"
            began = time.perf_counter()
            writer.write(post("/v1/labels", label_body(number, names), "application/json", key))
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            elapsed.append(time.perf_counter() - began)
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"{head[:100]!r} {body[:400]!r}")
            answers.append(json.loads(body))
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return answers, elapsed


if __name__ == "__main__":
    main()
