"""What every training does beside its loop: keep good weights when it fails, say what it was made with."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import torch

from bayesight.data import Store
from bayesight.errors import TrainingDiverged
from bayesight.run import Run
from bayesight.train.checkpoint import FileCheckpointer
from bayesight.train.classification import Classification
from bayesight.train.engine import State, fit
from bayesight.train.events import EvaluationEvent, Event, Listener
from bayesight.train.generation import Generation
from bayesight.train.hardware import Hardware

__all__ = ["described", "fit_run", "hardware_facts"]


def fit_run(
    run: Run,
    goal: Classification | Generation,
    hardware: Hardware,
    keeper: FileCheckpointer,
    listeners: Iterable[Listener],
) -> State:
    """Train; where it diverges, good weights of an earlier look are kept to start from, and nothing else is.

    Raises:
        TrainingDiverged: with what to do about it.
    """
    kept: EvaluationEvent | None = None

    def watch(event: Event) -> None:
        nonlocal kept
        if isinstance(event, EvaluationEvent) and event.improved:
            kept = event

    try:
        with keeper.stopping_between_steps():
            return fit(
                goal.task,
                goal.budget,
                fabric=hardware.fabric,
                evaluate=goal.evaluate,
                average=goal.average if isinstance(goal, Classification) else None,
                checkpointer=keeper,
                listeners=[watch, *listeners],
            )
    except TrainingDiverged as diverged:
        if not hardware.fabric.is_global_zero:
            raise
        if kept is None:
            run.remove()
            raise TrainingDiverged(f"{diverged} Nothing is left in {run.folder}.") from diverged
        run.save_network(goal.network)
        run.drop_checkpoint()
        start = f"To go on from the weights of step {kept.step}: --init-from {run.folder} with a lower rate"
        raise TrainingDiverged(f"{diverged} {start} and another --out.") from diverged


def described(store: Store) -> dict[str, Any]:
    """A source as a run's metrics name it."""
    manifest = store.manifest
    return {
        "source": manifest.source,
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


def hardware_facts(hardware: Hardware) -> dict[str, Any]:
    """What a run was computed on, as its metrics name it."""
    return {
        "precision": hardware.precision,
        "threads": hardware.threads,
        "processes": hardware.fabric.world_size,
        "device": hardware.fabric.device.type,
        "processor": platform.processor() or platform.machine(),
        "torch": torch.__version__,
    }
