"""Bayes' theorem and what is built on it: beliefs, diagnostic tests, conjugate families, decisions.

Members are loaded on first use, so that asking for one does not import torch for another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayesight.lazy import door

if TYPE_CHECKING:
    from bayesight.bayes import calibrate as calibrate
    from bayesight.bayes import conjugate as conjugate
    from bayesight.bayes import head as head
    from bayesight.bayes import label_shift as label_shift
    from bayesight.bayes import sharpness as sharpness
    from bayesight.bayes.decision import Costs as Costs
    from bayesight.bayes.decision import Decision as Decision
    from bayesight.bayes.decision import Reading as Reading
    from bayesight.bayes.decision import decide as decide
    from bayesight.bayes.decision import value_of_reading as value_of_reading
    from bayesight.bayes.diagnostic import Diagnosis as Diagnosis
    from bayesight.bayes.diagnostic import Estimate as Estimate
    from bayesight.bayes.diagnostic import Rates as Rates
    from bayesight.bayes.diagnostic import UncertainRate as UncertainRate
    from bayesight.bayes.diagnostic import diagnose_classes as diagnose_classes
    from bayesight.bayes.diagnostic import from_counts as from_counts
    from bayesight.bayes.diagnostic import from_rates as from_rates
    from bayesight.bayes.diagnostic import rate_interval as rate_interval
    from bayesight.bayes.frequencies import natural_frequencies as natural_frequencies
    from bayesight.bayes.theorem import Belief as Belief
    from bayesight.bayes.theorem import UpdateStep as UpdateStep
    from bayesight.bayes.theorem import likelihoods as likelihoods
    from bayesight.bayes.theorem import sequence as sequence
    from bayesight.bayes.theorem import update as update

__getattr__, __dir__, __all__ = door(__name__)
