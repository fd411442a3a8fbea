"""Events of a training, for listeners: a progress bar, a CSV file, TensorBoard, a test.

The engine knows nothing of its listeners; a listener is any callable that takes one event.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from bayesight.errors import MissingExtra
from bayesight.formatting import percent
from bayesight.progress import duration


@dataclass(frozen=True)
class SourceEvent:
    """The images are there; training has not begun.

    Args:
        notes: how their folders were read and what takes no part, in sentences.
    """

    notes: tuple[str, ...]


@dataclass(frozen=True)
class TrainingStart:
    """Training begins, or goes on from a checkpoint.

    Args:
        step: the first step to be taken, counted from 0.
        total_steps: the step at which the budget ends.
        steps_per_evaluation: steps between two evaluations: an epoch.
    """

    step: int
    total_steps: int
    steps_per_evaluation: int = 1


@dataclass(frozen=True)
class StepEvent:
    """One step is over.

    Args:
        step: steps taken so far.
        losses: every named term of every update, as ``"update.term"``, in the loss's own unit.
    """

    step: int
    losses: Mapping[str, float]


@dataclass(frozen=True)
class EvaluationEvent:
    """The model was measured.

    Args:
        step: steps taken so far.
        row: one line of the history: step, elapsed_s, the mean losses since the last line, the metrics.
        improved: this is the best so far.
    """

    step: int
    row: Mapping[str, float]
    improved: bool


@dataclass(frozen=True)
class TrainingEnd:
    """Training is over.

    Args:
        step: steps taken so far.
        stopped_early: the patience ran out before the budget.
    """

    step: int
    stopped_early: bool


class EpochReporter:
    """A listener that puts training into words: the epoch, its losses and measures, and the time left.

    Args:
        tell: told a line at each evaluation.
    """

    def __init__(self, tell: Callable[[str], None] = lambda line: None) -> None:
        self.tell = tell
        self.started = TrainingStart(0, 1)
        self.began = time.monotonic()
        self.measured = ""

    def __call__(self, event: Event) -> None:
        """Tell a line when the event is an evaluation."""
        if isinstance(event, TrainingStart):
            self.started, self.began = event, time.monotonic()
        elif isinstance(event, EvaluationEvent):
            self.measured = measured(event.row)
            losses = {n.removesuffix(".total"): v for n, v in event.row.items() if n.endswith(".total")}
            named = {"pretrain": "pretraining "} if len(losses) == 1 else {n: f"{n} " for n in losses}
            parts = [f"{named.get(name, '')}loss {value:.4f}" for name, value in losses.items()]
            parts += [self.measured] * bool(self.measured)
            parts.append(f"{event.row['elapsed_s']:.1f} s, {self.left(event.step)} left")
            where = f"step {event.step} of {self.started.total_steps}"
            self.tell(f"{where} ({self.epoch(event.step)}): {', '.join(parts)}")

    def epoch(self, step: int) -> str:
        """The epoch a step belongs to, and of how many."""
        steps = self.started.steps_per_evaluation
        return f"epoch {-(-step // steps)} of {-(-self.started.total_steps // steps)}"

    def left(self, step: int) -> str:
        """The time the remaining steps will take at the present rate."""
        done = max(step - self.started.step, 1)
        return duration((self.started.total_steps - step) * (time.monotonic() - self.began) / done)

    def now(self, event: StepEvent) -> str:
        """The present step in a few words, for a bar."""
        loss = next((value for name, value in event.losses.items() if name.endswith(".total")), None)
        words = [self.epoch(event.step), *([] if loss is None else [f"loss {loss:.3f}"]), self.measured]
        return ", ".join(word for word in words if word)


def measured(row: Mapping[str, float]) -> str:
    """The figures of an evaluation that are worth a line."""
    if "accuracy" in row:
        return f"accuracy {percent(row['accuracy'], 2)}, log-loss {row['log_loss']:.4f}"
    if "log_loss" in row:
        return f"log-loss {row['log_loss']:.4f}"
    from bayesight.models import GENERATORS  # brings PyTorch, which a listener does without

    words = {one.name: one.words for model in GENERATORS for one in GENERATORS[model].measures}
    return ", ".join(f"{said} {row[name]:.4f}" for name, said in words.items() if name in row)


Event: TypeAlias = SourceEvent | TrainingStart | StepEvent | EvaluationEvent | TrainingEnd


Listener: TypeAlias = Callable[[Event], None]


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
