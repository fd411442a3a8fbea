"""Tasks on images in use: a source inspected, a run measured on one, image files answered and drawn over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from bayesight.checks import check, existing_path
from bayesight.data.annotated import AnnotatedImages, open_annotated
from bayesight.data.archives import read_files
from bayesight.data.codecs import png_of
from bayesight.data.foldernames import is_mask
from bayesight.data.formats import promises_image
from bayesight.data.framing import ImageSpec
from bayesight.data.members import ENCODED_LIMIT_BYTES
from bayesight.data.rasters import RasterRefusal
from bayesight.data.sources import AS_STORED, ContainerOptions, find_source, holds_images
from bayesight.errors import SourceNotFound, SourceUnreadable
from bayesight.files import make_folder, reading, write_atomic
from bayesight.formatting import columns, padded, percent
from bayesight.language import marked
from bayesight.run import Run
from bayesight.training.recipe import DataKey
from bayesight.types import Progress
from bayesight.workflows.priors import parse_prior
from bayesight.workflows.reporting import write_report
from bayesight.workflows.sources import AS_IT_IS, SCORED, SourceOptions
from bayesight.workflows.tasks import task_called, task_of
from bayesight.workflows.tasks.base import Asked, ImageAnswer, ImageTask, Judgement, Trained


@dataclass(frozen=True, eq=False)
class TaskEvaluation:
    """A run's answers beside the truth of a source.

    Args:
        run: the run.
        images: of the source.
        part: of it, empty where it has none.
        judgement: what was measured.
    """

    run: Run
    images: AnnotatedImages[Any]
    part: str
    judgement: Judgement

    @cached_property
    def notes(self) -> Sequence[str]:
        """Sentences about the source."""
        known = {one.get("content_hash") for one in self.run.metrics().get("sources", ())}
        seen = self.part != "test" and self.images.content_hash in known
        told = marked("the run has learned from images of this source: new ones are answered worse")
        return (*(told,) * seen, *self.images.notes)

    def as_dict(self) -> dict[str, Any]:
        """The document that ``--json`` prints."""
        return {
            "run": str(self.run.folder),
            "kind": self.run.kind,
            "part": self.part,
            **self.judgement.figures,
            "source": self.images.facts(),
            "notes": list(self.notes),
        }

    def report(self, path: str | Path) -> Path:
        """Write the report; returns its path."""
        title = f"{self.run.folder.name} on {Path(self.images.source).name}"
        return write_report(title, self.judgement.sections, path, str(self.run.folder))


def opened_task(run: Run) -> tuple[ImageTask[Any, Any], Trained[Any]]:
    """The task of a run, and its network with all that its answers depend on.

    Raises:
        RunUnreadable: a damaged or missing part.
    """
    task, recipe, classes = task_of(run.kind), run.recipe(), run.classes()
    facts = run.task(task.file)
    network = run.weighted(lambda: task.network(recipe, classes, facts)).eval()
    return task, Trained(network, classes, facts)


def stated_prior(trained: Trained[Any], prior: str | None) -> Tensor | None:
    """Stated base rates (K,) of the classes; None where none are.

    Raises:
        InvalidInput: base rates that are none, or a run without classes.
    """
    if prior is None:
        return None
    shares = torch.tensor(list(trained.facts.shares), dtype=torch.float64)
    check(len(shares) > 0, "--prior", f"got {prior!r}", "none, for this run has no classes")
    return parse_prior(prior, trained.classes.names, shares)


def evaluate_task(
    run: Run,
    source: str | Path,
    *,
    prior: str | None = None,
    options: SourceOptions = AS_IT_IS,
    progress: Progress | None = None,
) -> TaskEvaluation:
    """Measure a run on annotated images.

    Args:
        run: of a task on images.
        source: a folder or archive of images with annotations.
        prior: base rates as ``parse_prior`` reads them; None takes the images as a sample.
        options: how the source is read; its ``part`` is the one scored.
        progress: told how many images are decoded.

    Raises:
        RunUnreadable: a damaged or missing part.
        SourceNotFound, SourceUnreadable: nothing there, or no image with an annotation that can be used.
        InvalidInput: a part that is not there, or a prior that is none.
    """
    task, trained = opened_task(run)
    stated, classes = stated_prior(trained, prior), trained.classes
    spec = ImageSpec(classes.size, classes.mode, levels=classes.levels, fit=classes.fit)
    reader = task.reader(run.recipe().data, trained)
    images = open_annotated(source, reader, spec, container=options.container, progress=progress)
    part = options.part or next((name for name in SCORED if name in images.parts), "")
    if part:
        chosen = images.part(part)
        came = f"no image of the part {part!r}"
        check(len(chosen) > 0, str(source), came, "one in a folder of that name", "Leave --part out.")
        images = chosen
    return TaskEvaluation(run, images, part, task.judge(trained, images, stated))


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
    if overlay is not None and not _is_folder(overlay):
        named = overlay.suffix.lower() == ".png"
        mend = f"Write for example --overlay {overlay.with_suffix('')}"
        check(named, "--overlay", str(overlay), "a name that ends in .png, or a folder", f"{mend}.png.")
        check(len(blobs) == 1, "--overlay", came, "a folder", f"{mend}.")
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


def _is_folder(overlay: Path) -> bool:
    return not overlay.suffix or overlay.is_dir()


def _draw(found: ImageAnswer, name: str, overlay: Path, number: int) -> str:
    """Write an answer's picture; returns its path. Several lie in a folder, numbered."""
    target = overlay
    if _is_folder(overlay):
        make_folder(overlay, "a folder for the drawings")
        target = overlay / f"{number + 1:04}-{Path(name).stem}.png"
    write_atomic(target, png_of(Image.fromarray(found.overlay)))
    return str(target)


@dataclass(frozen=True, eq=False)
class AnnotatedAudit:
    """A source of annotated images in numbers.

    Args:
        images: those that can be used.
        what: their annotations in a word.
        shares: of each class, of all that the task counts: pixels, boxes, answers.
    """

    images: AnnotatedImages[Any]
    what: str
    shares: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """The document that ``--json`` prints."""
        frame, images = self.images.frame, self.images
        return {
            **images.facts(),
            "annotations": self.what,
            "size": [frame.height, frame.width],
            "mode": frame.mode,
            "sizes": {
                f"{height}x{width}": many
                for (height, width), many in Counter(one.size for one in images.placings).most_common()
            },
            "parts": dict(Counter(part or "none" for part in images.parts)),
            "classes": self.shares,
            "repeated": self.images.repeated,
            "faults": [vars(fault) for fault in images.faults],
        }

    @property
    def text(self) -> str:
        """The same for a terminal."""
        tree = self.as_dict()
        sizes = ", ".join(f"{many:,} of {size}" for size, many in list(tree["sizes"].items())[:3])
        parts = ", ".join(f"{part} {many:,}" for part, many in tree["parts"].items() if part != "none")
        lines = [
            marked(f"{len(self.images):,} images with {self.what}: {sizes}"),
            *([marked(f"parts: {parts}")] * bool(parts)),
        ]
        repeated = self.images.repeated
        verb = marked("image is") if repeated == 1 else marked("images are")
        lines += [marked(f"{repeated:,} {verb} there more than once")] * bool(repeated)
        width = max(map(columns, self.shares), default=0)
        lines += [f"  {padded(name, width)}  {percent(share, 2)}" for name, share in self.shares.items()]
        return "\n".join([*lines, *self.images.notes])


def inspect_annotated(
    source: str | Path,
    task: str,
    *,
    container: ContainerOptions = AS_STORED,
    progress: Progress | None = None,
) -> AnnotatedAudit:
    """Look at a source of annotated images.

    Args:
        source: a folder or archive.
        task: whose annotations, by name.
        container: how names in archives are encoded, and whether links are followed.
        progress: told how many images are decoded.

    Raises:
        UnknownName: no such task.
        SourceNotFound, SourceUnreadable: nothing there, or no image with an annotation that can be used.
        InvalidInput: annotations of which nothing can be learned.
    """
    found, data = task_called(task), DataKey(fit="pad")
    reader = found.reader(data, None)
    images = open_annotated(source, reader, ImageSpec(fit="pad"), container=container, progress=progress)
    names, facts, _ = found.learned(images, images, data)
    return AnnotatedAudit(images, reader.what, dict(zip(names, facts.shares, strict=False)))
