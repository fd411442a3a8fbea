"""Bayesian last layers on a network's features, and what follows from them about labels.

``gaussian`` is the head that a run keeps (its sufficient statistics in ``state``, its Student-t densities in
``predictive``), ``laplace`` a softmax to compare it with; ``label_noise`` finds wrong labels, and
``label_information`` says what a label would teach.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayesight.lazy import door

if TYPE_CHECKING:
    from bayesight.bayes.head import gaussian as gaussian
    from bayesight.bayes.head import label_noise as label_noise
    from bayesight.bayes.head import laplace as laplace
    from bayesight.bayes.head.label_information import label_information as label_information

__getattr__, __dir__, __all__ = door(__name__)
