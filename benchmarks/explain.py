"""Deletion test of ``predict --explain``: parts named first are removed before random ones.

    python benchmarks/explain.py                   # a perceptron on 3,000 real letters; a minute
    python benchmarks/explain.py --models resnet

Of 200 letters that trained nothing, cells of a 7x7 grid are replaced by their smoothed surroundings, in the
order of their worth by occlusion or at random. ``named_10`` is the mean posterior of the class that was
answered after 10 of 49 cells, ``named_area`` the mean over all numbers of cells; smaller is better.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from support.record import append, facts
from torch import Tensor
from torch.nn import functional

from bayesight.belief.classifier import Classifier
from bayesight.belief.occlusion import occlusion, smoothed
from bayesight.data.store import open_store
from bayesight.training.recipe import Recipe
from bayesight.workflows.train import TrainRequest, train

TRAINED, JUDGED, GRID, CELL = 3000, 200, 7, 4


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=["mlp"])
    parser.add_argument("--epochs", type=float, default=4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    data = Path(os.environ.get("BAYESIGHT_DATA", "../shared/data"))
    store = open_store(data / "notmnist" / "notMNIST_real8k.tar.gz")
    order = np.random.default_rng(options.seed).permutation(len(store))
    judged = torch.from_numpy(np.array(store.images[np.sort(order[TRAINED : TRAINED + JUDGED])]))[:, None]
    with tempfile.TemporaryDirectory() as folder:
        for row in order[:TRAINED].tolist():
            path = Path(folder) / "train" / store.classes[store.labels[row]] / f"{row}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(store.images[row]).save(path)
        for model in options.models:
            changes = {"seed": options.seed, "optimization.epochs": options.epochs}
            recipe = Recipe.default(model).changed(changes)
            run = train(TrainRequest(Path(folder) / "train", Path(folder) / model, recipe, threads=1)).run
            found = deletion(run.classifier(), judged, options.seed)
            print(model, found, flush=True)
            append(
                "explain.csv", [facts() | {"model": model, "seed": options.seed, "images": JUDGED} | found]
            )


def deletion(classifier: Classifier, images: Tensor, seed: int) -> dict[str, str]:
    """Mean posterior of the class answered, as cells are removed in either order."""
    generator = torch.Generator().manual_seed(seed)
    curves: dict[str, list[Tensor]] = {"named": [], "random": []}
    for image in images:
        answer = int(_posterior(classifier, image[None]).argmax())
        support = occlusion(classifier, image, answer).support
        worth = functional.avg_pool2d(support[None], CELL)[0].flatten()
        orders = {
            "named": worth.argsort(descending=True),
            "random": torch.randperm(GRID * GRID, generator=generator),
        }
        for name, order in orders.items():
            gone = torch.ones(GRID * GRID + 1, GRID * GRID).tril(-1)[:, order.argsort()].bool()
            masks = gone.view(-1, 1, GRID, GRID).repeat_interleave(CELL, 2).repeat_interleave(CELL, 3)
            pixels = torch.where(masks, smoothed(image, CELL), image)
            curves[name].append(_posterior(classifier, pixels)[:, answer])
    means = {name: torch.stack(rows).mean(0) for name, rows in curves.items()}
    shown = {"untouched": means["named"][0]}
    for name, mean in means.items():
        shown |= {f"{name}_5": mean[5], f"{name}_10": mean[10], f"{name}_area": mean.mean()}
    return {name: f"{float(value):.3f}" for name, value in shown.items()}


def _posterior(classifier: Classifier, pixels: Tensor) -> Tensor:
    """(N, K) of images (N, C, H, W)."""
    likelihood = classifier.log_likelihood(classifier.features([(pixels, pixels)]))
    return (likelihood + classifier.prior.log()).softmax(dim=1)


if __name__ == "__main__":
    main()
