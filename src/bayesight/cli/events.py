"""The events of training, shown while it runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bayesight.cli.common import progress_bar, say

if TYPE_CHECKING:
    from bayesight.training.events import Event, Listener

__all__ = ["training_listeners"]


@contextmanager
def training_listeners(
    out: Path, *, tensorboard: bool = False, quiet: bool = False
) -> Iterator[list[Listener]]:
    """A bar, or unless ``quiet`` a line an epoch, on standard error, and TensorBoard if asked for."""
    from bayesight.training.events import EpochReporter, SourceEvent, StepEvent

    with progress_bar("training", "steps") as bar:
        lines = not quiet and not sys.stderr.isatty() and os.environ.get("RANK", "0") == "0"
        epochs = EpochReporter(say if lines else lambda line: None)

        def show(event: Event) -> None:
            epochs(event)
            if isinstance(event, StepEvent):
                bar(event.step, epochs.started.total_steps, epochs.now(event))
            elif isinstance(event, SourceEvent) and not quiet and os.environ.get("RANK", "0") == "0":
                for note in event.notes:
                    say(note)

        listeners: list[Listener] = [show]
        if tensorboard:
            from bayesight.training.tensorboard import TensorBoardListener

            listeners.append(TensorBoardListener(out / "tensorboard"))
        yield listeners
