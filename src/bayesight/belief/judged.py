"""Labelled images by which a belief's answers are judged: none is judged by a belief that has learned it.

Two kinds are at hand. The reference was held out of training. Images absorbed later are left out one at a
time, which the head's statistics allow; those the network was trained on are no judges, for it has learned
them by heart. So all that rests on honest answers (how sharp they may be, how novel known images look, how
classes are mistaken for each other) follows from the belief as it is, whatever the batches and their order,
and what is taken out of a belief is out of its judgement too.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bayesight.bayes import sharpness
from bayesight.bayes.head.gaussian import Distances, Predictive, distances, left_out
from bayesight.belief.absorbed import digest_words
from bayesight.evaluation.novelty import ExemplarBank, nearest_distance

LATER_JUDGES = 1000
"""At most so many images absorbed after training judge the belief; the reference always does."""


@dataclass(frozen=True)
class JudgedRows:
    """Honest distances of labelled images.

    Args:
        rows: M of them as the classes see them; the reference first, then those left out.
        labels: (M,) class numbers.
        weights: (M,) what each counts. Classes get the shares of the class prior, and the total is the
            effective number of images (Kish, *Survey Sampling*, 1965, section 11.7).
    """

    rows: Distances
    labels: Tensor
    weights: Tensor


def judge(
    ready: Predictive,
    reference: tuple[Tensor, Tensor, float],
    later: tuple[Tensor, Tensor, Tensor],
) -> JudgedRows:
    """Judge a head by its reference and by rows it has absorbed.

    Args:
        ready: the head's predictive.
        reference: features (V, D), class numbers, and what one of them counts.
        later: features (L, D), class numbers, and (L,) weights with which they were absorbed.
    """
    features, labels, kept = reference
    rows, weights = distances(ready, features), torch.full((len(labels),), kept, dtype=torch.float64)
    if len(later[1]):
        rows = rows.joined(left_out(ready, *later))
        labels, weights = torch.cat([labels, later[1]]), torch.cat([weights, later[2]])
    share = torch.bincount(labels, weights, minlength=len(ready.log_prior)) / weights.sum()
    weights = weights * (ready.log_prior.exp() / share.clamp_min(1e-12))[labels]
    return JudgedRows(rows, labels, weights * (weights.sum() / weights.square().sum().clamp_min(1e-300)))


def most_later_judges(classes: int) -> int:
    """The most images absorbed after training that may judge a belief about so many classes."""
    return min(LATER_JUDGES, sharpness.most_judges(classes))


def later_judges(digests: Tensor, rows: Tensor, trained: Tensor, most: int) -> Tensor:
    """Positions among the exemplars of those that judge; the same whatever order they were absorbed in.

    Args:
        digests: (N, 16) of every absorbed image.
        rows: (M,) which of them the exemplars are.
        trained: (N,) whether the network was trained on it.
        most: how many may judge.
    """
    late = (~trained[rows]).nonzero()[:, 0]
    return late[digest_words(digests[rows[late]]).argsort(stable=True)[:most]].sort().values


def nearest_other(bank: ExemplarBank, positions: Tensor) -> Tensor:
    """(L,) distance of the exemplars at ``positions`` from the nearest other exemplar."""
    found = []
    for some in positions.split(256):
        distance = torch.addmm(bank.squares, bank.rows[some], bank.rows.T, alpha=-2)
        distance[torch.arange(len(some)), some] = torch.inf
        found.append((distance.min(1).values + bank.squares[some]).clamp_min(0).sqrt())
    return torch.cat(found) if found else bank.squares.new_empty(0)


def moved_on(
    distance: Tensor, positions: Tensor, bank: ExemplarBank, after: Tensor, first_new: int
) -> Tensor:
    """``nearest_other`` of the judges after exemplars joined, from what it was before.

    Args:
        distance: (L,) as it was.
        positions: (L,) of those it was of.
        bank: with the new exemplars.
        after: (L',) positions of the judges now; those below ``first_new`` were judges before.
        first_new: position of the first new exemplar.
    """
    old = after[after < first_new]
    known = distance[torch.searchsorted(positions, old)]
    if first_new < len(bank.rows) and len(old):
        new = ExemplarBank(bank.rows[first_new:], bank.squares[first_new:])
        known = torch.minimum(known, nearest_distance(bank.rows[old], new))
    return torch.cat([known, nearest_other(bank, after[after >= first_new])])
