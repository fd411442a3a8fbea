"""From an archive of images, or a file of texts, to a run folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from bayesight.checks import check
from bayesight.progress import reporter, told
from bayesight.run import Run
from bayesight.training.events import EpochReporter, Listener
from bayesight.training.hardware import choose_hardware
from bayesight.training.recipe import ON_IMAGES, Kind
from bayesight.types import ShownProgress
from bayesight.workflows.tasks import task_called
from bayesight.workflows.training.classify import ENVIRONMENT_SELECTION, SELECTION, train_classifier
from bayesight.workflows.training.images import Material, read_material
from bayesight.workflows.training.job import TrainingJob, TrainResult
from bayesight.workflows.training.request import (
    NAMED,
    TrainRequest,
    chosen_recipe,
    known_recipe,
    stated_recipe,
)
from bayesight.workflows.training.start import like_published

__all__ = [
    "ENVIRONMENT_SELECTION",
    "SELECTION",
    "Material",
    "TrainRequest",
    "TrainResult",
    "read_material",
    "train",
]


def train(
    request: TrainRequest,
    *,
    progress: ShownProgress = None,
    listeners: Iterable[Listener] = (),
) -> TrainResult:
    """Train a classifier, or what else the recipe's model is, and save its run.

    Args:
        request: what, how, where.
        progress: told how far reading is; True writes that, and a line an epoch, on standard error.
        listeners: told every event of training.

    Raises:
        SourceNotFound, SourceUnreadable, InvalidInput: nothing to train on, or one class only.
        RunExists: the run folder is taken.
        RunUnreadable: the run to resume or start from does not fit.
        TrainingDiverged: a loss ran away; only good weights of an earlier look are left, to start from.
        StorageFailed: the disk is full.
        InvalidInput: images without labels that the recipe has no use for.
    """
    listeners = (*listeners, EpochReporter(told)) if progress is True else tuple(listeners)
    progress = reporter(progress, "reading")
    began = time.perf_counter()
    resuming = request.resume and (request.out / "recipe.toml").exists()
    if resuming and (request.out / "metrics.json").exists():
        run = Run.open(request.out)
        return TrainResult(run, run.metrics())
    task = task_called(request.task) if request.task else None
    if task is not None and request.recipe is None and not request.model:
        request = replace(request, model=task.model)
    stated = stated_recipe(request, resuming)
    known = stated or known_recipe(request)
    hardware = choose_hardware(
        precision=known.optimization.precision, threads=request.threads, device=request.device
    )
    if hardware.fabric.is_global_zero and not resuming:
        Run.check_free(request.out, overwrite=request.overwrite)
    reading = time.perf_counter()
    recipe, why = (stated, NAMED) if stated else chosen_recipe(request, known, progress)
    recipe = like_published(request, recipe)
    fits = task is None or recipe.kind == task.kind
    model = f"the model {recipe.model.name!r}, which is for {recipe.kind}"
    check(fits, f"--task {request.task}", model, "a model of the task", "Leave --model out.")
    grouped = recipe.kind == "classification" or recipe.kind in ON_IMAGES
    came = f"given with a model for {recipe.kind}"
    check(grouped or recipe.data.group_by is None, "--group-by", came, "a model that classifies")
    job = TrainingJob(request, recipe, hardware, resuming, progress, listeners, began, reading, why)
    return _trainer(recipe.kind)(job)


def _trainer(kind: Kind) -> Callable[[TrainingJob], TrainResult]:
    """The function that trains a kind of model; what only one kind needs is loaded for that alone."""
    if kind == "classification":
        return train_classifier
    if kind == "generation":
        from bayesight.workflows.training.generate import train_generator

        return train_generator
    if kind in ON_IMAGES:
        from bayesight.workflows.tasks.train import train_task

        return train_task
    from bayesight.workflows.training import texts

    return texts.train_language_model if kind == "language" else texts.train_translation_model
