"""Updates by parts: one worker, two, and two on two nodes; bytes sent; the merge of many statistics.

``python benchmarks/cluster.py`` makes parts of CIFAR-10 photographs and absorbs them; ``--merge N`` adds up
the statistics of N workers, K = 1,000 and D = 1,280, which are drawn and not computed from images. Real
processes of a local Ray; each row says what was run.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import tempfile
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

CIFAR = Path(os.environ.get("BAYESIGHT_DATA", "data")) / "cifar10"
WAYS = {"alone": (0, 1), "one": (1, 1), "two": (2, 1), "nodes": (2, 2)}
"""Workers, and the nodes that they are on; no worker is the program itself."""


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


def first_belief(folder: Path, model: str) -> Path:
    """A run that has learned the first part, two epochs long."""
    changes: dict = {"optimization.epochs": 2} | ({"model.hidden": [128]} if model == "mlp" else {})
    recipe = Recipe.default(model).changed(changes)
    return train(TrainRequest(folder / "part-000.zip", folder / "run", recipe, threads=1)).run.folder


def two_nodes():
    """A cluster of two nodes on this machine, one processor each, and its second node."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    return cluster, cluster.add_node(num_cpus=1)


def absorb(run: Path, manifest: Path, cores: int, nodes: int) -> PartsUpdate:
    """One update of a copy of the run: here for no core, else on a cluster."""
    copy = Path(tempfile.mkdtemp()) / "run"
    shutil.copytree(run, copy)
    engine.available_cores = lambda: cores
    cluster = two_nodes()[0] if nodes == 2 else None
    try:
        return update_by_parts(
            copy, manifest, cluster=cluster.address if cluster else "local" if cores else None
        )
    finally:
        if cluster:
            cluster.shutdown()
        shutil.rmtree(copy.parent)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, default=CIFAR)
    options.add_argument("--parts", type=int, default=40)
    options.add_argument("--images", type=int, default=500, help="of each part")
    options.add_argument(
        "--model", default="mlp", help="whose features are summed up: resnet weighs more an image"
    )
    options.add_argument("--way", action="append", choices=WAYS, help="all when left out")
    options.add_argument("--merge", type=int, default=0)
    asked = options.parse_args()
    if asked.merge:
        rows = [merge(asked.merge)]
        print(rows[0], append("cluster.csv", [facts() | rows[0]]))
        return
    folder = Path(tempfile.mkdtemp())
    manifest = parts_of_cifar(asked.data, folder, asked.parts, asked.images)
    run = first_belief(folder, asked.model)
    rows = []
    for workers, nodes in (WAYS[way] for way in asked.way or WAYS):
        made = absorb(run, manifest, workers, nodes)
        told = made.job.as_dict()
        rows.append({
            "what": "absorb", "model": asked.model, "workers": workers, "nodes": nodes,
            "parts": told["total"], "images": told["images"],
            "seconds": round(told["seconds"], 1), "images_a_second": round(told["images_a_second"]),
            "bytes_a_part": round(told["bytes_sent_a_part"]), "peak_mib": peak_mib(),
            "digest": made.digest,
        })  # fmt: skip
        print(rows[-1], flush=True)
    assert len({row["digest"] for row in rows}) == 1
    append("cluster.csv", [facts() | row for row in rows])
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
