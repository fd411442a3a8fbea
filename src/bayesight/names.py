"""Names of classes as people write them: one spelling for each, and those easily taken for another."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

__all__ = ["alike", "canonical", "twins"]


def canonical(name: str) -> str:
    r"""The one spelling of a name: Unicode's NFC, in which é is one character, not e and an accent.

    Example:
        >>> canonical("cafe\u0301") == "caf\u00e9"
        True
    """
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def alike(name: str) -> str:
    """What a name has in common with those that differ from it by case, width or blanks only.

    Example:
        >>> alike(" Polar  Bear"), alike("polar_bear"), alike("ＰＯＬＡＲ ＢＥＡＲ")
        ('polarbear', 'polar_bear', 'polarbear')
    """
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", name).casefold())


def twins(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of different names that differ by case, width or blanks only.

    Example:
        >>> twins(["Cat", "dog", "cat", "dog "])
        [('Cat', 'cat'), ('dog', 'dog ')]
    """
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        groups.setdefault(alike(name), []).append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]
