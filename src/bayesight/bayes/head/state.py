"""The state of a Gaussian head: its prior, its standardisation, and the statistics of the rows it absorbed.

The statistics are counts, sums and second moments of standardised rows. ``gaussian`` adds them up and
``predictive`` asks what they say.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from bayesight.checks import check

Result = TypeVar("Result")

_ROWS = 512  # a block of rows in float64 stays in the cache


@dataclass(frozen=True)
class HeadPrior:
    """The normal-inverse-Wishart prior on standardised features.

    Args:
        mean_strength: kappa > 0, how many images the prior mean (the centre of all features) is worth per
            class.
        scatter: lambda > 0; the prior scatter is lambda times the identity, which shrinks the tied
            covariance.
        extra_dof: the degrees of freedom are D + 1 + extra_dof; at 1 the prior's own covariance has a weight
            of one image.
    """

    mean_strength: float = 1.0
    scatter: float = 1.0
    extra_dof: float = 1.0

    def __post_init__(self) -> None:
        for name in ("mean_strength", "scatter", "extra_dof"):
            value = getattr(self, name)
            check(
                math.isfinite(value) and value > 0, f"HeadPrior.{name}", f"got {value}", "a finite number > 0"
            )


@dataclass(frozen=True)
class GaussianHead:
    """The head's whole state, float64; the statistics are of standardised features.

    Args:
        classes: names, in the order of every K axis; classes added later are at the end.
        shift: (D,) subtracted from a feature vector, fixed when the head is fitted.
        scale: (D,) > 0, divides it then.
        prior: the hyperparameters.
        counts: (K,) rows absorbed per class (a sum of weights).
        sums: (K, D) sum of the rows per class.
        second_moments: (2, D, D) sum of x x^T over the rows of the founding classes, and of those added
            later.
        founding: how many classes, the first of ``classes``, the head started with.
        kept: in (0, 1], what a row absorbed at the very start counts now; every discount lowers it.
    """

    classes: tuple[str, ...]
    shift: Tensor
    scale: Tensor
    prior: HeadPrior
    counts: Tensor
    sums: Tensor
    second_moments: Tensor
    founding: int
    kept: float = 1.0

    @property
    def dimension(self) -> int:
        """D, the number of features."""
        return int(self.shift.shape[0])


def empty(
    classes: Sequence[str],
    shift: Tensor,
    scale: Tensor,
    prior: HeadPrior | None = None,
) -> GaussianHead:
    """A head that has seen nothing.

    Args:
        classes: K >= 1 different names.
        shift: (D,) centre of the features.
        scale: (D,) their scale, > 0.
        prior: hyperparameters.

    Raises:
        InvalidInput: repeated names, shapes that differ, or a scale that is not positive.
    """
    names = tuple(classes)
    check(len(names) > 0, "classes", "none", "at least one name")
    check(len(set(names)) == len(names), "classes", f"repeated names in {names}", "every name once")
    check(
        shift.ndim == 1 and shift.shape == scale.shape,
        "shift and scale",
        shapes(shift, scale),
        "two (D,) tensors",
    )
    check(bool((scale > 0).all()), "scale", "a value that is not positive", "positive numbers")
    count, size = len(names), shift.shape[0]

    def zeros(*shape: int) -> Tensor:
        return torch.zeros(shape, dtype=torch.float64, device=shift.device)

    return GaussianHead(
        names, shift.double(), scale.double(), prior or HeadPrior(), zeros(count), zeros(count, size),
        zeros(2, size, size), count,
    )  # fmt: skip


def sufficient_statistics(
    head: GaussianHead, features: Tensor, labels: Tensor, weights: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Counts (K,), sums (K, D) and second moments (2, D, D) of standardised rows.

    The rows are only centred; the scale divides the finished sums, which saves a pass over the data. Time and
    memory follow the rows and D^2; K enters as the size of the result alone.
    """
    features, labels, weights = _checked(head, features, labels, weights)
    counts, sums = torch.zeros_like(head.counts), torch.zeros_like(head.sums)
    second = torch.zeros_like(head.second_moments)
    late = labels >= head.founding
    if not bool(late.any()):
        _add(second[0], sums, counts, head.shift, features, labels, weights)
    else:
        for group, of in enumerate((~late, late)):
            parts = features[of], labels[of], None if weights is None else weights[of]
            _add(second[group], sums, counts, head.shift, *parts)
    check_finite(second)  # what is not finite in a row is not finite here
    sums.div_(head.scale)
    second.div_(head.scale).div_(head.scale[:, None])
    return counts, sums, second


def once_a_head(function: Callable[[GaussianHead], Result]) -> Callable[[GaussianHead], Result]:
    """A function of a head alone, computed when first asked: a head never changes, and the next is another.

    What an update computes of its outcome, the next one and the answers in between need again, and it takes
    a D x D factorisation.
    """
    name = f"_{function.__name__}"

    @functools.wraps(function)
    def once(head: GaussianHead) -> Result:
        known = vars(head)
        if name not in known:
            known[name] = function(head)
        result: Result = known[name]
        return result

    return once


def within(head: GaussianHead, strength: float) -> Tensor:
    """Scatter about the (shrunk) class means, (2, D, D): of the founding classes and of later ones."""
    weight = (head.counts + strength).clamp_min(1e-300)
    scaled = head.sums / weight.sqrt()[:, None]
    parts = (scaled[: head.founding], scaled[head.founding :])
    within = head.second_moments - torch.stack([part.T @ part for part in parts])
    return 0.5 * (within + within.mT)


def check_features(head: GaussianHead, features: Tensor) -> None:
    """Refuse features that are not (N, D) of this head."""
    fits = features.ndim == 2 and features.shape[1] == head.dimension
    check(
        fits,
        "features",
        shapes(features),
        f"(N, {head.dimension})",
        "Use the network this head was fitted with.",
    )


def check_finite(values: Tensor) -> None:
    """Refuse NaN and infinity among features."""
    check(bool(torch.isfinite(values).all()), "features", "NaN or infinity", "finite numbers")


def shapes(*tensors: Tensor) -> str:
    """The shapes as words, for messages."""
    return " and ".join(str(tuple(t.shape)) for t in tensors)


def _add(
    second: Tensor, sums: Tensor, counts: Tensor, shift: Tensor,
    features: Tensor, labels: Tensor, weights: Tensor | None,
) -> None:  # fmt: skip
    """Add X^T W X to ``second``, E^T W X to ``sums`` and the weights to ``counts``, block by block of rows.

    X are the centred rows and E their one-hot labels, in which each block has a column for its own classes.
    """
    centred = torch.empty(min(_ROWS, len(features)), len(shift), dtype=torch.float64, device=shift.device)
    first = torch.arange(min(2, len(counts)), device=labels.device)
    for start in range(0, len(features), _ROWS):
        block = slice(start, start + _ROWS)
        part, named = features[block], labels[block]
        rows = torch.sub(part, shift, out=centred[: len(part)])
        weight = rows.new_ones(len(part)) if weights is None else weights[block]
        second.addmm_((rows if weights is None else rows * weight[:, None]).T, rows)
        classes = torch.cat([named, first]).unique()  # a lone column would be added up in another order
        column = torch.searchsorted(classes, named)[:, None]
        one_hot = rows.new_zeros(len(part), len(classes)).scatter_(1, column, weight[:, None])
        sums[classes] = torch.addmm(sums[classes], one_hot.T, rows)
        counts.index_add_(0, named, weight)


def _checked(
    head: GaussianHead, features: Tensor, labels: Tensor, weights: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    check_features(head, features)
    check(
        labels.shape == features.shape[:1] and not labels.is_floating_point(),
        "labels", f"{labels.dtype} {shapes(labels)}", f"{len(features)} integers",
    )  # fmt: skip
    inside = len(labels) == 0 or bool((labels.min() >= 0) & (labels.max() < len(head.classes)))
    check(
        inside, "labels", "an index outside the classes", f"0 to {len(head.classes) - 1}",
        "Call add_class first for a new class.",
    )  # fmt: skip
    if weights is not None:
        check(weights.shape == labels.shape, "weights", shapes(weights), f"({len(labels)},)")
        check(
            bool(((weights >= 0) & (weights <= 1)).all()),
            "weights",
            "a value outside [0, 1]",
            "trust in [0, 1]",
        )
        weights = weights.double()
    return features, labels.long(), weights
