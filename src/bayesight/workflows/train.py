"""From an archive of images, or a file of texts, to a run folder."""

from __future__ import annotations

import csv
import io
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import torch

from bayesight.checks import check
from bayesight.data import Store, split
from bayesight.data.batches import Examples
from bayesight.errors import InvalidInput
from bayesight.files import write_atomic
from bayesight.language import marked, tr
from bayesight.progress import reporter, told
from bayesight.run import Run
from bayesight.seeding import derive
from bayesight.training.classification import EVALUATION_BATCH
from bayesight.training.events import EpochReporter, Event, Listener, SourceEvent
from bayesight.training.hardware import choose_hardware
from bayesight.training.recipe import ON_IMAGES, Kind
from bayesight.types import IntArray, ShownProgress
from bayesight.workflows.evaluate import Evaluation, measure
from bayesight.workflows.groups import read_groups
from bayesight.workflows.reporting import evaluation_sections, mistakes, write_report
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
    "MOST_FOLDS",
    "SELECTION",
    "Material",
    "TrainRequest",
    "TrainResult",
    "read_material",
    "train",
    "train_with_folds",
]


MOST_FOLDS = 20


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


def train_with_folds(
    request: TrainRequest, folds: int, *, progress: ShownProgress = None, listeners: Iterable[Listener] = ()
) -> TrainResult:
    """Train on all images; then once without each fold, and answer the images of the fold with that run.

    The answers are in ``folds.csv``, a row an image, and ``folds.html``; their figures join the metrics as
    ``folds``. Interrupted, it goes on with ``resume``: runs that are finished are not trained again. They are
    removed at the end.

    Args:
        request: as in ``train``.
        folds: into how many parts the images are dealt: class by class, identical images and groups together.
        progress: as in ``train``.
        listeners: as in ``train``; told which fold is trained.

    Raises:
        InvalidInput: a number of folds out of range, a class of fewer images or groups, further sources, the
            weights of another run, a model that does not classify, or a source whose folders set images
            apart. The errors of ``train`` come beside these.
    """
    check(2 <= folds <= MOST_FOLDS, "--folds", f"got {folds}", f"2 to {MOST_FOLDS}")
    check(
        not request.also, "--folds", "got --also too", "one source, for its images are dealt into the folds"
    )
    came = "got --init-from too"
    check(request.init_from is None, "--folds", came, "a fresh start, for that run may have seen the images")
    kind = (request.recipe or known_recipe(request)).kind
    check(kind == "classification", "--folds", f"got a model for {kind}", "a model that classifies")
    listeners = (*listeners, EpochReporter(told)) if progress is True else tuple(listeners)
    progress = reporter(progress, "reading")
    whole = train(request, progress=progress, listeners=listeners)
    run, metrics = whole.run, dict(whole.metrics)
    if "folds" in metrics:
        return whole
    recipe = run.recipe()
    material = whole.material or read_material(replace(request, recipe=recipe), recipe, progress)
    store, number = material.stores[0], _dealt(material, folds, recipe.data.group_by, recipe.seed)
    rows = np.flatnonzero(number >= 0)
    log_p = torch.empty(len(rows), len(store.classes), dtype=torch.float64)
    for fold in range(folds):
        for listener in listeners:
            listener(SourceEvent((marked(f"fold {fold + 1} of {folds}"),)))
        inside = number[rows] == fold
        one = replace(
            request,
            out=run.folder / "folds" / str(fold + 1),
            recipe=recipe,
            model="",
            changes={},
            only=rows[~inside],
            resume=True,
        )
        log_p[torch.from_numpy(inside)] = _answered(one, store, rows[inside], listeners)
    examples = _examples(store, rows)
    classifier = run.classifier()
    found = measure(classifier, log_p - classifier.prior.log(), torch.from_numpy(examples.labels))
    right = found.predictions == found.labels
    metrics["folds"] = {
        "count": folds,
        "seed": recipe.seed,
        "examples": len(rows),
        **found.figures,
        "accuracy_by_fold": [float(right[number[rows] == fold].mean()) for fold in range(folds)],
    }
    _save(run, store, rows, number[rows] + 1, found)
    run.save_metrics(metrics)
    shutil.rmtree(run.folder / "folds")
    return replace(whole, metrics=run.metrics())


def _dealt(material: Material, folds: int, group_by: str | None, seed: int) -> IntArray:
    """(N,) the fold of each image of the source, from 0 on; -1 of images that take no part."""
    store = material.stores[0]
    if store.has_parts:
        raise InvalidInput(
            f"--folds: folders of {store.manifest.source} set images apart; expected images that can all be "
            "dealt into folds. --no-split-folders takes those of all parts."
        )
    rows = np.sort(np.concatenate([material.train.rows, material.validation.rows]))
    together = None if group_by is None else read_groups(store, group_by).numbers[rows]
    parts = split(
        np.asarray(store.labels)[rows],
        np.asarray(store.digests)[rows],
        {str(fold): 1 / folds for fold in range(folds)},
        derive(seed, "folds"),
        names=store.classes,
        together=together,
    )
    number = np.full(len(store), -1, np.int64)
    for name, chosen in parts.items():
        number[rows[chosen]] = int(name)
    return number


def _answered(
    request: TrainRequest, store: Store, rows: IntArray, listeners: Iterable[Listener]
) -> torch.Tensor:
    """Log-posteriors (N, K) of the images in some rows, by a run that is trained without them."""

    def quietly(event: Event) -> None:
        if not isinstance(event, SourceEvent):  # said once of the whole source
            for listener in listeners:
                listener(event)

    classifier = train(request, listeners=[quietly]).run.classifier()
    features = classifier.features(_examples(store, rows).in_order(EVALUATION_BATCH))
    return (classifier.log_likelihood(features) + classifier.prior.log()).log_softmax(dim=1)


def _examples(store: Store, rows: IntArray) -> Examples:
    return Examples((store.images,), rows, np.asarray(store.labels)[rows].astype(np.int64))


def _save(run: Run, store: Store, rows: IntArray, folds: IntArray, found: Evaluation) -> None:
    """The answers as a table, and their report."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["path", "class", "fold", "prediction", *(f"posterior_{name}" for name in found.classes)])
    told = zip(rows.tolist(), found.labels, folds, found.predictions, np.exp(found.log_p), strict=True)
    for row, label, fold, prediction, posterior in told:
        names = found.classes[label], fold, found.classes[prediction]
        writer.writerow([store.path_of(row), *names, *(f"{p:.6g}" for p in posterior)])
    write_atomic(run.folder / "folds.csv", out.getvalue())
    note = tr(
        "Each image was answered by one of {count} runs that were trained without it, and without "
        "those of its group. The run itself was trained on more images than any of them.",
        count=int(folds.max()),
    )
    sections = [
        *evaluation_sections(found, note=note, judged=tr("answered by a run that did not see them")),
        mistakes(found, _examples(store, rows), store, rows=rows),
    ]
    title = tr("{name}: every image held out once", name=run.folder.name)
    write_report(title, sections, run.folder / "folds.html", str(run.folder))
