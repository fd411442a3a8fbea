"""The views and what their forms do. Each is whole without a script; a script only spares the reloading."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Callable, Coroutine, Sequence
from importlib import resources
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, File, Form, Query, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from bayesight.checks import check
from bayesight.data.codecs import quick_png
from bayesight.errors import BayesightError, InvalidInput, UnknownName, shown
from bayesight.formatting import from_percent
from bayesight.language import speaking, tr
from bayesight.ledger.records import CHANGES
from bayesight.names import NAME_LIMIT, canonical, known_as
from bayesight.report.words import plural
from bayesight.service.api.common import Admin, Labeller, Predicter, TheService
from bayesight.service.http.auth import COOKIE, Caller, ScopeMissing
from bayesight.service.http.errors import STATUS, sentence
from bayesight.service.page.details import details_of
from bayesight.service.page.docs import docs_values
from bayesight.service.page.history import history_of
from bayesight.service.page.pictures import Album
from bayesight.service.page.refusing import opened_by, refusal_page
from bayesight.service.page.rendering import page_language, render
from bayesight.service.page.showing import (
    ask_values,
    can_be_drawn,
    history_values,
    image_values,
    new_key,
    queue_values,
)
from bayesight.service.page.theorem import screening_from
from bayesight.service.service import Correction, Service
from bayesight.service.work.images import Upload, from_base64
from bayesight.service.work.queue import rank
from bayesight.service.work.recording import ImageFeatures, find_features

__all__ = ["router"]

EVENTS = 20
QUEUED = 12
CONSIDERED = 500
SKIPPED = 100
"""Images that the queue leaves out on request; they are named in its address and nowhere else."""

_REPORT_POLICY = (
    "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'"
)


_KINDS = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


class _PageRoute(APIRoute):
    """A route whose refusals are pages too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with what goes wrong in it told as a page."""
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            with speaking(page_language(request)):
                return await answered(request)

        async def answered(request: Request) -> Response:
            try:
                return await handle(request)
            except ScopeMissing as problem:
                way = opened_by(problem.held)
                if request.method == "GET" and request.scope["route"].path == "/":
                    return _to(request, way.path)
                return refusal_page(request, 403, str(problem.detail), held=problem.held)
            except HTTPException as problem:
                return refusal_page(request, problem.status_code, str(problem.detail), problem.headers)
            except RequestValidationError as problem:
                return refusal_page(request, 422, sentence(list(problem.errors())))
            except BayesightError as problem:
                status = next((code for kind, code in STATUS if isinstance(problem, kind)), 500)
                return refusal_page(request, status, str(problem))

        return handled


router = APIRouter(route_class=_PageRoute, include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/")
async def ask(
    request: Request,
    service: TheService,
    caller: Predicter,
    renamed: Annotated[str, Query(max_length=NAME_LIMIT)] = "",
    taken_back: Annotated[int, Query(ge=0, le=10_000)] = 0,
) -> HTMLResponse:
    """The first view: show an image, teach a class, give a class another name."""
    current = await service.current_belief()
    labels = plural(taken_back, "label was", "labels were")
    told = tr("{labels} taken back.", labels=labels) if taken_back else ""
    if renamed in current.classifier.classes.names:
        told = tr("The class is called {name} now.", name=renamed)
    return render(request, "ask", "/", **ask_values(current, told), may_rename=caller.allows("admin"))


@router.post("/answers")
async def answer(
    request: Request, service: TheService, caller: Predicter, file: Annotated[UploadFile, File()]
) -> Response:
    """Ask about an image; its own page answers."""
    pixels = await service.read([Upload(file.filename or "", await file.read())])
    found = await service.predict(pixels, person=caller.name)
    if service.settings.record != "never":
        return _to(request, f"/images/{pixels.digests[0]}")
    seen = ImageFeatures(pixels.digests[0], found.features[0].numpy(), quick_png(pixels.images[0]))
    return await _image_page(request, service, caller, seen, kept=False)


@router.get("/images/{image}")
async def image(request: Request, service: TheService, caller: Predicter, image: str) -> HTMLResponse:
    """The belief about an image, now and before."""
    return await _image_page(request, service, caller, await service.find_image(image))


@router.post("/images/{image}/label")
async def label(
    request: Request,
    service: TheService,
    caller: Labeller,
    image: str,
    label: Annotated[str, Form(max_length=NAME_LIMIT)],
    key: Annotated[str, Form(max_length=60)],
    new: Annotated[str, Form()] = "",
    back: Annotated[str, Form()] = "",
    picture: Annotated[str, Form()] = "",
    skip: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """One click: this image is that."""
    name = canonical(label.strip())
    brought = Upload("", _decoded(picture)) if picture else None
    correction = Correction(name, "" if brought else image, brought)
    await service.teach(
        [correction], person=caller.name, key=f"page {caller.id} {key} {_key_of(name)}", new_classes=bool(new)
    )
    return _to(request, _queue(image, skip) if back == "queue" else f"/images/{image}")


@router.post("/take-back")
async def take_back(
    request: Request,
    service: TheService,
    caller: Labeller,
    image: Annotated[list[str], Form(min_length=1, max_length=256)],
    key: Annotated[str, Form(max_length=60)],
    back: Annotated[str, Form()] = "",
    skip: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """The last label of an image is not meant any more; of a lesson, those of all its images."""
    problems = []
    for one in image:
        try:
            await service.take_back(one, person=caller.name, key=f"page {caller.id} {key} {one}")
        except InvalidInput as problem:  # of a lesson, one may have been taken back by itself
            problems.append(problem)
    if len(problems) == len(image):
        raise problems[0]
    if len(image) > 1:
        return _to(request, f"/?taken_back={len(image) - len(problems)}")
    return _to(request, _queue(image[0], skip) if back == "queue" else f"/images/{image[0]}")


@router.post("/classes/rename")
async def rename(
    request: Request,
    service: TheService,
    caller: Admin,
    name: Annotated[str, Form()],
    to: Annotated[str, Form(max_length=NAME_LIMIT)],
    key: Annotated[str, Form(max_length=60)],
) -> Response:
    """Call a class something else."""
    new = canonical(to.strip())
    await service.rename_class(name, new, person=caller.name, key=f"page {caller.id} {key} {_key_of(new)}")
    return _to(request, "/?" + urlencode({"renamed": new}))


@router.post("/lessons")
async def lesson(
    request: Request,
    service: TheService,
    caller: Labeller,
    label: Annotated[str, Form(max_length=NAME_LIMIT)],
    key: Annotated[str, Form(max_length=60)],
    files: Annotated[list[UploadFile], File()],
) -> HTMLResponse:
    """A handful of images of one class, new or known, learned together."""
    name = canonical(label.strip())
    uploads = [Upload(file.filename or "", await file.read()) for file in files]
    pixels = await service.read(uploads)
    asked = await service.predict(pixels, person=caller.name)
    corrections = [Correction(name, upload=upload) for upload in uploads]
    known = name in asked.current.classifier.classes.names
    await service.teach(corrections, person=caller.name, key=f"page {caller.id} {key}", new_classes=True)
    again = await service.predict(pixels, person=caller.name)
    taught = [
        {
            "image": digest, "pixels": quick_png(shown),
            "was": was.prediction if was.known else tr("unknown"), "before": was.posterior.get(name, 0.0),
            "now": now.prediction if now.known else tr("unknown"), "after": now.posterior[name],
        }
        for digest, shown, was, now in zip(
            pixels.digests, pixels.images, asked.predictions, again.predictions, strict=True
        )
    ]  # fmt: skip
    kind = tr("more of a class it knew") if known else tr("a class that is new to it")
    images = plural(len(taught), "image")
    said = tr("It has learned {images} of {name}, {kind}.", images=images, name=name, kind=kind)
    classes = again.current.classifier.classes
    return render(
        request, "lesson", "/", label=name, taught=taught, said=said, size=classes.size,
        drawn=can_be_drawn(classes), key=new_key(),
    )  # fmt: skip


@router.post("/prior")
async def prior(
    request: Request,
    service: TheService,
    caller: Admin,
    name: Annotated[str, Form()],
    share: Annotated[str, Form(max_length=40)],
    image: Annotated[str, Form()] = "",
) -> Response:
    """State how common a class is here, in per cent; the others share the rest as they do now."""
    shares = (await service.current_belief()).prior()
    known = known_as(name, shares)
    if known is None:
        raise UnknownName("class", name[:60], shares)
    name, rest, stated = known, 1 - shares[known], from_percent(share)
    check(0 <= stated <= 1, "base rate", f"got {shown(share)}", "per cent from 0 to 100, such as 0.5 or 30%")
    moved = {other: p * (1 - stated) / rest for other, p in shares.items()} if rest > 0 else {}
    await service.state_prior(moved | {name: stated}, person=caller.name)
    return _to(request, f"/images/{image}" if image else "/")


@router.get("/queue")
async def queue(
    request: Request,
    service: TheService,
    caller: Labeller,
    told: str = "",
    skip: Annotated[list[str] | None, Query()] = None,
) -> HTMLResponse:
    """The images a label would teach most, less those that were skipped, and what came of the last one."""
    skipped = _skipped(skip)
    current = await service.current_belief()

    def values() -> dict[str, Any]:
        waiting = service.ledger.queued(service.beliefs.name, limit=10_000)
        ranked = rank(current, service.recent(CONSIDERED), waiting, limit=QUEUED, skipped=skipped)
        found = find_features(service.ledger, service.beliefs.name, told) if told else None
        details = details_of(service.ledger, current, found, caller.name) if found else None
        return queue_values(ranked, skipped, details)

    return render(request, "queue", "/queue", **await run_in_threadpool(values))


@router.get("/history")
async def history(request: Request, service: TheService, caller: Predicter) -> HTMLResponse:
    """The belief over time."""
    current = await service.current_belief()
    values = await run_in_threadpool(_past, service, current)
    return render(request, "history", "/history", **values)


@router.get("/theorem")
async def theorem(request: Request) -> HTMLResponse:
    """The theorem with a test in one's hands; for everybody."""
    return render(request, "theorem", "/theorem", shown=screening_from(request.query_params).shown())


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """The API for people, without anything from elsewhere; for everybody, as its description is."""
    values = docs_values(request.app.openapi(), str(request.base_url).rstrip("/"))
    return render(request, "docs", "/docs", **values)


@router.get("/report")
async def report(request: Request, service: TheService, caller: Predicter) -> HTMLResponse:
    """The run's report, walled off."""
    folder = service.run.folder
    there = (folder / "report.html").is_file()
    return render(request, "report", "/report", name=folder.name, there=there)


@router.get("/report/file")
async def report_file(request: Request, service: TheService, caller: Predicter) -> Response:
    """The report itself: it may load nothing, run nothing and belongs to no origin."""
    path = service.run.folder / "report.html"
    if not path.is_file():
        raise HTTPException(404, "this run has no report.")
    headers = {
        "Content-Security-Policy": _REPORT_POLICY,
        "X-Frame-Options": "SAMEORIGIN",
        "Cache-Control": "no-store",
    }
    return FileResponse(path, media_type="text/html", headers=headers)


@router.get("/static/{name}")
async def static(request: Request, name: str) -> Response:
    """Stylesheets, scripts, the icon: the files there are, and no path to others."""
    if name not in _files():
        raise HTTPException(404, "there is no such file.")
    kind = _KINDS[name.rpartition(".")[2]]
    return FileResponse(_files()[name], media_type=kind, headers={"Cache-Control": "no-cache"})


@router.post("/token")
async def token(
    request: Request, token: Annotated[str, Form(max_length=200)] = "", back: Annotated[str, Form()] = "/"
) -> Response:
    """Keep a token in a cookie no script can read and no other site can have sent; without one, forget it."""
    answer = _to(request, back if back.startswith("/") and not back.startswith(("//", "/\\")) else "/")
    path = request.scope["root_path"] or "/"
    if token.strip():
        check(
            token.strip().isascii(),
            "token",
            "other characters than a token has",
            "one made by 'bayesight token create'",
        )
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, token.strip(), path=path, httponly=True, samesite="strict", secure=secure)
    else:
        answer.delete_cookie(COOKIE, path=path, httponly=True, samesite="strict")
    return answer


@functools.cache
def _files() -> dict[str, str]:
    """Name -> path of every file a page may load; the report's stylesheet is the first of them."""
    own = resources.files("bayesight.service.page") / "static"
    styles = resources.files("bayesight.report") / "templates" / "style.css"
    return {file.name: str(file) for file in own.iterdir()} | {"report.css": str(styles)}


def _to(request: Request, path: str) -> RedirectResponse:
    return RedirectResponse(request.scope.get("root_path", "") + path, 303)


async def _image_page(
    request: Request, service: Service, caller: Caller, seen: ImageFeatures, *, kept: bool = True
) -> HTMLResponse:
    current = await service.current_belief()

    def values() -> dict[str, Any]:
        details = details_of(service.ledger, current, seen, caller.name)
        return image_values(details, current, _album(request, service))

    shown = await run_in_threadpool(values)
    if not kept:
        shown["picture"] = base64.b64encode(seen.pixels).decode()
    return render(request, "image", "/", **shown)


def _album(request: Request, service: Service) -> Album:
    """Made once a worker: the sources are opened when the first picture is wanted."""
    state = request.app.state
    if not hasattr(state, "album"):
        state.album = Album(service.ledger, service.beliefs.name, service.run, service.settings.sources)
    found: Album = state.album
    return found


def _past(service: Service, current: Any) -> dict[str, Any]:
    ledger, run = service.ledger, service.beliefs.name
    history = history_of(ledger, run, current.classifier.classes.names)
    changes = [e for kind in CHANGES[1:] for e in ledger.latest(run, kind, limit=EVENTS)]
    newest = sorted(changes, key=lambda entry: -entry.sequence)[:EVENTS]
    return history_values(history, current.classifier, newest)


def _skipped(skip: Sequence[str] | None) -> list[str]:
    """The images skipped last, each once."""
    named = [one for one in skip or () if re.fullmatch("[0-9a-f]{32}", one)]
    return list(dict.fromkeys(reversed(named)))[:SKIPPED][::-1]


def _queue(told: str, skip: Sequence[str] | None) -> str:
    return "/queue?" + urlencode([("told", told), *(("skip", one) for one in _skipped(skip))])


def _key_of(name: str) -> str:
    """A name as part of an idempotency key, whose length is limited."""
    return name if len(name) <= 60 else hashlib.sha256(name.encode()).hexdigest()[:32]


def _decoded(picture: str) -> bytes:
    try:
        return from_base64(picture)
    except ValueError:
        return b""
