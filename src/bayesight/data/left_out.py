"""Count what a source holds beside its images, by kind and class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from bayesight.data.members import SkippedMember

__all__ = ["SkippedFiles", "Tally"]


@dataclass(frozen=True)
class SkippedFiles:
    """Files of one kind in one class that were passed over, for they are no images.

    Args:
        kind: their suffix (".txt"), "no suffix", or "hidden".
        label: the class an image in their place would have; None where they lie in none.
        files: how many.
        path: the first of them.
    """

    kind: str
    label: str | None
    files: int
    path: str


class Tally:
    """Counts files that were passed over."""

    def __init__(self) -> None:
        self._files: Counter[tuple[str, str | None]] = Counter()
        self._first: dict[tuple[str, str | None], str] = {}

    def take(self, ignored: Iterable[SkippedMember]) -> None:
        """Take note of files."""
        for one in ignored:
            key = one.kind, one.label
            self._files[key] += 1
            self._first.setdefault(key, one.path)

    def counted(self) -> tuple[SkippedFiles, ...]:
        """Kinds and classes with their numbers, the most first."""
        return tuple(SkippedFiles(*key, many, self._first[key]) for key, many in self._files.most_common())
