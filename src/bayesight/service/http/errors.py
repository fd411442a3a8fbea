"""Errors as an HTTP status and one clear sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from bayesight.errors import (
    BayesightError,
    BeliefMoved,
    Impossible,
    InvalidInput,
    KeyReused,
    LedgerBroken,
    NotAllowed,
    SourceUnreadable,
    StorageFailed,
)

__all__ = ["CHALLENGE", "install", "prefers_html", "response", "sentence"]

STATUS: tuple[tuple[type[BayesightError], int], ...] = (
    (KeyReused, 409),
    (NotAllowed, 403),
    (InvalidInput, 422),
    (SourceUnreadable, 422),
    (Impossible, 422),
    (StorageFailed, 503),
    (BeliefMoved, 503),
    (LedgerBroken, 503),
)
"""The first that fits; any other refusal is our mistake."""

CHALLENGE = {"WWW-Authenticate": "Bearer"}
"""Headers of a refusal that a token may help."""

_LONGEST = 400
_WEIGHT = re.compile(r"[01](\.\d{0,3})?")


def install(app: FastAPI) -> None:
    """Have every refusal answered with ``{"error", "message"}``, and those of a browser with a page."""
    app.add_exception_handler(BayesightError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


class Refusal(JSONResponse):
    """A refusal: JSON for programs, a page with a way back for those who would rather read HTML."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        answer: Response | None = None
        if scope["type"] == "http" and prefers_html(Headers(scope=scope).get("accept", "")[:1000]):
            from bayesight.service.page.refusing import refusal_page  # pages are made of all of this

            message = json.loads(bytes(self.body))["message"]
            answer = refusal_page(Request(scope), self.status_code, message, dict(self.headers))
        await (answer(scope, receive, send) if answer else super().__call__(scope, receive, send))


def response(status: int, error: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """The answer to a request that was refused."""
    return Refusal(
        {"error": error, "message": message[:_LONGEST]}, status, {"Vary": "Accept", **(headers or {})}
    )


@lru_cache(maxsize=256)
def prefers_html(accept: str) -> bool:
    """True of a client that asks for a page before anything else, as browsers do.

    Args:
        accept: its header ``Accept``.

    Example:
        >>> [prefers_html(a) for a in ("text/html,*/*;q=0.8", "*/*", "application/json, text/html;q=0.9")]
        [True, False, False]
    """
    weights = {"text/html": 0.0, "application/json": 0.0, "*/*": 0.0}
    for part in accept.lower().split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        weight = next((one[2:] for one in parameters if one.startswith("q=")), "1")
        if kind in weights:
            weights[kind] = float(weight) if _WEIGHT.fullmatch(weight) else 0.0
    html, json_, anything = weights.values()
    return html > json_ and html >= anything


def sentence(problems: list[Any]) -> str:
    """Validation errors in one sentence; the value itself is not repeated, for it may be large or secret.

    Example:
        >>> sentence([{"loc": ("body", "level"), "msg": "Input should be less than 1"}])
        'level: input should be less than 1.'
    """
    parts = []
    for problem in problems[:3]:
        place = ".".join(
            str(part)[:40] for part in problem["loc"] if part not in ("body", "query", "path", "header")
        )
        text = str(problem["msg"])
        parts.append((f"{place}: " if place else "") + text[:1].lower() + text[1:])
    more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
    return "; ".join(parts) + more + "."


async def _refused(request: Request, problem: Exception) -> Response:
    status = next((code for kind, code in STATUS if isinstance(problem, kind)), 500)
    headers = {"Retry-After": "1"} if status == 503 else None
    return response(status, type(problem).__name__, str(problem), headers)


async def _invalid(request: Request, problem: Exception) -> Response:
    if isinstance(problem, ValidationError):
        return response(
            422, "InvalidInput", sentence(list(problem.errors(include_url=False, include_input=False)))
        )
    assert isinstance(problem, RequestValidationError)
    return response(422, "InvalidInput", sentence(list(problem.errors())))


async def _http(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    status, text = problem.status_code, str(problem.detail)
    headers = dict(problem.headers or {})
    if (status, text) == (404, "Not Found"):
        root = request.scope.get("root_path", "")
        text = f"there is nothing at this path; see {root}/openapi.json for what there is"
    elif (status, text) == (405, "Method Not Allowed"):
        text = "this path does not do that"
        if "GET" in (allowed := headers.get("Allow", headers.get("allow", ""))) and "HEAD" not in allowed:
            headers = {"Allow": f"{allowed}, HEAD"}
    return response(status, "Refused", text, headers)
