"""Photographs told apart by a frozen network that learned from ImageNet, with few labels and many.

    python benchmarks/photographs.py               # 5, 10, 50 and 500 labels a class of CIFAR-10
    python benchmarks/photographs.py --labels 50 --model lite1
    python benchmarks/photographs.py --no-model    # 40 a class; 450 ships and 50 trucks; no option given

Of CIFAR-10's training images so many of each class are drawn, by the seed, a fifth of them held out as the
recipe says; all 2,000 test images judge. One row for each number of labels in results/photographs.csv. Where
no model is named the images choose it, and ships and trucks are judged at the base rates of their training,
90 to 10: results/photographs_default.csv.
"""

from __future__ import annotations

import argparse
import os
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
from support.record import append, facts

from bayesight import Recipe, TrainRequest, evaluate, open_store, train

DATA = Path(os.environ.get("BAYESIGHT_DATA", "../shared/data")) / "cifar10"
TRAIN, TEST = DATA / "cifar10-train.tar.gz", DATA / "cifar10-test2k.tar.gz"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--labels", type=int, nargs="+", default=[5, 10, 50, 500])
    parser.add_argument("--model", default="lite0")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-model", action="store_true")
    options = parser.parse_args()
    if options.no_model:
        names = open_store(TRAIN).classes
        few = (dict.fromkeys(names, 40), dict.fromkeys(names, 200))
        uneven = ({"ship": 450, "truck": 50}, {"ship": 180, "truck": 20})
        for counts, tested in (few, uneven):
            record("photographs_default.csv", unnamed(counts, tested, options.seed))
        return
    for labels in options.labels:
        record("photographs.csv", measured(labels, options.model, options.seed, options.threads))


def record(table: str, row: dict[str, float | int | str]) -> None:
    """Print a row and append it to a table of results."""
    print(row, flush=True)
    append(table, [facts() | {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}])


def measured(labels: int, model: str, seed: int, threads: int) -> dict[str, float | int | str]:
    """Figures of one number of labels a class."""
    store, random = open_store(TRAIN), np.random.default_rng(seed)
    named = np.asarray(store.labels)
    drawn = [random.permutation(np.flatnonzero(named == k))[:labels] for k in range(len(store.classes))]
    recipe = Recipe.default(model).changed({"seed": seed})
    with tempfile.TemporaryDirectory() as folder:
        request = TrainRequest(
            TRAIN, Path(folder) / "run", recipe, only=np.sort(np.concatenate(drawn)), threads=threads
        )
        began, used = time.perf_counter(), time.process_time()
        run = train(request).run
        wall, processor = time.perf_counter() - began, time.process_time() - used
        found = evaluate(run.folder, TEST).evaluation
        softmax = run.metrics()["softmax"]["accuracy"]
    return {
        "model": model, "seed": seed, "labels_a_class": labels, "threads": threads,
        "test_images": len(found.labels), "accuracy": found.accuracy, "log_loss": found.log_loss,
        "calibration_error": found.ece, "softmax_accuracy_held_out": softmax,
        "train_s": wall, "train_processor_s": processor,
    }  # fmt: skip


def unnamed(counts: dict[str, int], tested: dict[str, int], seed: int) -> dict[str, float | int | str]:
    """Figures of a training that names no model, of so many images of each class, as folders hold them."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        _unpack(TRAIN, counts, here / "learned", seed)
        _unpack(TEST, tested, here / "tested", seed)
        began = time.perf_counter()
        run = train(TrainRequest(here / "learned", here / "run", threads=1)).run
        seconds = time.perf_counter() - began
        found = evaluate(run.folder, here / "tested").evaluation
        rarest = min(counts, key=counts.__getitem__)
        return {
            "model": run.recipe().model.name, "seed": seed, "classes": len(counts),
            "learned_from": sum(counts.values()), "test_images": len(found.labels),
            "accuracy": found.accuracy, "log_loss": found.log_loss, "calibration_error": found.ece,
            "rarest_class_found": found.per_class()[rarest]["sensitivity"], "train_s": seconds,
        }  # fmt: skip


def _unpack(archive: Path, counts: dict[str, int], folder: Path, seed: int) -> None:
    """So many images of each class, drawn by the seed, one folder a class."""
    with tarfile.open(archive) as members:
        files = [one for one in members.getmembers() if one.isfile()]
        for name, count in counts.items():
            own = sorted(
                (one for one in files if Path(one.name).parent.name == name), key=lambda one: one.name
            )
            (folder / name).mkdir(parents=True)
            for number in np.random.default_rng(seed).permutation(len(own))[:count]:
                content = members.extractfile(own[number]).read()
                (folder / name / Path(own[number].name).name).write_bytes(content)


if __name__ == "__main__":
    main()
