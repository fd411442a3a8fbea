"""Changed copies of images, planted among others: which are found, what else is, and what it costs.

    python benchmarks/near.py                # 4,000 letters and 4,000 photographs, 200 copies of each kind
    python benchmarks/near.py --images 8000

Shifts are in pixels of 28 (scaled to other sizes), crops in percent of a side, enlarged to the size again.
One row for each set in results/near.csv: the share of each kind found; pairs found among the originals; and
the precision, the share of listed pairs that are a copy and its original, two copies of one image, or copies
of two originals that look alike themselves. Processor seconds are of one thread.
"""

from __future__ import annotations

import argparse
import io
import os
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from support.record import append, facts

from bayesight import open_store
from bayesight.data.near import AlikePairs, alike_pairs

DATA = Path(os.environ.get("BAYESIGHT_DATA", "../shared/data"))
SOURCES = {"letters": "notmnist/notMNIST_real8k.tar.gz", "photographs": "cifar10/cifar10-train.tar.gz"}
KINDS = ("shift1", "shift2", "shift3", "crop5", "crop10", "crop15", "brightness", "jpeg60")
COPIES = 200


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name, source in SOURCES.items():
        row = {"set": name, "seed": options.seed} | measured(source, options.images, options.seed)
        print(row, flush=True)
        append(
            "near.csv",
            [facts() | {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}],
        )


def measured(source: str, count: int, seed: int) -> dict[str, float | int]:
    """Figures of one set."""
    store, random = open_store(DATA / source), np.random.default_rng(seed)
    different = np.unique(store.digests, axis=0, return_index=True)[1]
    images = np.asarray(store.images[np.sort(random.permutation(different)[:count])])
    images = images[random.permutation(len(images))]
    began = time.process_time()
    alike = pairs_of(alike_pairs(images, np.arange(len(images))))
    seconds = time.process_time() - began
    figures: dict[str, float | int] = {"images": len(images), "pairs_of_originals": len(alike)}
    planted = [
        np.stack([changed(image, kind, random) for image in images[at * COPIES : (at + 1) * COPIES]])
        for at, kind in enumerate(KINDS)
    ]
    every = np.concatenate([images, *planted])
    every_pair = pairs_of(alike_pairs(every, np.arange(len(every))))
    origin = np.concatenate([np.arange(len(images)), np.arange(len(every) - len(images))])
    for at, kind in enumerate(KINDS):
        copies = range(at * COPIES, (at + 1) * COPIES)
        figures[kind] = float(np.mean([(i, len(images) + i) in every_pair for i in copies]))
    right = [origin[a] == origin[b] or tuple(sorted((origin[a], origin[b]))) in alike for a, b in every_pair]
    return figures | {"precision": float(np.mean(right)), "processor_s_of_originals": seconds}


def pairs_of(found: AlikePairs) -> set[tuple[int, int]]:
    """Pairs of positions."""
    return set(zip(found.first.tolist(), found.second.tolist(), strict=True))


def changed(image: np.ndarray, kind: str, random: np.random.Generator) -> np.ndarray:
    """A copy of an image, changed in one way."""
    height, width = image.shape[:2]
    if kind.startswith("shift"):
        most = int(kind[5:])
        step = random.permutation([most * random.choice([-1, 1]), random.integers(-most, most + 1)])
        across, down = (round(s * side / 28) for s, side in zip(step, (width, height), strict=True))
        moved = np.zeros_like(image)
        moved[max(down, 0) : height + min(down, 0), max(across, 0) : width + min(across, 0)] = image[
            max(-down, 0) : height + min(-down, 0), max(-across, 0) : width + min(-across, 0)
        ]
        return moved
    if kind.startswith("crop"):
        share = int(kind[4:]) / 100
        left, top = random.random(2) * share * (width, height)
        box = (left, top, left + width * (1 - share), top + height * (1 - share))
        return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR, box=box))
    if kind == "brightness":
        lighter = image * random.uniform(0.8, 1) + random.uniform(-10, 25)
        return np.clip(lighter, 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=int(kind[4:]))
    return np.asarray(Image.open(stream))


if __name__ == "__main__":
    main()
