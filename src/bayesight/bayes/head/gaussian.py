"""Class-conditional Gaussians with one tied covariance: a Bayesian head that can be updated exactly.

A feature vector of class k is x ~ N(mu_k, Sigma), one Sigma for all classes, with a normal-inverse-Wishart
prior Sigma ~ IW(lambda I, nu), mu_k | Sigma ~ N(0, Sigma / kappa) on standardised features. Everything the
data have to say is in the counts, the sums and one matrix of second moments. They add up, so batches of any
size and order give the same posterior, workers merge by summing, images can be taken out again, and a class
can join at any time.

Source: K. P. Murphy, *Conjugate Bayesian analysis of the Gaussian distribution* (2007), section 9; the tied
covariance sums the scatter over the classes. Power prior (``discount``): Ibrahim and Chen, *Statistical
Science* 15 (2000), eq. 2.

This file is what can be done with a head; what it holds is in ``state`` and what it says in ``predictive``.
The public names of all three are here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bayesight.bayes import sharpness
from bayesight.bayes.head.predictive import (
    Distances,
    Predictive,
    class_log_prior,
    density_at,
    distances,
    each_left_out,
    leaving_together,
    left_out,
    log_density,
    log_evidence,
    log_likelihood,
    log_posterior,
    predictive,
)
from bayesight.bayes.head.state import (
    GaussianHead,
    HeadPrior,
    empty,
    once_a_head,
    shapes,
    sufficient_statistics,
    within,
)
from bayesight.checks import check

__all__ = [
    "AbsorbedBatch",
    "Distances",
    "GaussianHead",
    "HeadPrior",
    "Predictive",
    "absorb",
    "add_class",
    "background",
    "class_log_prior",
    "density_at",
    "discount",
    "distances",
    "drop_class",
    "each_left_out",
    "empty",
    "fit",
    "fit_borrowed",
    "judged_losses",
    "leaving_together",
    "left_out",
    "log_density",
    "log_evidence",
    "log_likelihood",
    "log_posterior",
    "merge",
    "predictive",
    "remove",
    "sharpened",
    "sufficient_statistics",
]

_FACTORS = (0.01, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Shrinkages that are tried, as multiples of the usual one."""
_LEARNED = 0.1
"""Usual shrinkage of features that were learned from these classes, for each of their rows."""
_BORROWED = 2.0
"""Usual shrinkage of features that were learned from other classes, for each feature, whatever the rows."""
_SHARED = 10
"""Rows that the variance common to all features counts for, beside a feature's own."""
_MANY_CLASSES = 100
_VALUES = 1 << 20  # densities held at once


@dataclass(frozen=True)
class AbsorbedBatch:
    """Numbers learned while a batch was absorbed.

    Args:
        rows: how many rows came.
        weight: the sum of their weights.
        log_evidence: log p(these rows | everything before), nats; what the head thought of them before it
            learned them.
    """

    rows: int
    weight: float
    log_evidence: float


def fit(
    features: Tensor,
    labels: Tensor,
    classes: Sequence[str],
    *,
    weights: Tensor | None = None,
    validation: tuple[Tensor, Tensor] | None = None,
    prior: HeadPrior | None = None,
) -> GaussianHead:
    """A head fitted to training features.

    Without ``prior`` the shrinkage is chosen from a fixed grid (shares of the mean variance of a standardised
    feature): the most probable given the validation labels, its sharpness integrated out and log-normal about
    a tenth, give or take a factor of ten, beforehand; or, when there are none, by the closed-form
    log-evidence.

    Args:
        features: (N, D), any float type.
        labels: (N,) indices into ``classes``.
        classes: names.
        weights: (N,) in [0, 1], the trust in each label; all 1 when left out.
        validation: (features, labels) that trained nothing; they, or ``sharpness.judges`` of very many,
            choose the shrinkage.
        prior: hyperparameters, when they are not to be chosen.

    Example:
        >>> x = torch.tensor([[0.0, 0.1], [0.2, 0.0], [3.0, 3.1], [3.2, 2.9]])
        >>> head = fit(x, torch.tensor([0, 0, 1, 1]), ("left", "right"))
        >>> log_posterior(head, torch.tensor([[0.1, 0.1], [3.0, 3.0]])).argmax(1).tolist()
        [0, 1]

    Raises:
        InvalidInput: no rows, shapes that do not match, labels outside ``classes``, or features that are not
            finite.
    """
    head = _absorbed(features, labels, classes, weights, prior)
    if prior is not None:
        return head
    usual = _LEARNED * max(float(head.counts.sum()), 1.0)
    if validation is None:
        return max(_shrunk(head, usual), key=log_evidence)
    some = sharpness.judges(len(validation[1]), len(head.classes))
    held, named = validation[0][some], validation[1][some]
    return _most_probable(_shrunk(head, usual), usual, lambda ready: distances(ready, held), named)


def fit_borrowed(features: Tensor, labels: Tensor, classes: Sequence[str]) -> GaussianHead:
    """A head fitted to features that have learned nothing of these rows, as those of a frozen network.

    Every row is then as good a judge as one held out: the shrinkage is the most probable given the labels of
    rows ``left_out``. What is usual does not depend on how many rows there are: two for each feature,
    log-normal with a factor of ten.

    The arguments are those of ``fit``.

    Example:
        >>> x = torch.tensor([[0.0, 0.1], [0.2, 0.0], [3.0, 3.1], [3.2, 2.9]])
        >>> head = fit_borrowed(x, torch.tensor([0, 0, 1, 1]), ("left", "right"))
        >>> log_posterior(head, torch.tensor([[0.1, 0.1], [3.0, 3.0]])).argmax(1).tolist()
        [0, 1]
    """
    head, usual = _absorbed(features, labels, classes, None, None), _BORROWED * features.shape[1]
    some = sharpness.judges(len(labels), len(head.classes))
    rows, named = features[some], labels[some]
    ones = torch.ones(len(named), dtype=torch.float64)
    judged = _shrunk(head, usual)
    return _most_probable(judged, usual, lambda ready: left_out(ready, rows, named, ones), named)


def absorb(
    head: GaussianHead, features: Tensor, labels: Tensor, weights: Tensor | None = None
) -> tuple[GaussianHead, AbsorbedBatch]:
    """Yesterday's posterior is today's prior: add labelled rows.

    Args:
        head: the state; it is not changed.
        features: (N, D); N may be 0.
        labels: (N,) indices into ``head.classes`` (``add_class`` first for a class that is new).
        weights: (N,) in [0, 1].

    Returns:
        The new state, and what was learned.

    Raises:
        InvalidInput: shapes, labels or values that break the contract; nothing was absorbed.
    """
    counts, sums, second = sufficient_statistics(head, features, labels, weights)
    after = replace(
        head,
        counts=head.counts + counts,
        sums=head.sums + sums,
        second_moments=head.second_moments + second,
    )
    weight = float(counts.sum())
    return after, AbsorbedBatch(len(features), weight, log_evidence(after) - log_evidence(head))


def remove(
    head: GaussianHead,
    features: Tensor,
    labels: Tensor,
    weights: Tensor | None = None,
    *,
    sure: bool = False,
) -> GaussianHead:
    """Take rows out again, as if they had never come; give the weights they came with.

    Args:
        head: the state; it is not changed.
        features: (N, D).
        labels: (N,).
        weights: (N,), those they have now.
        sure: these rows are known to have been absorbed, so that nothing but rounding can be wrong and no
            spectrum needs to be looked at.

    Raises:
        InvalidInput: the rows cannot have been absorbed: a count would fall below zero, or a scatter would be
            negative. Rows like the absorbed ones cannot be told apart by statistics alone; who needs
            certainty keeps a ledger.
    """
    counts, sums, second = sufficient_statistics(head, features, labels, weights)
    left, left_sums, left_second = head.counts - counts, head.sums - sums, head.second_moments - second
    mend = "Remove only rows that were absorbed, with the labels and weights they had then."
    short = [name for name, c in zip(head.classes, left.tolist(), strict=True) if c < -1e-6]
    check(
        not short,
        "remove",
        f"more rows of {', '.join(short)} than were absorbed",
        "rows absorbed before",
        mend,
    )
    gone = left < 1e-6
    size = head.second_moments.diagonal(dim1=1, dim2=2).sum().clamp_min(1.0)
    check(
        sure or float(left_sums[gone].square().sum()) <= 1e-12 * float(size) ** 2 + 1e-9,
        "remove", "rows that differ from those absorbed", "rows absorbed before", mend,
    )  # fmt: skip
    left, left_sums = left.masked_fill(gone, 0.0), left_sums.masked_fill(gone[:, None], 0.0)
    for group, present in enumerate((left[: head.founding], left[head.founding :])):
        if not bool((present > 0).any()):
            left_second[group] = 0.0
    after = replace(head, counts=left, sums=left_sums, second_moments=left_second)
    if sure:
        return after
    smallest = float(torch.linalg.eigvalsh(within(after, 0.0)).min())
    check(
        smallest >= -1e-9 * float(size), "remove", f"rows that leave a negative scatter ({smallest:.3g})",
        "rows absorbed before", mend,
    )  # fmt: skip
    return after


def merge(one: GaussianHead, other: GaussianHead) -> GaussianHead:
    """The head that has absorbed what both have; classes are matched by name.

    Raises:
        InvalidInput: the two do not share standardisation and prior, so their sums mean different things.
    """
    same = (
        one.prior == other.prior
        and torch.equal(one.shift, other.shift)
        and torch.equal(one.scale, other.scale)
    )
    check(
        same, "merge", "heads of different prior or standardisation", "heads that grew from one",
        "Start every worker from the same empty or fitted-and-shared head.",
    )  # fmt: skip
    result = one
    for name in other.classes:
        if name not in result.classes:
            result = add_class(result, name)
    at = torch.tensor([result.classes.index(name) for name in other.classes], device=one.counts.device)
    return replace(
        result,
        counts=result.counts.index_add(0, at, other.counts),
        sums=result.sums.index_add(0, at, other.sums),
        second_moments=result.second_moments + other.second_moments,
    )


def add_class(head: GaussianHead, name: str) -> GaussianHead:
    """A head that also knows of ``name``, of which it has seen nothing yet; the class comes last.

    Raises:
        InvalidInput: there is such a class already.
    """
    check(name not in head.classes, "add_class", f"{name!r}, which is a class already", "a new name")
    return replace(
        head,
        classes=(*head.classes, name),
        counts=torch.cat([head.counts, head.counts.new_zeros(1)]),
        sums=torch.cat([head.sums, head.sums.new_zeros(1, head.dimension)]),
    )


def drop_class(head: GaussianHead, name: str) -> GaussianHead:
    """A head that knows nothing of a class any more, of which it holds no rows.

    Raises:
        InvalidInput: no such class, rows of it, or no founding class would be left.
    """
    known = name in head.classes
    check(known, "drop_class", f"{name!r}, which is no class", "a class of the head")
    at = head.classes.index(name)
    check(float(head.counts[at]) == 0, "drop_class", f"{name!r}, which has rows", "a class without any")
    founding = head.founding - (at < head.founding)
    check(founding > 0, "drop_class", f"{name!r}, the last founding class", "a later one")
    keep = torch.arange(len(head.classes), device=head.counts.device) != at
    return replace(
        head,
        classes=(*head.classes[:at], *head.classes[at + 1 :]),
        counts=head.counts[keep],
        sums=head.sums[keep],
        founding=founding,
    )


@once_a_head
def background(head: GaussianHead) -> Predictive:
    """The predictive of all rows of a head as if they were of one class.

    An image that is improbable under every class, and yet probable under this one, is of no class and of the
    kind of the others. Source: J. Ren et al., *A simple fix to Mahalanobis distance for improving near-OOD
    detection* (2021).
    """
    second = head.second_moments.sum(0, keepdim=True)
    one = replace(
        head,
        classes=("every class",),
        counts=head.counts.sum(0, keepdim=True),
        sums=head.sums.sum(0, keepdim=True),
        second_moments=torch.cat([second, torch.zeros_like(second)]),
        founding=1,
    )
    return predictive(one)


def discount(head: GaussianHead, trust_past: float) -> GaussianHead:
    """Let the past count for less, so that new data matter: a past row counts ``trust_past`` of a row.

    The shrinkage was set in proportion to the past and is discounted with it.

    Args:
        head: the state.
        trust_past: in (0, 1]; 1 changes nothing.

    Raises:
        InvalidInput: ``trust_past`` outside (0, 1].
    """
    came = f"got {trust_past}"
    check(0 < trust_past <= 1, "trust_past", came, "a number in (0, 1]", "1 keeps the past as it is.")
    return replace(
        head,
        prior=replace(head.prior, scatter=head.prior.scatter * trust_past),
        counts=head.counts * trust_past,
        sums=head.sums * trust_past,
        second_moments=head.second_moments * trust_past,
        kept=head.kept * trust_past,
    )


def judged_losses(
    ready: Predictive, rows: Distances, labels: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Log-losses of labelled rows on the grid of the sharpness, nats, (G, E), summed.

    Args:
        ready: from ``predictive``.
        rows: N of them that the head has not absorbed, or that are ``left_out``; those of a class that has
            none in the head say nothing.
        labels: (N,) class indices.
        weights: (N,) what each counts; all 1 when left out.
    """
    weights = torch.ones(len(labels), dtype=torch.float64) if weights is None else weights.double()
    known = (ready.log_prior[labels] > -math.inf).nonzero()[:, 0]
    labels, weights, prior = labels[known], weights.to(labels.device)[known], ready.log_prior
    count = max(1, _VALUES // len(prior))
    parts = zip(rows.at(known).split(count), labels.split(count), weights.split(count), strict=True)
    losses = torch.zeros(sharpness.GRID, dtype=torch.float64, device=prior.device)
    for some, named, counted in parts:

        def scores(temperatures: Tensor, some: Distances = some) -> Tensor:
            return density_at(ready, some, temperatures) + prior

        losses += sharpness.judged_losses(scores, prior, named, counted)
    return losses


def sharpened(
    ready: Predictive, rows: Distances, labels: Tensor, weights: Tensor | None = None
) -> Predictive:
    """The predictive as sharp as labelled rows allow; as it is with fewer than two classes.

    The arguments are those of ``judged_losses``.
    """
    if int((ready.log_prior > -math.inf).sum()) < 2:
        return ready
    found = sharpness.posterior(judged_losses(ready, rows, labels, weights))
    many = len(ready.log_prior) > _MANY_CLASSES
    return replace(ready, sharpness=sharpness.thinned(found) if many else found)


def _absorbed(
    features: Tensor,
    labels: Tensor,
    classes: Sequence[str],
    weights: Tensor | None,
    prior: HeadPrior | None,
) -> GaussianHead:
    """A head standardised by the rows it holds.

    A feature's variance is a mean of its own and that of all features, which counts as ``_SHARED`` rows: a
    few rows cannot tell a feature that hardly varies from one that happened not to.
    """
    check(features.ndim == 2 and len(features) > 0, "features", shapes(features), "(N, D) with N >= 1")
    columns = [torch.var_mean(some.double(), dim=0, correction=0) for some in features.split(128, dim=1)]
    own, shift = (torch.cat(part) for part in zip(*columns, strict=True))
    alive = own > 1e-12 * own.max()  # a dead feature stays silent
    shared = (len(features) * own + _SHARED * own[alive].mean()) / (len(features) + _SHARED)
    scale = torch.where(alive, shared, own.max().clamp_min(1e-24)).sqrt()
    head = empty(classes, shift, scale, prior)
    counts, sums, second = sufficient_statistics(head, features, labels, weights)
    return replace(head, counts=counts, sums=sums, second_moments=second)


def _shrunk(head: GaussianHead, usual: float) -> list[GaussianHead]:
    """The head at every shrinkage that is tried."""
    return [replace(head, prior=HeadPrior(scatter=factor * usual)) for factor in _FACTORS]


def _most_probable(
    heads: Sequence[GaussianHead], usual: float, judges: Callable[[Predictive], Distances], labels: Tensor
) -> GaussianHead:
    """The head whose shrinkage is the most probable given the labels of the rows that judge it."""

    def probable(head: GaussianHead) -> float:
        ready = predictive(head)
        decades = math.log10(head.prior.scatter / usual)
        return sharpness.log_evidence(judged_losses(ready, judges(ready), labels)) - 0.5 * decades**2

    return max(heads, key=probable)
