"""HTTP around the application: middleware, tokens, proxies, limits, bodies, schemas, and refusals."""

from __future__ import annotations

__all__: list[str] = []
