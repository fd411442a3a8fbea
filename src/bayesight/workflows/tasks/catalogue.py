"""The tasks on images, by the kind of their runs and by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bayesight.errors import UnknownName
from bayesight.training.recipe import Kind
from bayesight.workflows.tasks.ask import AskTask
from bayesight.workflows.tasks.base import ImageTask
from bayesight.workflows.tasks.detect import DetectTask
from bayesight.workflows.tasks.pose import PoseTask
from bayesight.workflows.tasks.segment import SegmentTask

__all__ = ["IMAGE_TASKS", "task_called"]

IMAGE_TASKS: Mapping[Kind, ImageTask[Any, Any]] = {
    task.kind: task for task in (SegmentTask(), DetectTask(), PoseTask(), AskTask())
}
"""The tasks by the kind of their runs."""


def task_called(name: str) -> ImageTask[Any, Any]:
    """The task of a name of ``--task``.

    Raises:
        UnknownName: there is none.
    """
    known = {task.name: task for task in IMAGE_TASKS.values()}
    if name not in known:
        raise UnknownName("task", name, known)
    return known[name]
