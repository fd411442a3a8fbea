"""Names of classes as people write them: one spelling for each, and those easily taken for another."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

NAME_LIMIT = 1000
"""Characters of a class's name that every place where one is given takes; a folder's name has 255 bytes."""

MISSING = (
    "", "NA", "N/A", "N.A.", "n/a", "n.a.", "NaN", "nan", "-nan", "NaT", "null", "NULL", "<NA>", "#NA",
    "#N/A", "#VALUE!", "#DIV/0!", "#REF!", "#NAME?", "#NUM!", "#NULL!", "결측", "결측치",
)  # fmt: skip
"""Text that stands for a missing value of a table."""


def canonical(name: str) -> str:
    r"""The one spelling of a name: Unicode's NFC, in which é is one character, not e and an accent.

    Example:
        >>> canonical("cafe\u0301") == "caf\u00e9"
        True
    """
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def known_as(name: str, known: Iterable[str]) -> str | None:
    """The known name that this is another spelling of in Unicode; None where there is none.

    Example:
        >>> known_as("cafe\N{COMBINING ACUTE ACCENT}", ["tea", "caf\N{LATIN SMALL LETTER E WITH ACUTE}"])
        'café'
    """
    wanted = canonical(name)
    return next((other for other in known if canonical(other) == wanted), None)


def alike(name: str) -> str:
    """The form that names have in common which differ by case, width or blanks only.

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


def shared_depth(paths: Sequence[Sequence[str]]) -> int:
    """Number of leading parts that all paths have in common.

    Example:
        >>> shared_depth([("set", "train", "a"), ("set", "test"), ("set", "train", "b")])
        1
    """
    if not paths:
        return 0
    first, last = min(map(tuple, paths)), max(map(tuple, paths))
    most = min(len(first), len(last))
    return next((i for i in range(most) if first[i] != last[i]), most)
