"""What ten times the classes cost: the same number of images in 1,000 and in 10,000 classes.

    python benchmarks/many_classes.py                       # about ten minutes of one idle core
    python benchmarks/many_classes.py --images 3000 --classes 100 1000   # a look; nothing is recorded

Each class is a pattern of 7 x 7 cells and its images are that pattern, 28 x 28, with noise. Every command
runs as a process of its own on one thread: train (linear, the packaged recipe), evaluate on two new images a
class, predict and update with one image. What is kept is processor time and the largest resident memory, and
their ratios: K outputs of a layer, K probabilities of an answer and K means of a belief grow tenfold, what is
made of pairs of classes would grow a hundredfold.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from support.record import append, facts

IMAGES, CLASSES = 40_000, (1_000, 10_000)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--classes", type=int, nargs=2, default=CLASSES)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    machine = facts()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        measured = [measure(count, options.images, Path(folder), options.seed) for count in options.classes]
    for question in measured[0]:
        few, many = (found[question] for found in measured)
        row = {**machine, "question": question, "seed": options.seed, "images": options.images}
        for name, count, (processor_s, peak_mib) in zip(
            ("few", "many"), options.classes, (few, many), strict=True
        ):
            row |= {name: count, f"{name}_processor_s": round(processor_s, 1), f"{name}_peak_mib": peak_mib}
        row |= {"time_ratio": round(many[0] / few[0], 2), "memory_ratio": round(many[1] / few[1], 2)}
        rows.append(row)
        print(*(f"{value}" for value in list(row.values())[len(machine) :]), sep="\t", flush=True)
    if (options.images, tuple(options.classes)) == (IMAGES, CLASSES):
        append("many_classes.csv", rows)


def measure(count: int, images: int, here: Path, seed: int) -> dict[str, tuple[float, int]]:
    """Processor seconds and peak memory, MiB, of every command on a run of so many classes."""
    source, other, one, run = (here / f"{count}{name}" for name in (".tar", "-new.tar", "-one", "-run"))
    write(source, count, images // count, seed)
    write(other, count, 2, seed, first=images // count)
    with tarfile.open(other) as tar:
        one.mkdir()
        (one / "one.png").write_bytes(tar.extractfile(tar.getmembers()[0]).read())
    single = next(one.rglob("*.png"))
    return {
        "train": command("train", source, "--out", run, "--model", "linear", "--seed", seed, "--threads", 1),
        "evaluate": command("evaluate", run, other, "--report", here / "report.html"),
        "evaluate --json": command("evaluate", run, other, "--json"),
        "predict": command("predict", run, single),
        "update": command("update", run, single.parent.parent),
    }


def command(*words: object) -> tuple[float, int]:
    """Processor seconds and largest resident memory, MiB, of one command, from its start to its exit."""
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(
            [sys.executable, "-m", "bayesight", *map(str, words)],
            stdout=subprocess.DEVNULL, stderr=said, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            said.seek(0)
            raise SystemExit(f"bayesight {' '.join(map(str, words))}: {said.read().decode()}")
    return used.ru_utime + used.ru_stime, peak(used)


def peak(used: resource.struct_rusage) -> int:
    """Largest resident memory, MiB; macOS counts bytes, Linux KiB."""
    return used.ru_maxrss // (2**20 if sys.platform == "darwin" else 2**10)


def write(path: Path, count: int, each: int, seed: int, first: int = 0) -> None:
    """An archive of ``each`` images of every class, numbered from ``first``."""
    with tarfile.open(path, "w") as tar:
        for k in range(count):
            cells = np.random.default_rng([seed, k]).integers(0, 256, (7, 7))
            for i in range(first, first + each):
                noise = np.random.default_rng([seed, k, i]).normal(0, 40, (28, 28))
                image = io.BytesIO()
                pixels = np.clip(np.kron(cells, np.ones((4, 4))) + noise, 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(image, "PNG", compress_level=1)
                member = tarfile.TarInfo(f"images/c{k:05d}/{i}.png")
                member.size = image.tell()
                image.seek(0)
                tar.addfile(member, image)


if __name__ == "__main__":
    main()
