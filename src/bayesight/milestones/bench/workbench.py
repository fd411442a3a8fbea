"""The workbench of a trial: its data, its seed, the machine, and the one engine."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from torch import nn

from bayesight.language import marked
from bayesight.milestones.bench.claim import Curve, Milestone, RecipeKey
from bayesight.milestones.bench.sources import (
    Letters,
    ParallelText,
    Sentences,
    Text,
    open_letters,
    open_pairs,
    open_sentences,
    open_text,
)
from bayesight.optim import build_optimizer, build_schedule
from bayesight.seeding import derive
from bayesight.training.average import WeightAverage
from bayesight.training.engine import Batch, Budget, Task, Update, fit
from bayesight.training.events import Event, StepEvent
from bayesight.training.hardware import Hardware, choose_hardware
from bayesight.types import Progress

LOOKS = 20
"""Between so many weights a metric chooses, where one is to."""

_MADE = {
    "play": marked("play in environments of gymnasium and MinAtar"),
    "shapes": marked("pictures of shapes that the recipe makes"),
    "none": marked("points that the recipe makes"),
}
"""Data that nobody brings, in words."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Sources:
    """The data of a milestone, opened when first asked for.

    Args:
        milestone: says what kind the user's data replace, and how much of it is needed.
        data: the user's own, or None.
        smoke: whether little is enough.
        progress: told how far reading is.
    """

    milestone: Milestone
    data: Path | None = None
    smoke: bool = False
    progress: Progress | None = None

    @cached_property
    def letters(self) -> Letters:
        """Images."""
        own = self.milestone.source == "letters"
        needs = self.milestone.needs if own and not self.smoke else 20
        return open_letters(self.data if own else None, smoke=self.smoke, needs=needs, progress=self.progress)

    @cached_property
    def text(self) -> Text:
        """Text."""
        own = self.milestone.source == "text"
        return open_text(self.data if own else None, needs=self.milestone.needs if own else 0)

    @cached_property
    def pairs(self) -> ParallelText:
        """Sentences with their translations."""
        own = self.milestone.source == "pairs"
        return open_pairs(self.data if own else None, needs=self.milestone.needs if own else 0)

    @cached_property
    def sentences(self) -> Sentences:
        """Sentences, and labelled texts."""
        own = self.milestone.source == "sentences"
        needs = self.milestone.needs if own and not self.smoke else 0
        return open_sentences(self.data if own else None, needs=needs)

    @property
    def origin(self) -> str:
        """The data in words."""
        own = self._own
        return _MADE[self.milestone.source] if own is None else own.origin

    @property
    def identity(self) -> str:
        """Changes when the data do."""
        own = self._own
        return "" if own is None else own.identity

    @property
    def _own(self) -> Letters | Text | ParallelText | Sentences | None:
        """The data the milestone learns from; None where its recipe makes them."""
        match self.milestone.source:
            case "letters":
                return self.letters
            case "text":
                return self.text
            case "pairs":
                return self.pairs
            case "sentences":
                return self.sentences
            case "play" | "shapes" | "none":
                return None


@dataclass(frozen=True)
class Bench:
    """A trial's surroundings.

    Args:
        sources: its data.
        seed: everything random follows from it.
        hardware: device, precision, threads.
        progress: told (steps done, steps in all) of the stage under way.
        one_batch: every step sees the first step's batch: what can learn must then learn it by heart.
        shared: results that other arms with this seed have left, by ``once``.
    """

    sources: Sources
    seed: int
    hardware: Hardware
    progress: Callable[[int, int | None], None] = field(default=lambda done, total: None)
    one_batch: bool = False
    shared: dict[Hashable, Any] = field(default_factory=dict, repr=False, compare=False)

    def once(self, of: Hashable, make: Callable[[], Result]) -> Result:
        """A result that several arms share, made when first asked for; ``of`` tells it from any other."""
        if of not in self.shared:
            self.shared[of] = make()
        return cast(Result, self.shared[of])

    @property
    def dtype(self) -> torch.dtype:
        """The floating type images are handed to a network in."""
        return self.hardware.dtype

    def derive(self, *names: str | int) -> int:
        """The seed of a stream of this trial's randomness."""
        return derive(self.seed, *names)

    def in_float32(self) -> Bench:
        """The same bench without bf16, where digits matter more than speed."""
        exact = choose_hardware(precision="32", threads=self.hardware.threads)
        return replace(self, hardware=exact)

    def fit(
        self,
        task: Task,
        steps: int,
        *,
        average: WeightAverage | None = None,
        evaluate: Callable[[nn.Module], Mapping[str, float]] | None = None,
        monitor: str | None = None,
    ) -> list[float]:
        """Train a task with the engine; the weights of the last step are kept, or their average.

        Args:
            task: the four keys.
            steps: how many.
            average: follows the weights, and is then what is kept.
            evaluate: a network's metrics, measured at ``LOOKS`` of the steps.
            monitor: the metric that is least where the weights are kept.

        Returns:
            The first update's total of every step.
        """
        watched = f"{task.updates[0].name}.total"
        seen: list[float] = []

        def listen(event: Event) -> None:
            if isinstance(event, StepEvent):
                seen.append(event.losses[watched])
                self.progress(event.step, steps)

        if self.one_batch:
            task = replace(task, data=_first_only(task.data))
        every = steps if evaluate is None else max(1, steps // LOOKS)
        budget = Budget(steps, evaluate_every=every, monitor=monitor, seed=self.derive("steps"))
        task.model.to(self.hardware.fabric.device)
        fabric = self.hardware.fabric
        fit(task, budget, fabric=fabric, evaluate=evaluate, average=average, listeners=(listen,))
        return seen


def update_of(optimization: RecipeKey, model: nn.Module, name: str = "train") -> Update:
    """The optimizer's turn that an optimization key describes.

    Args:
        optimization: an optimizer's name, with ``lr``, ``steps`` and where wanted ``weight_decay``,
            ``schedule`` (a name or a key), ``clip_norm`` and ``average`` (decay of a moving average of the
            weights); what else it holds are the optimizer's options.
        model: owns the parameters.
        name: picks the loss.
    """
    own = ("lr", "steps", "weight_decay", "schedule", "clip_norm", "average")
    optimizer = build_optimizer(
        optimization.name,
        model,
        lr=optimization["lr"],
        weight_decay=optimization.get("weight_decay", 0.0),
        **optimization.without(*own),
    )
    wanted = optimization.get("schedule", "constant")
    schedule_key = wanted if isinstance(wanted, RecipeKey) else RecipeKey(wanted)
    schedule = build_schedule(schedule_key.name, optimization["steps"], **schedule_key.options)
    return Update(name, optimizer, schedule, optimization.get("clip_norm"))


def parameters_of(model: nn.Module) -> float:
    """The count of a model's parameters, as a measured value."""
    return float(sum(part.numel() for part in model.parameters()))


def thinned(values: list[float], points: int = 60) -> Curve:
    """(step, value) of a long series: means over stretches of equal length.

    Example:
        >>> thinned([4.0, 2.0, 1.0, 1.0], points=2)
        ((2.0, 3.0), (4.0, 1.0))
    """
    stretch = max(1, -(-len(values) // points))
    cut = [(start, values[start : start + stretch]) for start in range(0, len(values), stretch)]
    return tuple((float(start + len(part)), sum(part) / len(part)) for start, part in cut)


def _first_only(data: Callable[[nn.Module, int], Batch]) -> Callable[[nn.Module, int], Batch]:
    kept: Mapping[str, Batch] = {}

    def first(model: nn.Module, step: int) -> Batch:
        nonlocal kept
        if not kept:
            kept = {"batch": data(model, 0)}
        return kept["batch"]

    return first
