"""A run in daily use: an HTTP service that answers, learns when it is corrected, and writes down both.

``app.create_app`` makes the application; ``service.Service`` is what its routes (``api``) and pages
(``page``) call, and ``work`` what it does behind them. ``http`` lies around the application: middleware,
tokens, bodies, schemas, refusals. ``ops`` holds settings, processes, logging and metrics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayesight.lazy import door

if TYPE_CHECKING:
    from bayesight.service.app import create_app as create_app
    from bayesight.service.ops.settings import Settings as Settings
    from bayesight.service.service import Correction as Correction
    from bayesight.service.service import Service as Service

__getattr__, __dir__, __all__ = door(__name__)
