"""Public names of a package, each loaded when it is first used (PEP 562)."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol, cast

__all__ = ["door"]


class _SourceLoader(Protocol):
    def get_source(self, name: str) -> str: ...


def door(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Make a package's ``__getattr__``, ``__dir__`` and ``__all__`` from what it imports for type checkers.

    The public names stand once, below ``if TYPE_CHECKING:``, as ``from package.module import Name as Name``.
    A name that is imported ``as`` another is public under that one.

    Args:
        package: ``__name__`` of the package that calls.
    """
    module = sys.modules[package]
    assert module.__spec__ is not None
    source = cast("_SourceLoader", module.__spec__.loader).get_source(package)
    home = {
        alias.asname or alias.name: (node.module, alias.name)
        for block in ast.parse(source).body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }

    def get(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        where, attribute = home[name]
        if where == package:
            return import_module(f"{package}.{attribute}")
        value = getattr(import_module(where), attribute)
        setattr(module, name, value)
        return value

    public = sorted(home)
    return get, lambda: public, public
