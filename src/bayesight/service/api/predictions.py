"""``POST /v1/predictions``: the four terms for images."""

from __future__ import annotations

import json

from fastapi import APIRouter, Request, Response

from bayesight.service.api.common import REFUSALS, DirectRoute, Predicter, TheService
from bayesight.service.http.bodies import openapi_body, read
from bayesight.service.http.schemas import TINY_PNG, PredictionAnswer, PredictionOptions, PredictionRequest

__all__ = ["router"]

router = APIRouter(route_class=DirectRoute)
_EXAMPLE = {"images": [{"data": TINY_PNG, "name": "scan 17"}], "prior": {"A": 0.01}}
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_TERMS = (
    "prediction", "prior", "log_likelihood", "log_evidence", "posterior", "novelty", "p_value", "known",
    "reason",
)  # fmt: skip


@router.post(
    "/v1/predictions",
    summary="What images are",
    response_model=PredictionAnswer,
    responses=REFUSALS,
    openapi_extra=openapi_body(PredictionRequest, PredictionOptions, _EXAMPLE),
)
async def predictions(request: Request, service: TheService, caller: Predicter) -> Response:
    """Prior, likelihood, evidence and posterior of each image, and whether it is like anything seen.

    Images come as JSON (base64), as multipart files called ``images`` with an optional field ``options``, or
    one as the bare body of kind ``image/png``.
    """
    whole, options, uploads = await read(request, PredictionRequest, PredictionOptions)
    if whole is not None:
        uploads = [image.upload() for image in whole.images]
    asked = whole or options
    assert asked is not None
    pixels = await service.read(uploads)
    answer = await service.predict(pixels, asked.readings(), person=caller.name)
    found = [
        {"image": digest, "name": said.path} | {term: getattr(said, term) for term in _TERMS}
        for digest, said in zip(pixels.digests, answer.predictions, strict=True)
    ]
    known = sum(said.known for said in answer.predictions)
    metrics = request.app.state.metrics
    metrics.images.labels("yes").inc(known)
    metrics.images.labels("no").inc(len(found) - known)
    state = answer.current.state
    tree = {"belief": state.belief, "position": state.position, "predictions": found}
    # Written here and not by FastAPI, which would check and copy every number of what we just made.
    return Response(_ENCODER.encode(tree), media_type="application/json")
