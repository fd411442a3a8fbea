"""Dependencies of the routes: the service, the caller, and the refusals any route may answer with."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeAlias

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute

from bayesight.service.http.auth import Caller, require
from bayesight.service.http.schemas import Problem
from bayesight.service.service import Service

__all__ = ["REFUSALS", "Admin", "DirectRoute", "Labeller", "Predicter", "TheService", "service_of"]

_REASONS = {
    400: "a body that is cut off or damaged",
    401: "no good token",
    403: "the token does not allow it",
    404: "no such thing",
    409: "the idempotency key stands for other content",
    413: "the body is too large",
    415: "a body of another kind",
    422: "a value that breaks the contract",
    429: "too many requests",
    503: "the ledger cannot be reached or written; repeat with the same key",
}


def refusals(*codes: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses for refusals with these codes."""
    return {code: {"model": Problem, "description": _REASONS[code]} for code in codes}


REFUSALS = refusals(400, 401, 403, 413, 415, 422, 429, 503)
"""What any route may answer with."""


async def service_of(request: Request) -> Service:
    """The worker's service, as a dependency."""
    service: Service = request.app.state.service
    return service


class DirectRoute(APIRoute):
    """A route that FastAPI describes, and that asks for its dependencies itself, one after the other.

    Its handler takes the request and them, and returns a response; each of them takes the request alone. To
    resolve dependencies in general takes FastAPI as long for every request as to answer for one small image.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, called with its dependencies."""
        endpoint = self.endpoint
        needed = {one.name: one.call for one in self.dependant.dependencies if one.name and one.call}

        async def handle(request: Request) -> Response:
            found = {name: await call(request) for name, call in needed.items()}
            response: Response = await endpoint(request, **found)
            return response

        return handle


TheService: TypeAlias = Annotated[Service, Depends(service_of)]
Predicter: TypeAlias = Annotated[Caller, Depends(require("predict"))]
Labeller: TypeAlias = Annotated[Caller, Depends(require("label"))]
Admin: TypeAlias = Annotated[Caller, Depends(require("admin"))]
