"""The API's own description as a page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["docs_values"]

FORM = "multipart/form-data"
_SHORT = 60


def docs_values(description: Mapping[str, Any], base: str) -> dict[str, Any]:
    """The routes of an OpenAPI description, as a template shows them.

    Args:
        description: OpenAPI 3.
        base: address of the service, for the examples.
    """
    routes = [
        _route(method, path, operation, base)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    return {"routes": routes, "version": description["info"]["version"]}


def _route(method: str, path: str, operation: Mapping[str, Any], base: str) -> dict[str, Any]:
    content = operation.get("requestBody", {}).get("content", {})
    body = content.get("application/json", {})
    text = operation.get("description", "").replace("``", "")
    locked = bool(operation.get("security"))
    return {
        "method": method.upper(),
        "path": path,
        "summary": operation.get("summary", ""),
        "text": [" ".join(part.split()) for part in text.split("\n\n") if part],
        "locked": locked,
        "parameters": [_parameter(one) for one in operation.get("parameters", ())],
        "fields": [
            {"name": name, "text": field.get("description", "")}
            for name, field in body.get("schema", {}).get("properties", {}).items()
        ],
        "kinds": list(content),
        "example": _shortened(body["example"]) if "example" in body else [],
        "curl": _curl(method.upper(), f"{base}{path}", locked, content),
        "responses": [
            {"code": code, "text": one.get("description", "")}
            for code, one in sorted(operation.get("responses", {}).items())
        ],
    }


def _parameter(one: Mapping[str, Any]) -> dict[str, str]:
    schema = one.get("schema", {})
    default = schema.get("default", "")
    return {
        "name": one["name"],
        "where": one["in"],
        "text": one.get("description", ""),
        "default": str(default) if default != "" else "",
    }


def _curl(method: str, url: str, locked: bool, content: Mapping[str, Any]) -> str:
    """A command that asks this route; with a file where images go along."""
    parts = ["curl"] + (["-H 'Authorization: Bearer TOKEN'"] if locked else [])
    body = json.dumps(content.get("application/json", {}).get("example", {}))
    if FORM in content and '"data"' in body:
        parts.append("-F images=@image.png")
        if "labels" in content[FORM]["schema"]["properties"]["options"]["contentSchema"].get("required", ()):
            parts.append("""-F 'options={"labels": ["A"]}'""")
    elif content:
        parts.append(f"-X {method} -H 'Content-Type: application/json' -d '{body}'")
    return " ".join([*parts, f"'{url}'"])


def _shortened(value: Any) -> list[str]:
    """An example as lines of JSON, without the length of an encoded image."""

    def short(node: Any) -> Any:
        if isinstance(node, Mapping):
            return {name: short(one) for name, one in node.items()}
        if isinstance(node, list):
            return [short(one) for one in node]
        return f"{node[:_SHORT]}..." if isinstance(node, str) and len(node) > _SHORT else node

    return json.dumps(short(value), indent=2).splitlines()
