"""Seeing and doing: causal graphs, what to hold fixed, and effects estimated from tables.

```
graph, notation           who causes whom, as it is written
paths, adjustment         the ways association travels, and what to hold fixed, or that nothing will do
sample, coding            a table as distinct rows with counts
question, effect          what is asked, and made ready; the answer, with reversal and E-value
strata, exact             estimators by strata: standardisation, Beta and Dirichlet, exact tests
orthogonal, nuisance, weighting, regression, cross_products, front_door_iv   those by models
overlap, adjusting        the steps to it
potential_outcomes, sensitivity   what all of them give, and how far it may be trusted
refute, structural_model, examples   attempts to break an answer, data with a known one, famous tables
```

Members are loaded on first use: only what asks for a graph's algorithms waits for networkx.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayesight.lazy import door

if TYPE_CHECKING:
    from bayesight.causal.adjustment import AdjustFor as AdjustFor
    from bayesight.causal.adjustment import FrontDoor as FrontDoor
    from bayesight.causal.adjustment import Identification as Identification
    from bayesight.causal.adjustment import Instrument as Instrument
    from bayesight.causal.adjustment import NotIdentified as NotIdentified
    from bayesight.causal.adjustment import explain_forbidden as explain_forbidden
    from bayesight.causal.adjustment import identify as identify
    from bayesight.causal.adjustment import objection as objection
    from bayesight.causal.effect import Effect as Effect
    from bayesight.causal.effect import estimate as estimate
    from bayesight.causal.graph import Dag as Dag
    from bayesight.causal.graph import d_separated as d_separated
    from bayesight.causal.graph import parse as parse
    from bayesight.causal.overlap import Overlap as Overlap
    from bayesight.causal.paths import Path as Path
    from bayesight.causal.paths import Paths as Paths
    from bayesight.causal.paths import all_paths as all_paths
    from bayesight.causal.paths import blocked_by as blocked_by
    from bayesight.causal.paths import is_open as is_open
    from bayesight.causal.potential_outcomes import Contrast as Contrast
    from bayesight.causal.potential_outcomes import EffectEstimate as EffectEstimate
    from bayesight.causal.question import EffectQuestion as EffectQuestion
    from bayesight.causal.sample import Discrete as Discrete
    from bayesight.causal.sample import Numeric as Numeric
    from bayesight.causal.sample import Sample as Sample
    from bayesight.causal.sample import sample_of as sample_of
    from bayesight.causal.sensitivity import EValue as EValue
    from bayesight.causal.sensitivity import Reversal as Reversal
    from bayesight.causal.strata import Strata as Strata

__getattr__, __dir__, __all__ = door(__name__)
