"""Bayesight from the same archive: ``train`` as a user calls it, calibration, belief, report and all.

Nothing is left out of its time and its number of epochs is fixed beforehand.
"""

from __future__ import annotations

import time

BEGAN = time.perf_counter()

import argparse  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

# Lightning Fabric imports torchmetrics where it finds it; only our tests need it, a user need not have it.
sys.modules["torchmetrics"] = None  # type: ignore[assignment]

from bayesight import Recipe, TrainRequest, train_run  # noqa: E402


def recipe(seed: int, epochs: float, batch: int = 512) -> Recipe:
    """784-512-512-10 without augmentation or dropout."""
    return Recipe.default("mlp").changed(
        {
            "seed": seed,
            "data.augment": {"name": "none"},
            "data.batch": batch,
            "model.dropout": 0.0,
            "optimization.lr": 6e-3,
            "optimization.epochs": epochs,
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("archive", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=float, default=6)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    import_s = time.perf_counter() - BEGAN
    metrics = train_run(TrainRequest(args.archive, args.out, recipe(args.seed, args.epochs))).metrics
    inside_s = time.perf_counter() - BEGAN
    report_s = inside_s - import_s - metrics["seconds"]["total"]
    seconds = {"import": import_s, **metrics["seconds"], "saving and report": report_s}
    print(json.dumps({"epochs": args.epochs, "seconds": seconds, **metrics["hardware"]}))


if __name__ == "__main__":
    main()
