"""Is this image like anything seen before? Scores, their error rates, and p-values.

The default score adds two opinions, each in standard deviations of the validation images: how improbable the
image's features are under the model (log-evidence), and how far they are from the nearest training image. The
first knows the shape of the classes and misses what falls between their modes; the second knows every mode
but not the shape. Larger is more novel everywhere in this module.

Sources: conformal p-value: V. Vovk, A. Gammerman and G. Shafer, *Algorithmic learning in a random world*
(2005), section 2.2. Nearest-neighbour distance on normalised features: Y. Sun et al., *Out-of-distribution
detection with deep nearest neighbors* (2022). AUROC as a rank statistic: J. Hanley and B. McNeil, *Radiology*
143 (1982).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bayesight.checks import check

__all__ = [
    "ExemplarBank",
    "NoveltyReference",
    "auroc",
    "false_positive_rate",
    "fit_novelty",
    "nearest_distance",
    "novelty_score",
    "p_value",
    "pick_exemplars",
    "threshold",
]


@dataclass(frozen=True)
class NoveltyReference:
    """Statistics of validation images that the score compares with; float64.

    Args:
        evidence_mean: nats, of the log-evidence.
        evidence_sd: its standard deviation.
        distance_mean: of the distance to the nearest exemplar.
        distance_sd: its standard deviation.
        scores: (V,) novelty scores of the validation images, ascending.
        weights: (V,) what each of them counts.
    """

    evidence_mean: float
    evidence_sd: float
    distance_mean: float
    distance_sd: float
    scores: Tensor
    weights: Tensor


def fit_novelty(log_evidence: Tensor, distance: Tensor, weights: Tensor | None = None) -> NoveltyReference:
    """The reference from validation images, which must have trained nothing and be no exemplars.

    Fit it again whenever the model that gives the evidence has learned something.

    Args:
        log_evidence: (V,) nats.
        distance: (V,) to the nearest exemplar.
        weights: (V,) > 0, what each image counts; all 1 when left out.

    Raises:
        InvalidInput: fewer than two images, shapes that differ, or values that are not finite.

    Example:
        >>> reference = fit_novelty(torch.tensor([-1.0, -2.0, -3.0]), torch.tensor([2.0, 4.0, 6.0]))
        >>> round(reference.scores[-1].item(), 9)
        2.0
    """
    came = f"{tuple(log_evidence.shape)} and {tuple(distance.shape)}"
    same = log_evidence.ndim == 1 and log_evidence.shape == distance.shape and len(distance) > 1
    check(same, "log_evidence and distance", came, "two (V,) tensors with V >= 2")
    finite = bool(torch.isfinite(log_evidence).all() and torch.isfinite(distance).all())
    check(finite, "log_evidence and distance", "NaN or infinity", "finite numbers")
    counts = torch.ones(len(distance), dtype=torch.float64) if weights is None else weights.double()
    nothing = torch.empty(0, dtype=torch.float64)
    evidence_mean, evidence_sd = _mean_and_sd(log_evidence.double(), counts)
    distance_mean, distance_sd = _mean_and_sd(distance.double(), counts)
    bare = NoveltyReference(evidence_mean, evidence_sd, distance_mean, distance_sd, nothing, nothing)
    scores, order = novelty_score(bare, log_evidence, distance).sort()
    return replace(bare, scores=scores, weights=counts[order])


def _mean_and_sd(values: Tensor, counts: Tensor) -> tuple[float, float]:
    """Weighted mean and standard deviation, with one image's worth of freedom gone; never quite 0."""
    mean = (values @ counts) / counts.sum()
    freedom = 1 - counts.square().sum() / counts.sum().square()
    variance = ((values - mean).square() @ counts) / counts.sum() / freedom
    return float(mean), max(float(variance.sqrt()), 1e-12)


def novelty_score(reference: NoveltyReference, log_evidence: Tensor, distance: Tensor) -> Tensor:
    """(N,) novelty in standard deviations of validation: improbability plus distance."""
    improbable = (reference.evidence_mean - log_evidence.double()) / reference.evidence_sd
    return improbable + (distance.double() - reference.distance_mean) / reference.distance_sd


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
    came = f"{tuple(features.shape)} and {tuple(bank.rows.shape)}"
    fits = features.ndim == bank.rows.ndim == 2 and features.shape[1] == bank.rows.shape[1]
    check(fits and len(bank.rows) > 0, "features and exemplars", came, "(N, D) and (M, D) with M >= 1")
    nearest = []
    for rows in torch.split(features.float(), 1024):
        # |x - e|^2 = |x|^2 - 2 x e + |e|^2, of which the first term is the same for all exemplars.
        least = torch.addmm(bank.squares, rows, bank.rows.T, alpha=-2).min(1).values
        nearest.append((least + rows.square().sum(1)).clamp_min(0).sqrt())
    return torch.cat(nearest) if nearest else features.new_empty(0)


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
        >>> reference = fit_novelty(torch.arange(9.0), torch.zeros(9))
        >>> p_value(reference, torch.tensor([-9.0, 9.0])).tolist()
        [1.0, 0.1]
    """
    check(len(reference.scores) > 0, "reference", "no validation scores", "at least one")
    below = torch.searchsorted(reference.scores, scores.double(), side="left")
    up_to = torch.cat([reference.weights.new_zeros(1), reference.weights.cumsum(0)])
    return (1 + up_to[-1] - up_to[below]) / (1 + up_to[-1])


def threshold(reference: NoveltyReference, false_alarm: float) -> float:
    """The score above which an image is called unknown, so that ``false_alarm`` of known images are.

    The quantile is interpolated between validation scores: it is as often too low as too high, where the
    p-value errs on the safe side.

    Raises:
        InvalidInput: a rate outside (0, 1).
    """
    check(0 < false_alarm < 1, "false_alarm", f"got {false_alarm}", "a rate strictly between 0 and 1")
    scores, weights = reference.scores, reference.weights  # ascending already: nothing to sort for each image
    middle = weights.cumsum(0) - weights / 2
    place = middle[0] + (1 - false_alarm) * (middle[-1] - middle[0])
    above = int(torch.searchsorted(middle, place).clamp(1, len(middle) - 1))
    low, high = middle[above - 1 : above + 1]
    return float(torch.lerp(scores[above - 1], scores[above], (place - low) / (high - low)))


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
