"""A run in daily use: an HTTP service that answers, learns when it is corrected, and writes down both.

``app.create_app`` makes the application; ``service.Service`` is what its routes and pages call.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayesight.service.app import create_app
    from bayesight.service.service import Correction, Service
    from bayesight.service.settings import Settings

_MODULE_OF = {"Correction": "service", "Service": "service", "Settings": "settings", "create_app": "app"}

__all__ = ["Correction", "Service", "Settings", "create_app"]


def __getattr__(name: str) -> Any:
    """Load the module of a public name when it is first asked for."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
