"""Operation of the service: settings, processes, logging, metrics, memory."""

from __future__ import annotations

__all__: list[str] = []
