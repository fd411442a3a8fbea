"""Training's events as TensorBoard scalars; needs the extra ``tensorboard``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from bayesight.errors import MissingExtra
from bayesight.training.events import EvaluationEvent, Event, TrainingEnd

__all__ = ["TensorBoardListener"]


class TensorBoardListener:
    """Writes one scalar for each number of every evaluation; makes the folder when the first has come.

    Args:
        folder: where the event files go.

    Raises:
        MissingExtra: TensorBoard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as problem:
            raise MissingExtra("--tensorboard", "tensorboard") from problem
        self._make = partial(SummaryWriter, str(folder))
        self._writer: Any = None

    def __call__(self, event: Event) -> None:
        """Write what ``event`` measured."""
        if isinstance(event, EvaluationEvent):
            self._writer = self._writer or self._make()
            for name, value in event.row.items():
                if name != "step":
                    self._writer.add_scalar(name.replace(".", "/"), value, event.step)
        elif isinstance(event, TrainingEnd) and self._writer is not None:
            self._writer.close()
