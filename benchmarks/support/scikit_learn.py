"""scikit-learn's ``MLPClassifier`` from the same archive, read once into memory with tarfile and Pillow.

It stops after the first epoch that names held-out images as well as asked, as if it had known; judging is not
charged to it. ``partial_fit`` is one epoch of ``fit`` and keeps Adam's moments.
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
    parser.add_argument("--target", type=float, required=True)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    images, labels = read(args.archive)
    model = MLPClassifier(hidden_layer_sizes=(512, 512), random_state=args.seed)
    reached, aside_s = [0.0], 0.0
    while reached[-1] < args.target and len(reached) <= args.epochs:
        model.partial_fit(images, labels, classes=np.arange(10))
        judging = time.perf_counter()
        held_out = np.load(args.judge)
        flat = held_out["images"].reshape(-1, 784).astype(np.float32) / 255
        reached.append(float((model.predict(flat) == held_out["labels"]).mean()))
        aside_s += time.perf_counter() - judging
    print(json.dumps({"accuracy": reached[-1], "epochs": len(reached) - 1, "aside_s": aside_s}))


if __name__ == "__main__":
    main()
