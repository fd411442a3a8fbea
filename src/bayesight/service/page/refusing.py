"""Refusals as pages: one sentence, and a way on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fastapi import Request
from fastapi.responses import HTMLResponse

from bayesight.service.page.rendering import REFUSED, VIEWS, PageView, render

__all__ = ["opened_by", "refusal_page"]

_OURS = ("content-length", "content-type")


def refusal_page(
    request: Request,
    status: int,
    problem: str,
    headers: Mapping[str, str] | None = None,
    held: Sequence[str] | None = None,
) -> HTMLResponse:
    """Why something was refused, as a page; with a place for a token where one may help.

    Args:
        request: the request refused.
        status: of the answer.
        problem: the sentence.
        headers: of the answer; a challenge among them asks for a token.
        held: scopes of a token that does not allow this; None where that was not the reason.
    """
    kept = {name.lower(): value for name, value in (headers or {}).items() if name.lower() not in _OURS}
    path = request.url.path.removeprefix(request.scope.get("root_path", "")) or "/"
    if status == 401 or "www-authenticate" in kept:
        back = path if request.method == "GET" else "/"
        page = render(request, "locked", "/", status=status, problem=problem, back=back)
    else:
        values = {"problem": problem, "code": status, "held": held, "way": opened_by(held)}
        page = render(request, "problem", REFUSED.path, status=status, policy=None, **values)
    page.headers.update(kept)
    return page


def opened_by(held: Sequence[str] | None) -> PageView:
    """The first view that a token with these scopes opens; for everybody the first of all."""
    if held is None or "admin" in held:
        return VIEWS[0]
    return next(view for view in VIEWS if view.scope in ("", *held))
