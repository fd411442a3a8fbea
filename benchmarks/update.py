"""Absorbing 1,000 labelled images against training again on old and new.

    python benchmarks/update.py            # about ten minutes on two idle cores
    python benchmarks/update.py --epochs 2 # a look at whether everything runs; nothing is recorded

A resnet is trained on 6,000 real letters by the packaged recipe. Then 1,000 more come: once the run absorbs
them, once it is trained again on all 7,000. Both are judged on the 1,000 letters that neither has seen. The
update's time is that of a program that holds the run open, as a service does, features included and shown
apart; the time of the whole update on disk stands beside it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from support.record import append, facts, spread

from bayesight import Recipe, Run, Store, TrainRequest, evaluate, open_store, train, update
from bayesight.belief.absorbed import Rows
from bayesight.belief.updating import absorb
from bayesight.data.batches import Examples

REPEATS = 9


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=float, help="of both trainings; the recipe's own when left out")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    data = Path(os.environ.get("BAYESIGHT_DATA", "../shared/data"))
    store = open_store(data / "notmnist" / "notMNIST_real8k.tar.gz")
    changes = {"seed": options.seed} | ({"optimization.epochs": options.epochs} if options.epochs else {})
    recipe = Recipe.default("resnet").changed(changes)
    with tempfile.TemporaryDirectory() as folder:
        row = measure(store, recipe, Path(folder), options.seed)
    for name, value in row.items():
        print(f"{name:28} {value}")
    if not options.epochs:
        append("update.csv", [row])


def measure(store: Store, recipe: Recipe, here: Path, seed: int) -> dict[str, object]:
    """Both ways, and what they come to."""
    order = np.random.default_rng(seed).permutation(len(store))
    rows = {"old": order[:6000], "new": order[6000:7000], "both": order[:7000], "judge": order[7000:]}
    parts = {name: folder_of(store, chosen, here / name) for name, chosen in rows.items()}
    old = train(TrainRequest(parts["old"], here / "run", recipe)).run
    began = time.perf_counter()
    again = train(TrainRequest(parts["both"], here / "again", recipe)).run
    training_s = time.perf_counter() - began
    before = evaluate(old.folder, parts["judge"]).evaluation.accuracy
    features_s, belief_s = held_open(old, store, rows["new"])
    done = update(old.folder, parts["new"])
    update_s = statistics.median(f + b for f, b in zip(features_s, belief_s, strict=True))
    return {
        **facts(),
        "question": "absorb 1,000 letters against training again on 7,000",
        "seed": seed,
        "training_s": round(training_s, 1),
        "update_s": round(update_s, 4),
        "features_s": spread(features_s),
        "belief_s": spread(belief_s),
        "ratio": round(training_s / update_s),
        "command_s": round(done.features_s + done.belief_s, 3),
        "accuracy_before": before,
        "accuracy_updated": evaluate(old.folder, parts["judge"]).evaluation.accuracy,
        "accuracy_trained_again": evaluate(again.folder, parts["judge"]).evaluation.accuracy,
        "judged": len(rows["judge"]),
        "threads": torch.get_num_threads(),
    }


def held_open(run: Run, store: Store, rows: np.ndarray) -> tuple[list[float], list[float]]:
    """Seconds for the features and for the belief, each time from the same belief."""
    classifier = run.classifier()
    examples = Examples((store.images,), rows, store.labels[rows])
    digests = torch.from_numpy(np.asarray(store.digests)[rows])
    features_s, belief_s = [], []
    for _ in range(REPEATS):
        began = time.perf_counter()
        features = classifier.features(examples.in_order(256))
        middle = time.perf_counter()
        absorb(classifier, Rows(features, torch.from_numpy(examples.labels), digests))
        features_s.append(middle - began)
        belief_s.append(time.perf_counter() - middle)
    return features_s, belief_s


def folder_of(store: Store, rows: np.ndarray, folder: Path) -> Path:
    """Rows of a store as a folder of PNG files, one folder a class."""
    for row in rows:
        path = folder / store.classes[store.labels[row]] / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(store.images[row])).save(path)
    return folder


if __name__ == "__main__":
    main()
