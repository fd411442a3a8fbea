"""Count what a source holds beside its images, by kind and class, and name classes of which none is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bayesight.data.members import HIDDEN, Ignored, Quarantined

__all__ = ["Lost", "Passed", "Tally", "lost_classes"]


@dataclass(frozen=True)
class Passed:
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


@dataclass(frozen=True)
class Lost:
    """A folder among those of the classes in which no image could be read.

    Args:
        label: its name.
        files: what lies in it.
        reason: the commonest reason.
        path: one of the files.
    """

    label: str
    files: int
    reason: str
    path: str


class Tally:
    """Counts files that were passed over."""

    def __init__(self) -> None:
        self._files: Counter[tuple[str, str | None]] = Counter()
        self._first: dict[tuple[str, str | None], str] = {}

    def take(self, ignored: Iterable[Ignored]) -> None:
        """Take note of files."""
        for one in ignored:
            key = one.kind, one.label
            self._files[key] += 1
            self._first.setdefault(key, one.path)

    def counted(self) -> tuple[Passed, ...]:
        """Kinds and classes with their numbers, the most first."""
        return tuple(Passed(*key, many, self._first[key]) for key, many in self._files.most_common())


def lost_classes(
    quarantined: Sequence[Quarantined],
    passed: Sequence[Passed],
    found: Iterable[str | None],
    folders: Iterable[str],
) -> tuple[Lost, ...]:
    """Folders that would be classes if one of their files were an image that can be read.

    A folder that holds nothing but files that are no images, such as texts, is one only if it lies beside a
    folder of images: elsewhere it was hardly meant as a class.

    Args:
        quarantined: files that were left out.
        passed: files that were passed over.
        found: the classes of the images that were read.
        folders: in which folders those lie.
    """
    known, parents = set(found), {_parent(folder) for folder in folders}
    files: Counter[str] = Counter()
    reasons: dict[str, Counter[str]] = {}
    first: dict[str, str] = {}
    for one in quarantined:
        if one.label is not None and one.label not in known:
            files[one.label] += 1
            reasons.setdefault(one.label, Counter())[one.reason] += 1
            first.setdefault(one.label, one.path)
    for kind in passed:
        beside = kind.label in files or _parent(_parent(kind.path)) in parents
        if kind.kind != HIDDEN and kind.label is not None and kind.label not in known and beside:
            files[kind.label] += kind.files
            reasons.setdefault(kind.label, Counter())[f"{kind.kind} files, no images"] += kind.files
            first.setdefault(kind.label, kind.path)
    return tuple(
        Lost(label, many, reasons[label].most_common(1)[0][0], first[label])
        for label, many in sorted(files.items())
    )


def _parent(path: str) -> str:
    """The folder that a path lies in."""
    return path.rpartition("/")[0]
