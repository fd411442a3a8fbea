"""Limits on the size of a body, on requests per token or address, and on the sites whose pages may ask."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network

import limits as rates
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bayesight.service.http.errors import CHALLENGE, response
from bayesight.service.http.origins import canonical_origin, host_and_port
from bayesight.service.http.proxies import ORIGINAL_HOST, address_of
from bayesight.service.ops import memory
from bayesight.service.ops.settings import Settings, is_loopback

__all__ = ["BodyLimitMiddleware", "CrossOriginMiddleware", "RateLimiter", "SameSiteMiddleware", "client_of"]

FAILURES = "30/minute"
"""Wrong tokens an address may show."""
SWEEP_S = 10.0
"""How often windows that have ended are forgotten."""
MOST_WINDOWS = 65_536
"""Windows kept; beyond them the oldest is forgotten, so that many addresses cost no memory without end."""


class RateLimiter:
    """Counts requests of one worker in windows of fixed length; setting the clock changes nothing.

    Args:
        rate: how many a token or address may make, as ``limits`` writes it; empty for no limit.
    """

    def __init__(self, rate: str) -> None:
        self._rate = rates.parse(rate) if rate else None
        self._failures = rates.parse(FAILURES)
        self._windows: OrderedDict[str, _RateWindow] = OrderedDict()
        self._sweep_s = time.monotonic()

    def count(self, who: str) -> None:
        """One more request.

        Raises:
            HTTPException: 429, too many.
        """
        if self._rate is not None and self._hit(self._rate, who) > self._rate.amount:
            raise _too_many(f"more than {self._rate}; expected fewer. Try again shortly.", self._rate)

    def check_failures(self, client: str) -> None:
        """Refuse one more wrong token of a client that showed too many.

        Raises:
            HTTPException: 429.
        """
        if self.failed_often(client):
            message = "too many wrong tokens from this address. Try again in a minute."
            raise _too_many(message, self._failures, CHALLENGE)

    def failed_often(self, client: str) -> bool:
        """True of a client that has shown as many wrong tokens as it may."""
        window = self._windows.get(f"failures {client}")
        return (
            window is not None and window.end_s > time.monotonic() and window.count >= self._failures.amount
        )

    def count_failure(self, client: str) -> None:
        """One more wrong token."""
        self._hit(self._failures, f"failures {client}")

    def _hit(self, rate: rates.RateLimitItem, who: str) -> int:
        """Count a request, and return the number in this window."""
        now = time.monotonic()
        if now > self._sweep_s:
            self._windows = OrderedDict((who, one) for who, one in self._windows.items() if one.end_s > now)
            self._sweep_s = now + SWEEP_S
        window = self._windows.get(who)
        if window is None or window.end_s <= now:
            self._windows.pop(who, None)
            if len(self._windows) >= MOST_WINDOWS:
                self._windows.popitem(last=False)
            window = self._windows[who] = _RateWindow(now + rate.get_expiry())
        window.count += 1
        return window.count


@dataclass(slots=True)
class _RateWindow:
    end_s: float
    count: int = 0


@lru_cache(maxsize=4096)
def client_of(address: str) -> str:
    """The address whose requests are counted together, or its /64 of IPv6, all of which one client can have.

    Example:
        >>> client_of("192.0.2.1"), client_of("2001:db8::1:2"), client_of("::ffff:192.0.2.1")
        ('192.0.2.1', '2001:db8::/64', '192.0.2.1')
    """
    found = address_of(address)
    if isinstance(found, IPv6Address):
        return str(IPv6Network((int(found), 64), strict=False))
    return str(found) if found is not None else address


class BodyLimitMiddleware:
    """Refuses bodies over a size, by their announced length or as they come, and cleans up after large ones.

    Args:
        app: the application.
        most: bytes.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app, self.most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced) > self.most:
            await response(413, "TooLarge", self._message())(scope, receive, send)
            return
        left = self.most

        async def counted() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413, self._message())
            return message

        try:
            await self.app(scope, counted, send)
        finally:  # also when the sender has left, or sent too much
            if self.most - left > memory.LARGE_BYTES:
                await run_in_threadpool(memory.give_back)

    def _message(self) -> str:
        return f"the body is larger than {self.most:,} bytes, the limit. Send fewer images at a time."


class SameSiteMiddleware:
    """Refuses what other web sites make a visitor's browser send.

    A browser says with every request that changes something which page it comes from. A page of another site
    may not use the service unless its origin was allowed; and a service without tokens answers only under the
    names of its own machine, so that a name that was pointed at it (DNS rebinding) gets nothing.

    Args:
        app: the application.
        settings: origins and names allowed.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.origins = app, frozenset(settings.origins)
        self.hosts = None if settings.tokens_needed else frozenset(settings.hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] == "http" and (reason := self._reason(scope, Headers(scope=scope))):
            await response(403, "NotAllowed", reason)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _reason(self, scope: Scope, headers: Headers) -> str:
        """Why not; empty when nothing speaks against it."""
        host = headers.get("host", "")
        called = {host, scope.get(ORIGINAL_HOST, host)}  # a script may write what a proxy would have said
        if self.hosts is not None and not all(_is_here(name[:300], self.hosts) for name in called):
            return (
                f"this service answers on this machine only, not as {host[:80]!r}. Name the host with "
                "--allow-host, or ask for tokens with --require-token."
            )
        origin = headers.get("origin", "")
        if scope["method"] in ("GET", "HEAD", "OPTIONS") or not origin or _is_one_of(origin, self.origins):
            return ""
        if _is_at(origin, host):
            return ""
        return (
            f"a page of {origin[:80]!r} may not do this here, at {host[:80]!r}. Allow its origin with "
            "--allow-origin; if it is this service behind a proxy, have the proxy pass Host on."
        )


class CrossOriginMiddleware(CORSMiddleware):
    """Lets pages of allowed origins read answers, however their origin is written."""

    def is_allowed_origin(self, origin: str) -> bool:
        """True of one of those allowed."""
        return _is_one_of(origin, self.allow_origins)


@lru_cache(maxsize=256)  # each client says the same with every request
def _is_here(host: str, names: frozenset[str]) -> bool:
    try:
        name, _ = host_and_port(host)
    except ValueError:
        return False
    return is_loopback(name.strip("[]")) or name in names


def _is_one_of(origin: str, allowed: Container[str]) -> bool:
    if origin in allowed:
        return True
    try:
        return canonical_origin(origin) in allowed
    except ValueError:
        return False


def _is_at(origin: str, host: str) -> bool:
    """The origin is the host asked, by whichever scheme: a proxy may not have said by which."""
    try:
        return canonical_origin(origin) == canonical_origin(f"{origin.partition('://')[0]}://{host}")
    except ValueError:
        return False


def _too_many(
    message: str, rate: rates.RateLimitItem, headers: Mapping[str, str] | None = None
) -> HTTPException:
    return HTTPException(429, message, {"Retry-After": str(min(60, rate.get_expiry())), **(headers or {})})
