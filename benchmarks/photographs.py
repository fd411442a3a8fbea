"""Photographs told apart by a frozen network that learned from ImageNet, with few labels and many.

    python benchmarks/photographs.py               # 5, 10, 50 and 500 labels a class of CIFAR-10
    python benchmarks/photographs.py --labels 50 --model lite1

Of CIFAR-10's training images so many of each class are drawn, by the seed, a fifth of them held out as the
recipe says; all 2,000 test images judge. One row for each number of labels in results/photographs.csv.
"""

from __future__ import annotations

import argparse
import os
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
    options = parser.parse_args()
    for labels in options.labels:
        row = measured(labels, options.model, options.seed, options.threads)
        print(row, flush=True)
        append(
            "photographs.csv",
            [facts() | {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}],
        )


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


if __name__ == "__main__":
    main()
