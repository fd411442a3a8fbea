"""A training from the run folder to its metrics, the same for every kind of model: made, trained, saved."""

from __future__ import annotations

import platform
import shlex
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

import bayesight
from bayesight.belief.classifier import Classes
from bayesight.data import Store
from bayesight.data.text import Characters, Subwords
from bayesight.errors import TrainingDiverged
from bayesight.language import marked
from bayesight.run import Run
from bayesight.training.checkpoint import FileCheckpointer
from bayesight.training.engine import Plan, State, fit
from bayesight.training.events import EvaluationEvent, Event, Listener, SourceEvent
from bayesight.training.hardware import Hardware
from bayesight.training.recipe import Recipe
from bayesight.types import Progress
from bayesight.workflows.belief import belief_lock
from bayesight.workflows.training.images import Material
from bayesight.workflows.training.request import NAMED, TrainRequest


@dataclass(frozen=True)
class TrainResult:
    """A finished run.

    Args:
        run: its folder.
        metrics: what ``metrics.json`` holds.
        material: what a classifier learned from; None of other runs, and when it was finished before.
        words: how good a task on images is; empty of other runs, and when it was finished before.
    """

    run: Run
    metrics: Mapping[str, Any]
    material: Material | None = field(default=None, repr=False)
    words: str = ""


@dataclass(frozen=True)
class TrainingJob:
    """A training to do, its recipe and hardware settled.

    Args:
        request: data, run folder and options.
        recipe: the four keys.
        hardware: device, precision, threads.
        resuming: the run folder is there already.
        progress: told how far reading is.
        listeners: told every event of training.
        began: seconds of ``time.perf_counter`` when it was asked for.
        reading: the same when reading began.
        why: the recipe's model was taken.
    """

    request: TrainRequest
    recipe: Recipe
    hardware: Hardware
    resuming: bool
    progress: Progress | None
    listeners: tuple[Listener, ...]
    began: float
    reading: float
    why: str = NAMED

    def tell(self, notes: Iterable[str]) -> float:
        """Tell the listeners of what was read; the seconds that reading took."""
        read_s = time.perf_counter() - self.reading
        for listener in self.listeners:
            listener(SourceEvent(tuple(notes)))
        return read_s

    def start(self, classes: Classes | None, vocabulary: Characters | Subwords | None = None) -> Run:
        """The run folder, made by the first process unless it is there already; the recipe completes it."""
        if self.hardware.fabric.is_global_zero and not self.resuming:
            made = _made(self.request)
            if classes is not None:
                made.save_classes(classes)
                vocabulary = vocabulary or classes.vocabulary
            if vocabulary is not None:
                made.save_vocabulary(vocabulary)
            made.save_recipe(self.recipe)
        self.hardware.fabric.barrier()  # the other processes find the folder made
        return Run.open(self.request.out, finished=False)

    def identity(self, data: Sequence[str], **more: Any) -> dict[str, Any]:
        """All that a checkpoint has to agree on to be gone on from, ``data`` being the sources' hashes."""
        return {
            "recipe": self.recipe.as_dict(),
            "data": data,
            "threads": self.hardware.threads,
            "precision": self.hardware.precision,
            **more,
        }

    def keeper(self, run: Run, identity: Mapping[str, Any], *below: str) -> FileCheckpointer:
        """The keeper of checkpoints in the run's folder, or below that."""
        folder = run.folder.joinpath("checkpoint", *below)
        return FileCheckpointer(folder, dict(identity), every_s=self.request.checkpoint_every_s)

    def fit(
        self,
        run: Run,
        plan: Plan[Any],
        identity: Mapping[str, Any],
        read_s: float,
    ) -> FinishedTraining:
        """Train; where it diverges, good weights of an earlier look are kept to start from, and nothing else.

        Raises:
            TrainingDiverged: with what to do about it.
        """
        kept: EvaluationEvent | None = None

        def watch(event: Event) -> None:
            nonlocal kept
            if isinstance(event, EvaluationEvent) and event.improved:
                kept = event

        keeper = self.keeper(run, identity)
        try:
            with keeper.stopping_between_steps():
                state = fit(
                    plan.task,
                    plan.budget,
                    fabric=self.hardware.fabric,
                    evaluate=plan.evaluate,
                    average=plan.average,
                    checkpointer=keeper,
                    listeners=[watch, *self.listeners],
                )
        except TrainingDiverged as diverged:
            if not self.hardware.fabric.is_global_zero:
                raise
            if kept is None:
                run.remove()
                raise TrainingDiverged(f"{diverged} Nothing is left in {run.folder}.") from diverged
            run.save_network(plan.network)
            run.drop_checkpoint()
            folder = shlex.quote(str(run.folder))
            way = marked(
                f"To go on from the weights of step {kept.step}: --init-from {folder} with a lower rate"
            )
            raise TrainingDiverged(f"{diverged} {way} and another --out.") from diverged
        return FinishedTraining(self, run, plan, state, read_s)


@dataclass(frozen=True)
class FinishedTraining:
    """A training that is over.

    Args:
        job: what was to be done.
        run: its folder.
        plan: the recipe resolved, with the trained network.
        state: how far it came.
        read_s: seconds that reading took.
    """

    job: TrainingJob
    run: Run
    plan: Plan[Any]
    state: State
    read_s: float

    def save(
        self,
        examples: tuple[int, int],
        sources: Sequence[Mapping[str, Any]],
        notes: Sequence[str],
        selection: str,
        validation: Mapping[str, Any],
        *,
        report: Callable[[], object],
        classes: Sequence[str] = (),
        words: str = "",
        **more: Any,
    ) -> TrainResult:
        """Save a run that is no classifier's; the metrics come last, for they say that it is finished.

        Args:
            examples: how many it learned from, and how many were held out.
            sources: the facts of each.
            notes: on what was read.
            selection: which weights are kept, in words.
            validation: measures on what was held out.
            report: writes it, once the metrics are there.
            classes: their names.
            words: how good it is.
            more: what else it learned from.
        """
        learned = {
            "kind": self.job.recipe.kind,
            "classes": list(classes),
            "examples": dict(zip(("train", "validation"), examples, strict=True)),
            "sources": list(sources),
            **more,
            "notes": list(notes),
        }
        metrics = self.metrics(learned, {"selection": selection, "validation": validation})
        self.run.save_network(self.plan.network)
        self.run.save_history(self.state.history)
        self.run.save_metrics(metrics)
        report()
        self.run.drop_checkpoint()
        return TrainResult(self.run, metrics, words=words)

    def metrics(
        self, learned: Mapping[str, Any], judged: Mapping[str, Any], **seconds: float
    ) -> dict[str, Any]:
        """The run's metrics.

        Args:
            learned: from what.
            judged: how good it is, and which weights are kept.
            seconds: that anything after the training took.
        """
        state = self.state
        return {
            "bayesight": bayesight.__version__,
            **learned,
            "model": {"name": self.job.recipe.model.name, "why": self.job.why},
            "seed": self.job.recipe.seed,
            **judged,
            "steps": state.step,
            "best_step": state.best_step or state.step,  # without a monitor the last weights are kept
            "total_steps": self.plan.budget.steps,
            "hardware": _hardware_facts(self.job.hardware),
            "seconds": {
                "reading": self.read_s,
                "training": state.elapsed_s,
                **seconds,
                "total": time.perf_counter() - self.job.began,
            },
        }


def described(store: Store) -> dict[str, Any]:
    """A source as a run's metrics name it."""
    manifest = store.manifest
    return {
        "source": manifest.source,
        "kind": manifest.kind,
        "content_hash": manifest.content_hash,
        "images": len(store),
        "counts": manifest.counts,
        "quarantined": len(manifest.quarantined),
        "ignored": manifest.ignored,
        "lost_classes": [one.name for one in manifest.lost],
        "choice": manifest.choice,
        "levels": list(manifest.levels),
        "treatment": asdict(manifest.treatment),
    }


def _hardware_facts(hardware: Hardware) -> dict[str, Any]:
    """The hardware a run was computed on, as its metrics name it."""
    return {
        "precision": hardware.precision,
        "threads": hardware.threads,
        "processes": hardware.fabric.world_size,
        "device": hardware.fabric.device.type,
        "processor": platform.processor() or platform.machine(),
        "torch": torch.__version__,
    }


def _made(request: TrainRequest) -> Run:
    """An empty run folder, after any update of the run it replaces, which would write into the new one."""
    there = Run(Path(request.out).expanduser().absolute())
    held = request.overwrite and (there.folder / "belief.safetensors").exists()
    with belief_lock(there) if held else nullcontext():
        return Run.create(request.out, overwrite=request.overwrite)
