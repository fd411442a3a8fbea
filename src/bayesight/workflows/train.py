"""From an archive of images to a run folder."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import torch

import bayesight
from bayesight.bayes import gaussian_head, sharpness
from bayesight.bayes.calibrate import apply, fit_bcts
from bayesight.data import Store, open_store, require_classes
from bayesight.data.batches import Examples
from bayesight.data.notes import notes as source_notes
from bayesight.data.notes import source_facts
from bayesight.data.store import only_rows, require_no_class_lost, without_classes
from bayesight.errors import InvalidInput
from bayesight.evaluate import Answers
from bayesight.losses import sees_environments
from bayesight.models import ImageModel
from bayesight.models.classifier import Classes, Classifier, Rows, fit_classifier
from bayesight.models.reading import Precision, features_of, reader_of
from bayesight.progress import reporter, told
from bayesight.run import Run
from bayesight.seeding import derive
from bayesight.train.checkpoint import FileCheckpointer
from bayesight.train.classification import (
    EVALUATION_BATCH,
    Classification,
    classification,
    log_probabilities,
    log_probability_blocks,
)
from bayesight.train.engine import State
from bayesight.train.events import Epochs, Listener, SourceEvent
from bayesight.train.hardware import Hardware, choose_hardware
from bayesight.train.recipe import Recipe
from bayesight.types import IntArray, Progress, ShownProgress
from bayesight.workflows.choosing import NAMED, choose_recipe, common_recipe
from bayesight.workflows.environments import (
    Environments,
    environment_scores,
    read_environments,
    require_groups,
)
from bayesight.workflows.evaluate import Evaluation, Likelihoods, measure
from bayesight.workflows.fitting import described, fit_run, hardware_facts
from bayesight.workflows.generate import train_generator
from bayesight.workflows.pretrain import pretrain, pretraining_images
from bayesight.workflows.reporting import training_report
from bayesight.workflows.sides import among, sides
from bayesight.workflows.sources import AS_IT_IS, LabelledImages, SourceOptions, read_labelled

__all__ = [
    "ENVIRONMENT_SELECTION",
    "SELECTION",
    "Material",
    "TrainRequest",
    "TrainResult",
    "read_material",
    "train",
]

SELECTION = (
    "weights of the epoch with the lowest validation log-loss at its best temperature; shrinkage and "
    "sharpness of the Gaussian head are chosen on the same images"
)
"""How the kept weights were chosen, in words, for every report."""

_HEAD = "; the Gaussian head sees the logits alone, its shrinkage and sharpness are chosen on the same images"
ENVIRONMENT_SELECTION = {
    "reweight": "weights of the epoch with the lowest validation log-loss after adjustment for environments"
    + _HEAD,
    "groupdro": "weights of the epoch whose worst class within an environment has the lowest validation "
    "log-loss" + _HEAD,
    "irm": "weights of the last step" + _HEAD,
}
"""The same for the losses that see environments."""


@dataclass(frozen=True)
class TrainRequest:
    """What to train on, how, and where the run goes.

    Args:
        source: a folder, archive or IDX file of labelled images.
        out: the run folder.
        recipe: the four keys; None is the run's own with ``resume``, else the packaged one of the model that
            suits the images.
        changes: values of that packaged recipe to replace, by dotted path (``"optimization.epochs"``).
        also: more training images of the same classes, never used to validate.
        labels: an IDX source's file of labels, when it is not beside it.
        options: how the sources are read where they do not show.
        resume: go on where an interrupted run stopped; starts afresh where there is none.
        overwrite: replace a run that is there.
        init_from: a run whose network's weights are the start.
        unlabelled: images without labels, for a recipe that pretrains.
        threads: processor threads; None takes half the cores.
        device: "auto", "cpu", "cuda", ...
        checkpoint_every_s: seconds between two checkpoints.
        without: classes to leave out, those of which no image can be read among them.
        only: rows of the source's store to learn from; None takes all.
    """

    source: Path
    out: Path
    recipe: Recipe | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    also: tuple[Path, ...] = ()
    labels: Path | None = None
    options: SourceOptions = AS_IT_IS
    resume: bool = False
    overwrite: bool = False
    init_from: Path | None = None
    unlabelled: tuple[Path, ...] = ()
    threads: int | None = None
    device: str = "auto"
    checkpoint_every_s: float = 10.0
    without: tuple[str, ...] = ()
    only: IntArray | None = None


@dataclass(frozen=True)
class Material:
    """What a run learns from, split.

    Args:
        stores: the source, then every ``also``.
        classes: names, mode and size.
        train: images of the source that are learned from.
        validation: images that choose the weights, all of the source.
        also: further images learned from, or None.
        dropped: images of ``also`` left out because they are in the validation set.
        unlabelled: rows of the source's folder ``unlabelled``.
        notes: how folders were read and what was left out, in sentences.
        why: why the recipe's model was taken.
        digests: (N, 16) which image each row is, of "train", "validation" and "also".
        environments: where the source's images come from; None where the recipe does not say.
    """

    stores: tuple[Store, ...]
    classes: Classes
    train: Examples
    validation: Examples
    also: Examples | None
    dropped: int
    digests: Mapping[str, np.ndarray]
    environments: Environments | None = None
    unlabelled: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    notes: tuple[str, ...] = ()
    why: str = NAMED

    @property
    def content_hashes(self) -> list[str]:
        """What was read, by content."""
        return [store.manifest.content_hash for store in self.stores]


@dataclass(frozen=True)
class TrainResult:
    """A finished run.

    Args:
        run: its folder.
        metrics: what ``metrics.json`` holds.
        material: what it learned from; None when the run was finished before.
    """

    run: Run
    metrics: Mapping[str, Any]
    material: Material | None = field(default=None, repr=False)


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
    listeners = (*listeners, Epochs(told)) if progress is True else tuple(listeners)
    progress = reporter(progress, "reading")
    began = time.perf_counter()
    resuming = request.resume and (request.out / "recipe.toml").exists()
    if resuming and (request.out / "metrics.json").exists():
        run = Run.open(request.out)
        return TrainResult(run, run.metrics())
    stated = _stated_recipe(request, resuming)
    known = stated or common_recipe(request.changes)
    hardware = choose_hardware(
        precision=known.optimization.precision, threads=request.threads, device=request.device
    )
    first = hardware.fabric.is_global_zero
    if first and not resuming:
        Run.check_free(request.out, overwrite=request.overwrite)
    reading = time.perf_counter()
    recipe, why = (stated, NAMED) if stated else _chosen_recipe(request, known, progress)
    if recipe.kind == "generation":
        finished = train_generator(
            request, recipe, hardware, resuming=resuming, progress=progress, listeners=listeners
        )
        return TrainResult(*finished)
    material = replace(read_material(request, recipe, progress), why=why)
    pool = pretraining_images(recipe, material, request.unlabelled, request.options.container, progress)
    read_s = time.perf_counter() - reading
    goal = classification(
        recipe, material.train, material.validation, len(material.classes.names), hardware, material.also
    )
    start = _start_from(request.init_from, goal.network, material.classes)
    for listener in listeners:
        listener(SourceEvent((*material.notes, *_said_of(recipe, why))))
    if first and not resuming:
        made = Run.create(request.out, overwrite=request.overwrite)
        made.save_recipe(recipe)
        made.save_classes(material.classes)
    hardware.fabric.barrier()  # the other processes find the folder made
    run = Run.open(request.out, finished=False)
    identity = {
        "recipe": recipe.as_dict(),
        "data": material.content_hashes,
        "init_from": start,
        "threads": hardware.threads,
        "precision": hardware.precision,
        "processes": hardware.fabric.world_size,
        "environments": None if material.environments is None else material.environments.digest,
        "unlabelled": None if pool is None else pool.content_hashes,
    }
    pretrained = None
    if pool is not None:
        keeper = FileCheckpointer(
            run.folder / "checkpoint" / "pretrain", identity, every_s=request.checkpoint_every_s
        )
        pretrained = pretrain(recipe, goal.network, pool, hardware, keeper, listeners)
        if goal.average is not None:
            goal.average.restart()
    every_s = request.checkpoint_every_s
    keeper = FileCheckpointer(run.folder / "checkpoint", dict(identity), every_s=every_s)
    state = fit_run(run, goal, hardware, keeper, listeners)
    metrics = _finish(run, goal, material, state, recipe, hardware, (began, read_s), pretrained)
    return TrainResult(run, metrics, material)


def read_material(request: TrainRequest, recipe: Recipe, progress: Progress | None = None) -> Material:
    """Read and split everything a run learns from.

    Identical images are never on both sides: not within the source, and not between ``also`` and the
    validation images.
    """
    store = _open_source(request, recipe, progress)
    store = without_classes(store, request.without)
    store = store if request.only is None else only_rows(store, request.only)
    require_classes(store, 2)
    require_no_class_lost(store, request.without)
    height, width = store.manifest.shape[:2]
    classes = Classes(
        store.classes, store.manifest.mode, (height, width), store.manifest.levels, store.manifest.fit
    )
    environments = _environments(store, recipe, request)
    labels = np.asarray(store.labels)
    groups = labels
    if environments is not None:  # every environment shall have images of each of its classes on both sides
        groups = environments.numbers * len(store.classes) + labels
    parts, notes = sides(store, groups, recipe.data.validation, derive(recipe.seed, "split"))
    train, validation = (_examples(store, labels, parts[n], environments) for n in ("train", "validation"))
    digests = {name: np.asarray(store.digests)[parts[name]] for name in ("train", "validation")}
    also, dropped = [], 0
    for path in request.also:
        more = _read_also(path, classes, request, progress)
        kept = ~among(more.store, more.examples.rows, digests["validation"])
        dropped += int((~kept).sum())
        also.append(more.only(kept))
        notes += [f"--also {path.name}: {note}" for note in more.notes]
    if also:
        digests["also"] = np.concatenate([more.digests for more in also])
    return Material(
        (store, *(more.store for more in also)),
        classes,
        train,
        validation,
        reduce(Examples.joined, [more.examples for more in also]) if also else None,
        dropped,
        digests,
        environments,
        store.rows_of("unlabelled"),
        (*source_notes(store), *notes),
    )


def _open_source(request: TrainRequest, recipe: Recipe, progress: Progress | None) -> Store:
    wanted, options = recipe.data, request.options.beside(recipe.data.environments)
    return open_store(
        request.source,
        size=wanted.size,
        mode=wanted.mode,
        fit=wanted.fit,
        labels=request.labels,
        **options.reading,
        progress=progress,
    )


def _read_also(
    path: Path, classes: Classes, request: TrainRequest, progress: Progress | None
) -> LabelledImages:
    """Further images of the same classes."""
    try:
        return read_labelled(path, classes, options=request.options, progress=progress)
    except InvalidInput as problem:
        raise InvalidInput(f"--also {path}: {problem}") from problem


def _environments(store: Store, recipe: Recipe, request: TrainRequest) -> Environments | None:
    """The environments the recipe states, fit for its loss."""
    stated, seeing = recipe.data.environments, sees_environments(recipe.loss.name)
    if stated is None:
        return None  # a loss that sees environments refuses in its own words
    if request.also and seeing:
        raise InvalidInput(
            f"--also: further images of unknown environments; loss {recipe.loss.name!r} wants one for each. "
            "Put all images into one source, or train with --loss cross_entropy."
        )
    environments = read_environments(store, stated)
    require_groups(environments, store, every=seeing)
    return environments


def _examples(store: Store, labels: IntArray, rows: IntArray, environments: Environments | None) -> Examples:
    numbers = None if environments is None else environments.numbers[rows]
    return Examples((store.images,), rows, labels[rows], numbers)


def _stated_recipe(request: TrainRequest, resuming: bool) -> Recipe | None:
    """The recipe of the request, or of the run that goes on; None where a model is to be chosen."""
    if not resuming:
        return request.recipe
    kept = Run.open(request.out, finished=False).recipe()
    wanted = request.recipe or kept.changed(request.changes)
    if wanted != kept:
        raise InvalidInput(
            f"{request.out} was begun with another recipe; leave out the options that differ, or start again "
            "with --overwrite."
        )
    return kept


def _chosen_recipe(request: TrainRequest, known: Recipe, progress: Progress | None) -> tuple[Recipe, str]:
    """The packaged recipe that suits the source's images, and why."""
    manifest = _open_source(request, known, progress).manifest
    return choose_recipe(manifest.shape, manifest.mode, request.changes)


def _said_of(recipe: Recipe, why: str) -> tuple[str, ...]:
    return () if why == NAMED else (f"model {recipe.model.name}: {why}",)


def _start_from(path: Path | None, network: ImageModel, classes: Classes) -> str | None:
    """Copy another run's weights into the network; returns their hash.

    Where the classes differ, the last layer keeps its fresh weights: its outputs mean something else.
    """
    if path is None:
        return None
    source = Run.open(path, finished=False)
    weights = source.network().state_dict()
    if source.classes().names != classes.names:
        weights = {name: value for name, value in weights.items() if not name.startswith("head.")}
    own = network.state_dict()
    wrong = [n for n, v in weights.items() if n not in own or own[n].shape != v.shape]
    if wrong:
        raise InvalidInput(
            f"--init-from {path}: its network does not fit this recipe ({wrong[0]} differs); use the same "
            "model, options and image size."
        )
    network.load_state_dict(weights, strict=False)
    return hashlib.sha256(source.folder.joinpath("model.safetensors").read_bytes()).hexdigest()


def _finish(
    run: Run,
    goal: Classification,
    material: Material,
    state: State,
    recipe: Recipe,
    hardware: Hardware,
    clock: tuple[float, float],
    pretrained: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Calibrate, measure and save; the metrics come last, for they say that the run is finished."""
    measuring = time.perf_counter()
    network = goal.network.eval()
    classifier, validation_rows = _classifier(network, material, hardware.precision)
    likelihoods = Likelihoods(classifier.log_likelihood, validation_rows.features)
    found = measure(classifier, likelihoods, validation_rows.labels)
    began, read_s = clock
    metrics = {
        "bayesight": bayesight.__version__,
        "classes": list(material.classes.names),
        "examples": {
            "train": len(material.train),
            "also": 0 if material.also is None else len(material.also),
            "validation": len(material.validation),
            "dropped": material.dropped,
        },
        "sources": [described(store) for store in material.stores],
        "parts": dict(material.stores[0].manifest.parts),
        "left_out": source_facts(material.stores[0], material.notes, most=1000),
        "notes": list(material.notes),
        **({} if pretrained is None else {"pretraining": pretrained}),
        "model": {"name": recipe.model.name, "why": material.why},
        "seed": recipe.seed,
        "selection": _selection(recipe, len(material.validation), len(material.classes.names)),
        "validation": {
            "accuracy": found.accuracy,
            "log_loss": found.log_loss,
            "ece": found.ece,
            "examples": len(found.labels),
            "accuracy_interval": list(found.accuracy_interval),
            "log_loss_error": found.log_loss_error if math.isfinite(found.log_loss_error) else None,
            "verdict": found.verdict,
        },
        **_environment_metrics(found, material),
        "softmax": _softmax(network, material.validation),
        "steps": state.step,
        "best_step": state.best_step or state.step,  # without a monitor the last weights are kept
        "total_steps": goal.budget.steps,
        "hardware": hardware_facts(hardware),
        "seconds": {
            "reading": read_s,
            "training": state.elapsed_s,
            "measuring": time.perf_counter() - measuring,
            "total": time.perf_counter() - began,
        },
    }
    if hardware.fabric.is_global_zero:
        run.save_network(network)
        run.save_classifier(classifier)
        run.save_history(state.history)
        run.save_metrics(metrics)
        training_report(run, found, material.validation, material.stores)
        run.drop_checkpoint()
    return metrics


def _selection(recipe: Recipe, images: int, classes: int) -> str:
    """How the kept weights were chosen, in words; of very many images times classes a sample judges."""
    if sees_environments(recipe.loss.name):
        return ENVIRONMENT_SELECTION[recipe.loss.name]
    judges = len(sharpness.judges(images, classes))
    if judges == images:
        return SELECTION
    return f"{SELECTION}, {judges:,} of the {images:,} held out, for there are {classes:,} classes"


def _environment_metrics(found: Evaluation, material: Material) -> dict[str, Any]:
    """The validation figures of each environment, where there are any."""
    environments, numbers = material.environments, material.validation.environments
    if environments is None or numbers is None:
        return {}
    return {"environments": environment_scores(found.log_p, found.labels, numbers, environments.names)}


def _classifier(network: ImageModel, material: Material, precision: Precision) -> tuple[Classifier, Rows]:
    """The head on the source's images, or on all: whichever predicts the validation images better."""
    reader = reader_of(network, precision)
    rows = {
        name: _rows(reader, examples, material.digests[name])
        for name, examples in vars(material).items()
        if name in material.digests
    }
    train, validation = rows["train"], rows["validation"]
    candidates = [train] if "also" not in rows else [train, train.joined(rows["also"])]
    fitted = [fit_classifier(network, material.classes, part, validation, precision) for part in candidates]
    return fitted[0] if len(fitted) == 1 else max(fitted, key=_judged_evidence), validation


def _judged_evidence(classifier: Classifier) -> float:
    judged = classifier.judged
    losses = gaussian_head.judged_losses(classifier.predictive, judged.rows, judged.labels, judged.weights)
    return sharpness.log_evidence(losses)


def _rows(reader: ImageModel, examples: Examples, digests: np.ndarray) -> Rows:
    features = features_of(reader, examples.in_order(EVALUATION_BATCH))
    return Rows(features, torch.from_numpy(examples.labels), torch.from_numpy(digests))


def _softmax(network: ImageModel, validation: Examples) -> dict[str, float]:
    """The same figures for the network's own softmax with a fitted temperature, to compare the head with.

    ``sharpness.judges`` of the images choose the temperature; the figures are of all.
    """
    judges = validation.at(sharpness.judges(len(validation), network.classes).numpy())
    scores = log_probabilities(network, judges)
    calibration = fit_bcts(scores, torch.from_numpy(judges.labels), bias=False)
    blocks = log_probability_blocks(network, validation)
    labels = torch.from_numpy(validation.labels).split(EVALUATION_BATCH)
    answers = Answers.joined(
        [Answers.of(apply(calibration, block), given) for block, given in zip(blocks, labels, strict=True)]
    )
    return {
        "accuracy": answers.accuracy,
        "log_loss": answers.log_loss(),
        "ece": answers.reliability().expected_error,
        "temperature": calibration.temperature,
    }
