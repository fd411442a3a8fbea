"""What every training does beside its loop: keep good weights when it fails, say what it was made with."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from typing import Any

import torch

from bayesight.data import Store
from bayesight.errors import TrainingDiverged
from bayesight.run import Run
from bayesight.train.checkpoint import FileCheckpointer
from bayesight.train.classification import Classification
from bayesight.train.engine import State, fit
from bayesight.train.events import Evaluated, Event, Listener
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
    """Train; a loss that is not a number leaves the best weights in the run folder, if any were good."""
    improved = False

    def watch(event: Event) -> None:
        nonlocal improved
        improved = improved or (isinstance(event, Evaluated) and event.improved)

    try:
        return fit(
            goal.task,
            goal.budget,
            fabric=hardware.fabric,
            evaluate=goal.evaluate,
            average=goal.average if isinstance(goal, Classification) else None,
            checkpointer=keeper,
            listeners=[watch, *listeners],
        )
    except TrainingDiverged:
        if improved and hardware.fabric.is_global_zero:
            run.save_network(goal.network)
        raise


def described(store: Store) -> dict[str, Any]:
    """A source as a run's metrics name it."""
    manifest = store.manifest
    return {
        "source": manifest.source,
        "content_hash": manifest.content_hash,
        "images": len(store),
        "counts": manifest.counts,
        "quarantined": len(manifest.quarantined),
        "choice": manifest.choice,
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
