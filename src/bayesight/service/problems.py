"""What goes wrong, as an HTTP status and one clear sentence."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

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

__all__ = ["install", "response", "sentence"]

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

_PHRASES = {
    404: "there is nothing at this path; see /openapi.json for what there is",
    405: "this path does not do that",
}
_LONGEST = 400


def install(app: FastAPI) -> None:
    """Have every refusal answered with ``{"error", "message"}``."""
    app.add_exception_handler(BayesightError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def response(status: int, error: str, message: str, headers: dict[str, str] | None = None) -> Response:
    """The answer to a request that was refused."""
    return JSONResponse({"error": error, "message": message[:_LONGEST]}, status, headers)


def sentence(problems: list[Any]) -> str:
    """What pydantic found, in one sentence; what came is not repeated, for it may be large or secret.

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
    status = problem.status_code
    plain = {404: "Not Found", 405: "Method Not Allowed"}.get(status)
    text = _PHRASES[status] if plain is not None and problem.detail == plain else str(problem.detail)
    return response(status, "Refused", text, dict(problem.headers or {}))
