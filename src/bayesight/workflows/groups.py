"""Images told apart by folders, tables or patterns: groups that belong together, and environments."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from bayesight.checks import check, existing_path
from bayesight.data import Store
from bayesight.data.foldernames import roles
from bayesight.data.path_values import PathValues
from bayesight.errors import InvalidInput, listed, shown
from bayesight.language import marked
from bayesight.names import canonical, shared_depth
from bayesight.types import FloatArray, IntArray


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


FOLDER = "folder"
"""The word for environments that are the folders which hold the class folders."""


@dataclass(frozen=True)
class Environments:
    """The environment each image of a store comes from.

    Args:
        names: of the environments, sorted as text.
        numbers: (N,) indices into ``names``, in the order of the store; -1 for images without a class.
    """

    names: tuple[str, ...]
    numbers: IntArray

    @property
    def digest(self) -> str:
        """The same for the same environments of the same images."""
        text = "\x1f".join(self.names).encode()
        return hashlib.blake2b(text + self.numbers.tobytes(), digest_size=16).hexdigest()


def read_environments(store: Store, stated: str) -> Environments:
    """The environment of every image of a store.

    Args:
        store: the images.
        stated: "folder", for ENVIRONMENT/CLASS/NAME.png (what stands above the class, without the part that
            all images share), or "TABLE.csv:COLUMN", for a column of a CSV or Parquet table whose column
            ``path`` holds paths as they are inside the source.

    Raises:
        InvalidInput: no folder above the class, images the table does not name, names it gives twice, or
            fewer than two environments.
        UnknownName: no such column.
        SourceNotFound, SourceUnreadable: the table cannot be read.
    """
    rows = np.flatnonzero(np.asarray(store.labels) >= 0)
    paths = [store.path_of(row) for row in rows.tolist()]
    table, separator, column = stated.rpartition(":")
    if stated.casefold() == FOLDER:
        found = _above_class(paths, store.manifest.source, store.has_parts)
    elif separator and table and column:
        found = _in_table(paths, existing_path(table), column)
    else:
        raise InvalidInput(
            f"--environments: got {stated!r}; expected 'folder', for ENVIRONMENT/CLASS/NAME.png, or "
            "'TABLE.csv:COLUMN', for a table with a column 'path' beside COLUMN."
        )
    names, numbers = np.unique(np.array(found, dtype=object), return_inverse=True)
    came = f"{len(names)} environment ({names[0]!r})"
    mend = "What is the same for all images tells nothing of what changes."
    check(len(names) >= 2, f"--environments {stated}", came, "two or more", mend)
    every = np.full(len(store), -1, np.int64)
    every[rows] = numbers
    return Environments(tuple(map(str, names)), every)


def require_groups(environments: Environments, store: Store, *, every: bool) -> None:
    """Refuse groups, each a class within an environment, of which nothing can be learned and validated.

    Args:
        environments: of the store's images.
        store: the images.
        every: also refuse groups without images, as losses that see environments must.

    Raises:
        InvalidInput: names the first such group.
    """
    digests = np.unique(np.ascontiguousarray(store.digests), axis=0, return_inverse=True)[1].ravel()
    few = []
    for number, name in enumerate(environments.names):
        inside = environments.numbers == number
        for k, label in enumerate(store.classes):
            different = len(np.unique(digests[inside & (store.labels == k)]))
            if different < 2 and (different == 1 or every):
                few.append(marked(f"{shown(name)} has {different} of class {shown(label)}"))
    if few:
        raise InvalidInput(
            f"{store.manifest.source}: too few different images in {len(few)} "
            f"environment{'' if len(few) == 1 else 's'}: {listed(few)}; expected 2 or more of each class, "
            "to learn from and to validate with. Leave the environments or the classes out, or train with "
            "--loss cross_entropy."
        )


def environment_scores(
    log_p: FloatArray, labels: IntArray, environments: IntArray, names: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Accuracy, log-loss (nats) and number of examples of each environment by name.

    Args:
        log_p: (N, K) log-probabilities, nats.
        labels: (N,) class numbers.
        environments: (N,) indices into ``names``.
        names: of the environments; those without images are left out.
    """
    right = log_p.argmax(axis=1) == labels
    lost = -log_p[np.arange(len(labels)), labels]
    table = {}
    for number, name in enumerate(names):
        inside = environments == number
        if inside.any():
            table[name] = {
                "accuracy": float(right[inside].mean()),
                "log_loss": float(lost[inside].mean()),
                "examples": int(inside.sum()),
            }
    return table


def _above_class(paths: Sequence[str], source: str, has_parts: bool) -> list[str]:
    """The folders above that of the class in each path, without those that all have in common.

    Folders that name a part of the source, as train and test do, name no environment.
    """
    above = [PurePosixPath(canonical(path)).parts[:-2] for path in paths]
    if has_parts:
        named = roles({folder for folders in above for folder in folders})
        above = [tuple(folder for folder in folders if folder not in named) for folders in above]
    bare = [path for path, parts in zip(paths, above, strict=True) if not parts]
    check(
        not bare,
        f"--environments folder: {source}",
        f"{len(bare)} of {len(paths)} images have no folder above that of their class (first: {bare[:1]})",
        "ENVIRONMENT/CLASS/NAME.png",
        "Or name environments in a table: --environments TABLE.csv:COLUMN.",
    )
    shared = min(shared_depth(above), min(map(len, above)) - 1)
    return ["/".join(parts[shared:]) for parts in above]


def _in_table(paths: Sequence[str], table: Path, column: str) -> list[str]:
    """The table's value for each path."""
    values = PathValues.of_table(table, column)
    blank = next((path for path, value in values.known.items() if not value), None)
    check(blank is None, str(table), f"no {column} for {blank!r}", "a value in every row")
    missing = values.without_row(paths)
    if missing:
        raise InvalidInput(
            f"{table}: {len(missing):,} of {len(paths):,} images have no row (first: {missing[0]!r}; "
            f"{values.nearest(missing[0])}); expected every path as it is inside the source."
        )
    return values.of(paths)
