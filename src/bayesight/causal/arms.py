"""Mean outcomes under each treatment, with their covariance, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.special import betaincinv
from scipy.stats import norm, t

from bayesight.bayes.rates import Estimate
from bayesight.types import FloatArray

__all__ = ["Answer", "Arms", "Contrast", "Line", "answer"]


@dataclass(frozen=True)
class Arms:
    """Mean outcome under each treatment (K,), as an estimator gives it.

    Attributes:
        mean: (K,).
        covariance: of the means (K, K).
        freedom: degrees of freedom behind the variances; infinite where they are large.
        binary: whether the outcome is yes or no, so that means are probabilities.
    """

    mean: FloatArray
    covariance: FloatArray
    freedom: float = np.inf
    binary: bool = False


@dataclass(frozen=True)
class Line:
    """Change of the outcome for one more unit of a continuous treatment.

    Attributes:
        slope: outcome units per unit of treatment.
        error: its standard error.
        freedom: degrees of freedom behind it.
    """

    slope: float
    error: float
    freedom: float = np.inf


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
class Answer:
    """What one estimator says.

    Attributes:
        method: in words.
        means: treatment to mean outcome; empty for a continuous treatment.
        differences: each treatment against the reference.
        slope: for a continuous treatment.
    """

    method: str
    means: Mapping[str, Estimate] = field(default_factory=dict)
    differences: tuple[Contrast, ...] = ()
    slope: Estimate | None = None

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
        """``method`` with ``means``, ``difference`` and ``differences``, or with ``slope``."""
        if self.slope is not None:
            return {"method": self.method, "slope": self.slope.as_dict()}
        last = self.difference
        return {
            "method": self.method,
            "means": {name: e.as_dict() for name, e in self.means.items()},
            "difference": last.as_dict() if last else None,
            "differences": [d.as_dict() for d in self.differences],
        }


def answer(
    found: Arms | Line, method: str, levels: tuple[str, ...] = (), reference: str = "", level: float = 0.95
) -> Answer:
    """Means, differences to a reference and slope with intervals.

    Intervals are symmetric, Student's t where degrees of freedom are few; those of probabilities are
    Jeffreys' at the effective number of rows, so that they stay inside [0, 1] (Korn and Graubard 1998).
    """
    if isinstance(found, Line):
        return Answer(method, slope=_symmetric(found.slope, found.error, found.freedom, level))
    means, base = {}, levels.index(reference)
    for k, name in enumerate(levels):
        error = float(np.sqrt(found.covariance[k, k]))
        wide = _symmetric(float(found.mean[k]), error, found.freedom, level)
        means[name] = _probability(wide.mean, error, level) if found.binary else wide
    differences = []
    for k in [k for k in range(len(levels)) if k != base]:
        part = found.covariance[np.ix_([k, base], [k, base])]
        error = float(np.sqrt(max(part[0, 0] + part[1, 1] - 2 * part[0, 1], 0.0)))
        gap = _symmetric(float(found.mean[k] - found.mean[base]), error, found.freedom, level)
        if found.binary:
            gap = Estimate(gap.mean, max(gap.low, -1.0), min(gap.high, 1.0))
        differences.append(Contrast(levels[k], reference, gap))
    return Answer(method, means, tuple(differences))


def _symmetric(mean: float, error: float, freedom: float, level: float) -> Estimate:
    tail = (1 + level) / 2
    width = error * float(t.ppf(tail, max(freedom, 1.0)) if np.isfinite(freedom) else norm.ppf(tail))
    return Estimate(mean, mean - width, mean + width)


def _probability(p: float, error: float, level: float) -> Estimate:
    """Jeffreys' interval at the number of rows a proportion with this error would rest on."""
    p = min(max(p, 0.0), 1.0)
    spread = p * (1 - p)
    rows = spread / error**2 if spread > 0 and error > 0 else 0.25 / error**2 if error > 0 else np.inf
    if not np.isfinite(rows):
        return Estimate(p, p, p)
    tail = (1 - level) / 2
    low, high = betaincinv(p * rows + 0.5, (1 - p) * rows + 0.5, [tail, 1 - tail])
    return Estimate(p, 0.0 if p == 0 else float(low), 1.0 if p == 1 else float(high))
