"""Photographs of a class that a classifier was never shown: how well is each told from the others?

    python benchmarks/novelty.py               # each class of CIFAR-10 left out in turn; lite0, frozen
    python benchmarks/novelty.py --labels 50

The belief holds 200 photographs of each of nine classes, of the training archive; those of the test archive
are judged: AUROC, the probability that one of the class left out scores above one of the others. One row a
class in results/novelty.csv, and one of their mean: the score of a belief; its three opinions alone; and the
softmax of a logistic regression on the same features. "letters" are notMNIST's, shown to the belief of all
ten classes. Which opinions the score adds was chosen on a part of the training archive.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from support.record import append, facts

from bayesight import open_store
from bayesight.belief.absorbed import Rows
from bayesight.belief.classifier import Classes, Classifier, fit_classifier
from bayesight.belief.features import features_of, reader_of
from bayesight.data import Store
from bayesight.data.batches import Examples
from bayesight.evaluation.novelty import auroc
from bayesight.models import ImageModel, build, pretrained_weights

DATA = Path(os.environ.get("BAYESIGHT_DATA", "../shared/data"))
SIDE = 160


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--labels", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    network = build("lite0", (3, 32, 32), 10, side=SIDE)
    network.load_state_dict(pretrained_weights("lite0"), strict=False)
    reader = reader_of(network.eval(), "bf16")

    def rows_of(store: Store, chosen: np.ndarray) -> Rows:
        labels = np.asarray(store.labels)[chosen].astype(np.int64)
        features = features_of(reader, Examples((store.images,), chosen, labels).in_order(100))
        return Rows(features, torch.from_numpy(labels), torch.from_numpy(np.asarray(store.digests)[chosen]))

    random = np.random.default_rng(options.seed)
    store, test = (open_store(DATA / "cifar10" / f"cifar10-{part}.tar.gz") for part in ("train", "test2k"))
    labels = np.asarray(store.labels)
    chosen = [random.permutation(np.flatnonzero(labels == k))[: options.labels] for k in range(10)]
    learned, judged = rows_of(store, np.concatenate(chosen)), rows_of(test, np.arange(len(test)))
    letters = open_store(DATA / "notmnist" / "notMNIST_real8k.tar.gz", size=32, mode="RGB")
    strange = rows_of(letters, np.arange(0, len(letters), 8))
    found = {
        store.classes[left]: figures(network, store.classes, learned, judged, left) for left in range(10)
    }
    columns = next(iter(found.values()))
    found["mean"] = {name: float(np.mean([row[name] for row in found.values()])) for name in columns}
    whole = belief(network, store.classes, learned, options.seed)
    found["letters"] = {"score": auroc(whole.novelty(judged.features), whole.novelty(strange.features))}
    for name, row in found.items():
        told = {"left_out": name, "labels": options.labels, "seed": options.seed}
        told |= {column: f"{row[column]:.4f}" if column in row else "" for column in columns}
        print(told, flush=True)
        append("novelty.csv", [facts() | told])


def belief(network: ImageModel, classes: tuple[str, ...], rows: Rows, seed: int) -> Classifier:
    """A belief that holds these rows."""
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    held, rest = order[: len(order) // 5], order[len(order) // 5 :]
    known = Classes(classes, "RGB", (32, 32))
    return fit_classifier(network, known, rows.at(rest), rows.at(held), "bf16", borrowed=True)


def figures(
    network: ImageModel, classes: tuple[str, ...], learned: Rows, judged: Rows, left: int
) -> dict[str, float]:
    """AUROC of each score where one class is left out."""
    kept = (learned.labels != left).nonzero()[:, 0]
    rows = learned.at(kept)
    rows = Rows(rows.features, rows.labels - (rows.labels > left).long(), rows.digests)
    found = belief(network, classes[:left] + classes[left + 1 :], rows, 0)
    known, unknown = (judged.features[judged.labels != left], judged.features[judged.labels == left])
    softmax = LogisticRegression(C=0.02, max_iter=60).fit(rows.features.numpy() / 36, rows.labels.numpy())
    told = [
        torch.cat(
            [
                found.novelty(x)[:, None],
                found.opinions(x),
                -torch.from_numpy(softmax.predict_proba(x.numpy() / 36).max(axis=1, keepdims=True)),
            ],
            dim=1,
        )
        for x in (known, unknown)
    ]
    return {name: auroc(told[0][:, at], told[1][:, at]) for at, name in enumerate(SCORES)}


SCORES = ("score", "evidence", "nearest", "relative", "softmax")


if __name__ == "__main__":
    main()
