"""Seeing and doing: causal graphs, what to hold fixed, and effects estimated from tables.

```
graph, text, paths      who causes whom; the ways association travels
adjustment, separators  which variables to hold fixed, or that none will do
sample                  a table as distinct rows with counts
effect                  the answer: conditional beside adjusted, with overlap, reversal and E-value
strata, weighting, models, other_ways, credible   the estimators
refute, simulate, examples   attempts to break an answer, worlds with a known one, tables that made history
invariance              what makes a classifier hold when the data shift
```

Members are loaded on first use: a loss that needs ``invariance`` shall not wait for networkx.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayesight.causal.adjustment import (
        AdjustFor,
        FrontDoor,
        Identification,
        Instrument,
        NotIdentified,
        explain_forbidden,
        identify,
        objection,
    )
    from bayesight.causal.arms import Answer, Contrast
    from bayesight.causal.effect import Effect, Overlap, Question, estimate
    from bayesight.causal.graph import Dag, d_separated, parse
    from bayesight.causal.invariance import (
        backdoor_weights,
        exponentiated,
        group_means,
        invariance_penalty,
        scale_gradient,
    )
    from bayesight.causal.paths import Path, Paths, all_paths, blocked_by, is_open
    from bayesight.causal.sample import Discrete, Numeric, Sample, sample_of
    from bayesight.causal.simpson import EValue, Reversal
    from bayesight.causal.strata import Strata

_HOME = {
    "AdjustFor": "adjustment",
    "Answer": "arms",
    "Contrast": "arms",
    "Dag": "graph",
    "Discrete": "sample",
    "EValue": "simpson",
    "Effect": "effect",
    "FrontDoor": "adjustment",
    "Identification": "adjustment",
    "Instrument": "adjustment",
    "NotIdentified": "adjustment",
    "Numeric": "sample",
    "Overlap": "effect",
    "Path": "paths",
    "Paths": "paths",
    "Question": "effect",
    "Reversal": "simpson",
    "Sample": "sample",
    "Strata": "strata",
    "all_paths": "paths",
    "backdoor_weights": "invariance",
    "blocked_by": "paths",
    "d_separated": "graph",
    "estimate": "effect",
    "explain_forbidden": "adjustment",
    "exponentiated": "invariance",
    "group_means": "invariance",
    "identify": "adjustment",
    "invariance_penalty": "invariance",
    "is_open": "paths",
    "objection": "adjustment",
    "parse": "graph",
    "sample_of": "sample",
    "scale_gradient": "invariance",
}
"""Public name -> module of this package that defines it."""

__all__ = [
    "AdjustFor",
    "Answer",
    "Contrast",
    "Dag",
    "Discrete",
    "EValue",
    "Effect",
    "FrontDoor",
    "Identification",
    "Instrument",
    "NotIdentified",
    "Numeric",
    "Overlap",
    "Path",
    "Paths",
    "Question",
    "Reversal",
    "Sample",
    "Strata",
    "all_paths",
    "backdoor_weights",
    "blocked_by",
    "d_separated",
    "estimate",
    "explain_forbidden",
    "exponentiated",
    "group_means",
    "identify",
    "invariance_penalty",
    "is_open",
    "objection",
    "parse",
    "sample_of",
    "scale_gradient",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return __all__
