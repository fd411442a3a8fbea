"""The belief as it is, the base rates it is used with, and the images that would teach it most."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from bayesight.service.api.common import REFUSALS, Admin, Labeller, Predicter, TheService
from bayesight.service.http.bodies import body_of, openapi_body, read
from bayesight.service.http.schemas import (
    BeliefAnswer,
    ClassBelief,
    InferOptions,
    InferredAnswer,
    InferRequest,
    PriorAnswer,
    PriorRequest,
    QueueAnswer,
    QueueItem,
)
from bayesight.service.work.belief import CurrentBelief
from bayesight.service.work.queue import rank

__all__ = ["router"]

router = APIRouter(responses=REFUSALS)


@router.get("/v1/belief", summary="What is believed now")
async def belief(service: TheService, caller: Predicter) -> BeliefAnswer:
    """Classes, what was absorbed of each, base rates, and where in the ledger the belief stands."""
    now = await service.current_belief()
    queued = await run_in_threadpool(service.ledger.queued, service.beliefs.name, limit=10_000)
    head, names = now.classifier.head, now.classifier.classes.names
    prior, training = now.prior(), now.classifier.prior.tolist()
    classes = {
        name: ClassBelief(images=count, prior=prior[name], training=share)
        for name, count, share in zip(names, head.counts.tolist(), training, strict=True)
    }
    return BeliefAnswer(
        run=now.state.run,
        belief=now.state.belief,
        position=now.state.position,
        exact=now.state.exact,
        classes=classes,
        images=float(head.counts.sum()),
        temperature=now.classifier.temperature,
        prior_source=now.source,
        queued=len(queued),
    )


@router.put(
    "/v1/prior",
    summary="State the base rates",
    openapi_extra=openapi_body(PriorRequest, None, {"prior": {"A": 0.01}}),
)
async def state_prior(request: Request, service: TheService, caller: Admin) -> PriorAnswer:
    """Say how common each class is where the service is used; every worker goes by it from now on."""
    asked = await body_of(request, PriorRequest)
    await service.state_prior(asked.prior, person=caller.name)
    return _prior(await service.current_belief())


@router.post(
    "/v1/prior/infer",
    summary="Infer the base rates",
    openapi_extra=openapi_body(InferRequest, InferOptions, {"recent": 500, "level": 0.9}),
)
async def infer_prior(request: Request, service: TheService, caller: Predicter) -> InferredAnswer:
    """Base rates that unlabelled images speak for: images that come along, or those predicted last."""
    whole, options, uploads = await read(request, InferRequest, InferOptions)
    if whole is not None:
        uploads = [image.upload() for image in whole.images or ()]
    asked = whole or options
    assert asked is not None
    if asked.adopt and not caller.allows("admin"):
        raise HTTPException(403, "adopting base rates needs the scope 'admin'; expected a token that has it.")
    pixels = await service.read(uploads) if uploads or whole is None else None
    recent = whole.recent if whole is not None else 0
    found = await service.infer_prior(pixels, recent=recent, level=asked.level, seed=asked.seed)
    tree, entry = found.as_dict(), 0
    if asked.adopt:
        detail = {name: value for name, value in tree.items() if name not in ("prior", "second_opinion")}
        receipt = await service.state_prior(
            tree["prior"], person=caller.name, source="inferred", detail=detail
        )
        entry = receipt.last
    return InferredAnswer(**tree, adopted=asked.adopt, entry=entry)


@router.get("/v1/queue", summary="What to label next")
async def queue(
    service: TheService,
    caller: Labeller,
    limit: Annotated[int, Query(ge=1, le=200, description="at most so many images")] = 20,
    recent: Annotated[int, Query(ge=1, le=2000, description="among so many of the latest predictions")] = 500,
) -> QueueAnswer:
    """Unlabelled images among the latest predictions, those first whose label is expected to teach most."""
    now = await service.current_belief()
    entries = await run_in_threadpool(service.recent, recent)
    waiting = await run_in_threadpool(service.ledger.queued, service.beliefs.name, limit=10_000)
    ranked = await run_in_threadpool(partial(rank, now, entries, waiting, limit=limit))
    images = [
        QueueItem(
            image=one.record.image,
            prediction=one.answer.prediction,
            posterior=one.answer.posterior,
            information_bits=one.information_bits,
            novelty=one.answer.novelty,
            known=one.answer.known,
            at=one.at,
        )
        for one in ranked.images
    ]
    return QueueAnswer(considered=ranked.waiting, images=images)


def _prior(now: CurrentBelief) -> PriorAnswer:
    return PriorAnswer(prior=now.prior(), source=now.source, entry=now.stated_at)
