"""Wrong labels, counted and found: labels of real letters and digits and of rendered letters are flipped.

    python benchmarks/label_noise.py                        # every set, pattern and share: two hours
    python benchmarks/label_noise.py --sets letters --shares 0.065 --patterns any

A flipped label is any other class ("any"), or always the next one ("next"). The audit trains its networks on
the labels as given. One row each in results/label_noise.csv: the share of wrong labels beside the share
found and its interval, average precision, and how many of the labels said to be wrong with probability .1 to
.5 and .5 to .9 are (expected and found). Real letters have about 0.5 % wrong labels of their own, which count
as right here.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from itertools import product
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.metrics import average_precision_score
from support.record import append, facts

from bayesight import RenderOptions, open_store
from bayesight.letters.glyphs import render_arrays
from bayesight.workflows.labels import audit_labels

DATA = Path(os.environ.get("BAYESIGHT_DATA", "../shared/data"))
CLASSES = 10


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", default=["letters", "digits", "rendered"])
    parser.add_argument("--patterns", nargs="+", default=["any", "next"])
    parser.add_argument("--shares", nargs="+", type=float, default=[0.02, 0.065, 0.15])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name, pattern, share in product(options.sets, options.patterns, options.shares):
        row = {"set": name, "pattern": pattern, "seed": options.seed}
        row |= measured(name, pattern, share, options.seed)
        print(row, flush=True)
        append(
            "label_noise.csv",
            [facts() | {k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()}],
        )


def images_of(name: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images and their labels: real letters, real digits, or letters rendered from fonts."""
    if name == "rendered":
        made = render_arrays(RenderOptions(images_per_class=400, seed=seed))
        return made.images, made.true_labels
    files = {"letters": "notmnist/notMNIST_real8k.tar.gz", "digits": "mnist/mnist-half-images-idx3-ubyte.gz"}
    store = open_store(DATA / files[name])
    return np.asarray(store.images), store.labels


def measured(name: str, pattern: str, share: float, seed: int) -> dict[str, float | int]:
    """One source with flipped labels, and what the audit says of it."""
    images, labels = images_of(name, seed)
    rng = np.random.default_rng([seed, round(share * 1000), pattern == "next"])
    flipped = rng.random(len(labels)) < share
    step = rng.integers(1, CLASSES, len(labels)) if pattern == "any" else 1
    given = np.where(flipped, (labels + step) % CLASSES, labels)
    with tempfile.TemporaryDirectory() as folder:
        for row, (image, label) in enumerate(zip(images, given, strict=True)):
            path = Path(folder) / str(label) / f"{row:05}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(image).save(path)
        began = time.perf_counter()
        found = audit_labels(folder, seed=seed, threads=1)
        elapsed_s = time.perf_counter() - began
        rows = [int(Path(found.store.path_of(int(row))).stem) for row in found.rows]
    wrong, (low, high) = flipped[rows], found.interval
    figures: dict[str, float | int] = {
        "examples": len(labels),
        "wrong_share": float(flipped.mean()),
        "found": found.wrong_share,
        "low": low,
        "high": high,
        "covered": int(low <= flipped.mean() <= high),
        "average_precision": float(average_precision_score(wrong, found.wrong)),
    }
    for lowest, highest in ((0.1, 0.5), (0.5, 0.9)):
        inside = (found.wrong >= lowest) & (found.wrong < highest)
        between = f"{lowest:g}_to_{highest:g}"
        figures |= {
            f"labels_{between}": int(inside.sum()),
            f"expected_{between}": float(found.wrong[inside].sum()),
            f"wrong_{between}": int(wrong[inside].sum()),
        }
    return figures | {"seconds": elapsed_s}


if __name__ == "__main__":
    main()
