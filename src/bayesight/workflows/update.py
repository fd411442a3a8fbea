"""Labelled images taken into a trained run, or out of it again, in moments and exactly."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from bayesight.belief.absorbed import Rows
from bayesight.belief.corrections import Corrections, compare
from bayesight.belief.updating import absorb, emptied
from bayesight.checks import check
from bayesight.errors import StorageFailed
from bayesight.progress import reporter
from bayesight.run import Run
from bayesight.train.classification import EVALUATION_BATCH
from bayesight.types import ShownProgress
from bayesight.workflows.believing import check_alone
from bayesight.workflows.sources import AS_IT_IS, SourceOptions, read_labelled

__all__ = ["UpdateResult", "absorb", "update"]

WAIT_S = 120.0
"""How long an update waits for another one of the same run."""


@dataclass(frozen=True)
class UpdateResult:
    """What an update did.

    Args:
        run: the run.
        absorbed: images taken in, or whose label was corrected.
        removed: images taken out.
        new_classes: names that were not known before.
        repeated: images that had this label before; they change nothing.
        corrected: images of the absorbed that had another label before, which this one replaces.
        was: class -> how many of the corrected had it before.
        superseded: images that came under several labels at once, of which the last counts.
        gone_classes: names of classes that lost their last image, and are known no more.
        log_evidence: log p(these images | everything before), nats; None when images were taken out.
        predicted: share of the images whose class was predicted before it was learned; None likewise.
        features_s: seconds spent on the network's features.
        belief_s: seconds spent on the belief, reading and writing it included.
        note: how labels were read, where that needs saying.
        fitted_note: how many images were scaled or converted first, where any were.
        source: what was left out of the source and what was done to its images, and the notes that say so.
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
    corrected: int = 0
    was: Mapping[str, int] = field(default_factory=dict)
    superseded: int = 0
    gone_classes: tuple[str, ...] = ()
    source: Mapping[str, Any] = field(default_factory=dict)

    def corrected_by(self, found: Corrections, names: Sequence[str]) -> UpdateResult:
        """This result with what a batch's labels were to those given before.

        Args:
            found: from ``compare``.
            names: of the classes before the update.
        """
        was = Counter(names[number] for number in found.former[found.corrected].tolist())
        return replace(
            self,
            absorbed=int((found.fresh | found.corrected).sum()),
            repeated=found.repeated,
            corrected=was.total(),
            was=dict(was),
            superseded=len(found.superseded),
        )

    def as_dict(self) -> dict[str, Any]:
        """The document of ``--json``; ``superseded`` counts labels, and ``container`` members."""
        tree = {"run": str(self.run.folder), "seconds": self.features_s + self.belief_s}
        return tree | dict(self.source) | {k: v for k, v in vars(self).items() if k not in ("run", "source")}


def update(
    run_path: str | Path,
    source: str | Path,
    *,
    trust_past: float = 1.0,
    remove: bool = False,
    robust: bool = False,
    second_reading: bool = False,
    run_only: bool = False,
    labels: Path | None = None,
    by_name: bool = False,
    options: SourceOptions = AS_IT_IS,
    progress: ShownProgress = None,
) -> UpdateResult:
    """Absorb labelled images into a run's belief: its posterior so far is the prior.

    Nothing is trained; sufficient statistics are added. Batches of any size and order give the same belief
    while ``trust_past`` is 1. A label replaces the one its image had before, in training too, as if it had
    been the only one; the same label again changes nothing. How sharp answers may be is judged by images the
    belief has not learned: those held out of training, and each of the absorbed ones by what the others tell.

    The belief is replaced atomically under a lock: an interrupted update leaves the old one, and of two at
    once one waits.

    Args:
        run_path: the run folder.
        source: labelled images; classes the run does not know are new classes.
        trust_past: in (0, 1], how much an image absorbed earlier counts beside a new one.
        remove: take these images out again instead.
        robust: give images whose label the others speak against less weight.
        second_reading: labels of images that have one already are second, independent readings, and count
            beside it.
        run_only: change the run folder also where a ledger goes on from it.
        labels: an IDX source's file of labels, when it is not beside it.
        by_name: labels of IDX data are names of (new) classes, not places in the run's order.
        options: how the source is read where it does not show; of one with parts, the training part is meant.
        progress: told how far reading is.

    Raises:
        RunUnreadable, SourceNotFound, SourceUnreadable: what was given cannot be read.
        InvalidInput: images to remove that were never absorbed, a ``trust_past`` outside (0, 1], ``remove``
            with an option of absorbing, or a ledger that goes on from this run.
        StorageFailed: the belief could not be written, or another update holds it for too long.
    """
    progress = reporter(progress, "reading")
    check(0 < trust_past <= 1, "trust_past", f"got {trust_past:g}", "a number in (0, 1]")
    check(not (remove and trust_past != 1), "trust_past", "given with --remove", "one of the two")
    check(not (remove and robust), "robust", "given with --remove", "one of the two")
    check(not (remove and second_reading), "second_reading", "given with --remove", "one of the two")
    run = Run.open(run_path)
    with _locked(run):
        if not run_only:
            check_alone(run)
        began = time.perf_counter()
        classifier = run.classifier()
        opened_s = time.perf_counter() - began
        data = read_labelled(
            source,
            classifier.classes,
            labels=labels,
            new_classes=not remove,
            options=options.named(by_name),
            progress=progress,
        )
        began = time.perf_counter()
        features = classifier.features(data.examples.in_order(EVALUATION_BATCH))
        rows = Rows(features, torch.from_numpy(data.examples.labels), torch.from_numpy(data.digests))
        features_s = time.perf_counter() - began
        began = time.perf_counter()
        if remove:
            after = classifier.remove(rows)
            told = UpdateResult(run, 0, len(rows), (), 0, None, None, features_s, 0.0, data.note)
        else:
            if second_reading:
                rows = replace(rows, second=torch.ones(len(rows), dtype=torch.bool))
            new, predicted = data.new_classes, classifier.share_predicted(features, rows.labels)
            after, learned = absorb(classifier, rows, new, trust_past=trust_past, robust=robust)
            told = UpdateResult(
                run,
                absorbed=0,
                removed=0,
                new_classes=new,
                repeated=0,
                log_evidence=learned.log_evidence,
                predicted=predicted,
                features_s=features_s,
                belief_s=0.0,
                note=data.note,
            ).corrected_by(compare(classifier.absorbed, rows), classifier.classes.names)
        gone = emptied(classifier, after)
        for name in gone:
            after = after.without_class(name)
        run.save_classifier(after)
        new = tuple(name for name in told.new_classes if name not in gone)
        found = replace(told, source=data.facts, new_classes=new, gone_classes=gone)
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
