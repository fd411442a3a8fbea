"""Logs as JSON lines, one a request, without images, tokens, names of files or query strings."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

__all__ = ["JsonLines", "set_up"]

_FIELDS = ("event", "method", "route", "status", "elapsed_ms", "request", "token", "reason")


class JsonLines(logging.Formatter):
    """One JSON object a line.

    Example:
        >>> record = logging.LogRecord("bayesight.service", 20, "", 0, "served", (), None)
        >>> record.status = 200
        >>> sorted(json.loads(JsonLines().format(record)))
        ['at', 'level', 'message', 'status']
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        tree = {"at": at, "level": record.levelname.lower(), "message": record.getMessage()}
        tree |= {name: getattr(record, name) for name in _FIELDS if hasattr(record, name)}
        if record.exc_info:
            tree["trace"] = self.formatException(record.exc_info)
        return json.dumps(tree, ensure_ascii=False, default=str)


def set_up(level: str = "info") -> None:
    """Send the service's and uvicorn's messages to standard error as JSON lines.

    Args:
        level: the least that is told: "debug", "info", "warning" or "error".
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("bayesight.service", "uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers = [handler] if name != "uvicorn.error" else []
        logger.propagate = name == "uvicorn.error"
        logger.setLevel(level.upper())
    for name in ("uvicorn.access", "python_multipart.multipart"):  # ours say it, and without what was sent
        logging.getLogger(name).disabled = True
