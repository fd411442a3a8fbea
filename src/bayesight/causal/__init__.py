"""Seeing and doing: causal graphs, what to hold fixed, and effects estimated from tables.

```
graph, text, paths     who causes whom; the ways association travels
adjustment, separators which variables to hold fixed, or that none will do
```
"""

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
from bayesight.causal.graph import Dag, d_separated, parse
from bayesight.causal.paths import Path, Paths, all_paths, blocked_by, is_open

__all__ = [
    "AdjustFor",
    "Dag",
    "FrontDoor",
    "Identification",
    "Instrument",
    "NotIdentified",
    "Path",
    "Paths",
    "all_paths",
    "blocked_by",
    "d_separated",
    "explain_forbidden",
    "identify",
    "is_open",
    "objection",
    "parse",
]
