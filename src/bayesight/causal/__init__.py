"""Seeing and doing: causal graphs, what to hold fixed, and effects estimated from tables.

```
graph, text, paths     who causes whom; the ways association travels
adjustment, separators which variables to hold fixed, or that none will do
invariance             what makes a classifier hold when the data shift
```

Members are loaded on first use: a loss that needs ``invariance`` shall not wait for networkx.
"""

from __future__ import annotations

from importlib import import_module

_HOME = {
    "AdjustFor": "adjustment",
    "Dag": "graph",
    "FrontDoor": "adjustment",
    "Identification": "adjustment",
    "Instrument": "adjustment",
    "NotIdentified": "adjustment",
    "Path": "paths",
    "Paths": "paths",
    "all_paths": "paths",
    "backdoor_weights": "invariance",
    "blocked_by": "paths",
    "d_separated": "graph",
    "explain_forbidden": "adjustment",
    "exponentiated": "invariance",
    "group_means": "invariance",
    "identify": "adjustment",
    "invariance_penalty": "invariance",
    "is_open": "paths",
    "objection": "adjustment",
    "parse": "graph",
    "scale_gradient": "invariance",
}
"""Public name -> module of this package that defines it."""

__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    """Load a public name from its module (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return __all__
