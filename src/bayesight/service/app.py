"""The application of one worker: a service, its routes, and what surrounds them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import torch
from fastapi import APIRouter, FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware

import bayesight
from bayesight.service.api import belief, labels, operations, predictions
from bayesight.service.http import errors as problems
from bayesight.service.http.auth import AccessControl
from bayesight.service.http.limits import (
    BodyLimitMiddleware,
    CrossOriginMiddleware,
    RateLimiter,
    SameSiteMiddleware,
)
from bayesight.service.http.middleware import RequestMiddleware
from bayesight.service.http.proxies import ProxyMiddleware
from bayesight.service.ops.metrics import Metrics
from bayesight.service.ops.settings import Settings
from bayesight.service.service import Service

__all__ = ["create_app", "from_environment"]


def create_app(settings: Settings, *, routers: Sequence[APIRouter] = ()) -> FastAPI:
    """The application: the API, and whatever further routers bring.

    The run and the ledger are opened when the application starts (its *lifespan*), and closed, everything
    acknowledged being finished, when it stops.

    A further router, such as that of the pages, is any ``fastapi.APIRouter`` given in ``routers``. Its
    handlers take what they need as dependencies, all of them in ``bayesight.service.api.common``::

        @router.get("/somewhere")
        async def somewhere(service: TheService, caller: Labeller) -> Response:
            pixels = await service.read([Upload(name, content)])   # decoded, within the limits
            answer = await service.predict(pixels, Readings(...), person=caller.name)
            taught = await service.teach([Correction("A", image=digest)], person=caller.name, key=key)
            await service.state_prior({"A": 0.01}, person=caller.name)
            now = await service.current_belief()    # .classifier, .state.position, .prior(), .source
            service.ledger, service.run         # blocking: call them in ``run_in_threadpool``

    ``Predicter``, ``Labeller`` and ``Admin`` ask for a token with that scope (in the header, or in the cookie
    ``http.auth.COOKIE``); a handler without one is open to all who can reach the service. Errors of
    ``bayesight.errors`` become an answer with a status and one sentence; handlers need not catch them. Every
    answer carries ``http.middleware.CONTENT_POLICY``: scripts are files of our own, never inline.

    Args:
        settings: how it is run.
        routers: further routes.

    Example:
        >>> app = create_app(Settings("runs/demo"))
        >>> "/v1/predictions" in app.openapi()["paths"]
        True
    """
    metrics = Metrics()
    middleware = [
        Middleware(RequestMiddleware, metrics=metrics),
        Middleware(ProxyMiddleware, trusted=settings.proxies, root=settings.root_path),
        Middleware(SameSiteMiddleware, settings=settings),
        Middleware(BodyLimitMiddleware, most=settings.body_bytes),
    ]
    if settings.origins:
        cors = Middleware(
            CrossOriginMiddleware, allow_origins=list(settings.origins), allow_methods=["GET", "POST", "PUT"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key"],
        )  # fmt: skip
        middleware.insert(2, cors)
    app = FastAPI(
        title="Bayesight",
        version=bayesight.__version__,
        description="A classifier that says what its answers are worth and learns when it is corrected.",
        lifespan=_lifespan,
        middleware=middleware,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.settings, app.state.metrics = settings, metrics
    problems.install(app)
    for router in (predictions.router, labels.router, belief.router, operations.router, *routers):
        app.include_router(router)
    return app


def from_environment() -> FastAPI:
    """The application of a worker process that ``bayesight serve`` started; one thread a worker."""
    from bayesight.service.ops.logging import set_up
    from bayesight.service.page import router as page

    settings = Settings.from_environment()
    set_up(settings.log_level)
    torch.set_num_threads(1)
    return create_app(settings, routers=(page,))


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    service = await run_in_threadpool(Service, settings)
    app.state.service = service
    app.state.access = AccessControl(
        service.ledger, RateLimiter(settings.rate), needed=settings.tokens_needed
    )
    service.absorb_soon()  # what an earlier process acknowledged and could not absorb any more
    try:
        yield
    finally:
        await run_in_threadpool(service.close)
