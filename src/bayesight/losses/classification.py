"""Losses of classifiers.

Every loss here is a callable ``(logits (B, K), labels (B,) int64) -> scalar``, in nats, differentiable in the
logits; those of ``environments`` also take the environment of each image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Protocol, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from bayesight.checks import check, probability
from bayesight.errors import InvalidInput
from bayesight.registry import Registry
from bayesight.values import BelowOne, Each, Within


class ClassificationLoss(Protocol):
    """Anything that scores logits against labels."""

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of a batch, a scalar in nats."""


LOSSES: Registry[Any] = Registry("loss")


def build_loss(name: str, classes: int, counts: Tensor | None = None, **options: Any) -> Any:
    """A loss by name for K classes.

    Args:
        name: a registered name, ``LOSSES.names()`` lists them.
        classes: K.
        counts: (E, K) training images of each environment and class, for losses that see environments.
        options: the loss's own keyword arguments.

    Returns:
        A ``ClassificationLoss``, or an ``EnvironmentLoss`` where it sees environments.

    Raises:
        UnknownName: no such loss.
        InvalidConfig: options it does not have.
        InvalidInput: a loss that sees environments, and none are given.

    Example:
        >>> loss = build_loss("cross_entropy", 3, label_smoothing=0.1)
        >>> round(loss(torch.zeros(4, 3), torch.tensor([0, 1, 2, 0])).item(), 4)  # ln 3
        1.0986
    """
    if not getattr(LOSSES[name], "sees_environments", False):
        return LOSSES.build(name, classes, **options)
    if counts is None:
        raise InvalidInput(
            f"loss {name!r}: no environments; expected one for each image. Name them with --environments "
            "folder (ENVIRONMENT/CLASS/NAME.png) or --environments TABLE.csv:COLUMN."
        )
    return LOSSES.build(name, classes, counts, **options)


Weights: TypeAlias = Annotated[Sequence[float], Each(Within(0, 1e9, above=True), 1, 1_000_000)]


@LOSSES.register("cross_entropy")
class CrossEntropy:
    """Negative log-probability of the label.

    Args:
        classes: K.
        label_smoothing: share e of the target spread evenly over all classes: the target of the label is
            1 - e + e/K, of any other class e/K (Szegedy et al. 2016, sec. 7).
        class_weights: K positive numbers that multiply each image's loss by its label's weight; the mean is
            taken over the weights.

    Raises:
        InvalidInput: smoothing outside [0, 1), or weights that are not K positive numbers.
    """

    def __init__(
        self, classes: int, *, label_smoothing: BelowOne = 0.0, class_weights: Weights | None = None
    ) -> None:
        probability(label_smoothing, "cross_entropy.label_smoothing")
        check(label_smoothing < 1, "cross_entropy.label_smoothing", "got 1", "less than 1")
        self.label_smoothing = label_smoothing
        self.weights: Tensor | None = None
        if class_weights is not None:
            right = len(class_weights) == classes and min(class_weights, default=0) > 0
            came = f"got {list(class_weights)}"
            check(right, "cross_entropy.class_weights", came, f"{classes} positive numbers, one a class")
            self.weights = torch.tensor(class_weights, dtype=torch.float32)

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of a batch, a scalar in nats."""
        weights = None if self.weights is None else self.weights.to(logits)
        return F.cross_entropy(logits, labels, weight=weights, label_smoothing=self.label_smoothing)


@LOSSES.register("forward_corrected")
class ForwardCorrection:
    """Cross-entropy that knows some labels are wrong.

    The network's probabilities p(true) pass through the noise before they meet the label:
    p(given = j) = sum_i T[i, j] p(true = i), and the loss is -ln p(given) (Patrini et al. 2017, "Making Deep
    Neural Networks Robust to Label Noise", theorem 2). Minimising it learns p(true).

    Args:
        classes: K.
        noise_rate: share of labels replaced by another class, all others equally likely; T is then
            1 - r on the diagonal and r / (K - 1) off it.
        transition: T itself, K rows that each sum to 1, in place of ``noise_rate``.

    Raises:
        InvalidInput: neither or both given, a rate outside [0, 1), a T that is not a K x K stochastic matrix.
    """

    def __init__(
        self,
        classes: int,
        *,
        noise_rate: BelowOne | None = None,
        transition: Sequence[Sequence[float]] | None = None,
    ) -> None:
        one = (noise_rate is None) != (transition is None)
        check(one, "forward_corrected", "noise_rate and transition", "exactly one of them")
        if noise_rate is not None:
            probability(noise_rate, "forward_corrected.noise_rate")
            check(noise_rate < 1, "forward_corrected.noise_rate", "got 1", "less than 1")
            off = noise_rate / max(classes - 1, 1)
            matrix = torch.full((classes, classes), off, dtype=torch.float64)
            matrix.fill_diagonal_(1 - noise_rate if classes > 1 else 1.0)
        else:
            given = transition or ()
            even = len({len(row) for row in given}) == 1
            matrix = torch.tensor(given if even else (), dtype=torch.float64)
            square = matrix.shape == (classes, classes)
            rows = square and bool((matrix >= 0).all()) and bool(((matrix.sum(1) - 1).abs() < 1e-6).all())
            came = f"got shape {tuple(matrix.shape)}" if even else "got rows of different lengths"
            expected = f"a {classes}x{classes} matrix of probabilities whose rows sum to 1"
            check(rows, "forward_corrected.transition", came, expected)
        self.log_transition = matrix.log()

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of a batch, a scalar in nats."""
        log_true = F.log_softmax(logits, dim=1)
        into_label = self.log_transition.to(log_true)[:, labels].T
        return -torch.logsumexp(log_true + into_label, dim=1).mean()
