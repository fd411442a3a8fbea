"""Groups of images that belong together, such as those of one patient or one burst."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bayesight.data import Store
from bayesight.data.path_values import PathValues
from bayesight.errors import InvalidInput, shown
from bayesight.language import marked
from bayesight.types import IntArray

__all__ = ["Groups", "groups_by_path", "read_groups"]


@dataclass(frozen=True)
class Groups:
    """The group each image of a store belongs to; one without a group is a group of its own.

    Args:
        values: the table or pattern that tells them.
        names: (N,) of the groups; empty where there is none.
        numbers: (N,) the same for images of one group.
        alone: paths of the images without a group.
    """

    values: PathValues
    names: tuple[str, ...]
    numbers: IntArray
    alone: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """The same for the same groups of the same images."""
        return hashlib.blake2b(self.numbers.tobytes(), digest_size=16).hexdigest()

    def count(self, rows: IntArray) -> int:
        """The number of groups that the images of some rows are of."""
        return len(np.unique(self.numbers[rows]))

    def notes(self, parts: Mapping[str, IntArray]) -> list[str]:
        """Sentences on the groups of the rows that train and of those that validate."""
        train, validation = self.count(parts["train"]), self.count(parts["validation"])
        notes = [marked(f"groups by {self.values.where}: {train:,} train, {validation:,} validate")]
        if self.alone:
            notes.append(
                marked(
                    f"{len(self.alone):,} of {len(self.names):,} images have no group there, each is its own "
                    f"(first: {shown(self.alone[0])})"
                )
            )
        return notes

    def shared(self, paths: Sequence[str], rows: IntArray) -> np.ndarray:
        """True for each image of another source (M,), by its path, of a group of some rows."""
        held = {self.names[row] for row in rows.tolist()} - {""}
        return np.array([name in held for name in self.values.of(paths)], bool)


def read_groups(store: Store, stated: str) -> Groups:
    """The group of every image of a store; see ``groups_by_path``."""
    return groups_by_path([store.path_of(row) for row in range(len(store))], stated)


def groups_by_path(paths: Sequence[str], stated: str) -> Groups:
    """The group of every image.

    Args:
        paths: of the images inside their source.
        stated: "TABLE:COLUMN", or a pattern with a group ``group``; see ``PathValues``.

    Raises:
        InvalidInput: no image has a group, or all are of one; else as ``PathValues.stated``.
    """
    told = PathValues.stated(stated, "--group-by", "group")
    names = told.of(paths)
    alone = [path for path, name in zip(paths, names, strict=True) if not name]
    different = sorted(set(names) - {""})
    if len(alone) == len(paths):
        near = f"; {told.nearest(paths[0])}" if told.pattern is None else ""
        raise InvalidInput(
            f"--group-by: none of {len(paths):,} images has a group by {told.where} "
            f"(first: {paths[0]!r}{near}); expected paths as they are inside the source."
        )
    if len(different) == 1 and not alone:
        raise InvalidInput(
            f"--group-by: all images are of one group, {shown(different[0])}; expected several."
        )
    rank = {name: number for number, name in enumerate(different)}
    own = iter(range(len(rank), len(rank) + len(alone)))
    numbers = np.array([rank[name] if name else next(own) for name in names], np.int64)
    return Groups(told, tuple(names), numbers, tuple(alone))
