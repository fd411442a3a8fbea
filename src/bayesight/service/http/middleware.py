"""The outermost middleware: a request's number, time, log line and metrics, and safe headers."""

from __future__ import annotations

import logging
import secrets
import sys
import time
from functools import partial
from itertools import count

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bayesight.errors import BayesightError
from bayesight.service.http.errors import response
from bayesight.service.ops.metrics import Metrics

__all__ = ["CONTENT_POLICY", "RequestMiddleware"]

log = logging.getLogger("bayesight.service")

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing from elsewhere, and no script but files of our own; drawn figures carry their styles with them."""

_HEADERS = [
    (b"content-security-policy", CONTENT_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
]
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")
GONE = 499
"""Counted for a request whose sender left before it was whole."""
_QUIET = ("/health", "/ready", "/metrics")


class RequestMiddleware:
    """The outermost middleware of the application.

    Args:
        app: the application.
        metrics: what is counted.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics
        self._numbers, self._own = count(), secrets.token_hex(4)  # of this worker

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, partial(_tell_briefly, send))
            return
        began, status, number = time.perf_counter(), 0, f"{self._own}{next(self._numbers):06x}"
        method, head = scope["method"], scope["method"] == "HEAD"
        if head:  # answered as GET, and the body left away; the server's own scope stays as it is
            scope = {**scope, "method": "GET"}

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_missing(message), _number(number)]
            elif head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except ClientDisconnect:  # nobody is left to be answered
            status = status or GONE
        except Exception:
            log.exception("a request failed", extra={"event": "failure", "request": number})
            if status:  # an answer is on its way already: the connection is cut
                raise
            message = f"something went wrong here, not with the request; the log has it under {number}."
            await response(500, "Failure", message)(scope, receive, sending)
        finally:
            self._count(scope, method, status, time.perf_counter() - began, number)

    def _count(self, scope: Scope, method: str, status: int, elapsed_s: float, number: str) -> None:
        route = getattr(scope.get("route"), "path", "other")
        self.metrics.requests.labels(route, method if method in _METHODS else "other", status).inc()
        self.metrics.elapsed_s.labels(route).observe(elapsed_s)
        if route in _QUIET or not log.isEnabledFor(logging.INFO):
            return
        told = {
            "event": "request", "method": method, "route": route, "status": status,
            "elapsed_ms": round(elapsed_s * 1e3, 2), "request": number,
        }  # fmt: skip
        if token := scope.get("bayesight_caller"):
            told["token"] = token
        log.info("served", extra=told)


async def _tell_briefly(send: Send, message: Message) -> None:
    """Pass on how the application started; a refusal as its sentence, without the way through the code."""
    refused = sys.exc_info()[1]
    if message["type"].endswith(".failed") and isinstance(refused, BayesightError):
        message = {**message, "message": str(refused)}
    await send(message)


def _missing(message: Message) -> list[tuple[bytes, bytes]]:
    """Safe headers, less those a handler set itself."""
    own = {name for name, _ in message.get("headers", ())}
    return [pair for pair in _HEADERS if pair[0] not in own]


def _number(number: str) -> tuple[bytes, bytes]:
    return b"x-request-id", number.encode()
