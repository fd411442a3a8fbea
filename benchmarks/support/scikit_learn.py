"""scikit-learn's ``MLPClassifier`` from the same archive, read once into memory with tarfile and Pillow.

It trains for a number of epochs and prints, as one line of JSON, how well it names held-out images after
each. Judging them is not charged to it. ``partial_fit`` is one epoch of ``fit`` and keeps Adam's moments.
"""

from __future__ import annotations

import argparse
import io
import json
import tarfile
import time
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image
from sklearn.neural_network import MLPClassifier


def read(archive: Path) -> tuple[np.ndarray, np.ndarray]:
    images, names = [], []
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile():
                png = tar.extractfile(member).read()
                images.append(np.asarray(Image.open(io.BytesIO(png))).ravel())
                names.append(PurePosixPath(member.name).parent.name)
    labels = np.unique(names, return_inverse=True)[1]
    return np.stack(images).astype(np.float32) / 255, labels


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("archive", type=Path)
    parser.add_argument("judge", type=Path, help="held-out images and labels, .npz")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    images, labels = read(args.archive)
    model = MLPClassifier(hidden_layer_sizes=(512, 512), random_state=args.seed)
    accuracy, ended, aside_s = [], [], 0.0
    for _ in range(args.epochs):
        model.partial_fit(images, labels, classes=np.arange(10))
        judging = time.perf_counter()
        ended.append(judging - aside_s)
        held_out = np.load(args.judge)
        flat = held_out["images"].reshape(-1, 784).astype(np.float32) / 255
        accuracy.append(float((model.predict(flat) == held_out["labels"]).mean()))
        aside_s += time.perf_counter() - judging
    before_end_s = [ended[-1] - moment for moment in ended]
    print(json.dumps({"accuracy": accuracy, "before_end_s": before_end_s, "aside_s": aside_s}))


if __name__ == "__main__":
    main()
