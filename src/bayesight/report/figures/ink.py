"""Colours by role, so that one drawing serves a light page, a dark page and paper.

A drawing never names a colour. It names a role; the page defines the role's colour for light and dark as a
CSS variable, and the fallback reads on both, so that a figure saved on its own is legible too. The hues are
told apart by colour-blind readers, and nothing is told by hue alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["ROLES", "css"]

ROLES: Mapping[str, str] = MappingProxyType(
    {
        "ink": "currentColor",
        "muted": "var(--muted, #7b7b7b)",
        "grid": "var(--grid, #9c9c9c66)",
        "paper": "var(--paper, #ffffff)",
        "on-fill": "var(--on-fill, #ffffff)",
        "c1": "var(--c1, #2f86d1)",
        "c2": "var(--c2, #d9692b)",
        "c3": "var(--c3, #2a9d7c)",
        "c4": "var(--c4, #a268b8)",
    }
)
"""Role to CSS value."""


def css(role: str) -> str:
    """The CSS value of a role.

    Example:
        >>> css("ink")
        'currentColor'
    """
    return ROLES[role]
