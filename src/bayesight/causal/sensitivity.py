"""Simpson's reversal of an effect within strata, and its E-value against something unmeasured."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, stdtrit

from bayesight.causal.potential_outcomes import EffectEstimate, PotentialOutcomes, difference
from bayesight.causal.question import named_together
from bayesight.causal.strata import Strata
from bayesight.language import marked


@dataclass(frozen=True)
class Reversal:
    """Simpson's reversal: what holds for all together turns round among the like.

    Attributes:
        sentence: what turns round, with the numbers.
        strata: how many strata can be compared.
        turned: in how many of them the sign is the opposite of that for all together.
    """

    sentence: str
    strata: int
    turned: int

    def as_dict(self) -> dict[str, object]:
        """``reversal`` (true), ``sentence``, ``strata`` and ``turned``."""
        return {"reversal": True, "sentence": self.sentence, "strata": self.strata, "turned": self.turned}


@dataclass(frozen=True)
class EValue:
    """The strength that an unmeasured confounder would need to explain an effect away.

    Attributes:
        risk_ratio: the adjusted effect as a risk ratio, or its equivalent.
        value: the factor by which it would have to go with both treatment and outcome to explain the effect.
        bound: the same for the end of the interval nearer to no effect; 1 when that includes none.
    """

    risk_ratio: float
    value: float
    bound: float

    def as_dict(self) -> dict[str, float]:
        """``risk_ratio``, ``value`` and ``bound``."""
        return {"risk_ratio": self.risk_ratio, "value": self.value, "bound": self.bound}


def find_reversal(
    conditional: EffectEstimate, adjusted: EffectEstimate, strata: Strata | None, names: tuple[str, ...]
) -> Reversal | None:
    """The reversal between two answers, or None when the sign is the same.

    An effect that vanishes is no reversal: each must be a tenth of the other at least. Nor is one that chance
    explains: the change must exceed what the two variances leave room for (Hausman 1978).

    Args:
        conditional: as things stand.
        adjusted: holding ``names`` fixed.
        strata: the strata, when there are any; two treatments are counted stratum by stratum.
        names: what was held fixed.
    """
    one, other = conditional.effect.mean, adjusted.effect.mean
    if not names or one * other >= 0 or min(abs(one), abs(other)) < 0.1 * max(abs(one), abs(other)):
        return None
    widths = [(a.effect.high - a.effect.low) / 2 for a in (conditional, adjusted)]
    if abs(one - other) < math.sqrt(abs(widths[1] ** 2 - widths[0] ** 2)):
        return None
    count, turned = 0, 0
    if strata is not None and len(conditional.means) == 2:
        order = list(conditional.means)
        last = conditional.differences[-1]
        gap = strata.mean[order.index(last.of)] - strata.mean[order.index(last.versus)]
        gap = gap[strata.overlap]
        count, turned = len(gap), int((np.sign(gap) == -np.sign(one)).sum())
    return Reversal(_sentence(conditional, adjusted, names, count, turned), count, turned)


def e_value(found: PotentialOutcomes, of: int, versus: int, spread: float, level_z: float) -> EValue | None:
    """The E-value of a difference between two treatments (VanderWeele and Ding 2017, eq. 1 and table 2).

    Args:
        found: the adjusted means.
        of: index of one treatment.
        versus: index of the other.
        spread: standard deviation of the outcome; used where it is no probability.
        level_z: how many standard errors an interval reaches where the variance is known; where degrees of
            freedom are few, it reaches further.

    Returns:
        None where a risk is 0 or the outcome does not vary.

    Example:
        >>> risks = PotentialOutcomes(np.array([0.2, 0.1]), np.diag([1e-4, 1e-4]), binary=True)
        >>> e = e_value(risks, 0, 1, 0.4, 1.96)
        >>> round(e.risk_ratio, 2), round(e.value, 2)
        (2.0, 3.41)
    """
    a, b = float(found.mean[of]), float(found.mean[versus])
    v, tail = found.covariance, float(ndtr(level_z))
    reach = float(stdtrit(max(found.effective_dof(of, versus), 1.0), tail))
    interval = difference(found, of, versus, 2 * tail - 1)
    if found.binary:
        if not (a > 0 and b > 0):
            return None
        log_ratio = math.log(a / b)
        error = math.sqrt(max(v[of, of] / a**2 + v[versus, versus] / b**2 - 2 * v[of, versus] / (a * b), 0.0))
    else:
        if not spread > 0:
            return None
        log_ratio = 0.91 * (a - b) / spread
        error = 0.91 * found.error(of, versus) / spread
    none = interval.low <= 0 <= interval.high
    near = 0.0 if none else max(abs(log_ratio) - reach * error, 0.0)
    return EValue(math.exp(log_ratio), _strength(abs(log_ratio)), _strength(near))


def _strength(log_ratio: float) -> float:
    ratio = math.exp(min(log_ratio, 300.0))
    return ratio + math.sqrt(ratio * (ratio - 1))


def _sentence(
    conditional: EffectEstimate, adjusted: EffectEstimate, names: tuple[str, ...], count: int, turned: int
) -> str:
    fixed = named_together(names)
    if conditional.slope is not None:
        return marked(
            f"Simpson's reversal: taken together the slope is {conditional.slope.mean:+.4g}, "
            f"but with {fixed} held fixed it is {adjusted.effect.mean:+.4g}."
        )
    last = conditional.differences[-1]
    higher, lower = (last.of, last.versus) if last.estimate.mean > 0 else (last.versus, last.of)
    before, after = marked(f"{higher} is ahead of {lower}"), marked(f"{lower} is ahead")
    if conditional.means:
        seen = conditional.means
        a, b = f"{seen[higher].mean:.3f}", f"{seen[lower].mean:.3f}"
        before = marked(f"{higher} is ahead of {lower} ({a} against {b})")
    if adjusted.means:
        held = adjusted.means
        a, b = f"{held[lower].mean:.3f}", f"{held[higher].mean:.3f}"
        after = marked(f"{lower} is ahead ({a} against {b})")
    if count > 1:
        every = marked("both strata") if count == 2 else marked(f"all {count} strata")
        which = every if turned == count else marked(f"{turned} of {count} strata")
        after = marked(f"{after}, and it is ahead in {which}")
    return marked(f"Simpson's reversal: taken together {before}, but with {fixed} held fixed {after}.")
