"""Labelled images taken into a trained run, or out of it again, in moments and exactly."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from bayesight.checks import check
from bayesight.errors import StorageFailed
from bayesight.models.classifier import Rows
from bayesight.models.learning import absorb
from bayesight.run import Run
from bayesight.train.classification import EVALUATION_BATCH
from bayesight.types import Progress
from bayesight.workflows.sources import read_labelled

__all__ = ["UpdateResult", "absorb", "update"]

WAIT_S = 120.0
"""How long an update waits for another one of the same run."""


@dataclass(frozen=True)
class UpdateResult:
    """What an update did.

    Args:
        run: the run.
        absorbed: images taken in.
        removed: images taken out.
        new_classes: names that were not known before.
        repeated: images of these that had been absorbed before, and now count once more.
        log_evidence: log p(these images | everything before), nats; None when images were taken out.
        predicted: share of the images whose class was predicted before it was learned; None likewise.
        features_s: seconds spent on the network's features.
        belief_s: seconds spent on the belief, reading and writing it included.
        note: how labels were read, where that needs saying.
        fitted_note: how many images were scaled or converted first, where any were.
    """

    run: Run
    absorbed: int
    removed: int
    new_classes: tuple[str, ...]
    repeated: int
    log_evidence: float | None
    predicted: float | None
    features_s: float
    belief_s: float
    note: str = ""
    fitted_note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        tree = {"run": str(self.run.folder), "seconds": self.features_s + self.belief_s}
        return tree | {k: v for k, v in vars(self).items() if k != "run"}


def update(
    run_path: str | Path,
    source: str | Path,
    *,
    trust_past: float = 1.0,
    remove: bool = False,
    robust: bool = False,
    labels: Path | None = None,
    by_name: bool = False,
    progress: Progress | None = None,
) -> UpdateResult:
    """Absorb labelled images into a run's belief: its posterior so far is the prior.

    Nothing is trained; sufficient statistics are added. Batches of any size and order give the same belief
    while ``trust_past`` is 1. The sharpness stays as it is then; when the past is discounted it is found
    anew, judged by images before they were absorbed.

    The belief is replaced atomically under a lock: an interrupted update leaves the old one, and of two at
    once one waits.

    Args:
        run_path: the run folder.
        source: labelled images; classes the run does not know are new classes.
        trust_past: in (0, 1], how much an image absorbed earlier counts beside a new one.
        remove: take these images out again instead.
        robust: give images whose label the others speak against less weight.
        labels: an IDX source's file of labels, when it is not beside it.
        by_name: labels that are numbers are names of (new) classes, not places in the run's order.
        progress: told how far reading is.

    Raises:
        RunUnreadable, SourceNotFound, SourceUnreadable: what was given cannot be read.
        InvalidInput: images to remove that were never absorbed, or a ``trust_past`` outside (0, 1].
        StorageFailed: the belief could not be written, or another update holds it for too long.
    """
    check(0 < trust_past <= 1, "trust_past", f"got {trust_past:g}", "a number in (0, 1]")
    check(not (remove and trust_past != 1), "trust_past", "given with --remove", "one of the two")
    run = Run.open(run_path)
    with _locked(run):
        began = time.perf_counter()
        classifier = run.classifier()
        opened_s = time.perf_counter() - began
        data = read_labelled(
            source,
            classifier.classes,
            labels=labels,
            new_classes=not remove,
            by_name=by_name,
            progress=progress,
        )
        began = time.perf_counter()
        features = classifier.features(data.examples.in_order(EVALUATION_BATCH))
        rows = Rows(features, torch.from_numpy(data.examples.labels), torch.from_numpy(data.store.digests[:]))
        features_s = time.perf_counter() - began
        began = time.perf_counter()
        if remove:
            run.save_classifier(classifier.remove(rows))
            found = UpdateResult(run, 0, len(rows), (), 0, None, None, features_s, 0.0, data.note)
        else:
            new = data.new_classes
            after, learned = absorb(classifier, rows, new, trust_past=trust_past, robust=robust)
            run.save_classifier(after)
            found = UpdateResult(
                run,
                absorbed=len(rows),
                removed=0,
                new_classes=new,
                repeated=classifier.times_absorbed(rows),
                log_evidence=learned.log_evidence,
                predicted=learned.accuracy,
                features_s=features_s,
                belief_s=0.0,
                note=data.note,
            )
        found = replace(found, fitted_note=data.fitted_note)
        return replace(found, belief_s=opened_s + time.perf_counter() - began)


@contextmanager
def _locked(run: Run) -> Iterator[None]:
    """Hold the run's belief; of two updates one waits."""
    try:
        with FileLock(run.folder / "belief.lock", timeout=WAIT_S):
            yield
    except Timeout as problem:
        raise StorageFailed(
            f"another update has held {run.folder} for {WAIT_S:.0f} s; try again when it is done."
        ) from problem
