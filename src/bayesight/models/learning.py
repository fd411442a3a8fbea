"""One labelled batch into a classifier, the past discounted or not: what an update and its replay share."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from bayesight.bayes.gaussian_head import Absorbed
from bayesight.models.classifier import Classifier, Rows

__all__ = ["SLICE", "absorb"]

SLICE = 100
"""Images absorbed at a time when the sharpness is to be found anew."""


def absorb(
    classifier: Classifier,
    rows: Rows,
    new_classes: tuple[str, ...] = (),
    *,
    trust_past: float = 1.0,
    robust: bool = False,
) -> tuple[Classifier, Absorbed]:
    """One labelled batch: discount the past, learn the batch, and find its sharpness anew if discounted.

    Args:
        classifier: the belief so far; it is not changed.
        rows: the batch.
        new_classes: names of the classes it brings.
        trust_past: in (0, 1].
        robust: weigh each image by the probability that its label is right.

    Returns:
        The belief after it, and what was learned on the way.
    """
    if trust_past == 1:
        return classifier.absorb(rows, new_classes, classifier.trust(rows) if robust else None)
    # In slices, so that most of the batch is predicted by a belief that has seen some of it: the sharpness
    # is for the belief as it will be, not as it was.
    after = classifier.discount(trust_past)
    weights = after.trust(rows) if robust else None
    learned = []
    for chosen in torch.arange(len(rows)).split(SLICE):
        part = None if weights is None else weights[chosen]
        after, one = after.absorb(rows.at(chosen), new_classes, part)
        new_classes = ()
        learned.append(one)
    return after.resharpened(), _summed(learned)


def _summed(parts: Sequence[Absorbed]) -> Absorbed:
    """What was learned from a batch, from what was learned from its slices."""
    scored = [p for p in parts if not math.isnan(p.accuracy)]
    rows = sum(p.rows for p in scored)
    return Absorbed(
        rows=sum(p.rows for p in parts),
        weight=math.fsum(p.weight for p in parts),
        log_evidence=math.fsum(p.log_evidence for p in parts),
        log_loss=math.fsum(p.log_loss * p.rows for p in scored) / rows if rows else math.nan,
        accuracy=math.fsum(p.accuracy * p.rows for p in scored) / rows if rows else math.nan,
    )
