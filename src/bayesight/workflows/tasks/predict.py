"""Answers of a task's run about image files, in folders and archives too, and drawn over the images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from bayesight.checks import check, existing_path
from bayesight.data.archives import read_files
from bayesight.data.encode import png_of
from bayesight.data.foldernames import is_mask
from bayesight.data.formats import promises_image
from bayesight.data.members import ENCODED_LIMIT_BYTES
from bayesight.data.rasters import RasterRefusal
from bayesight.data.sources import AS_STORED, ContainerOptions, find_source, holds_images
from bayesight.errors import SourceNotFound, SourceUnreadable
from bayesight.files import make_folder, reading, write_atomic
from bayesight.language import marked
from bayesight.run import Run
from bayesight.workflows.tasks.base import Asked, ImageAnswer
from bayesight.workflows.tasks.evaluate import opened_task, stated_prior

__all__ = ["TaskAnswers", "answer_images"]


@dataclass(frozen=True, eq=False)
class TaskAnswers:
    """Answers about images, and those that could not be read.

    Args:
        answers: each with the name of its image and where it is drawn, empty where it is not.
        unread: names and reasons.
    """

    answers: tuple[tuple[str, ImageAnswer, str], ...]
    unread: tuple[tuple[str, str], ...]

    def as_list(self) -> list[dict[str, Any]]:
        """The document that ``--json`` prints."""
        rows: list[dict[str, Any]] = [
            {"path": path, **found.row, **({"overlay": drawn} if drawn else {})}
            for path, found, drawn in self.answers
        ]
        return rows + [{"path": path, "error": reason} for path, reason in self.unread]

    @property
    def text(self) -> str:
        """Lines for a terminal."""
        return "\n".join(f"{path}: {found.text}" for path, found, _ in self.answers)


def answer_images(
    run: Run,
    images: Sequence[str | Path],
    *,
    prior: str | None = None,
    question: str = "",
    boxes: Sequence[tuple[float, float, float, float]] = (),
    overlay: Path | None = None,
    container: ContainerOptions = AS_STORED,
) -> TaskAnswers:
    """Answer what the run's task asks of images.

    Args:
        run: of a task on images.
        images: image files, folders and archives of them.
        prior: base rates as ``parse_prior`` reads them; None takes those of the training images.
        question: of a task that answers questions.
        boxes: of the figures whose key points are asked for, left, top, right, bottom in pixels.
        overlay: the file that the answer for one image is drawn to, or the folder for those of several.
        container: how names in archives are encoded, and whether links are followed.

    Raises:
        SourceNotFound, SourceUnreadable: none of the images could be read; the error is the first one's.
        InvalidInput: a prior that is none, a question or boxes that the task has no use for, or one file for
            the drawings of several images.
        StorageFailed: a drawing cannot be written.
    """
    task, trained = opened_task(run)
    for name, value in (("question", question), ("box", boxes)):
        given = bool(value) and name != task.asks
        check(not given, f"--{name}", f"given to a run of {run.kind}", "none", "Leave it out.")
    asked = Asked(stated_prior(trained, prior), question, tuple(boxes))
    blobs = list(_blobs(images, container))
    came = f"one file for {len(blobs)} images"
    whole = overlay is None or len(blobs) == 1 or not overlay.suffix
    check(whole, "--overlay", came, "a folder", f"Write for example --overlay {str(overlay)[:-4]}.")
    answers: list[tuple[str, ImageAnswer, str]] = []
    unread: list[tuple[str, str]] = []
    for name, blob in blobs:
        try:
            if isinstance(blob, Exception):
                raise blob
            found = task.answer(trained, blob, asked)
        except (RasterRefusal, SourceNotFound, SourceUnreadable) as problem:
            unread.append((name, str(problem)))
            continue
        answers.append((name, found, "" if overlay is None else _draw(found, name, overlay, len(answers))))
    if not answers:
        if blobs and isinstance(blobs[0][1], SourceNotFound):
            raise blobs[0][1]
        name, reason = unread[0] if unread else ("nothing", marked("no image was given"))
        raise SourceUnreadable(f"{name}: {reason}; expected an image.")
    return TaskAnswers(tuple(answers), tuple(unread))


def _blobs(
    images: Sequence[str | Path], container: ContainerOptions
) -> Iterator[tuple[str, bytes | Exception]]:
    """The name and content of each image file, in folders and archives too, or why it cannot be had."""
    for given in images:
        try:
            path = existing_path(given)
            if holds_images(path):
                files, lost = read_files(
                    find_source(path, labelled=False, options=container),
                    lambda name: (
                        promises_image(name) and not any(map(is_mask, PurePosixPath(name).parts[:-1]))
                    ),
                )
                yield from files.items()
                yield from ((one.path, RasterRefusal(one.reason)) for one in lost)
                continue
            with reading(path):
                size = path.stat().st_size
                if size > ENCODED_LIMIT_BYTES:
                    raise RasterRefusal(
                        f"{size:,} bytes, over the limit of {ENCODED_LIMIT_BYTES:,} for one file"
                    )
                yield str(given), path.read_bytes()
        except (RasterRefusal, SourceNotFound, SourceUnreadable) as problem:
            yield str(given), problem


def _draw(found: ImageAnswer, name: str, overlay: Path, number: int) -> str:
    """Write an answer's picture; returns its path. Several lie in a folder, numbered."""
    target = overlay
    if not overlay.suffix:
        make_folder(overlay, "a folder for the drawings")
        target = overlay / f"{number + 1:04}-{Path(name).stem}.png"
    write_atomic(target, png_of(Image.fromarray(found.overlay)))
    return str(target)
