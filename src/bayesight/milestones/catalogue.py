"""Every milestone by name. A file in ``papers/`` that defines ``MILESTONE`` is one, and that is all."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from bayesight.errors import UnknownName
from bayesight.milestones import papers
from bayesight.milestones.bench.claim import Milestone


@cache
def names() -> tuple[str, ...]:
    """The milestones' names, sorted; loads none of them."""
    modules = (module.name for module in pkgutil.iter_modules(papers.__path__))
    return tuple(sorted(name.replace("_", "-") for name in modules if not name.startswith("_")))


def find(name: str) -> Milestone:
    """A milestone by name.

    Raises:
        UnknownName: no such milestone; the message suggests the nearest.

    Example:
        >>> find("resnet").year
        2015
    """
    if name not in names():
        raise UnknownName("milestone", name, names())
    module = importlib.import_module(f"{papers.__name__}.{name.replace('-', '_')}")
    milestone: Milestone = module.MILESTONE
    assert milestone.name == name, f"{module.__name__} defines {milestone.name!r}"
    return milestone


def gallery() -> tuple[Milestone, ...]:
    """All milestones, oldest first."""
    return tuple(sorted((find(name) for name in names()), key=lambda m: (m.year, m.name)))
