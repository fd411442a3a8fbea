"""A run exported to ONNX and ``torch.export`` against the run itself: its answers, and images a second.

    python benchmarks/export.py             # a resnet on 6,000 real letters first; four minutes
    python benchmarks/export.py --epochs 1  # a look at whether everything runs; nothing is recorded

500 letters that trained nothing are answered by each on one thread, 64 at a time, by turns: by the run
through the network and the head as ``predict`` does, by onnxruntime, by the loaded program. Processor
seconds, median of nine; the largest difference of a posterior from the run's is that under even base rates.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from PIL import Image
from support.record import append, facts

from bayesight.data.store import open_store
from bayesight.training.recipe import Recipe
from bayesight.workflows.export import export
from bayesight.workflows.predict import Readings, judge
from bayesight.workflows.train import TrainRequest, train

BATCH, TURNS, JUDGED = 64, 9, 500


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=float, help="of training; the recipe's own when left out")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    data = Path(os.environ.get("BAYESIGHT_DATA", "../shared/data"))
    store = open_store(data / "notmnist" / "notMNIST_real8k.tar.gz")
    order = np.random.default_rng(options.seed).permutation(len(store))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        parts = {"train": order[:6000], "judge": order[6000 : 6000 + JUDGED]}
        for part, chosen in parts.items():
            for row in chosen.tolist():
                path = here / part / store.classes[store.labels[row]] / f"{row}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(store.images[row]).save(path)
        for precision in ("auto", "32"):
            changes = {"seed": options.seed, "optimization.precision": precision}
            changes |= {"optimization.epochs": options.epochs} if options.epochs else {}
            run = here / precision
            train(TrainRequest(here / "train", run, Recipe.default("resnet").changed(changes), threads=1))
            rows.append(measure(run, here / "judge", here, options.seed))
            print(rows[-1])
    if not options.epochs:
        append("export.csv", rows)


def measure(run: Path, judge_on: Path, here: Path, seed: int) -> dict[str, object]:
    """Both files of one run, and what they come to."""
    from bayesight.run import Run

    torch.set_num_threads(1)
    onnx = export(run, here / "run.onnx", source=judge_on)
    program = export(run, here / "run.pt2", "torch", source=judge_on)
    small = export(run, here / "small.onnx", source=judge_on, quantise=True)
    classifier = Run.open(run).classifier()
    store = open_store(judge_on, **classifier.classes.reading)
    images = torch.from_numpy(np.array(store.images))[:, None]
    prior, names = classifier.prior, [str(n) for n in range(len(images))]
    one = onnxruntime.SessionOptions()
    one.intra_op_num_threads = 1
    sessions = {
        "onnxruntime": onnxruntime.InferenceSession(onnx.path, one),
        "onnxruntime_int8": onnxruntime.InferenceSession(small.path, one),
    }
    module = torch.export.load(program.path).module()

    def own() -> None:
        judge(classifier, names, classifier.features([(images, images)]), Readings())

    def loaded() -> None:
        with torch.no_grad():
            for part in images.split(BATCH):
                module(part, prior)

    def through(session: onnxruntime.InferenceSession) -> None:
        for part in images.split(BATCH):
            session.run(None, {"images": part.numpy(), "prior": prior.numpy()})

    ways = {"own": own, "torch_export": loaded}
    ways |= {name: (lambda session=session: through(session)) for name, session in sessions.items()}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(TURNS + 1):
        for name, way in ways.items():
            began = time.process_time()
            way()
            if turn:
                times[name].append(time.process_time() - began)
    rates = {name: len(images) / statistics.median(spent) for name, spent in times.items()}
    price = small.quantisation
    assert price is not None
    return {
        **facts(),
        "question": "exported against predict, resnet on letters",
        "seed": seed,
        "precision": classifier.precision,
        "images": len(images),
        **{f"{name}_per_s": round(rate) for name, rate in rates.items()},
        "onnxruntime_ratio": round(rates["onnxruntime"] / rates["own"], 2),
        "onnx_difference": f"{onnx.largest_difference:.1e}",
        "torch_difference": f"{program.largest_difference:.1e}",
        "accuracy": round(price.accuracy, 4),
        "accuracy_int8": round(price.accuracy_quantised, 4),
        "log_loss": round(price.log_loss, 4),
        "log_loss_int8": round(price.log_loss_quantised, 4),
    }


if __name__ == "__main__":
    main()
