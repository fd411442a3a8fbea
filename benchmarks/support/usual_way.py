"""The usual way: extract, open each PNG with PIL in ``__getitem__``, stock DataLoader, fp32, Adam.

As a script it trains from an archive for a number of epochs and prints, as one line of JSON, how well it
names held-out images after each. Judging them is not charged to it.
"""

from __future__ import annotations

import argparse
import json
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

BATCH = 128
SAFELY = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # Python 3.11.4 and later


class PngFolder(Dataset[tuple[Tensor, int]]):
    """One folder of PNG files a class; an image is opened whenever it is asked for."""

    def __init__(self, root: Path) -> None:
        classes = sorted(path.name for path in root.iterdir() if path.is_dir())
        self.files = [(path, k) for k, name in enumerate(classes) for path in sorted((root / name).iterdir())]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path, label = self.files[index]
        with Image.open(path) as image:
            pixels = np.asarray(image, dtype=np.float32) / 255
        return torch.from_numpy(pixels)[None], label


def network() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    )


def train_step(model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> float:
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


def extract(archive: Path, folder: Path) -> Path:
    """Unpack ``archive``; returns the folder that holds the classes."""
    with tarfile.open(archive) as tar:
        tar.extractall(folder, **SAFELY)
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 else folder


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("archive", type=Path)
    parser.add_argument("judge", type=Path, help="held-out images and labels, .npz")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    accuracy, ended, aside_s = [], [], 0.0
    with tempfile.TemporaryDirectory() as temporary:
        data = PngFolder(extract(args.archive, Path(temporary)))
        loader = DataLoader(data, batch_size=BATCH, shuffle=True, num_workers=args.workers)
        model = network()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        for _ in range(args.epochs):
            for images, labels in loader:
                train_step(model, optimizer, images, labels)
            judging = time.perf_counter()
            ended.append(judging - aside_s)
            accuracy.append(_accuracy(model, args.judge))
            aside_s += time.perf_counter() - judging
        judging = time.perf_counter()  # removing the extracted files is not charged either
    aside_s += time.perf_counter() - judging
    before_end_s = [ended[-1] - moment for moment in ended]
    print(json.dumps({"accuracy": accuracy, "before_end_s": before_end_s, "aside_s": aside_s}))


@torch.no_grad()
def _accuracy(model: nn.Module, judge: Path) -> float:
    held_out = np.load(judge)
    images = torch.from_numpy(held_out["images"]).float()[:, None] / 255
    return float((model(images).argmax(1) == torch.from_numpy(held_out["labels"])).double().mean())


if __name__ == "__main__":
    main()
