"""The theorem as a page: a test, what its answer is worth, and how that moves with the prevalence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bayesight.bayes import theorem
from bayesight.bayes.frequencies import SMALLEST, natural_frequencies
from bayesight.formatting import from_percent
from bayesight.report.figures import people_dots
from bayesight.service.page.figures import RARE, posterior_curves

__all__ = ["SCREENING", "Screening", "screening_from"]


@dataclass(frozen=True)
class Screening:
    """A test and the place where it is used; every rate a fraction in [RARE, 1 - RARE].

    Args:
        prevalence: share of the ill.
        sensitivity: P(positive | ill).
        false_alarm: P(positive | healthy).

    Example:
        >>> [round(p, 4) for p in Screening(0.10, 0.99, 0.01).after("++")]
        [0.1, 0.9167, 0.9991]
    """

    prevalence: float
    sensitivity: float
    false_alarm: float

    def after(self, results: str) -> list[float]:
        """P(ill) before, and after each of the results, ``+`` or ``-``, taken as independent."""
        prior = theorem.Belief.from_probabilities({"ill": self.prevalence, "healthy": 1 - self.prevalence})
        likelihood = {
            "+": [math.log(self.sensitivity), math.log(self.false_alarm)],
            "-": [math.log1p(-self.sensitivity), math.log1p(-self.false_alarm)],
        }
        steps = theorem.sequence(prior, [likelihood[result] for result in results])
        return [self.prevalence, *(float(step.posterior.log_p[0].exp()) for step in steps)]

    @property
    def evidence(self) -> float:
        """P(positive)."""
        return self.prevalence * self.sensitivity + (1 - self.prevalence) * self.false_alarm

    def shown(self) -> dict[str, Any]:
        """The figures and sentences of the page."""
        before, once, twice = self.after("++")
        people, drawn = (natural_frequencies(**vars(self), people=n) for n in (None, SMALLEST))
        return {
            "rates": vars(self),
            "steps": (("before", before), ("one", once), ("two", twice), ("negative", self.after("-")[1])),
            "evidence": self.evidence,
            "people": people,
            "dots": people_dots(drawn),
            "curves": posterior_curves(self.sensitivity, self.false_alarm, self.prevalence),
        }


SCREENING = Screening(prevalence=0.10, sensitivity=0.99, false_alarm=0.10)
"""Ten in a hundred are ill; the test finds 99 % of them and gives 10 % false alarms."""


def screening_from(percent: Mapping[str, str]) -> Screening:
    """The screening a form states in per cent; what is missing or no number is taken from ``SCREENING``.

    Example:
        >>> screening_from({"false_alarm": "1", "prevalence": "much"})
        Screening(prevalence=0.1, sensitivity=0.99, false_alarm=0.01)
    """
    return Screening(
        **{name: _share(percent.get(name, ""), default) for name, default in vars(SCREENING).items()}
    )


def _share(percent: str, default: float) -> float:
    value = from_percent(percent)
    return min(max(value, RARE), 1 - RARE) if math.isfinite(value) else default
