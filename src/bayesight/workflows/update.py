"""Labelled images taken into a trained run, or out of it again, in moments and exactly."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from bayesight.belief.absorbed import Rows
from bayesight.belief.classifier import Classifier
from bayesight.belief.updating import BatchOutcome, LearningOptions, update_belief
from bayesight.checks import check
from bayesight.progress import reporter
from bayesight.run import Run
from bayesight.training.classification import EVALUATION_BATCH
from bayesight.types import ShownProgress
from bayesight.workflows.belief import belief_lock, check_alone
from bayesight.workflows.parts.duplicates import parts_folder, with_rows_of_parts
from bayesight.workflows.sources import AS_IT_IS, SourceOptions, read_labelled


@dataclass(frozen=True)
class UpdateResult:
    """The result of an update.

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

    def as_dict(self) -> dict[str, Any]:
        """The document of ``--json``; ``superseded`` counts labels, and ``container`` members."""
        tree = {"run": str(self.run.folder), "seconds": self.features_s + self.belief_s}
        return tree | dict(self.source) | {k: v for k, v in vars(self).items() if k not in ("run", "source")}


@dataclass(frozen=True)
class _KeptBelief:
    """A belief and the place it is kept in.

    Args:
        classifier: the belief so far.
        opened_s: seconds it took to read.
        learn: takes labelled rows and the names of the classes they bring, and writes down the next belief.
    """

    classifier: Classifier
    opened_s: float
    learn: Callable[[Rows, tuple[str, ...]], BatchOutcome]


def update(
    run_path: str | Path,
    source: str | Path,
    *,
    trust_past: float = 1.0,
    remove: bool = False,
    robust: bool = False,
    second_reading: bool = False,
    run_only: bool = False,
    ledger: str | None = None,
    person: str = "",
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

    Without a ledger the belief in the run folder is replaced atomically under a lock: an interrupted update
    leaves the old one, and of two at once one waits. With one the run folder stays as it is, the base; the
    labels are written to the ledger as one update, and services on it catch up by themselves.

    Args:
        run_path: the run folder.
        source: labelled images; classes that are not known are new classes.
        trust_past: in (0, 1], how much an image absorbed earlier counts beside a new one.
        remove: take these images out again instead.
        robust: give images whose label the others speak against less weight.
        second_reading: labels of images that have one already are second, independent readings, and count
            beside it.
        run_only: change the run folder also where a ledger goes on from it.
        ledger: a path or a URL; made where there is none.
        person: who gave the labels, which a ledger keeps; may be empty.
        labels: an IDX source's file of labels, when it is not beside it.
        by_name: labels of IDX data are names of (new) classes, not places in the run's order.
        options: how the source is read where it does not show; of one with parts, the training part is meant.
        progress: told how far reading is.

    Raises:
        RunUnreadable, SourceNotFound, SourceUnreadable: what was given cannot be read.
        InvalidInput: images to remove that were never absorbed, a ``trust_past`` outside (0, 1], ``remove``
            with an option of absorbing, a ledger that goes on from this run or began with another belief of
            it, ``person`` without a ledger or ``run_only`` with one.
        StorageFailed: the belief could not be written, or another update holds it for too long.
    """
    learning = LearningOptions(trust_past, robust, remove)
    check(not (remove and second_reading), "second_reading", "given with --remove", "one of the two")
    check(not person or ledger is not None, "person", "given without --ledger", "both or neither")
    check(not run_only or ledger is None, "run_only", "given with --ledger", "one of the two")
    run = Run.open(run_path)
    place = (
        _in_folder(run, learning, run_only) if ledger is None else _in_ledger(run, ledger, learning, person)
    )
    with place as belief:
        before = belief.classifier
        data = read_labelled(
            source,
            before.classes,
            labels=labels,
            new_classes=not remove,
            options=options.named(by_name),
            progress=reporter(progress, "reading"),
        )
        began = time.perf_counter()
        features = before.features(data.examples.in_order(EVALUATION_BATCH))
        rows = Rows(features, torch.from_numpy(data.examples.labels), torch.from_numpy(data.digests))
        rows = replace(rows, second=torch.full_like(rows.second, second_reading))
        features_s = time.perf_counter() - began
        began = time.perf_counter()
        predicted = None if remove else before.share_predicted(features, rows.labels)
        learned = belief.learn(rows, data.new_classes)
        return UpdateResult(
            run,
            removed=len(rows) if remove else 0,
            new_classes=learned.new_classes,
            log_evidence=learned.absorbed.log_evidence if learned.absorbed else None,
            predicted=predicted,
            features_s=features_s,
            belief_s=belief.opened_s + time.perf_counter() - began,
            note=data.note,
            fitted_note=data.fitted_note,
            gone_classes=learned.gone_classes,
            source=data.facts,
            **_counts(learned),
        )


@contextmanager
def _in_folder(run: Run, learning: LearningOptions, run_only: bool) -> Iterator[_KeptBelief]:
    """A run folder's own belief, held by a lock."""
    with belief_lock(run):
        if not run_only:
            check_alone(run)
        began = time.perf_counter()
        classifier = run.classifier()

        def learn(rows: Rows, new_classes: tuple[str, ...]) -> BatchOutcome:
            known = with_rows_of_parts(classifier, parts_folder(run), rows.digests)
            after, learned = update_belief(known, rows, new_classes, learning)
            run.save_classifier(after)
            return learned

        yield _KeptBelief(classifier, time.perf_counter() - began, learn)


@contextmanager
def _in_ledger(run: Run, url: str, learning: LearningOptions, person: str) -> Iterator[_KeptBelief]:
    """The belief of a run and a ledger."""
    from bayesight.ledger import LabelRecord, Ledger, begin, learn  # a database takes time to load

    with Ledger.open(url) as ledger:
        began = time.perf_counter()
        state = begin(ledger, run)

        def learned(rows: Rows, new_classes: tuple[str, ...]) -> BatchOutcome:
            names = (*state.classifier.classes.names, *new_classes)
            labels = [
                LabelRecord(
                    state.run, bytes(digest).hex(), names[number], person, values, second_reading=second
                )
                for digest, number, values, second in zip(
                    rows.digests.numpy(),
                    rows.labels.tolist(),
                    rows.features.numpy(),
                    rows.second.tolist(),
                    strict=True,
                )
            ]
            return learn(ledger, state, labels, options=learning)[1]

        yield _KeptBelief(state.classifier, time.perf_counter() - began, learned)


def _counts(learned: BatchOutcome) -> dict[str, Any]:
    """The labels of a batch beside those given before, as ``UpdateResult`` counts them."""
    found = learned.corrections
    if found is None:
        return {"absorbed": 0, "repeated": 0}
    was = Counter(learned.known[number] for number in found.former[found.corrected].tolist())
    return {
        "absorbed": int((found.fresh | found.corrected).sum()),
        "repeated": found.repeated,
        "corrected": was.total(),
        "was": dict(was),
        "superseded": len(found.superseded),
    }
