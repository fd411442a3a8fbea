"""The work behind the routes: images are read, predicted and recorded, labels learned, the belief kept."""

from __future__ import annotations

__all__: list[str] = []
