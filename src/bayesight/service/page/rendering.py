"""Templates to answers: the views there are, the filters they use, the headers every page carries."""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass
from importlib import resources
from typing import Any

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse

from bayesight.formatting import decimal
from bayesight.language import accepted, catalogue, current, marked, of_system, speaking
from bayesight.report.page import templates_of
from bayesight.report.words import count, percent, plural, points, rate
from bayesight.service.http.auth import COOKIE
from bayesight.service.page.figures import RARE
from bayesight.service.page.pictures import as_uri

__all__ = ["API", "REFUSED", "VIEWS", "PageView", "page_language", "render"]

_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data: blob:",
    "connect-src": "'self'",
    "frame-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


@dataclass(frozen=True)
class PageView:
    """One page of the service.

    Attributes:
        path: where it is.
        name: in the list of views.
        heading: its title.
        lead: what it is for, in a sentence.
        scope: that a token needs to open it; empty for everybody.
    """

    path: str
    name: str
    heading: str
    lead: str
    scope: str = "predict"


VIEWS = (
    PageView(
        "/",
        marked("Ask"),
        marked("What is it, and how sure?"),
        marked("Show an image, say how common things are, and see what an answer is worth here."),
    ),
    PageView(
        "/queue",
        marked("Teach"),
        marked("What would teach it most?"),
        marked("Images whose label would tell the classifier most, best first. One click is one label."),
        "label",
    ),
    PageView(
        "/history",
        marked("History"),
        marked("What it believed, and when"),
        marked("How often it was right before it was told, its base rates, and how strange the images were."),
    ),
    PageView(
        "/theorem",
        marked("Theorem"),
        marked("What is a positive worth?"),
        marked(
            "Bayes’ theorem with a test in your hands: move a slider, and all that follows from it moves."
        ),
        "",
    ),
    PageView(
        "/report",
        marked("Report"),
        marked("The report of the run"),
        marked("What training left behind, measured on images it never learned from."),
    ),
)


API = PageView(
    "/docs",
    marked("API"),
    marked("The service for programs"),
    marked("Every route, what it takes and what it answers, from the service's own description of itself."),
    "",
)


REFUSED = PageView(
    "",
    marked("Refused"),
    marked("Not done"),
    marked("The service says why, and where to go from here."),
    "",
)
"""The page of a refusal; no part of the service leads to it."""


def render(
    request: Request,
    template: str,
    path: str,
    *,
    status: int = 200,
    policy: dict[str, str] | None = None,
    **values: Any,
) -> HTMLResponse:
    """A view as an answer.

    Args:
        request: what is answered.
        template: its file, without the ending.
        path: of the view it belongs to.
        status: of the answer.
        policy: directives of the content security policy that this page has in another way.
        values: what the template shows.
    """
    view = next(one for one in (*VIEWS, API, REFUSED) if one.path == path)
    root = request.scope.get("root_path", "")
    shown = {"view": view, "views": VIEWS, "root": root, "entered": COOKIE in request.cookies} | values
    with speaking(page_language(request)):
        page = environment().get_template(f"{template}.html.j2").render(shown)
    allowed = "; ".join(f"{name} {value}" for name, value in (_POLICY | (policy or {})).items())
    # Without a referrer a browser would not say either which page a form was sent from.
    headers = {
        "Content-Security-Policy": allowed,
        "Cache-Control": "no-store",
        "Referrer-Policy": "same-origin",
        "Vary": "Accept-Language",
    }
    return HTMLResponse(page, status, headers)


def page_language(request: Request) -> str:
    """The language of the browser, or that of the service where the browser asks for none there is."""
    return accepted(request.headers.get("accept-language", ""), otherwise=of_system())


@functools.cache
def environment() -> jinja2.Environment:
    """The page's templates and what they write numbers with."""
    made = templates_of("bayesight.service.page")
    made.filters |= {
        "rate": rate,
        "percent2": lambda share: percent(share, 2),
        "odds": odds,
        "drawn": as_uri,
        "count": count,
        "plural": plural,
        "decimal": decimal,
        "in_percent": in_percent,
        "logit": logit,
    }
    made.globals["script_words"] = script_words
    return made


def script_words() -> dict[str, str]:
    """The messages that scripts show, with their translations; of English there are none."""
    return {message: text for message, text in catalogue(current()).items() if message in _script_messages()}


@functools.cache
def _script_messages() -> frozenset[str]:
    scripts = resources.files("bayesight.service.page") / "static"
    texts = [file.read_text("utf-8") for file in scripts.iterdir() if file.name.endswith(".js")]
    return frozenset(found for text in texts for found in re.findall(r'\btr\(\s*"([^"]*)"', text))


def odds(fraction: float) -> str:
    """A ratio to the largest, as people write it.

    Example:
        >>> odds(1.0), odds(0.25), odds(1 / 8300), odds(1e-30)
        ('1', '0.25', '1/8,300', '< 1/10⁹')
    """
    if fraction < 1e-9:
        return "< 1/10⁹"
    return f"{fraction:.2g}" if fraction >= 0.1 else f"1/{_two_figures(1 / fraction):,.0f}"


def _two_figures(value: float) -> float:
    return float(f"{value:.2g}")


def logit(share: float) -> str:
    """Log-odds of a base rate, where its slider stands.

    Example:
        >>> logit(0.5), logit(0.0)
        ('0.0000', '-13.8155')
    """
    p = min(max(share, RARE), 1 - RARE)
    return f"{math.log(p) - math.log1p(-p):.4f}"


def in_percent(share: float) -> str:
    """A base rate in per cent for a field: the text of ``rate`` without its sign.

    Example:
        >>> in_percent(0.1), in_percent(0.005), in_percent(0.00001), in_percent(0.9999)
        ('10', '0.5', '0.001', '99.99')
    """
    return points(min(max(share, RARE), 1 - RARE))
