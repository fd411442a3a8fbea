"""Class-conditional Gaussians with one tied covariance: a Bayesian head that can be updated exactly.

A feature vector of class k is x ~ N(mu_k, Sigma), one Sigma for all classes, with a normal-inverse-Wishart
prior Sigma ~ IW(lambda I, nu), mu_k | Sigma ~ N(0, Sigma / kappa) on standardised features. Everything the
data have to say is in the counts, the sums and one matrix of second moments. They add up, so batches of any
size and order give the same posterior, workers merge by summing, images can be taken out again, and a class
can join at any time.

Source: K. P. Murphy, *Conjugate Bayesian analysis of the Gaussian distribution* (2007), section 9; the tied
covariance sums the scatter over the classes. Power prior (``discount``): Ibrahim and Chen, *Statistical
Science* 15 (2000), eq. 2.

This file is what can be done with a head; what it holds is in ``gaussian_state`` and what it says in
``gaussian_predictive``. The public names of all three are here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bayesight.bayes import sharpness
from bayesight.bayes.gaussian_predictive import (
    Predictive,
    class_log_prior,
    density_at,
    log_density,
    log_evidence,
    log_likelihood,
    log_posterior,
    predictive,
    squared_distance,
)
from bayesight.bayes.gaussian_state import (
    GaussianHead,
    HeadPrior,
    empty,
    shapes,
    sufficient_statistics,
    within,
)
from bayesight.checks import check

__all__ = [
    "Absorbed",
    "GaussianHead",
    "HeadPrior",
    "Predictive",
    "absorb",
    "add_class",
    "class_log_prior",
    "discount",
    "drop_class",
    "empty",
    "fit",
    "fit_sharpness",
    "log_density",
    "log_evidence",
    "log_likelihood",
    "log_posterior",
    "merge",
    "predictive",
    "refit_sharpness",
    "remove",
    "sufficient_statistics",
]

_SHRINKAGES = (1e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0)
_USUAL_SHRINKAGE = 0.1


@dataclass(frozen=True)
class Absorbed:
    """What was learned on the way.

    Args:
        rows: how many rows came.
        weight: the sum of their weights.
        log_evidence: log p(these rows | everything before), nats; what the head thought of them before it
            learned them.
        log_loss: mean nats of the given labels, predicted before absorbing; NaN when no class was known yet.
        accuracy: share of rows whose class was predicted before absorbing; NaN likewise.
    """

    rows: int
    weight: float
    log_evidence: float
    log_loss: float
    accuracy: float


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
        validation: (features, labels) that trained nothing; they set the sharpness and start its running
            record.
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
    check(features.ndim == 2 and len(features) > 0, "features", shapes(features), "(N, D) with N >= 1")
    scale, shift = torch.std_mean(features.double(), dim=0, correction=0)
    scale = torch.where(
        scale > 1e-6 * scale.max(), scale, scale.max().clamp_min(1e-12)
    )  # a dead feature stays silent
    head = empty(classes, shift, scale, prior)
    counts, sums, second = sufficient_statistics(head, features, labels, weights)
    head = replace(head, counts=counts, sums=sums, second_moments=second)
    total = float(counts.sum())
    candidates = [prior] if prior else [HeadPrior(scatter=s * max(total, 1.0)) for s in _SHRINKAGES]
    heads = [replace(head, prior=p) for p in candidates]
    if validation is None:
        return max(heads, key=log_evidence)

    def log_posterior_of(head: GaussianHead) -> float:
        decades = math.log10(head.prior.scatter / max(total, 1.0) / _USUAL_SHRINKAGE)
        return sharpness.log_evidence(head.losses) - 0.5 * decades**2

    return max((fit_sharpness(h, *validation) for h in heads), key=log_posterior_of)


def absorb(
    head: GaussianHead, features: Tensor, labels: Tensor, weights: Tensor | None = None
) -> tuple[GaussianHead, Absorbed]:
    """Yesterday's posterior is today's prior: add labelled rows.

    The rows are predicted before they are absorbed, and the log-loss of these honest predictions is added to
    the head's record on the grid of its sharpness, which keeps as much of its past as the head does. The
    sharpness itself stays as it is, so that the order of batches cannot matter; ``refit_sharpness`` follows
    the record.

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
    losses, scored, log_loss, accuracy = _honest_losses(head, features, labels, weights)
    kept = float(head.counts.sum() / (head.counts.sum() + counts.sum()).clamp_min(1e-300))
    after = replace(
        head,
        counts=head.counts + counts,
        sums=head.sums + sums,
        second_moments=head.second_moments + second,
        losses=kept * head.losses + losses,
        scored=kept * head.scored + scored,
    )
    learned = Absorbed(
        rows=len(features),
        weight=float(counts.sum()),
        log_evidence=log_evidence(after) - log_evidence(head),
        log_loss=log_loss,
        accuracy=accuracy,
    )
    return after, learned


def remove(
    head: GaussianHead,
    features: Tensor,
    labels: Tensor,
    weights: Tensor | None = None,
    *,
    sure: bool = False,
) -> GaussianHead:
    """Take rows out again, as if they had never come; give the weights they came with.

    The record of honest predictions stays: it says how well the head predicted at the time.

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
        losses=result.losses + other.losses,
        scored=result.scored + other.scored,
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


def discount(head: GaussianHead, trust_past: float) -> GaussianHead:
    """Let the past count for less, so that new data matter: a past row counts ``trust_past`` of a row.

    The shrinkage was set in proportion to the past and is discounted with it, and so is the record of
    its sharpness.

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
        losses=head.losses * trust_past,
        scored=head.scored * trust_past,
    )


def fit_sharpness(
    head: GaussianHead, features: Tensor, labels: Tensor, weights: Tensor | None = None
) -> GaussianHead:
    """The head as sharp as rows it has not absorbed allow; its record starts from them."""
    fresh = replace(head, losses=torch.zeros_like(head.losses), scored=0.0)
    losses, scored, _, _ = _honest_losses(fresh, features, labels, weights)
    check(scored > 0, "fit_sharpness", "no rows of a known class", "at least one")
    return refit_sharpness(replace(fresh, losses=losses, scored=scored))


def refit_sharpness(head: GaussianHead) -> GaussianHead:
    """The head as sharp as its record of rows predicted before they were absorbed allows.

    Raises:
        InvalidInput: nothing was scored yet.
    """
    check(head.scored > 0, "refit_sharpness", "an empty record", "rows predicted before they were absorbed")
    return replace(head, sharpness=sharpness.posterior(head.losses))


def _honest_losses(
    head: GaussianHead, features: Tensor, labels: Tensor, weights: Tensor | None
) -> tuple[Tensor, float, float, float]:
    """How well rows of a known class are predicted before they are absorbed.

    Returns:
        Log-loss sums (G, E) on the grid of the sharpness, the rows' weight, log-loss in nats, and accuracy.
    """
    known = head.counts > 0
    keep = known[labels]
    if int(known.sum()) < 2 or not bool(keep.any()):
        return torch.zeros_like(head.losses), 0.0, math.nan, math.nan
    features, labels = features[keep], labels[keep]
    weight = torch.ones(len(labels), dtype=torch.float64) if weights is None else weights[keep].double()
    weight = weight.to(labels.device)
    ready = predictive(head)
    prior = ready.log_prior
    distance = squared_distance(ready, features)
    losses = sharpness.judged_losses(lambda t: density_at(ready, distance, t) + prior, prior, labels, weight)
    log_p = (density_at(ready, distance) + prior).log_softmax(dim=1)
    total = float(weight.sum())
    given = float(log_p.gather(1, labels[:, None])[:, 0] @ weight)
    log_loss = -given / total if total > 0 else math.nan
    return losses, total, log_loss, float((log_p.argmax(1) == labels).double().mean())
