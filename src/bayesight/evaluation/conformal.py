"""Sets of classes that hold the truth as often as asked, at the base rates of the place they are used in.

A class belongs to the set where a labelled image of it would not be among the worst: its conformal p-value is
above one less the coverage. Labelled images weigh as their classes are common here, so the guarantee moves
with the base rates, as long as images of a class look the same here as there.

Sources: V. Vovk, A. Gammerman and G. Shafer, *Algorithmic learning in a random world* (2005), section 2.2;
weights for shifted class shares: A. Podkopaev and A. Ramdas, *Distribution-free uncertainty quantification
for classification under label shift* (2021), section 2. Smallest sets from the posterior itself: M. Sadinle,
J. Lei and L. Wasserman, *Least ambiguous set-valued classifiers with bounded error levels* (2019), theorem 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bayesight.checks import check


@dataclass(frozen=True)
class ConformalReference:
    """Labelled images as the sets see them; float64.

    Args:
        scores: (M,) -log posterior of their own class, ascending.
        above: (M + 1,) weight of the images from each place on.
        candidate: (K,) weight of another image of each class; infinite for a class without labelled images,
            of which nothing is known.
    """

    scores: Tensor
    above: Tensor
    candidate: Tensor


def conformal_reference(log_posterior: Tensor, labels: Tensor, weights: Tensor) -> ConformalReference:
    """The reference from labelled images that the classifier has not learned from.

    Args:
        log_posterior: (M, K) nats, under the base rates of the place.
        labels: (M,) class numbers.
        weights: (M,) >= 0; those of a class sum to its base rate, up to one factor for all classes.

    Raises:
        InvalidInput: no images, shapes that differ, weights that are negative or not finite.
    """
    came = f"got {tuple(log_posterior.shape)}, {tuple(labels.shape)} and {tuple(weights.shape)}"
    fits = log_posterior.ndim == 2 and labels.shape == weights.shape == log_posterior.shape[:1]
    check(fits and len(labels) > 0, "log_posterior, labels, weights", came, "(M, K), (M,), (M,) with M >= 1")
    good = bool(torch.isfinite(weights).all() and (weights >= 0).all())
    check(good, "weights", "got a negative or infinite one", "finite numbers >= 0")
    classes, weights = log_posterior.shape[1], weights.double()
    own = -log_posterior.double().gather(1, labels[:, None])[:, 0]
    scores, order = own.sort()
    counts = torch.bincount(labels, minlength=classes)
    sums = torch.bincount(labels, weights, minlength=classes)
    candidate = torch.where(counts > 0, sums / counts.clamp_min(1), torch.inf)
    up_to = torch.cat([weights.new_zeros(1), weights[order].cumsum(0)])
    return ConformalReference(scores, (up_to[-1] - up_to).clamp_min(0), candidate)


def prediction_sets(log_posterior: Tensor, reference: ConformalReference, coverage: float) -> Tensor:
    """(N, K) whether each class belongs to the set of each image; the most probable one always does.

    Over repeated draws of labelled images and of the image, its class is in the set in at least ``coverage``
    of the cases; in more where the most probable class alone is right more often.

    Args:
        log_posterior: (N, K) nats, under the same base rates as the reference.
        reference: from ``conformal_reference``.
        coverage: in (0, 1).

    Raises:
        InvalidInput: a coverage out of range, another number of classes.

    Example:
        >>> labelled = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]]).log()
        >>> reference = conformal_reference(labelled, torch.tensor([0, 0, 1, 1]), torch.ones(4))
        >>> prediction_sets(torch.tensor([[0.95, 0.05], [0.55, 0.45]]).log(), reference, 0.7)
        tensor([[ True, False],
                [ True,  True]])
    """
    check(0 < coverage < 1, "coverage", f"got {coverage:g}", "a number between 0 and 1, such as 0.95")
    fits = log_posterior.ndim == 2 and log_posterior.shape[1] == len(reference.candidate)
    check(fits, "log_posterior", f"got {tuple(log_posterior.shape)}", f"(N, {len(reference.candidate)})")
    scores = -log_posterior.double()
    place = torch.searchsorted(reference.scores, scores.contiguous(), side="left")
    unseen = reference.candidate.isinf()
    candidate = torch.where(unseen, 0.0, reference.candidate)
    as_bad = reference.above[place] + candidate  # the image itself counted in
    p_value = as_bad / (reference.above[0] + candidate).clamp_min(torch.finfo(torch.float64).tiny)
    inside = (p_value > 1 - coverage) | unseen
    inside &= log_posterior > -torch.inf  # a class that cannot be met here
    inside[torch.arange(len(inside)), log_posterior.argmax(dim=1)] = True
    return inside
