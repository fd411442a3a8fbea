"""Mean outcomes under each treatment, with their covariance, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import ndtri, stdtrit

from bayesight.bayes.rates import Estimate
from bayesight.types import FloatArray


@dataclass(frozen=True)
class PotentialOutcomes:
    """Mean outcome under each treatment (K,), as an estimator gives it.

    Attributes:
        mean: (K,).
        covariance: of the means (K, K).
        dof: degrees of freedom behind the variances, of each (K,) or of all; infinite where not counted.
        binary: whether the outcome is yes or no, so that means are probabilities.
    """

    mean: FloatArray
    covariance: FloatArray
    dof: float | FloatArray = np.inf
    binary: bool = False

    def error(self, of: int, versus: int) -> float:
        """Standard error of the difference of two means."""
        v = self.covariance
        return float(np.sqrt(max(v[of, of] + v[versus, versus] - 2 * v[of, versus], 0.0)))

    def effective_dof(self, of: int, versus: int | None = None) -> float:
        """Degrees of freedom behind the variance of a mean, or of the difference of two (Welch 1947)."""
        dof = np.broadcast_to(np.asarray(self.dof, np.float64), self.mean.shape)
        if versus is None or dof[of] == dof[versus]:
            return float(dof[of])
        one, other = self.covariance[of, of], self.covariance[versus, versus]
        doubt = one**2 / dof[of] + other**2 / dof[versus]
        return float((one + other) ** 2 / doubt) if doubt > 0 else float(dof.min())


@dataclass(frozen=True)
class Slope:
    """Change of the outcome for one more unit of a continuous treatment.

    Attributes:
        slope: outcome units per unit of treatment.
        error: its standard error.
        dof: degrees of freedom behind it.
    """

    slope: float
    error: float
    dof: float = np.inf


@dataclass(frozen=True)
class Contrast:
    """The difference between two treatments, first minus second.

    Attributes:
        of: the first.
        versus: the second.
        estimate: with interval.
    """

    of: str
    versus: str
    estimate: Estimate

    def as_dict(self) -> dict[str, object]:
        """``of``, ``versus``, ``mean``, ``low`` and ``high``."""
        return {"of": self.of, "versus": self.versus, **self.estimate.as_dict()}


@dataclass(frozen=True)
class EffectEstimate:
    """The answer of one estimator.

    Attributes:
        method: in words.
        means: treatment to mean outcome; empty for a continuous treatment.
        differences: each treatment against the reference.
        slope: for a continuous treatment.
        on: on whom the effect is, one of ``EFFECTS``.
    """

    method: str
    means: Mapping[str, Estimate] = field(default_factory=dict)
    differences: tuple[Contrast, ...] = ()
    slope: Estimate | None = None
    on: str = "ate"

    @property
    def difference(self) -> Contrast | None:
        """The last treatment against the reference."""
        return self.differences[-1] if self.differences else None

    @property
    def effect(self) -> Estimate:
        """The difference, or the slope."""
        if self.slope is not None:
            return self.slope
        return self.differences[-1].estimate

    def as_dict(self) -> dict[str, object]:
        """``method`` and ``on`` with ``means``, ``difference`` and ``differences``, or with ``slope``."""
        if self.slope is not None:
            return {"method": self.method, "on": self.on, "slope": self.slope.as_dict()}
        last = self.difference
        return {
            "method": self.method,
            "on": self.on,
            "means": {name: e.as_dict() for name, e in self.means.items()},
            "difference": last.as_dict() if last else None,
            "differences": [d.as_dict() for d in self.differences],
        }


def answer(
    found: PotentialOutcomes | Slope,
    method: str,
    levels: tuple[str, ...] = (),
    reference: str = "",
    level: float = 0.95,
) -> EffectEstimate:
    """Means, differences to a reference and slope with intervals.

    Intervals are symmetric, Student's t where degrees of freedom are few. Those of probabilities are Wilson's
    at the effective number of rows, so that they stay inside [0, 1] and are right near its ends too, and
    differences of probabilities are put together from them (Newcombe 1998, method 10; dependent ones as in
    Zou and Donner 2008).
    """
    if isinstance(found, Slope):
        return EffectEstimate(method, slope=_symmetric(found.slope, found.error, found.dof, level))
    base, error = levels.index(reference), np.sqrt(np.diag(found.covariance))
    interval = _probability if found.binary else _symmetric
    means = [
        interval(float(m), float(e), found.effective_dof(k), level)
        for k, (m, e) in enumerate(zip(found.mean, error, strict=True))
    ]
    differences = tuple(
        Contrast(levels[k], reference, difference(found, k, base, level))
        for k in range(len(levels))
        if k != base
    )
    return EffectEstimate(method, dict(zip(levels, means, strict=True)), differences)


def difference(found: PotentialOutcomes, of: int, versus: int, level: float) -> Estimate:
    """The first mean minus the second, with its interval (see ``answer``)."""
    gap = float(found.mean[of] - found.mean[versus])
    if not found.binary:
        return _symmetric(gap, found.error(of, versus), found.effective_dof(of, versus), level)
    v = found.covariance
    both = float(np.sqrt(v[of, of] * v[versus, versus]))
    together = float(v[of, versus]) / both if both > 0 else 0.0
    one, other = (
        _probability(float(found.mean[k]), float(np.sqrt(v[k, k])), found.effective_dof(k), level)
        for k in (of, versus)
    )

    def reach(a: float, b: float) -> float:
        return float(np.sqrt(max(a**2 + b**2 - 2 * together * a * b, 0.0)))

    low = gap - reach(one.mean - one.low, other.high - other.mean)
    high = gap + reach(one.high - one.mean, other.mean - other.low)
    return Estimate(gap, low, high)


def unanimous(
    found: PotentialOutcomes, y: FloatArray, weight: FloatArray, n: FloatArray, squares: FloatArray
) -> PotentialOutcomes:
    """The same, with treatments of which every row has one outcome, 0 or 1: models are certain of it.

    The mean is that outcome, and its variance that of a proportion half a row away, of as many rows as the
    weighted ones are worth (Kish).

    Args:
        found: by models.
        y: outcome (R,).
        weight: of each row's outcome in the mean of each treatment (R, K), 0 of the rows of others.
        n: rows each stands for (R,).
        squares: sums of squared weights (R,).
    """
    mean, covariance = found.mean.copy(), found.covariance.copy()
    for k in range(len(mean)) if found.binary else ():
        own = weight[:, k] > 0
        if own.any() and float(np.ptp(y[own])) == 0:
            w = weight[own, k]
            mean[k] = y[own][0]
            covariance[k], covariance[:, k] = 0.0, 0.0
            covariance[k, k] = 0.5 * (float(squares[own] @ w**2) / float(n[own] @ w) ** 2) ** 2
    return replace(found, mean=mean, covariance=covariance)


def _symmetric(mean: float, error: float, dof: float, level: float) -> Estimate:
    tail = (1 + level) / 2
    width = error * float(stdtrit(max(dof, 1.0), tail) if np.isfinite(dof) else ndtri(tail))
    return Estimate(mean, mean - width, mean + width)


def _probability(p: float, error: float, dof: float, level: float) -> Estimate:
    """Wilson's interval at the number of rows a proportion with this error would rest on."""
    p = min(max(p, 0.0), 1.0)
    if error == 0:
        return Estimate(p, p, p)
    tail = (1 + level) / 2
    z = float(stdtrit(max(dof, 1.0), tail) if np.isfinite(dof) else ndtri(tail))
    # At 0 or 1 the error is that of a proportion half a row away: see the cells' variances.
    rows = p * (1 - p) / error**2 if 0 < p < 1 else float(np.sqrt(0.5)) / error
    middle = (p + z**2 / (2 * rows)) / (1 + z**2 / rows)
    width = z / (1 + z**2 / rows) * float(np.sqrt(p * (1 - p) / rows + z**2 / (4 * rows**2)))
    return Estimate(p, min(max(middle - width, 0.0), p), max(min(middle + width, 1.0), p))
