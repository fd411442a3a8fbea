"""What the engine tells whoever listens: a progress bar, a CSV file, TensorBoard, a test.

The engine knows nothing of its listeners; a listener is any callable that takes one event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Evaluated", "Event", "Finished", "Listener", "SourceRead", "Started", "StepDone"]


@dataclass(frozen=True)
class SourceRead:
    """The images are there; training has not begun.

    Args:
        notes: how their folders were read and what takes no part, in sentences.
    """

    notes: tuple[str, ...]


@dataclass(frozen=True)
class Started:
    """Training begins, or goes on from a checkpoint.

    Args:
        step: the first step to be taken, counted from 0.
        total_steps: the step at which the budget ends.
    """

    step: int
    total_steps: int


@dataclass(frozen=True)
class StepDone:
    """One step is over.

    Args:
        step: how many steps have been taken.
        losses: every named term of every update, as ``"update.term"``, in the loss's own unit.
    """

    step: int
    losses: Mapping[str, float]


@dataclass(frozen=True)
class Evaluated:
    """The model was measured.

    Args:
        step: how many steps have been taken.
        row: one line of the history: step, elapsed_s, the mean losses since the last line, the metrics.
        improved: whether this is the best so far.
    """

    step: int
    row: Mapping[str, float]
    improved: bool


@dataclass(frozen=True)
class Finished:
    """Training is over.

    Args:
        step: how many steps have been taken.
        stopped_early: whether the patience ran out before the budget.
    """

    step: int
    stopped_early: bool


Event: TypeAlias = SourceRead | Started | StepDone | Evaluated | Finished
Listener: TypeAlias = Callable[[Event], None]
