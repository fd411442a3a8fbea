"""A task's run measured on annotated images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bayesight.checks import check
from bayesight.data.annotated import AnnotatedImages, open_annotated
from bayesight.data.framing import ImageSpec
from bayesight.language import marked
from bayesight.run import Run
from bayesight.types import Progress
from bayesight.workflows.priors import parse_prior
from bayesight.workflows.reporting import write_report
from bayesight.workflows.sources import AS_IT_IS, SourceOptions
from bayesight.workflows.tasks.base import ImageTask, Judgement, Trained
from bayesight.workflows.tasks.catalogue import IMAGE_TASKS

__all__ = ["TaskEvaluation", "evaluate_task", "opened_task", "stated_prior"]

SCORED = ("test", "validation", "train")
"""Parts of a source in the order in which they are scored: the first that is there."""


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
    task, recipe, classes = IMAGE_TASKS[run.kind], run.recipe(), run.classes()
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
