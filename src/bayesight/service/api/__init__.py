"""The routes of the API, a file a concern; each only reads a request and writes an answer."""

from __future__ import annotations

__all__: list[str] = []
