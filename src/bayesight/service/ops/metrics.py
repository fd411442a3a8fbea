"""Metrics for Prometheus, of one worker or of all of a machine's."""

from __future__ import annotations

import os
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

__all__ = ["Metrics"]

_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Metrics:
    """The metrics of one application.

    With ``PROMETHEUS_MULTIPROC_DIR`` in the environment before Python starts, workers add up in that folder
    and each tells the figures of all; ``bayesight serve --workers`` sets it.
    """

    def __init__(self) -> None:
        # Each application has a registry of its own, or tests with several would meet in one.
        self.registry = CollectorRegistry()
        self._shared = "PROMETHEUS_MULTIPROC_DIR" in os.environ
        where: dict[str, Any] = {"registry": self.registry, "namespace": "bayesight"}
        self.requests = Counter("requests", "Requests answered", ["route", "method", "status"], **where)
        self.elapsed_s = Histogram(
            "request_seconds", "From the first byte to the last", ["route"], buckets=_BUCKETS, **where
        )
        self.images = Counter("images", "Images predicted", ["known"], **where)
        self.labels = Counter("labels", "Labels acknowledged", ["absorbed"], **where)
        self.dropped = Gauge(
            "predictions_dropped", "Predictions that could not be recorded", multiprocess_mode="sum", **where
        )
        self.position = Gauge(
            "belief_position", "Entry of the ledger the belief is at", multiprocess_mode="min", **where
        )

    def text(self) -> bytes:
        """The figures as Prometheus reads them."""
        if not self._shared:
            return generate_latest(self.registry)
        every = CollectorRegistry()
        MultiProcessCollector(every)  # type: ignore[no-untyped-call]
        return generate_latest(every)
