"""Tasks on images beyond their class: ``bayesight train SOURCE --task segment``.

``base`` says what a task is, one file a task what is special about it; ``train`` makes runs and ``answers``
uses them, the same for all. A task is loaded when it is asked for, by its name or by the kind of its runs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bayesight.errors import UnknownName

if TYPE_CHECKING:
    from bayesight.training.recipe import Kind
    from bayesight.workflows.tasks.base import ImageTask

__all__ = ["task_called", "task_of"]

_TASKS = {"segment": "SegmentTask", "detect": "DetectTask", "pose": "PoseTask", "ask": "AskTask"}
"""Module -> class of each task; a module has the name of ``--task``."""


def __dir__() -> list[str]:
    """The two functions."""
    return __all__


def task_called(name: str) -> ImageTask[Any, Any]:
    """The task of a name of ``--task``.

    Raises:
        UnknownName: there is none.
    """
    if name not in _TASKS:
        raise UnknownName("task", name, _TASKS)
    task: ImageTask[Any, Any] = getattr(import_module(f"{__name__}.{name}"), _TASKS[name])()
    return task


def task_of(kind: Kind) -> ImageTask[Any, Any]:
    """The task whose runs are of a kind."""
    return next(task for task in map(task_called, _TASKS) if task.kind == kind)
