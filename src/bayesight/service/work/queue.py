"""The label queue: images in the order of the information their labels are expected to bring."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from bayesight.bayes.head.label_information import label_information
from bayesight.ledger import Entry, LabelRecord, PredictionRecord
from bayesight.seeding import torch_generator
from bayesight.service.work.belief import CurrentBelief
from bayesight.workflows.predict import Prediction, Readings, judge

__all__ = ["Queue", "QueueCandidate", "rank"]


@dataclass(frozen=True)
class QueueCandidate:
    """An unlabelled image.

    Args:
        record: the latest prediction of it, which may know other classes than there are today.
        at: when that was made, UTC.
        answer: what the belief says of it now.
        information_bits: what its label is expected to tell about the classes.
    """

    record: PredictionRecord
    at: str
    answer: Prediction
    information_bits: float


@dataclass(frozen=True)
class Queue:
    """Images to label next.

    Args:
        images: those first whose label is expected to teach most.
        waiting: how many there are with those not among ``images``.
    """

    images: tuple[QueueCandidate, ...]
    waiting: int


def rank(
    now: CurrentBelief,
    entries: Sequence[Entry],
    queued: Sequence[Entry],
    *,
    limit: int,
    skipped: Sequence[str] = (),
) -> Queue:
    """Unlabelled images, those first whose label is expected to teach most.

    Args:
        now: the belief.
        entries: predictions, newest first.
        queued: labels not absorbed yet, whose images are left out too.
        limit: at most so many images.
        skipped: images that are left out.
    """
    labelled = {row.tobytes().hex() for row in now.classifier.absorbed.digests.numpy()}
    labelled |= {entry.record.image for entry in queued if isinstance(entry.record, LabelRecord)}
    labelled |= set(skipped)
    found: dict[str, tuple[PredictionRecord, str]] = {}
    for entry in entries:
        record = entry.record
        if (
            isinstance(record, PredictionRecord)
            and record.features is not None
            and record.image not in labelled
        ):
            found.setdefault(record.image, (record, entry.at))
    if not found:
        return Queue((), 0)
    rows = torch.from_numpy(np.array([record.features for record, _ in found.values()], dtype=np.float32))
    shares = now.prior()
    log_prior = torch.tensor([shares[name] for name in now.classifier.classes.names]).double().log()
    told = label_information(
        now.classifier.predictive, rows, log_prior, generator=torch_generator(0, "label queue")
    )
    names = list(found)
    order = sorted(range(len(names)), key=lambda n: (-told[n].item(), names[n]))[:limit]
    answers = judge(now.classifier, [names[n] for n in order], rows[order], Readings(prior=shares))
    images = (
        QueueCandidate(*found[names[n]], answer, told[n].item() / math.log(2))
        for n, answer in zip(order, answers, strict=True)
    )
    return Queue(tuple(images), len(found))
