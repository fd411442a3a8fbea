"""Photographs told apart by a frozen network that learned from ImageNet, with few labels and many.

    python benchmarks/photographs.py               # 5, 10, 50 and 500 labels a class of CIFAR-10
    python benchmarks/photographs.py --labels 50 --model lite1
    python benchmarks/photographs.py --labels 500 --tune 5    # five of nine parts learn too; ten minutes
    python benchmarks/photographs.py --labels 5 10 --draws 20          # means over draws of the labels
    python benchmarks/photographs.py --stamps /usr/share/tuxpaint/stamps --labels 2 4 7 --draws 20
    python benchmarks/photographs.py --no-model    # 40 a class; 450 ships and 50 trucks; no option given

Of CIFAR-10's training images so many of each class are drawn, by the seed, a fifth of them held out as the
recipe says; all 2,000 test images judge. One row for each number of labels in results/photographs.csv. Where
no model is named the images choose it, and ships and trucks are judged at the base rates of their training,
90 to 10: results/photographs_default.csv. With draws the frozen network reads every image once, and a
belief is made of each draw, as a training makes it; stamps are those of Debian's tuxpaint-stamps-default, its
seven largest folders as classes, drawings (SVG) made PNG by rsvg-convert, what is not drawn judges:
results/photographs_draws.csv.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from support.record import append, facts

from bayesight import Store, TrainRequest, evaluate, open_store, train
from bayesight.belief.absorbed import Rows
from bayesight.belief.classifier import Classes, fit_classifier
from bayesight.belief.features import features_of, reader_of
from bayesight.data.batches import Examples
from bayesight.models import build, pretrained_weights

DATA = Path(os.environ.get("BAYESIGHT_DATA", "../shared/data")) / "cifar10"
SIDE, STAMPS = 160, 7
TRAIN, TEST = DATA / "cifar10-train.tar.gz", DATA / "cifar10-test2k.tar.gz"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--labels", type=int, nargs="+", default=[5, 10, 50, 500])
    parser.add_argument("--model", default="lite0")
    parser.add_argument("--tune", type=int, default=0, help="parts of the network that learn too")
    parser.add_argument("--draws", type=int, default=0, help="draws of the labels to take the mean of")
    parser.add_argument("--stamps", type=Path, help="folder of tuxpaint's stamps, in the place of CIFAR-10")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-model", action="store_true")
    options = parser.parse_args()
    if options.no_model:
        names = open_store(TRAIN).classes
        few = (dict.fromkeys(names, 40), dict.fromkeys(names, 200))
        uneven = ({"ship": 450, "truck": 50}, {"ship": 180, "truck": 20})
        for counts, tested in (few, uneven):
            record("photographs_default.csv", unnamed(counts, tested, options.seed))
        return
    if options.draws:
        torch.set_num_threads(options.threads)
        with tempfile.TemporaryDirectory() as folder:
            pool, test = stamps(options.stamps, Path(folder)) if options.stamps else cifar10()
            for row in draws(pool, test, options.labels, options.model, options.draws, options.seed):
                record("photographs_draws.csv", {"images": "stamps" if options.stamps else "CIFAR-10"} | row)
        return
    for labels in options.labels:
        record(
            "photographs.csv", measured(labels, options.model, options.tune, options.seed, options.threads)
        )


def record(table: str, row: dict[str, float | int | str]) -> None:
    """Print a row and append it to a table of results."""
    print(row, flush=True)
    append(table, [facts() | {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}])


def measured(labels: int, model: str, tune: int, seed: int, threads: int) -> dict[str, float | int | str]:
    """Figures of one number of labels a class."""
    store, random = open_store(TRAIN), np.random.default_rng(seed)
    named = np.asarray(store.labels)
    drawn = [random.permutation(np.flatnonzero(named == k))[:labels] for k in range(len(store.classes))]
    changes = {"seed": seed} | ({"model.tune": tune} if tune else {})
    with tempfile.TemporaryDirectory() as folder:
        request = TrainRequest(
            TRAIN,
            Path(folder) / "run",
            model=model,
            changes=changes,
            only=np.sort(np.concatenate(drawn)),
            threads=threads,
        )
        began, used = time.perf_counter(), time.process_time()
        run = train(request).run
        wall, processor = time.perf_counter() - began, time.process_time() - used
        found = evaluate(run.folder, TEST).evaluation
        softmax = run.metrics()["softmax"]["accuracy"]
    return {
        "model": f"{model} tune {tune}" if tune else model,
        "seed": seed, "labels_a_class": labels, "threads": threads,
        "test_images": len(found.labels), "accuracy": found.accuracy, "log_loss": found.log_loss,
        "calibration_error": found.ece, "softmax_accuracy_held_out": softmax,
        "train_s": wall, "train_processor_s": processor,
    }  # fmt: skip


def cifar10() -> tuple[Store, Store | None]:
    """Images to draw from, and those that judge."""
    return open_store(TRAIN), open_store(TEST)


def stamps(source: Path, folder: Path) -> tuple[Store, Store | None]:
    """The seven largest folders of stamps, all of whose images are there to draw from."""
    found = {
        one.name: [p for p in sorted(one.rglob("*")) if p.suffix in (".png", ".svg")]
        for one in source.iterdir()
        if one.is_dir()
    }
    for name in sorted(found, key=lambda name: -len(found[name]))[:STAMPS]:
        (folder / name).mkdir()
        for number, path in enumerate(found[name]):
            made = folder / name / f"{number}.png"
            if path.suffix == ".svg":
                command = ["rsvg-convert", "-w", "320", "--keep-aspect-ratio", "-o", str(made), str(path)]
                subprocess.run(command, check=True)
            else:
                made.write_bytes(path.read_bytes())
    return open_store(folder, size=SIDE, mode="RGB", fit="pad"), None


def draws(
    pool: Store, test: Store | None, counts: list[int], model: str, number: int, seed: int
) -> Iterator[dict[str, float | int | str]]:
    """Figures of so many labels a class, the mean over draws; each belief judges what it has not seen."""
    shape = (3, *pool.images.shape[1:3])
    network = build(model, shape, len(pool.classes), side=SIDE).eval()
    network.load_state_dict(pretrained_weights(model), strict=False)
    reader = reader_of(network, "32")
    known = Classes(pool.classes, "RGB", shape[1:])

    def rows_of(store: Store, chosen: np.ndarray) -> Rows:
        labels = np.asarray(store.labels)[chosen].astype(np.int64)
        features = features_of(reader, Examples((store.images,), chosen, labels).in_order(256))
        return Rows(features, torch.from_numpy(labels), torch.from_numpy(np.asarray(store.digests)[chosen]))

    every = [np.flatnonzero(np.asarray(pool.labels) == k) for k in range(len(pool.classes))]
    random = [np.random.default_rng((seed, draw)) for draw in range(number)]
    orders = [[one.permutation(rows)[: max(counts)] for rows in every] for one in random]
    used = np.unique(np.concatenate([np.concatenate(order) for order in orders]))
    read = np.arange(len(pool)) if test is None else used
    rows, judged = rows_of(pool, read), None if test is None else rows_of(test, np.arange(len(test)))
    for labels in counts:
        accuracies = []
        for order in orders:
            drawn = np.searchsorted(read, np.concatenate([one[:labels] for one in order]))
            held = np.searchsorted(read, [one[0] for one in order])
            rest = np.setdiff1d(drawn, held)
            parts = (rows.at(torch.from_numpy(some)) for some in (rest, held))
            belief = fit_classifier(network, known, *parts, "32", borrowed=True)
            left = rows.at(torch.from_numpy(np.setdiff1d(np.arange(len(rows)), drawn)))
            asked = left if judged is None else judged
            accuracies.append(belief.share_predicted(asked.features, asked.labels))
        yield {
            "model": model, "seed": seed, "classes": len(pool.classes), "labels_a_class": labels,
            "draws": number, "test_images": len(asked.labels), "accuracy": float(np.mean(accuracies)),
            "accuracy_deviation": float(np.std(accuracies, ddof=1)),
            "accuracy_least": min(accuracies), "accuracy_most": max(accuracies),
        }  # fmt: skip


def unnamed(counts: dict[str, int], tested: dict[str, int], seed: int) -> dict[str, float | int | str]:
    """Figures of a training that names no model, of so many images of each class, as folders hold them."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        _unpack(TRAIN, counts, here / "learned", seed)
        _unpack(TEST, tested, here / "tested", seed)
        began = time.perf_counter()
        run = train(TrainRequest(here / "learned", here / "run", threads=1)).run
        seconds = time.perf_counter() - began
        found = evaluate(run.folder, here / "tested").evaluation
        rarest = min(counts, key=counts.__getitem__)
        return {
            "model": run.recipe().model.name, "seed": seed, "classes": len(counts),
            "learned_from": sum(counts.values()), "test_images": len(found.labels),
            "accuracy": found.accuracy, "log_loss": found.log_loss, "calibration_error": found.ece,
            "rarest_class_found": found.per_class()[rarest]["sensitivity"], "train_s": seconds,
        }  # fmt: skip


def _unpack(archive: Path, counts: dict[str, int], folder: Path, seed: int) -> None:
    """So many images of each class, drawn by the seed, one folder a class."""
    with tarfile.open(archive) as members:
        files = [one for one in members.getmembers() if one.isfile()]
        for name, count in counts.items():
            own = sorted(
                (one for one in files if Path(one.name).parent.name == name), key=lambda one: one.name
            )
            (folder / name).mkdir(parents=True)
            for number in np.random.default_rng(seed).permutation(len(own))[:count]:
                content = members.extractfile(own[number]).read()
                (folder / name / Path(own[number].name).name).write_bytes(content)


if __name__ == "__main__":
    main()
