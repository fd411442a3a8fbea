"""From an archive of images, or a file of texts, to a run folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bayesight.checks import check
from bayesight.data.build import first_frames
from bayesight.data.labelled_texts import holds_texts
from bayesight.language import marked
from bayesight.progress import reporter, told
from bayesight.run import Run
from bayesight.training.classification import classification
from bayesight.training.events import EpochReporter, Listener
from bayesight.training.hardware import choose_hardware
from bayesight.training.last_layer import last_layer, reads_once
from bayesight.training.recipe import ON_IMAGES, Recipe
from bayesight.types import Progress, ShownProgress
from bayesight.workflows.training.choice import (
    Images,
    choose_recipe,
    fitted,
    photographs_among,
    without_mirror_images,
)
from bayesight.workflows.training.classify import (
    ENVIRONMENT_SELECTION,
    SELECTION,
    read_rows,
    reading_precision,
)
from bayesight.workflows.training.finish import TrainingJob, finish
from bayesight.workflows.training.generate import train_generator
from bayesight.workflows.training.images import Material, open_source, read_material
from bayesight.workflows.training.language import train_language_model
from bayesight.workflows.training.pretrain import pretrain, pretraining_images
from bayesight.workflows.training.request import (
    NAMED,
    TrainRequest,
    known_recipe,
    stated_recipe,
)
from bayesight.workflows.training.start import like_published, start_from
from bayesight.workflows.training.translation import train_translation_model

if TYPE_CHECKING:
    from bayesight.workflows.tasks.base import ImageTask

__all__ = [
    "ENVIRONMENT_SELECTION",
    "SELECTION",
    "Material",
    "TrainRequest",
    "TrainResult",
    "read_material",
    "train",
]


_TRAINERS: Mapping[str, Callable[[TrainingJob], tuple[Run, Mapping[str, Any]]]] = {
    "generation": train_generator,
    "language": train_language_model,
    "translation": train_translation_model,
}


@dataclass(frozen=True)
class TrainResult:
    """A finished run.

    Args:
        run: its folder.
        metrics: what ``metrics.json`` holds.
        material: what it learned from; None when the run was finished before.
        words: how good a task on images is; empty of other runs, and when it was finished before.
    """

    run: Run
    metrics: Mapping[str, Any]
    material: Material | None = field(default=None, repr=False)
    words: str = ""


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
    asked = _task_called(request.task) if request.task else None
    if asked is not None and request.recipe is None and not request.model:
        request = replace(request, model=asked.model)
    stated = stated_recipe(request, resuming)
    known = stated or known_recipe(request)
    hardware = choose_hardware(
        precision=known.optimization.precision, threads=request.threads, device=request.device
    )
    if hardware.fabric.is_global_zero and not resuming:
        Run.check_free(request.out, overwrite=request.overwrite)
    reading = time.perf_counter()
    recipe, why = (stated, NAMED) if stated else _chosen_recipe(request, known, progress)
    recipe = like_published(request, recipe)
    fits = asked is None or recipe.kind == asked.kind
    model = f"the model {recipe.model.name!r}, which is for {recipe.kind}"
    check(fits, f"--task {request.task}", model, "a model of the task", "Leave --model out.")
    grouped = recipe.kind == "classification" or recipe.kind in ON_IMAGES
    came = f"given with a model for {recipe.kind}"
    check(grouped or recipe.data.group_by is None, "--group-by", came, "a model that classifies")
    job = TrainingJob(request, recipe, hardware, resuming, progress, listeners, began, reading)
    if recipe.kind in ON_IMAGES:
        from bayesight.workflows.tasks.catalogue import IMAGE_TASKS
        from bayesight.workflows.tasks.train import train_task

        run, metrics, words = train_task(IMAGE_TASKS[recipe.kind], job)
        return TrainResult(run, metrics, words=words)
    if recipe.kind in _TRAINERS:
        return TrainResult(*_TRAINERS[recipe.kind](job))
    return _train_classifier(job, why)


def _train_classifier(job: TrainingJob, why: str) -> TrainResult:
    """Train a classifier with the Gaussian head that knows what its answers are worth."""
    request, recipe, hardware = job.request, job.recipe, job.hardware
    material = read_material(request, recipe, job.progress)
    if why != NAMED and not recipe.reads_texts:
        recipe, why = without_mirror_images(recipe, material.train, why)
        job = replace(job, recipe=recipe)
    material = replace(material, why=why)
    pool = pretraining_images(recipe, material, request.unlabelled, request.options.container, job.progress)
    read_s = time.perf_counter() - job.reading
    plan = classification(
        recipe,
        material.train,
        material.validation,
        len(material.classes.names),
        hardware,
        material.also,
        material.classes.image_shape,
    )
    start = start_from(request, recipe, plan.network, material.classes)
    job.tell((*material.notes, *_said_of(recipe, why)))
    run = job.start(material.classes)
    identity = job.identity(
        material.content_hashes,
        init_from=start,
        processes=hardware.fabric.world_size,
        environments=None if material.environments is None else material.environments.digest,
        unlabelled=None if pool is None else pool.content_hashes,
        **({} if material.groups is None else {"groups": material.groups.digest}),
    )
    pretrained = None
    if pool is not None:
        keeper = job.keeper(run, identity, "pretrain")
        pretrained = pretrain(recipe, plan.network, pool, hardware, keeper, job.listeners)
        if plan.average is not None:
            plan.average.restart()
    rows = None
    if reads_once(recipe, plan.network):
        rows = read_rows(plan.network, material, reading_precision(plan.network, recipe, hardware))
        learned = rows["train"] if "also" not in rows else rows["train"].joined(rows["also"])
        plan = last_layer(plan, recipe, learned, rows["validation"], hardware)
    fresh = request.init_from is None and request.weights is None and pool is None  # other images' weights
    borrowed = plan.network.learns_head_alone and start is not None and fresh and material.interchangeable
    training = job.fit(run, plan, identity, read_s, borrowed=borrowed)
    metrics = finish(plan.network, training, material, pretrained, rows)
    return TrainResult(run, metrics, material)


def _chosen_recipe(request: TrainRequest, known: Recipe, progress: Progress | None) -> tuple[Recipe, str]:
    """The packaged recipe that suits the source's images, and why; with --init-from the model is that run's.

    Photographs are known by a first look, so that they are read once, at the size of their network.
    """
    changes = request.changes
    if request.init_from is not None:
        source = Run.open(request.init_from, finished=False)
        if request.task:
            wanted = _task_called(request.task).kind
            came = f"a run of {source.kind}"
            check(source.kind == wanted, f"--init-from {request.init_from}", came, f"one of {wanted}")
        model = source.recipe().model
        own = {"model": {"name": model.name, **model.options}}
        return Recipe.default(model.name).changed({**own, **changes}), marked("the model of --init-from")
    if request.model and (known.kind != "classification" or known.reads_texts):
        return known, NAMED
    if not request.model and holds_texts(request.source):
        return Recipe.default("bert").changed(changes), marked("chosen for texts; --model takes another")
    seen = photographs_among(first_frames(request.source, container=request.options.container))
    if request.model:
        return known.changed({} if seen is None else fitted(request.model, seen, changes)), NAMED
    mixed = seen is not None and seen.mixed
    images = None if "data.size" in changes else seen
    if images is None:
        whole = known.changed({"data.fit": "pad"}) if mixed and "data.fit" not in changes else known
        manifest = open_source(request, whole, progress).manifest
        height, width = manifest.shape[:2]
        per_class = sum(manifest.counts.values()) / max(1, len(manifest.counts))
        images = Images(height, width, manifest.mode, per_class, mixed)
    return choose_recipe(images, changes)


def _task_called(name: str) -> ImageTask[Any, Any]:
    """The task of a name; tasks are imported where one is asked for, which spares a classifier .15 s."""
    from bayesight.workflows.tasks.catalogue import task_called

    return task_called(name)


def _said_of(recipe: Recipe, why: str) -> tuple[str, ...]:
    return () if why == NAMED else (marked(f"model {recipe.model.name}: {why}"),)
