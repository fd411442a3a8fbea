"""Bodies that bring images: as JSON, as multipart files, or as one bare file."""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from bayesight.checks import check
from bayesight.service.work.images import Upload

__all__ = ["body_of", "openapi_body", "read"]

JSON, FORM = "application/json", "multipart/form-data"
FILES = ("image", "images")
"""Names under which a multipart request may hold files."""
MOST_PARTS = 10_000
MOST_VALUES = 30_000
"""Values in a JSON body: 10,000 base rates, and some for each image. To say that one of them is wrong costs a
hundred times what it took to write it."""

Whole = TypeVar("Whole", bound=BaseModel)
Options = TypeVar("Options", bound=BaseModel)


async def read(
    request: Request, whole: type[Whole], options: type[Options]
) -> tuple[Whole | None, Options | None, list[Upload]]:
    """Read a request with images.

    Args:
        request: the request.
        whole: of a JSON body.
        options: of the field ``options`` of a multipart body.

    Returns:
        The JSON body and nothing else; or the options and the files of a multipart body or a bare image.

    Raises:
        HTTPException: 400 a body that is cut off, 415 another kind of body.
        ValidationError, InvalidInput: one that breaks the schema.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == JSON or not kind:
        return await body_of(request, whole), None, []
    if kind.startswith("image/") or kind == "application/octet-stream":
        return None, options.model_validate({}), [Upload("", await request.body())]
    if kind == FORM:
        return None, *await _form(request, options)
    raise HTTPException(415, f"a body of kind {kind[:60]!r}; expected {JSON}, {FORM} or image/png.")


async def body_of(request: Request, kind: type[Whole]) -> Whole:
    """A JSON body.

    Raises:
        ValidationError: it is none, or breaks the schema.
    """
    return _parsed(await request.body(), kind)


def _parsed(text: bytes, kind: type[Whole]) -> Whole:
    values = 1 + text.count(b",")
    mend = "Send less at a time."
    check(values <= MOST_VALUES, "body", f"about {values:,} values", f"at most {MOST_VALUES:,}", mend)
    return kind.model_validate_json(text)


async def _form(request: Request, options: type[Options]) -> tuple[Options, list[Upload]]:
    uploads: list[Upload] = []
    stated = "{}"
    # Starlette turns a damaged body into a 400 that says what is wrong with it.
    async with request.form(max_files=MOST_PARTS, max_fields=16, max_part_size=2**20) as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                known = name in FILES
                check(known, "form", f"a file called {name[:40]!r}", "files called 'images'")
                uploads.append(Upload((value.filename or "")[:200], await value.read()))
            else:
                known = name == "options"
                check(known, "form", f"a field called {name[:40]!r}", "'images' and 'options'")
                stated = value
    return _parsed(stated.encode("utf-8", "surrogatepass"), options), uploads


def openapi_body(
    whole: type[BaseModel], options: type[BaseModel] | None, example: dict[str, Any]
) -> dict[str, Any]:
    """The OpenAPI description of such a body, for ``openapi_extra``.

    Args:
        whole: of a JSON body.
        options: of the field ``options`` of a multipart body; None where only JSON is taken.
        example: of a JSON body.
    """
    content: dict[str, Any] = {JSON: {"schema": _inline(whole), "example": example}}
    if options is None:
        return {"requestBody": {"required": True, "content": content}}
    form = {
        "type": "object",
        "required": ["images"],
        "properties": {
            "images": {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}},
            "options": {
                "type": "string",
                "contentMediaType": JSON,
                "contentSchema": _inline(options),
                "description": "options as JSON text",
            },
        },
    }
    content[FORM] = {"schema": form, "encoding": {"images": {"contentType": "image/*"}}}
    content["image/png"] = {"schema": {"type": "string", "format": "binary"}}
    return {"requestBody": {"required": True, "content": content}}


def _inline(model: type[BaseModel]) -> dict[str, Any]:
    """A model's schema without references, which would point at nothing where it is put."""
    tree = model.model_json_schema()
    definitions = tree.pop("$defs", {})

    def resolved(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return resolved(definitions[node["$ref"].rpartition("/")[2]])
            return {key: resolved(value) for key, value in node.items()}
        return [resolved(value) for value in node] if isinstance(node, list) else node

    found: dict[str, Any] = resolved(tree)
    return found
