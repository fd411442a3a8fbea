"""One loop for every training run, stated in four keys: data, model, loss, optimization.

A classifier has one update a step; a generative adversarial network has two, each owning its parameters;
an agent's data acts with the model; a contrastive recipe's data yields two views. All of them are a ``Task``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

import torch
from torch import Tensor, nn

from bayesight.checks import check
from bayesight.errors import TrainingDiverged
from bayesight.optim import Schedule
from bayesight.seeding import derive
from bayesight.training.average import WeightAverage
from bayesight.training.events import EvaluationEvent, Listener, StepEvent, TrainingEnd, TrainingStart

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Network = TypeVar("Network", bound=nn.Module)

Batch: TypeAlias = tuple[Tensor, ...]
"""Tensors with the same leading dimension, so that a batch can be cut for accumulation."""

Loss: TypeAlias = Callable[[nn.Module, Batch], Mapping[str, Tensor]]
"""Named scalar terms of a batch; ``"total"`` is the one that is differentiated."""


class Stateful(Protocol):
    """Anything whose tensors belong in a checkpoint: a replay buffer, an environment."""

    def state_dict(self) -> dict[str, Tensor]:
        """Everything needed to go on, as tensors."""

    def load_state_dict(self, state: dict[str, Tensor]) -> Any:
        """Take up where ``state_dict`` left off."""


@dataclass(frozen=True)
class Update:
    """One optimizer's turn within a step.

    Args:
        name: picks its loss from ``Task.losses``.
        optimizer: owns the parameters that move.
        schedule: step to the factor of the base learning rate.
        clip_norm: gradients longer than this are shortened to it; None leaves them.
    """

    name: str
    optimizer: torch.optim.Optimizer
    schedule: Schedule = lambda step: 1.0
    clip_norm: float | None = None


@dataclass(frozen=True)
class Task:
    """A training run in four keys.

    Args:
        data: (model, step) to the batch of that step; must depend on nothing else, or put what it depends
            on into ``stateful``, so that a resumed run sees the same batches.
        model: the network. Several are one module whose ``forward`` is told which to run.
        losses: a loss for each update.
        updates: the optimizers' turns within a step, in order.
        after: called with (model, step) when the updates of a step are done, a target network's copy say.
        stateful: whatever else a checkpoint must hold, by name.
    """

    data: Callable[[nn.Module, int], Batch]
    model: nn.Module
    losses: Mapping[str, Loss]
    updates: Sequence[Update]
    after: Sequence[Callable[[nn.Module, int], None]] = ()
    stateful: Mapping[str, Stateful] = field(default_factory=dict)


@dataclass(frozen=True)
class Budget:
    """Length of a training, and its evaluations.

    Args:
        steps: their number.
        evaluate_every: steps between two evaluations; the last step is always followed by one.
        accumulate: pieces a batch is cut into, one backward pass each; the gradient is the whole batch's.
        patience: evaluations without improvement before training stops; None never stops early.
        monitor: the metric to minimise; without it the last weights are kept.
        seed: of everything random inside a step, dropout say.
        diverged_above: losses, as ``"update.term"``, and metrics, beyond which training has diverged though
            they are finite: several times those of the best constant answer. Then no weights are kept.
    """

    steps: int
    evaluate_every: int
    accumulate: int = 1
    patience: int | None = None
    monitor: str | None = "log_loss"
    seed: int = 0
    diverged_above: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan(Generic[Network]):
    """A recipe resolved against data and hardware.

    Args:
        task: the four keys.
        budget: steps and evaluations.
        evaluate: model to metrics of the validation images.
        network: the model, also in ``task.model``.
        average: of the weights, or None.
    """

    task: Task
    budget: Budget
    evaluate: Callable[[nn.Module], Mapping[str, float]]
    network: Network
    average: WeightAverage | None = None


@dataclass
class State:
    """Progress of a training; together with model, optimizers and averages it is all a checkpoint holds.

    Args:
        step: steps taken.
        history: one row an evaluation.
        best: the monitored metric's best value.
        best_step: when that was.
        best_weights: the model's state then; empty before the first evaluation.
        stale: evaluations since.
        elapsed_s: time spent training so far, over all sittings.
        sums: loss terms added up since the last evaluation.
        summed: over how many steps.
        first: loss terms of the first step.
    """

    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best: float = math.inf
    best_step: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    stale: int = 0
    elapsed_s: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    summed: int = 0
    first: dict[str, float] = field(default_factory=dict)


class Checkpointer(Protocol):
    """Keeps training's state somewhere safe."""

    def load(self, task: Task, average: WeightAverage | None) -> State:
        """Put the kept state into the task and return where it stood; a fresh State if none is kept."""

    def save(self, task: Task, average: WeightAverage | None, state: State, *, force: bool = False) -> None:
        """Keep the state, unless the last save was a moment ago and ``force`` is not given."""


def fit(
    task: Task,
    budget: Budget,
    *,
    fabric: Fabric,
    evaluate: Callable[[nn.Module], Mapping[str, float]] | None = None,
    average: WeightAverage | None = None,
    checkpointer: Checkpointer | None = None,
    listeners: Iterable[Listener] = (),
) -> State:
    """Train ``task.model`` in place and leave the best weights in it.

    Args:
        task: the four keys.
        budget: steps and evaluations.
        fabric: device, precision and processes.
        evaluate: model to metrics, called in evaluation mode with the averaged weights if there are any.
        average: follows the weights.
        checkpointer: where state is kept, and found again.
        listeners: told every event.

    Returns:
        Where training ended. The model carries the weights of ``best_step``, or the last ones without
        ``evaluate`` or ``monitor``.

    Raises:
        TrainingDiverged: a loss, a weight or the monitored metric is not finite, or every evaluation was
            beyond ``diverged_above``; the model carries the best weights there are.
        InvalidInput: an update without a loss, or a budget below one step.
    """
    check(budget.steps >= 1, "budget.steps", f"got {budget.steps}", "at least 1")
    for update in task.updates:
        check(update.name in task.losses, f"update {update.name!r}", "no loss of that name", "one in losses")
    state = State() if checkpointer is None else checkpointer.load(task, average)
    loop = _Loop(task, budget, fabric, evaluate, average, checkpointer, tuple(listeners), state)
    with torch.random.fork_rng(devices=[]):
        try:
            loop.run()
        finally:
            loop.keep_best()
    return state


class _Loop:
    """The loop's fixed parts, gathered so that each method is short."""

    def __init__(
        self,
        task: Task,
        budget: Budget,
        fabric: Fabric,
        evaluate: Callable[[nn.Module], Mapping[str, float]] | None,
        average: WeightAverage | None,
        checkpointer: Checkpointer | None,
        listeners: tuple[Listener, ...],
        state: State,
    ) -> None:
        self.task, self.budget, self.fabric = task, budget, fabric
        self.evaluate, self.average, self.checkpointer = evaluate, average, checkpointer
        self.listeners, self.state = listeners, state
        optimizers = [update.optimizer for update in task.updates]
        self.base_lr = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]
        self.model, *self.optimizers = fabric.setup(task.model, *optimizers, move_to_device=True)

    def run(self) -> None:
        """Every step that is left."""
        self.tell(TrainingStart(self.state.step, self.budget.steps, self.budget.evaluate_every))
        began = time.perf_counter() - self.state.elapsed_s
        stopped = self.out_of_patience()
        self.model.train()
        while self.state.step < self.budget.steps and not stopped:
            self.step(self.state.step)
            self.state.step += 1
            self.state.elapsed_s = time.perf_counter() - began
            if self.state.step % self.budget.evaluate_every == 0 or self.state.step == self.budget.steps:
                self.measure()
                stopped = self.out_of_patience()
            self.save(force=stopped or self.state.step == self.budget.steps)
        self.refuse_divergence()
        self.tell(TrainingEnd(self.state.step, stopped))

    def step(self, step: int) -> None:
        """One batch, every update, then the hooks."""
        torch.default_generator.manual_seed(derive(self.budget.seed, "step", self.fabric.global_rank, step))
        batch = self.task.data(self.model, step)
        terms: dict[str, float] = {}
        for index, update in enumerate(self.task.updates):
            terms |= self.turn(index, update, batch, step)
        if self.average is not None:
            self.average.update(step)
        for hook in self.task.after:
            hook(self.model, step)
        self.state.first = self.state.first or terms
        sums = self.state.sums
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + value
        self.state.summed += 1
        self.tell(StepEvent(step + 1, terms))

    def turn(self, index: int, update: Update, batch: Batch, step: int) -> dict[str, float]:
        """One optimizer's turn; returns its loss terms."""
        optimizer = self.optimizers[index]
        for group, lr in zip(optimizer.param_groups, self.base_lr[index], strict=True):
            group["lr"] = lr * update.schedule(step)
        optimizer.zero_grad(set_to_none=True)  # also what another update's loss left in these parameters
        pieces = _pieces(batch, self.budget.accumulate)
        size = len(batch[0])
        terms: dict[str, float] = {}
        for number, piece in enumerate(pieces):
            share = len(piece[0]) / size
            last = number == len(pieces) - 1
            with nullcontext() if last else self.fabric.no_backward_sync(self.model):
                losses = self.task.losses[update.name](self.model, piece)
                self.fabric.backward(losses["total"] * share if len(pieces) > 1 else losses["total"])
            for name, value in losses.items():
                key = f"{update.name}.{name}"
                terms[key] = terms.get(key, 0.0) + share * value.item()
        total = terms[f"{update.name}.total"]
        if not math.isfinite(total):
            raise TrainingDiverged(self.diverged(f"loss {update.name!r} became NaN or infinite", update))
        if update.clip_norm is not None:
            self.fabric.clip_gradients(self.model, optimizer, max_norm=update.clip_norm)
        optimizer.step()
        return terms

    def measure(self) -> None:
        """Evaluate, remember the best, tell the listeners."""
        state, monitor = self.state, self.budget.monitor
        row: dict[str, float] = {"step": float(state.step), "elapsed_s": state.elapsed_s}
        row |= {name: self.over_processes(value / state.summed) for name, value in state.sums.items()}
        state.sums, state.summed = {}, 0
        improved = False
        if not all(bool(part.isfinite().all()) for part in self.task.model.parameters()):
            raise TrainingDiverged(self.diverged("weights became infinite or NaN", self.task.updates[0]))
        if self.evaluate is not None:
            self.model.eval()
            with self.average.applied() if self.average else nullcontext(), torch.no_grad():
                metrics = dict(self.evaluate(self.model))
                row |= metrics
                if monitor is not None:
                    improved = self.remember(metrics[monitor], diverged=bool(self.diverged_loss(row)))
            self.model.train()
        state.history.append(row)
        self.tell(EvaluationEvent(state.step, row, improved))

    def over_processes(self, value: float) -> float:
        """The mean of each process's own value."""
        if self.fabric.world_size == 1:
            return value
        mean = self.fabric.all_reduce(torch.tensor(value, dtype=torch.float64), reduce_op="mean")
        assert isinstance(mean, Tensor)
        return mean.item()

    def remember(self, value: float, *, diverged: bool) -> bool:
        """Keep the weights the model carries now if ``value`` is the best so far and nothing has diverged."""
        state = self.state
        if not math.isfinite(value):
            raise TrainingDiverged(
                self.diverged(f"{self.budget.monitor} became NaN or infinite", self.task.updates[0])
            )
        if value >= state.best or diverged:
            state.stale += 1
            return False
        state.best, state.best_step, state.stale = value, state.step, 0
        state.best_weights = {name: v.detach().clone() for name, v in self.task.model.state_dict().items()}
        return True

    def diverged_loss(self, row: Mapping[str, float]) -> str:
        """The loss of a row that is too high for weights that have learned anything; empty where none is.

        It has to have risen as well: an untrained network may begin above the limit.
        """
        for name, limit in self.budget.diverged_above.items():
            if row.get(name, 0.0) > max(limit, 1.2 * self.state.first.get(name, 0.0)):
                return name
        return ""

    def refuse_divergence(self) -> None:
        """Refuse training that diverged before every evaluation, or without a monitor before the last."""
        row = self.state.history[-1] if self.state.history else {}
        worst = self.diverged_loss(row)
        if worst and not self.state.best_weights:
            name, limit = worst.partition(".")[0], self.budget.diverged_above[worst]
            update = next((u for u in self.task.updates if u.name == name), self.task.updates[0])
            came = f"loss {name!r} rose to {row[worst]:.3g}, and what learns stays below {limit:.3g},"
            raise TrainingDiverged(self.diverged(came, update))

    def out_of_patience(self) -> bool:
        """True when too many evaluations have passed without improvement."""
        return self.budget.patience is not None and self.state.stale > self.budget.patience

    def keep_best(self) -> None:
        """Leave the best weights in the model; without an evaluation, the averaged or the last ones."""
        weights: Mapping[str, Tensor] = self.state.best_weights
        if not weights and self.average is not None and self.state.step == self.budget.steps:
            weights = self.average.shadow
        if weights:
            self.task.model.load_state_dict(weights, strict=False)

    def save(self, *, force: bool) -> None:
        """Hand the state to the checkpointer; one process writes for all."""
        if self.checkpointer is not None and self.fabric.is_global_zero:
            self.checkpointer.save(self.task, self.average, self.state, force=force)

    def tell(self, event: TrainingStart | StepEvent | EvaluationEvent | TrainingEnd) -> None:
        """Pass an event on."""
        for listener in self.listeners:
            listener(event)

    def diverged(self, what: str, update: Update) -> str:
        """One sentence on a loss that is not a number."""
        kept = (
            f"the weights of step {self.state.best_step} are kept"
            if self.state.best_weights
            else "no weights were good yet"
        )
        lr = max(self.base_lr[list(self.task.updates).index(update)])
        return (
            f"training diverged: {what} at step {self.state.step} of {self.budget.steps}; {kept}. "
            f"Lower the learning rate (now {lr:g}) or clip gradients."
        )


def _pieces(batch: Batch, count: int) -> list[Batch]:
    """The batch cut into ``count`` nearly equal pieces, fewer if it is too small."""
    if count == 1:
        return [batch]
    return list(zip(*(part.tensor_split(min(count, len(part))) for part in batch), strict=True))
