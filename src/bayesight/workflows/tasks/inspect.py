"""The audit of annotated images: sizes, parts, classes, copies, and what is left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bayesight.data.annotated import AnnotatedImages, open_annotated
from bayesight.data.framing import ImageSpec
from bayesight.data.sources import AS_STORED, ContainerOptions
from bayesight.formatting import percent
from bayesight.language import marked
from bayesight.training.recipe import DataKey
from bayesight.types import Progress
from bayesight.workflows.tasks.catalogue import task_called

__all__ = ["AnnotatedAudit", "inspect_annotated"]


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
        width = max(map(len, self.shares), default=0)
        lines += [f"  {name:{width}}  {percent(share, 2)}" for name, share in self.shares.items()]
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
