"""Is this image like anything seen before? Scores, their error rates, and p-values.

The default score adds three opinions, each in standard deviations of the validation images: how improbable
the image's features are under the model (log-evidence), how far they are from the nearest training image, and
how much less probable they are than under one Gaussian over all classes. The first knows the shape of the
classes and misses what falls between their modes; the second knows every mode but not the shape; the third
looks away from all that says nothing about classes, such as light. Larger is more novel everywhere here.

Sources: conformal p-value: V. Vovk, A. Gammerman and G. Shafer, *Algorithmic learning in a random world*
(2005), section 2.2. Nearest-neighbour distance on normalised features: Y. Sun et al., *Out-of-distribution
detection with deep nearest neighbors* (2022). Relative distance: J. Ren et al., *A simple fix to Mahalanobis
distance for improving near-OOD detection* (2021). AUROC as a rank statistic: J. Hanley and B. McNeil,
*Radiology* 143 (1982).
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from bayesight.checks import check

_ROWS = 1024  # images whose distances are held at once


@dataclass(frozen=True)
class NoveltyReference:
    """Statistics of validation images that the score compares with; float64.

    Args:
        mean: (3,) of each opinion.
        deviation: (3,) > 0, of each.
        scores: (V,) novelty scores of the validation images, ascending.
        weights: (V,) what each of them counts.
    """

    mean: Tensor
    deviation: Tensor
    scores: Tensor
    weights: Tensor

    @cached_property
    def p_values(self) -> Tensor:
        """(V + 1,) the ``p_value`` of what is above the first 0, 1, ... V scores."""
        up_to = torch.cat([self.weights.new_zeros(1), self.weights.cumsum(0)])
        return (1 + up_to[-1] - up_to) / (1 + up_to[-1])

    @cached_property
    def quantiles(self) -> tuple[list[float], list[float]]:
        """Each score and, before it, the weight below it, its own counted half; as numbers."""
        return (self.weights.cumsum(0) - self.weights / 2).tolist(), self.scores.tolist()

    @cached_property
    def least_p(self) -> float:
        """The p-value of an image stranger than all of these: known ones are as strange so often at most."""
        return float(self.p_values[-1])


def opinions(log_evidence: Tensor, log_background: Tensor, distance: Tensor) -> Tensor:
    """(N, 3) float64: improbability, distance, and improbability relative to all classes as one.

    Args:
        log_evidence: (N,) nats.
        log_background: (N,) nats, log p(features) under one Gaussian over all classes.
        distance: (N,) to the nearest exemplar.

    Raises:
        InvalidInput: shapes that differ.
    """
    if not (log_evidence.ndim == 1 and log_evidence.shape == distance.shape == log_background.shape):
        came = " and ".join(str(tuple(part.shape)) for part in (log_evidence, log_background, distance))
        check(False, "log_evidence, log_background and distance", came, "three (N,) tensors")
    evidence = log_evidence.double()
    return torch.stack([-evidence, distance.double(), log_background.double() - evidence], dim=1)


def fit_novelty(seen: Tensor, weights: Tensor | None = None) -> NoveltyReference:
    """The reference from validation images, which must have trained nothing and be no exemplars.

    Fit it again whenever the model that gives the evidence has learned something.

    Args:
        seen: (V, 3) from ``opinions``.
        weights: (V,) > 0, what each image counts; all 1 when left out.

    Raises:
        InvalidInput: fewer than two images, or values that are not finite.

    Example:
        >>> reference = fit_novelty(torch.tensor([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0], [3.0, 6.0, 0.0]]))
        >>> round(reference.scores[-1].item(), 9)
        2.0
    """
    came = f"{tuple(seen.shape)}"
    check(seen.ndim == 2 and len(seen) > 1, "opinions", came, "(V, 3) with V >= 2")
    check(bool(torch.isfinite(seen).all()), "opinions", "NaN or infinity", "finite numbers")
    seen = seen.double()
    counts = torch.ones(len(seen), dtype=torch.float64) if weights is None else weights.double()
    nothing = torch.empty(0, dtype=torch.float64)
    bare = NoveltyReference(*_mean_and_deviation(seen, counts), nothing, nothing)
    scores, order = novelty_score(bare, seen).sort()
    return replace(bare, scores=scores, weights=counts[order])


def _mean_and_deviation(values: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted mean and standard deviation of columns, one image's worth of freedom gone; never 0."""
    mean = (counts @ values) / counts.sum()
    freedom = 1 - counts.square().sum() / counts.sum().square()
    variance = (counts @ (values - mean).square()) / counts.sum() / freedom
    return mean, variance.sqrt().clamp_min(1e-12)


def novelty_score(reference: NoveltyReference, seen: Tensor) -> Tensor:
    """(N,) novelty in standard deviations of validation: the sum of ``opinions`` (N, 3)."""
    return ((seen.double() - reference.mean) / reference.deviation).sum(1)


@dataclass(frozen=True)
class ExemplarBank:
    """Exemplars made ready for many questions.

    Args:
        rows: (M, D) float32, in memory one feature after the other: a search by 8 images takes half the time,
            by 32 two thirds.
        squares: (M,) squared length of each.
    """

    rows: Tensor
    squares: Tensor

    @classmethod
    def of(cls, exemplars: Tensor) -> ExemplarBank:
        """Make exemplars (M, D) of any float type ready."""
        rows = exemplars.float().T.contiguous().T
        return cls(rows, rows.square().sum(1))


def nearest_distance(features: Tensor, exemplars: Tensor | ExemplarBank) -> Tensor:
    """Euclidean distance (N,) from each row (N, D) to the nearest of the exemplars (M, D).

    Raises:
        InvalidInput: no exemplars, or another number of features.

    Example:
        >>> nearest_distance(torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 0.0], [9.0, 9.0]]))
        tensor([5.])
    """
    bank = exemplars if isinstance(exemplars, ExemplarBank) else ExemplarBank.of(exemplars)
    if not (
        features.ndim == bank.rows.ndim == 2 and features.shape[1] == bank.rows.shape[1] and len(bank.rows)
    ):
        came = f"{tuple(features.shape)} and {tuple(bank.rows.shape)}"
        check(False, "features and exemplars", came, "(N, D) and (M, D) with M >= 1")
    # |x - e|^2 = |x|^2 - 2 x e + |e|^2, of which the first term is the same for all exemplars.
    rows = features.float()
    blocks = rows.split(_ROWS) if len(rows) > _ROWS else (rows,)
    least = [torch.addmm(bank.squares, block, bank.rows.T, alpha=-2).amin(1) for block in blocks]
    nearest = least[0] if len(least) == 1 else torch.cat(least)
    return (nearest + rows.square().sum(1)).clamp_min(0).sqrt()


def pick_exemplars(labels: Tensor, limit: int, generator: torch.Generator) -> Tensor:
    """Ascending row indices of at most ``limit`` exemplars, shared out evenly over the classes.

    A class with less than its share gives all it has, and the others share what it leaves.
    """
    check(limit > 0, "limit", f"got {limit}", "a number of exemplars > 0")
    order = torch.randperm(len(labels), generator=generator)
    by_class = order[torch.argsort(labels[order], stable=True)]
    counts = torch.bincount(labels) if len(labels) else torch.zeros(1, dtype=torch.long)
    start = torch.repeat_interleave(counts.cumsum(0) - counts, counts)
    rank = torch.arange(len(labels)) - start  # the n-th of its class
    return by_class[torch.argsort(rank, stable=True)[:limit]].sort().values


def p_value(reference: NoveltyReference, scores: Tensor) -> Tensor:
    """Conformal p-value (N,): the share of validation images at least as novel, the image itself counted in.

    For a known image it is below any level at most that share of the time (exactly, over repeated draws of
    validation and image), so a threshold on it is a false-alarm rate.

    Example:
        >>> seen = torch.zeros(9, 3)
        >>> seen[:, 0] = torch.arange(9.0)
        >>> p_value(fit_novelty(seen), torch.tensor([-9.0, 9.0])).tolist()
        [1.0, 0.1]
    """
    check(len(reference.scores) > 0, "reference", "no validation scores", "at least one")
    return reference.p_values[torch.searchsorted(reference.scores, scores.double(), side="left")]


def threshold(reference: NoveltyReference, false_alarm: float) -> float:
    """The score above which an image is called unknown, so that ``false_alarm`` of known images are.

    The quantile is interpolated between validation scores: it is as often too low as too high, where the
    p-value errs on the safe side.

    Raises:
        InvalidInput: a rate outside (0, 1).
    """
    check(0 < false_alarm < 1, "false_alarm", f"got {false_alarm}", "a rate strictly between 0 and 1")
    # Of one image there is one threshold, and numbers are quicker than tensors.
    middle, scores = reference.quantiles
    place = middle[0] + (1 - false_alarm) * (middle[-1] - middle[0])
    above = min(max(bisect_left(middle, place), 1), len(middle) - 1)
    between = middle[above] - middle[above - 1]  # 0 where a weight is lost beside the others
    share = (place - middle[above - 1]) / between if between > 0 else 0.0
    return scores[above - 1] + share * (scores[above] - scores[above - 1])


def auroc(known: Tensor, unknown: Tensor) -> float:
    """Probability that an unknown image scores above a known one, ties counted half.

    Example:
        >>> auroc(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 2.0]))
        0.875
    """
    known, unknown = _scores(known, unknown)
    ranked = known.sort().values
    below = torch.searchsorted(ranked, unknown, side="left")
    up_to = torch.searchsorted(ranked, unknown, side="right")
    return float((below + up_to).sum()) / (2 * len(known) * len(unknown))


def false_positive_rate(known: Tensor, unknown: Tensor, detection: float = 0.95) -> float:
    """Share of known images called unknown when the threshold just detects ``detection`` of the unknown.

    Raises:
        InvalidInput: an empty tensor, NaN, or a rate outside (0, 1].

    Example:
        >>> false_positive_rate(torch.tensor([0.0, 1.0, 3.0, 0.5]), torch.tensor([2.0, 4.0]))
        0.25
    """
    known, unknown = _scores(known, unknown)
    check(0 < detection <= 1, "detection", f"got {detection}", "a rate in (0, 1]")
    needed = int(torch.ceil(torch.tensor(detection * len(unknown) - 1e-9, dtype=torch.float64)))
    at = unknown.sort(descending=True).values[needed - 1]
    return float((known >= at).double().mean())


def _scores(known: Tensor, unknown: Tensor) -> tuple[Tensor, Tensor]:
    """Both as float64 vectors, or a refusal."""
    for name, scores in (("known", known), ("unknown", unknown)):
        check(scores.ndim == 1 and len(scores) > 0, name, f"shape {tuple(scores.shape)}", "(N,) with N >= 1")
        check(not bool(torch.isnan(scores).any()), name, "NaN", "numbers")
    return known.double(), unknown.double()
