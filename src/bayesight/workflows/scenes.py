"""Archives of generated scenes, in the layout that a task reads; no glyph is in both of their parts."""

from __future__ import annotations

import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bayesight.checks import check
from bayesight.data import open_store, split
from bayesight.errors import InvalidInput, StorageFailed
from bayesight.letters import RenderOptions, render_arrays
from bayesight.seeding import derive
from bayesight.types import ImageArray, IntArray, Progress
from bayesight.workflows.tasks import task_called

RENDERED, NONE = "rendered", "none"
PER_CLASS = 60
"""Images of each letter that are rendered where no archive is given."""


@dataclass(frozen=True)
class ScenesArchive:
    """An archive that was written.

    Args:
        path: where it is.
        task: what it asks.
        train: scenes in the folder train/.
        test: scenes in the folder test/.
        glyphs: what they were composed of; "none" where a task's scenes have none.
        seed: everything random follows from it.
    """

    path: str
    task: str
    train: int
    test: int
    glyphs: str
    seed: int

    def as_dict(self) -> dict[str, Any]:
        """The document that ``--json`` prints."""
        return asdict(self)


def write_scenes(
    out: str | Path,
    task: str,
    *,
    count: int,
    test: int = 0,
    archive: str = RENDERED,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ScenesArchive:
    """Write scenes in two folders, train/ and test/, of glyphs of which none is in both.

    Args:
        out: the archive, .zip; the same bytes for the same arguments.
        task: a task on images, by name.
        count: scenes in train/.
        test: scenes in test/.
        archive: of images of glyphs in a folder a class, or "rendered".
        seed: everything random follows from it.
        overwrite: replace an archive that is there.
        progress: told how far reading the glyphs is.

    Raises:
        UnknownName: no such task.
        InvalidInput: no scenes, another ending than .zip, or an archive that is there.
        SourceNotFound, SourceUnreadable: no glyphs.
        StorageFailed: it cannot be written.
    """
    path = Path(out)
    found = task_called(task)
    check(path.suffix.lower() == ".zip", "scenes", str(path), "a name that ends with .zip")
    check(count >= 1 and test >= 0, "scenes", f"{count} and {test}", "at least 1 to learn from")
    if path.exists() and not overwrite:
        raise InvalidInput(f"{path} exists; choose another name, or replace it with --overwrite.")
    archive = archive if found.glyphs else NONE
    glyphs, labels, digests, names = _glyphs(archive, seed, progress)
    parts = {"train": 0.8, "test": 0.2} if test else {"train": 1.0}
    rows = split(labels, digests, parts, seed) if len(labels) else {}
    whole = path.with_name(f".{path.name}.part")
    try:
        with zipfile.ZipFile(whole, "w") as file:
            for part, scenes in (("train", count), ("test", test)):
                chosen = rows.get(part, np.zeros(0, np.int64))
                if scenes:
                    part_seed = derive(seed, part)
                    for name, content in found.scenes(
                        glyphs[chosen], labels[chosen], names, scenes, part_seed
                    ):
                        file.writestr(zipfile.ZipInfo(f"{part}/{name}"), content)
        whole.replace(path)
    except OSError as problem:
        raise StorageFailed(f"cannot write {path}: {problem.strerror}") from problem
    finally:
        whole.unlink(missing_ok=True)
    return ScenesArchive(str(path), task, count, test, archive, seed)


def _glyphs(
    archive: str, seed: int, progress: Progress | None
) -> tuple[ImageArray, IntArray, ImageArray, tuple[str, ...]]:
    """Glyphs (M, h, w), their classes (M,), digests (M, 16), and the classes' names."""
    if archive == NONE:
        nothing = np.zeros((0, 1, 1), np.uint8)
        return nothing, np.zeros(0, np.int64), nothing[..., 0], ()
    if archive == RENDERED:
        made = render_arrays(RenderOptions(images_per_class=PER_CLASS, seed=seed))
        fonts = made.font_of.astype(">u8")[:, None].view(np.uint8)  # a font is on one side alone
        return made.images, made.labels, np.repeat(fonts, 2, axis=1), made.classes
    store = open_store(archive, mode="L", progress=progress)
    return np.asarray(store.images), store.labels, np.asarray(store.digests), store.classes
