"""``POST /v1/labels``: what images are, learned at once or taken back; ``GET /v1/images/...`` shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Header, Path, Request, Response

from bayesight.checks import check
from bayesight.errors import UnknownName
from bayesight.ledger import Receipt
from bayesight.service.api.common import REFUSALS, Admin, Labeller, TheService, refusals
from bayesight.service.http.bodies import body_of, openapi_body, read
from bayesight.service.http.errors import response as refused
from bayesight.service.http.schemas import (
    TINY_PNG,
    CorrectionItem,
    EncodedImage,
    LabelAnswer,
    LabelOptions,
    LabelRequest,
    ReceiptAnswer,
    RenameAnswer,
    RenameRequest,
    TakeBackAnswer,
    TakeBackRequest,
)
from bayesight.service.service import Correction
from bayesight.service.work.images import Upload
from bayesight.service.work.teaching import TeachingOutcome

__all__ = ["router", "said"]

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
    request: Request, response: Response, service: TheService, caller: Labeller, key: Key = ""
) -> LabelAnswer:
    """Take in labels, of images that come along or of images predicted earlier, named by their digest.

    A label replaces the one the same person gave the image before, and the run's own; the answer says so.
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
        corrections, person=caller.name, key=f"{caller.id}:{key}" if key else "",
        new_classes=asked.new_classes, second_reading=asked.second_reading, wait=asked.wait,
    )  # fmt: skip
    receipt = taught.receipt
    assert receipt is not None
    request.app.state.metrics.labels.labels("yes" if taught.absorbed else "no").inc(len(corrections))
    response.status_code = 200 if taught.absorbed else 202
    corrected, unchanged = _compared(taught, [correction.label for correction in corrections])
    return LabelAnswer(
        receipt=_receipt(receipt),
        labels=len(corrections),
        images=list(taught.images),
        repeated=receipt.repeated or unchanged == len(corrections),
        unchanged=unchanged,
        corrected=corrected,
        said=said(corrected, unchanged, len(corrections)),
        absorbed=taught.absorbed,
        update=taught.update,
        belief=service.beliefs.last.state.belief,
    )


@router.post(
    "/v1/labels/take-back",
    summary="Take a label back",
    responses={**REFUSALS, **refusals(409)},
    openapi_extra=openapi_body(TakeBackRequest, None, {"image": "0f" * 16}),
)
async def take_back(request: Request, service: TheService, caller: Labeller, key: Key = "") -> TakeBackAnswer:
    """Take back the last label that the same token's holder gave an image.

    The belief is as if it had never been given: what it had replaced stands again, and a class without
    another image is gone. Repeat a request that got no answer with the same ``Idempotency-Key``; without
    one, the label before is taken back next.
    """
    image = (await body_of(request, TakeBackRequest)).image
    told = await service.take_back(
        image, person=caller.name, key=f"take back {caller.id}:{key}" if key else ""
    )
    return TakeBackAnswer(
        receipt=_receipt(told.receipt),
        image=image,
        was=told.was or None,
        now=told.now,
        gone_classes=list(told.gone_classes),
        repeated=told.receipt.repeated,
        belief=service.beliefs.last.state.belief,
    )


@router.post(
    "/v1/classes/rename",
    summary="Rename a class",
    responses={**REFUSALS, **refusals(409)},
    openapi_extra=openapi_body(RenameRequest, None, {"name": "A", "to": "alpha"}),
)
async def rename(request: Request, service: TheService, caller: Admin, key: Key = "") -> RenameAnswer:
    """Call a class something else, for every worker and from now on.

    Its images stay its own, and what was said of it before, in labels that are queued and in stated base
    rates, is meant of it still. Two classes cannot become one by a name.
    """
    asked = await body_of(request, RenameRequest)
    receipt = await service.rename_class(
        asked.name, asked.to.strip(), person=caller.name, key=f"rename {caller.id}:{key}" if key else ""
    )
    state = service.beliefs.last.state
    return RenameAnswer(
        receipt=_receipt(receipt),
        classes=list(state.classifier.classes.names),
        repeated=receipt.repeated,
        belief=state.belief,
    )


@router.get(
    "/v1/images/{digest}",
    summary="An image seen earlier",
    response_class=Response,
    responses={**REFUSALS, **refusals(404), 200: {"content": {"image/png": {}}, "description": "a PNG file"}},
)
async def image(
    service: TheService, caller: Labeller, digest: Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
) -> Response:
    """An image that was predicted or labelled, as the run sees it."""
    try:
        png = await service.image(digest)
    except UnknownName as problem:
        return refused(404, "UnknownName", str(problem))
    return Response(png, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})


def said(corrected: Sequence[CorrectionItem], unchanged: int, labels: int) -> str:
    """Labels beside those before, in words; empty where there were none before.

    Example:
        >>> one = CorrectionItem(image="0f" * 16, was="cross", now="ring")
        >>> said([one], 0, 1), said([], 1, 1)
        ('was cross, is ring', 'repeated: it has this label already')
        >>> said([one], 2, 10)
        '1 of 10 corrected (was cross, is ring); 2 of 10 repeated'
    """
    changes = Counter((one.was, one.now) for one in corrected)
    words = [f"was {was}, is {now}" + (f" ({n} times)" if n > 1 else "") for (was, now), n in changes.items()]
    if labels == 1:
        return "; ".join(words) or ("repeated: it has this label already" if unchanged else "")
    parts = [f"{len(corrected)} of {labels} corrected ({'; '.join(words[:5])})"] if words else []
    return "; ".join(parts + ([f"{unchanged} of {labels} repeated"] if unchanged else []))


def _compared(taught: TeachingOutcome, names: Sequence[str]) -> tuple[list[CorrectionItem], int]:
    """The labels that corrected another one, and how many only said the same again."""
    rows = list(zip(taught.images, taught.former, names, strict=False))  # no former ones while queued
    corrected = [CorrectionItem(image=i, was=was, now=now) for i, was, now in rows if was not in (None, now)]
    return corrected, sum(was == now for _, was, now in rows)


def _receipt(receipt: Receipt) -> ReceiptAnswer:
    return ReceiptAnswer(first=receipt.first, last=receipt.last, at=receipt.at, digest=receipt.digest)


def _from_json(whole: LabelRequest) -> list[Correction]:
    found = []
    for item in whole.labels:
        one = (item.image is None) != (item.data is None)
        check(one, f"label {item.label[:40]!r}", "not one of image and data", "either of them")
        upload = EncodedImage(data=item.data, name="").upload() if item.data is not None else None
        found.append(Correction(item.label, item.image or "", upload))
    return found


def _from_form(options: LabelOptions | None, uploads: list[Upload]) -> list[Correction]:
    assert options is not None
    names = options.labels * len(uploads) if len(options.labels) == 1 else options.labels
    came = f"{len(names)} labels for {len(uploads)} files"
    check(len(names) == len(uploads) > 0, "labels", came, "one a file, or one for all")
    return [Correction(name, upload=upload) for name, upload in zip(names, uploads, strict=True)]
