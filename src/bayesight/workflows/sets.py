"""Sets of classes in place of one: made at the base rates here, and measured on labelled images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bayesight.belief.classifier import Classifier
from bayesight.evaluation.conformal import ConformalReference, conformal_reference, prediction_sets

__all__ = ["SetCheck", "class_sets", "sets_reference"]


@dataclass(frozen=True)
class SetCheck:
    """The sets of labelled images: how often they hold the truth, and how many classes that takes.

    Args:
        asked: share of images whose class is to be in the set.
        held: share of images whose class is.
        interval: 95 % credible interval of it.
        mean_size: classes in a set.
        single: share of sets of one class.
    """

    asked: float
    held: float
    interval: tuple[float, float]
    mean_size: float
    single: float

    def as_dict(self) -> dict[str, Any]:
        """The entry ``sets`` of ``--json``."""
        return vars(self) | {"interval": list(self.interval)}


def sets_reference(classifier: Classifier, prior: Tensor) -> ConformalReference:
    """The labelled images that judge a classifier, weighed as their classes are common under a prior (K,)."""
    judged = classifier.judged
    log_posterior = (classifier.judged_log_likelihood + prior.log()).log_softmax(dim=1)
    shift = prior / classifier.predictive.log_prior.exp().clamp_min(torch.finfo(torch.float64).tiny)
    return conformal_reference(log_posterior, judged.labels, judged.weights * shift[judged.labels])


def class_sets(
    classifier: Classifier, coverage: float | None, prior: Tensor, posterior: Tensor
) -> Sequence[tuple[str, ...] | None]:
    """The classes of each image, the most probable first; None for each where no coverage is asked for.

    Args:
        classifier: the belief.
        coverage: share of images whose class is to be in the set.
        prior: (K,) base rates here.
        posterior: (N, K) under them.
    """
    if coverage is None:
        return [None] * len(posterior)
    names = classifier.classes.names
    order = posterior.argsort(dim=1, descending=True, stable=True)
    inside = prediction_sets(posterior.log(), sets_reference(classifier, prior), coverage)
    return [
        tuple(names[k] for k, is_in in zip(ks, row, strict=True) if is_in)
        for ks, row in zip(order.tolist(), inside.gather(1, order).tolist(), strict=True)
    ]
