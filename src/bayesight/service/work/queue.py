"""The label queue: images in the order of the information their labels are expected to bring."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from bayesight.bayes.label_information import label_information
from bayesight.ledger import Entry, LabelRecord, PredictionRecord
from bayesight.seeding import torch_generator
from bayesight.service.work.belief import CurrentBelief

__all__ = ["QueueCandidate", "rank"]


@dataclass(frozen=True)
class QueueCandidate:
    """An unlabelled image.

    Args:
        record: the latest prediction of it.
        at: when that was made, UTC.
        information_bits: what its label is expected to tell about the classes.
    """

    record: PredictionRecord
    at: str
    information_bits: float


def rank(now: CurrentBelief, entries: Sequence[Entry], waiting: Sequence[Entry]) -> list[QueueCandidate]:
    """Unlabelled images, those first whose label is expected to teach most.

    Args:
        now: the belief.
        entries: predictions, newest first.
        waiting: labels not absorbed yet, whose images are left out too.
    """
    labelled = {row.tobytes().hex() for row in now.classifier.absorbed.digests.numpy()}
    labelled |= {entry.record.image for entry in waiting if isinstance(entry.record, LabelRecord)}
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
        return []
    rows = torch.from_numpy(np.array([record.features for record, _ in found.values()], dtype=np.float32))
    shares = now.prior()
    log_prior = torch.tensor([shares[name] for name in now.classifier.classes.names]).double().log()
    told = label_information(
        now.classifier.predictive, rows, log_prior, generator=torch_generator(0, "label queue")
    )
    ranked = [
        QueueCandidate(record, at, nats / math.log(2))
        for (record, at), nats in zip(found.values(), told.tolist(), strict=True)
    ]
    return sorted(ranked, key=lambda one: (-one.information_bits, one.record.image))
