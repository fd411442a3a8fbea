"""Guess from its files how a source without class folders is meant, and say the way on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from bayesight.data.layout import WEB_DATASET, flat_hint

__all__ = ["way_on"]

_PACKED = re.compile(
    r"\.(tar|zip|tgz|gz|bz2|xz|zst|7z|rar|\d{3}|z\d\d)|(packed with|a zip|a 7-Zip|a RAR) .*", re.IGNORECASE
)


def way_on(unplaced: Iterable[str], others: Mapping[str, Counter[str]]) -> str:
    """A sentence, or nothing where the files show nothing.

    Args:
        unplaced: paths of images that lie in no folder.
        others: kinds of the other files by folder, or why they are no images.
    """
    kinds = sum(others.values(), Counter[str]())
    if kinds[".cls"]:
        return f" {WEB_DATASET[0].upper()}{WEB_DATASET[1:]}."
    packed = sum(many for kind, many in kinds.items() if _PACKED.fullmatch(kind))
    if packed:
        return f" It holds {packed:,} archives, which are not opened: name one of them, or unpack them."
    return flat_hint(unplaced)
