"""Authentication by bearer tokens with scopes, as ``bayesight token create`` makes them."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass

from fastapi import Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from bayesight.errors import NotAllowed
from bayesight.ledger import Ledger, Token, find_token
from bayesight.service.http.errors import CHALLENGE
from bayesight.service.http.limits import RateLimiter, client_of

__all__ = ["COOKIE", "AccessControl", "Caller", "ScopeMissing", "require"]

COOKIE = "bayesight_token"
"""Where a page may keep the token, as an HttpOnly, SameSite=Strict cookie; the header comes first."""
KNOWN_S = 5.0
"""How long a token found good is taken for good: a revoked one stops working after that at the latest."""
KNOWN = 1024
"""Tokens remembered."""


@dataclass(frozen=True)
class Caller:
    """The caller of a request.

    Args:
        name: the person named in the token; empty where no tokens are asked for.
        id: of the token; empty likewise.
        scopes: what the token allows; everything where no tokens are asked for.
    """

    name: str = ""
    id: str = ""
    scopes: tuple[str, ...] = ("admin",)

    def allows(self, scope: str) -> bool:
        """True where the token covers ``scope``."""
        return scope in self.scopes or "admin" in self.scopes


class ScopeMissing(HTTPException):
    """403: a good token that does not allow this.

    Args:
        message: for its holder.
        held: the scopes it has.
    """

    def __init__(self, message: str, held: tuple[str, ...]) -> None:
        super().__init__(403, message)
        self.held = held


class AccessControl:
    """Lets in who holds a token of the ledger with the scope wanted.

    Args:
        ledger: where tokens are kept.
        needed: whether tokens are asked for at all.
        limits: what counts requests.
    """

    def __init__(self, ledger: Ledger, limits: RateLimiter, *, needed: bool) -> None:
        self.ledger, self.limits, self.needed = ledger, limits, needed
        self._known: OrderedDict[bytes, tuple[Token, float]] = OrderedDict()
        self._one_at_a_time = asyncio.Lock()

    async def caller(self, request: Request, scope: str) -> Caller:
        """The caller of a request, if the token covers the scope.

        Raises:
            HTTPException: 401 without a good token, 403 when it lacks the scope, 429 too often.
        """
        client = client_of(request.client.host if request.client else "")
        if not self.needed:
            self.limits.count(f"address {client}")
            return Caller()
        try:
            token = await self._find(_secret(request), client)
        except NotAllowed as problem:
            raise HTTPException(401, str(problem), CHALLENGE) from problem
        self.limits.count(f"token {token.id}")
        if not token.allows(scope):
            held = ", ".join(token.scopes)
            raise ScopeMissing(f"token {token.id}: it allows {held}; expected {scope!r}.", token.scopes)
        return Caller(token.name, token.id, token.scopes)

    async def _find(self, secret: str, client: str) -> Token:
        """The token with this secret; a right one is found whatever its neighbours have shown.

        Once a client has shown too many wrong ones, what it shows is looked up one at a time: a flood of them
        occupies one thread and not all.
        """
        if not secret:
            raise NotAllowed("no token came; expected 'Authorization: Bearer ...'.")
        digest = _digest(secret)
        found = self._known.get(digest)
        now = time.monotonic()
        if found is not None and now - found[1] < KNOWN_S:
            return found[0]
        doubtful = found is None and self.limits.failed_often(client)
        try:
            async with self._one_at_a_time if doubtful else nullcontext():
                token = await run_in_threadpool(find_token, self.ledger, secret)
        except NotAllowed:
            self.limits.check_failures(client)
            self.limits.count_failure(client)
            self._known.pop(digest, None)
            raise
        self._known[digest] = (token, now)
        self._known.move_to_end(digest)
        while len(self._known) > KNOWN:
            self._known.popitem(last=False)
        return token


class _ScopeDependency(SecurityBase):
    """The dependency of ``require``; one for the description and the check, as each takes FastAPI time."""

    scheme_name = "HTTPBearer"
    model = HTTPBearer(description="A token made by 'bayesight token create'.")

    def __init__(self, scope: str) -> None:
        self.scope = scope

    async def __call__(self, request: Request) -> Caller:
        access: AccessControl = request.app.state.access
        found = await access.caller(request, self.scope)
        request.scope["bayesight_caller"] = found.id
        return found


def require(scope: str) -> Callable[..., Awaitable[Caller]]:
    """A dependency that lets in a caller whose token covers ``scope``, and returns it.

    Args:
        scope: "predict", "label" or "admin".
    """
    return _ScopeDependency(scope)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _secret(request: Request) -> str:
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return secret.strip()
    # A browser sends the cookie of the longest path first; one of the top of the host is another service's.
    pairs = (pair.partition("=") for pair in request.headers.get("cookie", "").split(";"))
    return next((value.strip() for name, _, value in pairs if name.strip() == COOKIE), "")
