"""Calibration of stated probabilities: log-loss, Brier score, calibration error, reliability.

Every function takes log-posteriors (N, K) in nats and the true class indices (N,), as arrays or tensors.
``Answers`` keeps of both what log-loss and reliability need, three numbers an example: posteriors over very
many classes go through it in blocks of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

from bayesight.checks import check, probability
from bayesight.evaluation.arrays import class_indices, floats, log_scores
from bayesight.types import FloatArray, IntArray


@dataclass(frozen=True)
class Reliability:
    """Stated probability against how often it came true, in B bins of equal width.

    A bin is open on the left and closed on the right, (low, high], so a probability of exactly 1 belongs to
    the last one. Empty bins hold NaN in every array but ``counts`` and ``mass``.

    Attributes:
        edges: bin edges (B + 1,) from 0 to 1.
        counts: examples in each bin (B,).
        mass: share of the whole weight in each bin (B,), summing to 1.
        confidence: mean probability of the predicted class (B,).
        accuracy: fraction of the bin that was right (B,).
        low: lower end of the Jeffreys interval of ``accuracy`` (B,).
        high: its upper end (B,).
        level: credible level of the interval.
        by_chance: the ``expected_error`` to be expected were every stated probability true, for examples
            that are drawn one by one: sum over bins of sqrt(2 v / pi), v the variance of the share that is
            right times the bin's share of the weight. Nearly normal bins are assumed; of few examples it is
            up to a tenth too small.
    """

    edges: FloatArray
    counts: IntArray
    mass: FloatArray
    confidence: FloatArray
    accuracy: FloatArray
    low: FloatArray
    high: FloatArray
    level: float
    by_chance: float

    @property
    def expected_error(self) -> float:
        """Mean distance between confidence and accuracy, weighted by the bins' counts, in [0, 1]."""
        gaps = np.nan_to_num(np.abs(self.accuracy - self.confidence))
        return float(np.sum(self.mass * gaps))

    def as_dict(self) -> dict[str, list[float]]:
        """Each bin as ``--json`` prints it: edges, examples, mean confidence, accuracy with interval."""
        names = ("edges", "counts", "confidence", "accuracy", "low", "high")
        return {name: getattr(self, name).tolist() for name in names}


@dataclass(frozen=True)
class Answers:
    """The answer to each example and its probability, without the posteriors.

    Attributes:
        labels: true class indices (N,).
        predicted: class indices of the largest probability (N,).
        log_p: log-probability of the predicted class (N,), nats.
        log_p_true: log-probability of the true class (N,), nats.
    """

    labels: IntArray
    predicted: IntArray
    log_p: FloatArray
    log_p_true: FloatArray

    @classmethod
    def of(cls, log_p: npt.ArrayLike, labels: npt.ArrayLike, where: str = "Answers") -> Answers:
        """The answers of log-posteriors (N, K) about examples of classes ``labels`` (N,).

        Raises:
            InvalidInput: shapes differ, a row is no distribution, an index is outside the classes.
        """
        p, total, true = _checked(log_p, labels, where)
        rows, predicted = np.arange(len(true)), p.argmax(axis=1)
        return cls(true, predicted, p[rows, predicted] - total, p[rows, true] - total)

    @classmethod
    def of_events(cls, p: npt.ArrayLike, happened: npt.ArrayLike) -> Answers:
        """The answer to each event that it happens, so that reliability is that of its own probability.

        Args:
            p: (N,) probabilities of the events.
            happened: (N,) bool.

        Raises:
            InvalidInput: shapes differ, or a number that is no probability.

        Example:
            >>> Answers.of_events([0.2, 0.2, 0.9], [True, False, True]).reliability(2).accuracy.tolist()
            [0.5, 1.0]
        """
        chance, came_true = floats(p), np.asarray(happened, dtype=bool)
        fits = chance.ndim == 1 and chance.shape == came_true.shape
        shapes = f"got shapes {chance.shape} and {came_true.shape}"
        check(fits, "Answers.of_events", shapes, "(N,) and (N,)")
        known = bool(((chance >= 0) & (chance <= 1)).all())
        check(known, "Answers.of_events", "a number outside [0, 1]", "probabilities")
        with np.errstate(divide="ignore"):
            log_p, log_q = np.log(chance), np.log1p(-chance)
        labels = came_true.astype(np.int64)
        return cls(labels, np.ones_like(labels), log_p, np.where(came_true, log_p, log_q))

    @classmethod
    def joined(cls, parts: Sequence[Answers]) -> Answers:
        """All of them, in order."""
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))

    def at(self, rows: npt.NDArray[np.generic]) -> Answers:
        """Those at positions, or where a mask holds."""
        return Answers(*(getattr(self, f.name)[rows] for f in fields(self)))

    @property
    def accuracy(self) -> float:
        """Share whose predicted class is the true one."""
        return float((self.predicted == self.labels).mean())

    def log_loss(self, weights: npt.ArrayLike | None = None) -> float:
        """The function ``log_loss`` of the posteriors."""
        w = _weights(weights, len(self.labels), "log_loss")
        # A row of weight 0 counts for nothing, also where its log-probability is minus infinity.
        losses = np.where(w > 0, -self.log_p_true, 0.0)
        return float(np.sum(w * losses) / np.sum(w))

    def reliability(
        self, bins: int = 15, level: float = 0.95, weights: npt.ArrayLike | None = None
    ) -> Reliability:
        """The function ``reliability`` of the posteriors."""
        check(bins >= 1, "reliability bins", f"got {bins}", "at least 1")
        probability(level, "reliability level", open_interval=True)
        top, right = np.exp(self.log_p), self.predicted == self.labels
        w = _weights(weights, len(self.labels), "reliability")
        return _binned(top, right, w, bins, level)


def log_loss(log_p: npt.ArrayLike, labels: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> float:
    """Mean negative log-probability of the true class, in nats: 0 is perfect, infinite if ruled out once.

    Args:
        log_p: log-posteriors (N, K) in nats.
        labels: true class indices (N,).
        weights: how much each example counts (N,), as for other base rates; None counts them alike.

    Raises:
        InvalidInput: shapes differ, a row is no distribution, an index is outside the classes, or weights
            are negative or all zero.

    Example:
        >>> round(log_loss(np.log([[0.5, 0.5], [0.2, 0.8]]), [0, 1]), 4)
        0.4581
    """
    return Answers.of(log_p, labels, "log_loss").log_loss(weights)


def brier_score(log_p: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Mean squared distance between the posterior and the truth, summed over classes, in [0, 2].

    The original, multi-class score of Brier (1950), eq. 2; for two classes it is twice the one-column form.

    Args:
        log_p: log-posteriors (N, K) in nats.
        labels: true class indices (N,).

    Raises:
        InvalidInput: as in ``log_loss``.

    Example:
        >>> round(brier_score(np.log([[0.5, 0.5], [0.2, 0.8]]), [0, 1]), 4)
        0.29
    """
    p, total, true = _checked(log_p, labels, "brier_score")
    distance = np.exp(p - total[:, None])
    distance[np.arange(len(true)), true] -= 1
    return float(np.mean(np.sum(distance**2, axis=1)))


def reliability(
    log_p: npt.ArrayLike,
    labels: npt.ArrayLike,
    bins: int = 15,
    level: float = 0.95,
    weights: npt.ArrayLike | None = None,
) -> Reliability:
    """Sort examples by the probability of their predicted class and see how often each bin was right.

    Args:
        log_p: log-posteriors (N, K) in nats.
        labels: true class indices (N,).
        bins: bins of equal width over [0, 1].
        level: credible level of the interval of each bin's accuracy: Jeffreys, equal tails, closed at 0 when
            none was right and at 1 when all were (Brown, Cai and DasGupta 2001, section 4.1.2).
        weights: how much each example counts (N,), as for other base rates; None counts them alike. The
            intervals then rest on the effective sample size of each bin, (sum w)^2 / sum w^2.

    Raises:
        InvalidInput: as in ``log_loss``, or fewer than one bin, or a level outside (0, 1).

    Example:
        >>> diagram = reliability(np.log([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]), [0, 1, 1], bins=2)
        >>> diagram.counts.tolist(), diagram.confidence.round(2).tolist(), diagram.accuracy.round(2).tolist()
        ([0, 3], [nan, 0.8], [nan, 0.67])
    """
    return Answers.of(log_p, labels, "reliability").reliability(bins, level, weights)


def expected_calibration_error(
    log_p: npt.ArrayLike, labels: npt.ArrayLike, bins: int = 15, weights: npt.ArrayLike | None = None
) -> float:
    """Mean distance between what was promised and what came true, in [0, 1] (Guo et al. 2017, eq. 5).

    Over ``bins`` bins of equal width on the probability of the predicted class. The number depends on the
    bins, so state them beside it.

    Args:
        log_p: log-posteriors (N, K) in nats.
        labels: true class indices (N,).
        bins: bins of equal width over [0, 1].
        weights: how much each example counts (N,); None counts them alike.

    Raises:
        InvalidInput: as in ``reliability``.

    Example:
        >>> round(expected_calibration_error(np.log([[0.9, 0.1], [0.7, 0.3]]), [0, 1], bins=1), 4)
        0.3
    """
    return reliability(log_p, labels, bins, weights=weights).expected_error


def _checked(
    log_p: npt.ArrayLike, labels: npt.ArrayLike, where: str
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Log-posteriors (N, K), what normalises their rows (N,), and one label for each (N,)."""
    p, total = log_scores(log_p, f"{where} log_p")
    true = class_indices(labels, p.shape[1], f"{where} labels")
    check(len(true) == len(p), where, f"{len(p)} posteriors and {len(true)} labels", "one label for each")
    return p, total, true


def _weights(weights: npt.ArrayLike | None, count: int, where: str) -> FloatArray:
    """One non-negative weight an example."""
    if weights is None:
        return np.ones(count)
    w = floats(weights)
    good = w.shape == (count,) and bool(np.all(np.isfinite(w) & (w >= 0))) and float(w.sum()) > 0
    check(good, f"{where} weights", f"got shape {w.shape}", f"{count} weights >= 0, not all 0")
    return w


def _binned(
    top: FloatArray, right: npt.NDArray[np.bool_], w: FloatArray, bins: int, level: float
) -> Reliability:
    """The diagram of probabilities of the predicted class (N,), whether it was right, and weights."""
    edges = np.linspace(0, 1, bins + 1)
    # Renormalising can leave a certain prediction a rounding error above 1.
    index = np.clip(np.searchsorted(edges, top, side="left") - 1, 0, bins - 1)
    counts = np.bincount(index, minlength=bins).astype(np.int64)
    mass = np.bincount(index, weights=w, minlength=bins)
    empty = mass == 0
    safe = np.where(empty, 1.0, mass)
    share = np.bincount(index, weights=w * right, minlength=bins) / safe
    squares = np.bincount(index, weights=w * w, minlength=bins)
    variance = np.bincount(index, weights=w * w * top * np.clip(1 - top, 0, None), minlength=bins)
    n = np.where(empty, 1.0, safe**2 / np.where(empty, 1.0, squares))
    low = np.where(share == 0, 0.0, betaincinv(share * n + 0.5, (1 - share) * n + 0.5, (1 - level) / 2))
    high = np.where(share == 1, 1.0, betaincinv(share * n + 0.5, (1 - share) * n + 0.5, (1 + level) / 2))
    return Reliability(
        edges=edges,
        counts=counts,
        mass=mass / mass.sum(),
        confidence=np.where(empty, np.nan, np.bincount(index, weights=w * top, minlength=bins) / safe),
        accuracy=np.where(empty, np.nan, share),
        low=np.where(empty, np.nan, low),
        high=np.where(empty, np.nan, high),
        level=level,
        by_chance=float(np.sqrt(2 / np.pi * variance).sum() / mass.sum()),
    )
