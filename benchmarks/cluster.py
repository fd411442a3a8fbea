"""Updates by parts: one worker beside two, bytes sent, killed workers, the merge of many statistics.

``python benchmarks/cluster.py`` makes parts of CIFAR-10 photographs and absorbs them; ``--kills N`` kills a
worker at a random moment N times; ``--merge N`` adds up the statistics of N workers, K = 1,000 and D = 1,280,
which are drawn and not computed from images. Real processes of a local Ray; each row says what was run.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import signal
import tempfile
import threading
import time
from pathlib import Path

import torch
from support.record import append, facts

from bayesight.bayes.head.state import empty
from bayesight.belief.part_statistics import merged
from bayesight.data.parts import find_parts
from bayesight.training.recipe import Recipe
from bayesight.workflows.parts import engine
from bayesight.workflows.parts.update import PartsUpdate, update_by_parts
from bayesight.workflows.train import TrainRequest, train


def peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def merge(workers: int, classes: int = 1000, size: int = 1280) -> dict:
    """Time the merge of drawn statistics, each made anew so that the tree alone is held."""
    names = tuple(f"c{number}" for number in range(classes))
    head = empty(names, torch.zeros(size), torch.ones(size))
    generator = torch.Generator().manual_seed(0)
    counts = torch.rand(classes, dtype=torch.float64, generator=generator)
    sums = torch.rand(classes, size, dtype=torch.float64, generator=generator)
    second = torch.rand(2, size, size, dtype=torch.float64, generator=generator)

    def statistics():
        from dataclasses import replace

        for number in range(workers):
            yield replace(head, counts=counts * number, sums=sums * number, second_moments=second * number)

    began = time.process_time()
    total = merged(statistics())
    spent = time.process_time() - began
    expected = counts * (workers * (workers - 1) / 2)
    assert total is not None
    torch.testing.assert_close(total.counts, expected)
    held = (counts.numel() + sums.numel() + second.numel()) * 8
    return {
        "what": "merge (drawn statistics)", "workers": workers, "processor_s": round(spent, 1),
        "mib_each": round(held / 2**20, 1), "peak_mib": peak_mib(),
    }  # fmt: skip


def parts_of_cifar(data: Path, folder: Path, parts: int, images: int) -> Path:
    """Archives of the first photographs of CIFAR-10, dealt out in turn."""
    import zipfile

    source = max(data.rglob("*.tar*"), key=lambda path: path.stat().st_size) if data.is_dir() else data
    from bayesight.data.store import open_store

    store = open_store(source)
    from PIL import Image

    rows = torch.randperm(len(store), generator=torch.Generator().manual_seed(0))[: parts * images].tolist()
    paths = []
    for number in range(parts):
        paths.append(folder / f"part-{number:03}.zip")
        with zipfile.ZipFile(paths[-1], "w") as archive:
            for row in rows[number::parts]:
                if store.labels[row] < 0:
                    continue
                with archive.open(f"{store.classes[store.labels[row]]}/{row}.png", "w") as file:
                    Image.fromarray(store.images[row]).save(file, "PNG")
    find_parts(paths).save(folder / "PARTS.json")
    return folder / "PARTS.json"


def absorb(run: Path, manifest: Path, cores: int | None, *, kill_after: float | None = None) -> PartsUpdate:
    """One update of a copy of the run; with ``kill_after`` a worker dies so many seconds after it began."""
    copy = Path(tempfile.mkdtemp()) / "run"
    shutil.copytree(run, copy)
    if cores is not None:
        engine.available_cores = lambda: cores
    if kill_after is not None:
        threading.Timer(kill_after, kill_a_worker).start()
    try:
        return update_by_parts(copy, manifest, cluster=None if cores is None else "local")
    finally:
        shutil.rmtree(copy.parent)


def kill_a_worker() -> None:
    """SIGKILL to one of Ray's worker processes below this program."""
    children: dict[int, list[int]] = {}
    names: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                names[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    below, waiting = [], [os.getpid()]
    while waiting:
        found = children.get(waiting.pop(), [])
        below, waiting = below + found, waiting + found
    # Not Ray's agents: a node dies with those, and a driver with its own node.
    workers = [pid for pid in below if names[pid].startswith(("ray::_attempt", "ray::IDLE"))]
    if workers:
        os.kill(random.choice(workers), signal.SIGKILL)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--data", type=Path, default=Path(os.environ.get("BAYESIGHT_DATA", "data")) / "cifar10"
    )
    options.add_argument("--parts", type=int, default=40)
    options.add_argument("--images", type=int, default=500, help="of each part")
    options.add_argument(
        "--model", default="mlp", help="whose features are summed up: resnet weighs more an image"
    )
    options.add_argument("--kills", type=int, default=0)
    options.add_argument("--merge", type=int, default=0)
    asked = options.parse_args()
    if asked.merge:
        rows = [merge(asked.merge)]
        print(rows[0], append("cluster.csv", [facts() | rows[0]]))
        return
    folder = Path(tempfile.mkdtemp())
    manifest = parts_of_cifar(asked.data, folder, asked.parts, asked.images)
    changes: dict = {"optimization.epochs": 2} | ({"model.hidden": [128]} if asked.model == "mlp" else {})
    recipe = Recipe.default(asked.model).changed(changes)
    first = folder / "part-000.zip"
    run = train(TrainRequest(first, folder / "run", recipe, threads=1)).run.folder
    rows = []
    for cores in (None, 1, 2):
        made = absorb(run, manifest, cores)
        told = made.job.as_dict()
        rows.append({
            "what": "absorb", "model": asked.model, "workers": cores or 0,
            "parts": told["total"], "images": told["images"],
            "seconds": round(told["seconds"], 1), "images_a_second": round(told["images_a_second"]),
            "bytes_a_part": round(told["bytes_sent_a_part"]), "peak_mib": peak_mib(),
            "digest": made.digest,
        })  # fmt: skip
        print(rows[-1], flush=True)
    chance, usual = random.Random(0), rows[-1]["seconds"]
    for _ in range(asked.kills):
        made = absorb(run, manifest, 2, kill_after=chance.uniform(3, 3 + usual))
        rows.append({"what": "a worker killed", "workers": 2, "digest": made.digest})
        print(rows[-1], flush=True)
    assert len({row["digest"] for row in rows}) == 1
    append("cluster.csv", [facts() | row for row in rows])
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
