"""Wrong labels in a source of images, found by predicting every image from the others.

A network trained on all images tells them apart best, but begins to learn wrong labels by heart; two networks
trained on half of them each, which judge the other half, do not. Both readings are pooled, see
``bayes.head.label_noise.pooled``.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from bayesight import report
from bayesight.bayes.head.label_noise import NoiseFit, fit_noise, out_of_fold, pooled
from bayesight.belief.classifier import Classifier
from bayesight.checks import check
from bayesight.data import Store, open_store, require_classes
from bayesight.data.batches import Examples
from bayesight.data.dataset import gather
from bayesight.data.splits import split
from bayesight.errors import InvalidInput
from bayesight.formatting import percent
from bayesight.frame import Fit
from bayesight.language import marked, retold, tr
from bayesight.progress import reporter
from bayesight.report import Picture
from bayesight.run import Run
from bayesight.seeding import derive
from bayesight.training.classification import EVALUATION_BATCH
from bayesight.training.events import Listener
from bayesight.training.recipe import Recipe
from bayesight.types import FloatArray, IntArray, ShownProgress
from bayesight.workflows.reporting import as_stored, data_sections, write_report
from bayesight.workflows.sources import AS_IT_IS, SourceOptions
from bayesight.workflows.train import TrainRequest, train

EPOCHS = 15
"""Passes over the images before the network begins to learn wrong labels by heart."""
SHOWN = 60


@dataclass(frozen=True)
class LabelAudit:
    """The trust that each label deserves.

    Args:
        store: the images.
        rows: (N,) of the store, the images that have a label.
        wrong: (N,) probability that the label is wrong.
        suggested: (N,) the class the other images speak for.
        wrong_share: share of wrong labels, estimated.
        interval: in which that share lies with probability 95 %.
        how: which features were used, one sentence.
    """

    store: Store
    rows: IntArray
    wrong: FloatArray
    suggested: IntArray
    wrong_share: float
    interval: tuple[float, float]
    how: str

    @property
    def order(self) -> IntArray:
        """Positions, the most suspicious first."""
        found: IntArray = np.argsort(-self.wrong, kind="stable")
        return found

    def as_dict(self, limit: int) -> dict[str, Any]:
        """The share of wrong labels and the ``limit`` most suspicious ones."""
        names, labels = self.store.classes, self.store.labels[self.rows]
        return {
            "wrong_share": self.wrong_share,
            "wrong_share_interval": list(self.interval),
            "how": self.how,
            "suspicious": [
                {
                    "path": self.store.path_of(int(self.rows[at])),
                    "label": names[labels[at]],
                    "suggested": names[self.suggested[at]],
                    "probability_wrong": float(self.wrong[at]),
                }
                for at in self.order[:limit]
            ],
        }


def audit_labels(
    source: str | Path,
    *,
    run: str | Path | None = None,
    labels: Path | None = None,
    options: SourceOptions = AS_IT_IS,
    size: tuple[int, int] | None = None,
    mode: Literal["L", "RGB"] | None = None,
    fit: Fit = "crop",
    seed: int = 0,
    threads: int | None = None,
    progress: ShownProgress = None,
    listeners: tuple[Listener, ...] = (),
) -> LabelAudit:
    """Judge every label by a Gaussian head that never absorbed its image.

    Args:
        source: labelled images.
        run: whose network gives the features; None trains one on the source itself, briefly, so that it
            does not learn the wrong labels by heart.
        labels: an IDX source's file of labels, when it is not beside it.
        options: how the source is read where it does not show.
        size: (height, width) all images are brought to; None takes the commonest. A run has its own.
        mode: "L" or "RGB" likewise.
        fit: how images of another shape are brought to the size, likewise.
        seed: of training and of the folds.
        threads: processor threads for training.
        progress: told how far reading is.
        listeners: told every event of training.

    Raises:
        SourceNotFound, SourceUnreadable, InvalidInput: nothing to judge, or fewer than two classes.
        RunUnreadable: the run is none.
    """
    progress = reporter(progress, "reading")
    if run is not None:
        came = "given with --run"
        own = size is None and mode is None and fit == "crop"
        check(own, "--size, --mode or --fit", came, "the run's own", "Leave them out.")
        classifier = Run.open(run).classifier()
        classifier.classes.require_images("inspect --run")
        store = open_store(
            source, **classifier.classes.reading, **options.reading, labels=labels, progress=progress
        )
        rows = _labelled(store)
        found = _read(classifier, store, rows, seed)
        return _audit(store, rows, found, marked(f"features of the run {run}"))
    store = open_store(
        source, size=size, mode=mode, fit=fit, labels=labels, **options.reading, progress=progress
    )
    rows = _labelled(store)
    model = "resnet" if min(store.manifest.shape[:2]) >= 28 else "mlp"
    changes: dict[str, Any] = {"optimization.epochs": EPOCHS, "seed": seed}
    changes |= {"data.size": size, "data.mode": mode, "data.fit": fit}
    request = TrainRequest(
        Path(source), Path(), Recipe.default(model).changed(changes),
        labels=labels, options=options, threads=threads,
    )  # fmt: skip
    close = _read(_trained(request, listeners), store, rows, seed)
    trained = marked(f"a {model} trained on these images for {EPOCHS} epochs, seed {seed}")
    try:
        parts = split(
            store.labels[rows], store.digests[rows], {"one": 0.5, "other": 0.5}, derive(seed, "halves")
        )
        honest = _read_halves(request, store, [rows[part] for part in parts.values()], seed, listeners)
    except InvalidInput:  # classes too small to be halved and split again
        return _audit(store, rows, close, marked(f"features of {trained}"))
    how = marked(f"features of {trained}, and of one trained on each half of them for the other half")
    return _audit(store, rows, pooled(close, honest), how)


def labels_report(found: LabelAudit, path: str | Path) -> Path:
    """Write a report with the most suspicious labels as pictures; returns its path."""
    store, names = found.store, found.store.classes
    order = found.order[:SHOWN]
    rows = found.rows[order]
    images = as_stored(gather(store.images, rows))
    pictures = tuple(
        Picture(
            image=image,
            label=names[store.labels[row]],
            prediction=names[found.suggested[at]],
            probability=float(found.wrong[at]),
            path=store.path_of(int(row)),
            label_probability=1 - float(found.wrong[at]),
        )
        for at, row, image in zip(order, rows, images, strict=True)
    )
    expected = round(found.wrong_share * len(found.rows))
    share, low, high = map(percent, (found.wrong_share, *found.interval))
    note = tr(
        "About {share} of the labels seem wrong (95 % interval {low} to {high}). "
        "Judged out of fold, with {how}.",
        share=share,
        low=low,
        high=high,
        how=retold(found.how),
    )
    sections = [report.suspicious_labels(pictures, total=expected).with_note(note), *data_sections(store)]
    return write_report(tr("Labels of {name}", name=Path(store.manifest.source).name), sections, path)


def _labelled(store: Store) -> IntArray:
    """Rows of the images that have a label, enough of them to be judged."""
    require_classes(store, 2)
    rows = np.flatnonzero(store.labels >= 0)
    check(len(rows) >= 4, "inspect --wrong-labels", f"{len(rows)} images", "at least 4")
    return rows


def _trained(request: TrainRequest, listeners: tuple[Listener, ...]) -> Classifier:
    with tempfile.TemporaryDirectory() as folder:
        return train(replace(request, out=Path(folder) / "run"), listeners=listeners).run.classifier()


def _read(classifier: Classifier, store: Store, rows: IntArray, seed: int) -> NoiseFit:
    """The labels of some rows as a head sees them that absorbs the features of those rows alone."""
    labels = store.labels[rows]
    return fit_noise(_predicted(classifier, store, rows, seed), torch.from_numpy(labels))


def _predicted(classifier: Classifier, store: Store, rows: IntArray, seed: int) -> Tensor:
    labels = store.labels[rows]
    features = classifier.features(Examples((store.images,), rows, labels).in_order(EVALUATION_BATCH))
    folds = min(10, len(rows) // 2)
    return out_of_fold(features, torch.from_numpy(labels), store.classes, folds=folds, seed=seed)


def _read_halves(
    request: TrainRequest, store: Store, halves: list[IntArray], seed: int, listeners: tuple[Listener, ...]
) -> NoiseFit:
    """The labels of all rows, each half judged by a network that was trained on the other."""
    rows = np.concatenate(halves)
    log_p = torch.cat(
        [
            _predicted(_trained(replace(request, only=other), listeners), store, half, seed)
            for half, other in (halves, halves[::-1])
        ]
    )
    back = torch.from_numpy(np.argsort(rows))
    return fit_noise(log_p[back], torch.from_numpy(store.labels[np.sort(rows)]))


def _audit(store: Store, rows: IntArray, found: NoiseFit, how: str) -> LabelAudit:
    wrong, suggested = (1 - found.trust).numpy(), found.suggested.numpy()
    return LabelAudit(store, rows, wrong, suggested, found.wrong_share, found.interval, how)
