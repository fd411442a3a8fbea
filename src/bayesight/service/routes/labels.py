"""``POST /v1/labels``: what images are, learned at once; ``GET /v1/images/...``: what they look like."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Path, Request, Response

from bayesight.checks import check
from bayesight.errors import UnknownName
from bayesight.service.images import Upload
from bayesight.service.problems import response as refused
from bayesight.service.requests import openapi_body, read
from bayesight.service.routes.common import REFUSALS, Labeller, TheService, refusals
from bayesight.service.schemas import (
    TINY_PNG,
    Encoded,
    LabelAnswer,
    LabelOptions,
    LabelRequest,
    ReceiptAnswer,
)
from bayesight.service.service import Correction

__all__ = ["router"]

router = APIRouter()
_EXAMPLE = {"labels": [{"label": "A", "data": TINY_PNG}, {"label": "B", "image": "0f" * 16}]}
Key = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        max_length=128,
        pattern=r"^[\x21-\x7e]*$",
        description="any text of your own; a request repeated with it is written once",
    ),
]


@router.post(
    "/v1/labels",
    summary="Say what images are",
    response_model=LabelAnswer,
    responses={**REFUSALS, **refusals(409), 202: {"model": LabelAnswer, "description": "queued"}},
    openapi_extra=openapi_body(LabelRequest, LabelOptions, _EXAMPLE),
)
async def labels(
    request: Request, response: Response, service: TheService, who: Labeller, key: Key = ""
) -> LabelAnswer:
    """Take in labels, of images that come along or of images predicted earlier, named by their digest.

    They are in the ledger and on the disk when this answers, and absorbed into the belief unless ``wait`` is
    false; then the answer is 202 and they are absorbed shortly. Repeat a request that got no answer with the
    same ``Idempotency-Key``: it is written once.
    """
    whole, options, uploads = await read(request, LabelRequest, LabelOptions)
    asked = whole or options
    assert asked is not None
    corrections = _from_json(whole) if whole else _from_form(options, uploads)
    most = service.settings.images
    check(len(corrections) <= most, "labels", f"{len(corrections)}", f"at most {most} in one request")
    taught = await service.teach(
        corrections, person=who.name, key=f"{who.id}:{key}" if key else "",
        new_classes=asked.new_classes, wait=asked.wait,
    )  # fmt: skip
    receipt = taught.receipt
    assert receipt is not None
    request.app.state.metrics.labels.labels("yes" if taught.absorbed else "no").inc(len(corrections))
    response.status_code = 200 if taught.absorbed else 202
    return LabelAnswer(
        receipt=ReceiptAnswer(first=receipt.first, last=receipt.last, at=receipt.at, digest=receipt.digest),
        labels=len(corrections),
        images=list(taught.images),
        repeated=receipt.repeated,
        absorbed=taught.absorbed,
        update=taught.update,
        belief=service.keeper.last.held.belief,
    )


@router.get(
    "/v1/images/{digest}",
    summary="An image seen earlier",
    response_class=Response,
    responses={**REFUSALS, **refusals(404), 200: {"content": {"image/png": {}}, "description": "a PNG file"}},
)
async def image(
    service: TheService, who: Labeller, digest: Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
) -> Response:
    """An image that was predicted or labelled, as the run sees it."""
    try:
        png = await service.image(digest)
    except UnknownName as problem:
        return refused(404, "UnknownName", str(problem))
    return Response(png, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})


def _from_json(whole: LabelRequest) -> list[Correction]:
    found = []
    for item in whole.labels:
        one = (item.image is None) != (item.data is None)
        check(one, f"label {item.label[:40]!r}", "not one of image and data", "either of them")
        upload = Encoded(data=item.data, name="").upload() if item.data is not None else None
        found.append(Correction(item.label, item.image or "", upload))
    return found


def _from_form(options: LabelOptions | None, uploads: list[Upload]) -> list[Correction]:
    assert options is not None
    names = options.labels * len(uploads) if len(options.labels) == 1 else options.labels
    came = f"{len(names)} labels for {len(uploads)} files"
    check(len(names) == len(uploads) > 0, "labels", came, "one a file, or one for all")
    return [Correction(name, upload=upload) for name, upload in zip(names, uploads, strict=True)]
