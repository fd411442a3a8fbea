"""Memory of the driver and of its workers while millions of generated 28x28 images are absorbed by parts.

    python benchmarks/cluster_memory.py                              # 10 million in 200 archives
    python benchmarks/cluster_memory.py --images 200000 --parts 4    # a look; nothing is recorded
    python benchmarks/cluster_memory.py --copies                     # every image twice, in two parts

Archives are IDX data with gzip: one of ten shapes under noise of its own, so that no two images are the same.
The driver is ``bayesight update --cluster local``, a process of its own; memory is what Linux says is
resident, once a second, and the peak since each process began, shared pages included.
"""

from __future__ import annotations

import argparse
import gzip
import shutil
import tempfile
import time
import zlib
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from cluster_faults import Job
from support.processes import Process, below, process
from support.record import append, facts

from bayesight.cores import available_cores
from bayesight.data.parts import find_parts
from bayesight.training.recipe import Recipe
from bayesight.workflows.train import TrainRequest, train

FULL_IMAGES, FULL_PARTS = 10_000_000, 200
_SIDE, _CLASSES, _ROWS = 28, 10, 1000


def archive(folder: Path, number: int, images: int) -> Path:
    """One archive of drawn images and its labels; the number is its seed."""
    chance = np.random.default_rng(number)
    shapes = (np.random.default_rng(0).random((_CLASSES, _SIDE, _SIDE)) < 0.3) * np.uint8(200)
    path = folder / f"part-{number:04}-images-idx3-ubyte.gz"
    labels = chance.integers(0, _CLASSES, images, dtype=np.uint8)
    packer = zlib.compressobj(1, zlib.DEFLATED, 31, 9, zlib.Z_HUFFMAN_ONLY)  # with the head of gzip
    with path.open("wb") as file:
        head = bytes([0, 0, 8, 3]) + np.array([images, _SIDE, _SIDE], ">i4").tobytes()
        file.write(packer.compress(head))
        for start in range(0, images, _ROWS):
            some = shapes[labels[start : start + _ROWS]]
            noise = chance.integers(0, 16, some.shape, dtype=np.uint8)
            file.write(packer.compress((some + noise).tobytes()))
        file.write(packer.flush())
    head = bytes([0, 0, 8, 1]) + np.array([images], ">i4").tobytes()
    Path(str(path).replace("images-idx3", "labels-idx1")).write_bytes(
        gzip.compress(head + labels.tobytes(), 1)
    )
    return path


def archives(folder: Path, parts: int, images: int) -> list[Path]:
    """All of them, written by as many processes as there are cores."""
    folder.mkdir()
    with get_context("spawn").Pool(available_cores()) as pool:
        return pool.starmap(archive, [(folder, number, images) for number in range(1, parts + 1)])


def copied(paths: list[Path]) -> list[Path]:
    """The archives and as many with the same images under other names."""
    twins = []
    for path in paths:
        for name in (path.name, path.name.replace("images-idx3", "labels-idx1")):
            shutil.copyfile(path.with_name(name), path.with_name(f"twin-{name}"))
        twins.append(path.with_name(f"twin-{path.name}"))
    return [*paths, *twins]


def watched(job: Job) -> tuple[list[tuple[int, int]], int, int]:
    """Until a job ends: the driver's memory beside the parts that have ended, and peaks.

    Returns:
        (parts, MiB) once a second, the driver's peak in MiB, the greatest peak of a worker.
    """
    driver = process(job.process.pid)
    assert isinstance(driver, Process)
    told, peak, workers = [], 0, 0
    while job.is_running:
        told.append((job.ended_parts(), driver.resident_mib()))
        peak = max(peak, driver.peak_mib())
        tasks = [one for one in below(driver.pid) if one.name.startswith("ray::")]
        workers = max([workers, *(one.peak_mib() for one in tasks)])
        time.sleep(1)
    return told, peak, workers


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--images", type=int, default=FULL_IMAGES, help="in all")
    options.add_argument("--parts", type=int, default=FULL_PARTS)
    options.add_argument("--copies", action="store_true", help="a second part with the images of each")
    options.add_argument("--record", action="store_true", help="keep the row of another number too")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="cluster-memory-") as place:
        folder = Path(place)
        began = time.monotonic()
        paths = archives(folder / "parts", asked.parts, asked.images // asked.parts)
        paths = copied(paths) if asked.copies else paths
        print(f"generated in {time.monotonic() - began:.0f} s", flush=True)
        find_parts(paths).save(folder / "PARTS.json")
        recipe = Recipe.default("mlp").changed({"optimization.epochs": 2, "model.hidden": [128]})
        first = archive(folder, 0, 2_000)
        run = train(TrainRequest(first, folder / "run", recipe, threads=1)).run.folder
        job = Job(run, folder / "PARTS.json", "local")
        told, peak, workers = watched(job)
        made = job.result()
        kept = sum(path.stat().st_size for path in (run / "parts").iterdir())
    at = [next((mib for parts, mib in told if parts >= share * len(paths)), peak) for share in (0.1, 0.5, 1)]
    row = facts() | {
        "what": "memory, each image twice" if asked.copies else "memory (generated 28x28 images)",
        "model": "mlp", "workers": available_cores(), "parts": len(paths), "images": made["parts"]["images"],
        "seconds": round(made["seconds"], 1),
        "images_a_second": round(made["parts"]["images"] / made["seconds"]),
        "bytes_a_part": round(made["parts"]["bytes_sent_a_part"]),
        "peak_mib": peak, "worker_peak_mib": workers, "mib_at_10_50_100_percent": " ".join(map(str, at)),
        "repeated": made["repeated"], "kept_bytes": kept, "digest": made["digest"],
    }  # fmt: skip
    print(row)
    if asked.record or (asked.images, asked.parts) == (FULL_IMAGES, FULL_PARTS):
        append("cluster.csv", [row])


if __name__ == "__main__":
    main()
