"""Wrong labels in a source of images, found by predicting every image from the others."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from bayesight.bayes.label_noise import label_trust, out_of_fold
from bayesight.checks import check
from bayesight.data import Store, open_store, require_classes
from bayesight.data.batches import Examples
from bayesight.data.dataset import gather
from bayesight.frame import Fit
from bayesight.progress import reporter
from bayesight.report import Picture, SuspiciousLabels
from bayesight.run import Run
from bayesight.train.classification import EVALUATION_BATCH
from bayesight.train.events import Listener
from bayesight.train.recipe import Recipe
from bayesight.types import FloatArray, IntArray, Progress, ShownProgress
from bayesight.workflows.reporting import data_sections, write_report
from bayesight.workflows.sources import AS_IT_IS, SourceOptions
from bayesight.workflows.train import TrainRequest, train

__all__ = ["LabelAudit", "audit_labels", "labels_report"]

EPOCHS = 15
"""Passes over the images before the network begins to learn wrong labels by heart."""
SHOWN = 60


@dataclass(frozen=True)
class LabelAudit:
    """How far each label is to be trusted.

    Args:
        store: the images.
        rows: (N,) of the store, the images that have a label.
        wrong: (N,) probability that the label is wrong.
        suggested: (N,) the class the other images speak for.
        wrong_share: share of wrong labels, estimated.
        how: which features were used, one sentence.
    """

    store: Store
    rows: IntArray
    wrong: FloatArray
    suggested: IntArray
    wrong_share: float
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
        return _judge(Run.open(run), source, (labels, options), seed, progress, f"features of the run {run}")
    store = open_store(
        source, size=size, mode=mode, fit=fit, labels=labels, **options.reading, progress=progress
    )
    require_classes(store, 2)
    model = "resnet" if min(store.manifest.shape[:2]) >= 28 else "mlp"
    changes: dict[str, Any] = {"optimization.epochs": EPOCHS, "seed": seed}
    changes |= {"data.size": size, "data.mode": mode, "data.fit": fit}
    recipe = Recipe.default(model).changed(changes)
    with tempfile.TemporaryDirectory() as folder:
        made = train(
            TrainRequest(
                Path(source),
                Path(folder) / "run",
                recipe,
                labels=labels,
                options=options,
                threads=threads,
            ),
            listeners=listeners,
        )
        how = f"features of a {model} trained on these images for {EPOCHS} epochs, seed {seed}"
        return _judge(made.run, source, (labels, options), seed, progress, how)


def labels_report(found: LabelAudit, path: str | Path) -> Path:
    """Write a report with the most suspicious labels as pictures; returns its path."""
    store, names = found.store, found.store.classes
    order = found.order[:SHOWN]
    rows = found.rows[order]
    images = gather(store.images, rows).permute(0, 2, 3, 1).numpy()
    pictures = tuple(
        Picture(
            image=image[:, :, 0] if image.shape[2] == 1 else image,
            label=names[store.labels[row]],
            prediction=names[found.suggested[at]],
            probability=float(found.wrong[at]),
            path=store.path_of(int(row)),
            label_probability=1 - float(found.wrong[at]),
        )
        for at, row, image in zip(order, rows, images, strict=True)
    )
    expected = round(found.wrong_share * len(found.rows))
    note = f"About {found.wrong_share:.1%} of the labels seem wrong. Judged out of fold, with {found.how}."
    sections = [SuspiciousLabels(pictures, total=expected, note=note), *data_sections(store)]
    return write_report(f"Labels of {Path(store.manifest.source).name}", sections, path)


def _judge(
    run: Run,
    source: str | Path,
    read: tuple[Path | None, SourceOptions],
    seed: int,
    progress: Progress | None,
    how: str,
) -> LabelAudit:
    classifier = run.classifier()
    file, options = read
    own = classifier.classes.reading
    store = open_store(source, **own, **options.reading, labels=file, progress=progress)
    require_classes(store, 2)
    rows = np.flatnonzero(store.labels >= 0)
    labels = store.labels[rows]
    features = classifier.features(Examples((store.images,), rows, labels).in_order(EVALUATION_BATCH))
    given = torch.from_numpy(labels)
    folds = min(10, len(rows) // 2)
    check(folds >= 2, "inspect --labels", f"{len(rows)} images", "at least 4")
    log_p = out_of_fold(features, given, store.classes, folds=folds, seed=seed)
    trust, wrong_share = label_trust(log_p, given)
    others = log_p.scatter(1, given[:, None], -torch.inf).argmax(dim=1)
    return LabelAudit(store, rows, (1 - trust).numpy(), others.numpy(), wrong_share, how)
