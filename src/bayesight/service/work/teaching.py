"""Labels of many requests into the belief: written together, absorbed together, acknowledged afterwards."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from bayesight.errors import BayesightError
from bayesight.ledger import LabelRecord, Ledger, Receipt
from bayesight.ledger.label_history import label_histories
from bayesight.service.work.belief import BeliefCache

__all__ = ["TeachingJob", "TeachingOutcome", "teach_together"]

log = logging.getLogger("bayesight.service")


@dataclass(frozen=True)
class TeachingJob:
    """One request's labels.

    Args:
        labels: with the features of their images; empty asks to absorb what is queued.
        key: idempotency key; empty for none.
        wait: absorb them before the answer; else they are queued.
    """

    labels: tuple[LabelRecord, ...]
    key: str = ""
    wait: bool = True


@dataclass(frozen=True)
class TeachingOutcome:
    """The outcome of one request's labels.

    Args:
        receipt: of the labels: they are in the ledger, on the disk.
        absorbed: whether the belief has learned them.
        update: sequence number of the update that absorbed the last of them; None when queued.
        images: digests of the images, in the order of the labels.
        former: of each label the class its image had before from the same person, or else from the run; None
            for none, or while it is queued.
    """

    receipt: Receipt | None
    absorbed: bool
    update: int | None
    images: tuple[str, ...] = ()
    former: tuple[str | None, ...] = ()


def teach_together(
    ledger: Ledger, beliefs: BeliefCache, lock: threading.Lock, lessons: Sequence[TeachingJob]
) -> list[TeachingOutcome | Exception]:
    """Write down the labels of several requests, absorb them as one batch, and answer each.

    Labels are durable first and absorbed second, so a process killed in between has lost nothing: they are
    queued, and whoever absorbs next takes them along.

    Args:
        ledger: where evidence is kept.
        beliefs: of the belief.
        lock: held while writing.
        lessons: of concurrent requests.

    Returns:
        For each what became of it, or what is wrong with it.
    """
    receipts = _written(ledger, lock, lessons)
    wanted = [
        receipt
        for lesson, receipt in zip(lessons, receipts, strict=True)
        if lesson.wait and not isinstance(receipt, Exception)
    ]
    problem = _absorbed(ledger, beliefs, wanted) if wanted else None
    outcomes = _outcomes(ledger, beliefs, lessons, receipts)
    if problem is None:
        return outcomes
    return [
        problem if lesson.wait and isinstance(outcome, TeachingOutcome) else outcome
        for lesson, outcome in zip(lessons, outcomes, strict=True)
    ]


def _written(
    ledger: Ledger, lock: threading.Lock, lessons: Sequence[TeachingJob]
) -> list[Receipt | Exception | None]:
    batches = [(lesson.labels, lesson.key) for lesson in lessons if lesson.labels]
    try:
        with lock:
            receipts = iter(ledger.append_each(batches) if batches else ())
    except BayesightError as problem:
        return [problem if lesson.labels else None for lesson in lessons]
    return [next(receipts) if lesson.labels else None for lesson in lessons]


def _absorbed(ledger: Ledger, beliefs: BeliefCache, wanted: Sequence[Receipt | None]) -> Exception | None:
    """Absorb until nothing wanted is queued; a problem, if one came up."""
    try:
        while beliefs.absorb_queued().receipt is not None and _left(ledger, wanted):
            pass
    except BayesightError as problem:
        log.error("labels are queued, not absorbed", extra={"event": "absorb", "reason": str(problem)})
        return problem
    return None


def _left(ledger: Ledger, wanted: Sequence[Receipt | None]) -> bool:
    numbers = [receipt.last for receipt in wanted if receipt is not None]
    return not numbers or max(numbers) not in ledger.absorbed_by([max(numbers)])


def _outcomes(
    ledger: Ledger,
    beliefs: BeliefCache,
    lessons: Sequence[TeachingJob],
    receipts: Sequence[Receipt | Exception | None],
) -> list[TeachingOutcome | Exception]:
    """Each lesson as it stands: written down, absorbed, or refused."""
    written = [
        (lesson, receipt)
        for lesson, receipt in zip(lessons, receipts, strict=True)
        if isinstance(receipt, Receipt)
    ]
    updates = ledger.absorbed_by([receipt.last for _, receipt in written]) if written else {}
    state = beliefs.fresh().state
    images = [label.image for lesson, _ in written for label in lesson.labels]
    histories = label_histories(ledger, state, images) if updates else {}
    found: list[TeachingOutcome | Exception] = []
    for lesson, receipt in zip(lessons, receipts, strict=True):
        if isinstance(receipt, Exception):
            found.append(receipt)
        elif receipt is None:
            found.append(TeachingOutcome(None, True, None))
        elif (update := updates.get(receipt.last)) is None:
            found.append(TeachingOutcome(receipt, False, None))
        else:
            pairs = zip(lesson.labels, receipt.sequences, strict=True)
            was = tuple(histories[label.image].former(number) for label, number in pairs)
            found.append(TeachingOutcome(receipt, True, update, former=was))
    return found
