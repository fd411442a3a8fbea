"""Bayes' theorem and what is built on it: beliefs, diagnostic tests, conjugate families, decisions.

Members are loaded on first use, so that asking for one does not import torch for another.
"""

from __future__ import annotations

from importlib import import_module

_HOME = {
    "Belief": "theorem",
    "Costs": "decision",
    "Decision": "decision",
    "Diagnosis": "diagnostic",
    "Estimate": "diagnostic",
    "Rates": "diagnostic",
    "Reading": "decision",
    "Step": "theorem",
    "UncertainRate": "diagnostic",
    "calibrate": "calibrate",
    "conjugate": "conjugate",
    "decide": "decision",
    "diagnose_classes": "diagnostic",
    "from_counts": "diagnostic",
    "from_rates": "diagnostic",
    "gaussian_head": "gaussian_head",
    "label_noise": "label_noise",
    "label_shift": "label_shift",
    "laplace_head": "laplace_head",
    "likelihoods": "theorem",
    "natural_frequencies": "diagnostic",
    "rate_interval": "diagnostic",
    "sequence": "theorem",
    "sharpness": "sharpness",
    "update": "theorem",
    "value_of_reading": "decision",
}
"""Public name -> module of this package that defines it. A name equal to its module is the module itself."""

__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    """Load a public name from its module (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_HOME[name]}")
    value = module if name == _HOME[name] else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return __all__
