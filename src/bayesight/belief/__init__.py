"""The belief of a classifier: a network, the head on its features, and every labelled image the head holds.

``Classifier`` answers with the four terms of Bayes' theorem; ``absorb`` and ``take_back`` change what it has
learned, exactly, and ``corrections`` is the rule by which a later label replaces an earlier one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayesight.lazy import door

if TYPE_CHECKING:
    from bayesight.belief.absorbed import AbsorbedRows as AbsorbedRows
    from bayesight.belief.absorbed import Rows as Rows
    from bayesight.belief.classifier import Classes as Classes
    from bayesight.belief.classifier import Classifier as Classifier
    from bayesight.belief.classifier import fit_classifier as fit_classifier
    from bayesight.belief.updating import absorb as absorb
    from bayesight.belief.updating import take_back as take_back

__getattr__, __dir__, __all__ = door(__name__)
