"""Wrong labels: found by predicting each row from the others, and kept out of the statistics by their weight.

Because the head's statistics can be taken out again, leaving a fold out costs a subtraction, not a fit.
Source of the idea of judging labels out of fold: C. Northcutt, L. Jiang and I. Chuang, *Confident learning*
(2021).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from bayesight.bayes import sharpness
from bayesight.bayes.gaussian_head import (
    GaussianHead,
    density_at,
    distances,
    fit,
    judged_losses,
    predictive,
    sufficient_statistics,
)
from bayesight.checks import check
from bayesight.seeding import torch_generator

__all__ = ["label_suspicion", "label_trust", "out_of_fold"]


def out_of_fold(
    features: Tensor,
    labels: Tensor,
    classes: Sequence[str],
    *,
    folds: int = 10,
    seed: int = 0,
    rounds: int = 3,
) -> Tensor:
    """Log posterior (N, K), nats, of every row from a head that did not absorb it.

    Args:
        features: (N, D).
        labels: (N,) as given, some of them perhaps wrong.
        classes: names.
        folds: parts, each predicted from the others; 2 to N.
        seed: of the split into folds.
        rounds: after the first, rows are weighted by ``label_trust`` so that wrong labels do not teach.

    Raises:
        InvalidInput: fewer than two folds, or more than rows.
    """
    check(2 <= folds <= len(labels), "folds", f"got {folds}", f"2 to {len(labels)}, the number of rows")
    order = torch.randperm(len(labels), generator=torch_generator(seed, "folds"))
    parts = torch.tensor_split(order, folds)
    weights = torch.ones(len(labels), dtype=torch.float64)
    log_p = torch.empty(0)
    for _ in range(rounds):
        head = fit(features, labels, classes, weights=weights)
        log_p = _predict_parts(head, features, labels, weights, parts)
        weights, _ = label_trust(log_p, labels)
    return log_p


def label_suspicion(
    features: Tensor, labels: Tensor, classes: Sequence[str], *, folds: int = 10, seed: int = 0
) -> Tensor:
    """Probability (N,) that the given label is wrong, from rows other than its own fold's.

    Example:
        >>> x = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
        >>> x[50:] += 9
        >>> labels = torch.arange(2).repeat_interleave(50)
        >>> labels[7] = 1
        >>> int(label_suspicion(x, labels, ("a", "b")).argmax())
        7
    """
    return 1 - label_trust(out_of_fold(features, labels, classes, folds=folds, seed=seed), labels)[0]


def label_trust(log_posterior: Tensor, labels: Tensor) -> tuple[Tensor, float]:
    """Probability (N,) that each given label is right, and the share of wrong ones.

    A wrong label is taken to be any of the other classes alike; its share is found by expectation
    maximisation.

    Args:
        log_posterior: (N, K) nats, from data without the row.
        labels: (N,) as given.
    """
    count = log_posterior.shape[1]
    check(count > 1, "log_posterior", f"{count} class", "at least two")
    given = log_posterior.double().gather(1, labels[:, None])[:, 0].exp()
    wrong, trust = 0.05, given
    for _ in range(50):
        right = (1 - wrong) * given
        trust = right / (right + wrong / (count - 1) * (1 - given)).clamp_min(1e-300)
        previous, wrong = wrong, min(max(1 - float(trust.mean()), 1e-4), 0.5)
        if math.isclose(previous, wrong, rel_tol=1e-6):
            break
    return trust, wrong


def _predict_parts(
    head: GaussianHead, features: Tensor, labels: Tensor, weights: Tensor, parts: Sequence[Tensor]
) -> Tensor:
    """Log posteriors of all rows at one temperature, which the same out-of-fold predictions choose."""
    prior = ((head.counts + 1) / (head.counts + 1).sum()).log()
    found, losses = [], torch.zeros(sharpness.GRID, dtype=torch.float64)
    for part in parts:
        counts, sums, second = sufficient_statistics(head, features[part], labels[part], weights[part])
        rest = replace(
            head,
            counts=(head.counts - counts).clamp_min(0),
            sums=head.sums - sums,
            second_moments=head.second_moments - second,
        )
        ready = replace(predictive(rest), log_prior=prior)
        rows = distances(ready, features[part])
        losses += judged_losses(ready, rows, labels[part], weights[part])
        found.append((ready, rows))
    temperature = sharpness.centre(sharpness.posterior(losses))
    log_p = head.counts.new_empty(len(labels), len(head.classes))
    for part, (ready, rows) in zip(parts, found, strict=True):
        log_p[part] = torch.log_softmax(density_at(ready, rows, temperature) + prior, dim=1)
    return log_p
