"""From annotated images to a run: read, split, trained, calibrated, judged; the same for every task."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bayesight.belief.classifier import Classes
from bayesight.checks import check
from bayesight.data.annotated import AnnotatedImages, open_annotated
from bayesight.data.augment import SceneAugment
from bayesight.data.framing import ImageSpec, sides
from bayesight.data.layout import twin_notes
from bayesight.data.splits import groups_of, split
from bayesight.errors import listed
from bayesight.language import marked, tr
from bayesight.run import Run
from bayesight.run_schema import TaskFile
from bayesight.seeding import derive, numpy_generator, torch_generator
from bayesight.training.engine import Batch, Plan
from bayesight.training.hardware import Hardware
from bayesight.training.recipe import Recipe
from bayesight.types import IntArray, Progress
from bayesight.workflows.groups import groups_by_path
from bayesight.workflows.reporting import run_report
from bayesight.workflows.tasks import task_of
from bayesight.workflows.tasks.base import ImageTask, Trained
from bayesight.workflows.training.job import TrainingJob, TrainResult
from bayesight.workflows.training.request import TrainRequest, refuse_given
from bayesight.workflows.training.start import copy_weights

LEAST = 4
"""Different images that a training needs at least."""


def train_task(job: TrainingJob) -> TrainResult:
    """Train the network of a task and save its run.

    Raises:
        SourceNotFound, SourceUnreadable: nothing there, or no image with an annotation that can be used.
        InvalidInput: too few images, or options that such a run has no use for.
        TrainingDiverged: a loss ran away; only good weights of an earlier look are left.
    """
    request, recipe, task = job.request, job.recipe, task_of(job.recipe.kind)
    layout = request.options.layout
    given = {
        "--environments": recipe.data.environments, "--unlabelled": request.unlabelled,
        "--without": request.without, "--labels-file": request.labels, "--weights": request.weights,
        "--class-level": layout.class_level, "--labels-from": layout.labels_from,
        "--split-folders": layout.split_folders is not None,
    }  # fmt: skip
    refuse_given(given, f"--task {task.name}")
    recipe.data.scene_augmentation()
    train, validation, sources = _read(task, request, recipe, job.progress)
    names, facts, said = task.learned(train, validation, recipe.data)
    frame = train.frame
    classes = Classes(names, frame.mode, (frame.height, frame.width), frame.levels, frame.fit)
    notes = (*_notes(train, validation, names), *twin_notes(names), *said, *train.notes)
    read_s = job.tell(notes)
    plan = _plan(task, recipe, job.hardware, train, validation, Trained(nn.Identity(), classes, facts))
    start = _start(task, request, plan.network, classes, facts)
    identity = job.identity([one.content_hash for one in sources], init_from=start)
    training = job.fit(job.start(classes), plan, identity, read_s)
    trained = Trained(plan.network.eval(), classes, facts)
    trained = trained.with_facts(task.calibrated(trained, validation))
    found = task.judge(trained, validation, None)
    run = training.run
    run.save_task(trained.facts)
    title = tr("{name}: {model!r}", name=run.folder.name, model=recipe.model.name)
    return training.save(
        (len(train), len(validation)),
        [one.facts() for one in sources],
        notes,
        marked(
            "weights of the look with the lowest log-loss on images held out, which its calibration was "
            "fitted on too"
        ),
        found.figures,
        report=lambda: run_report(run, title, found.sections, quantity=tr("log-loss, nats")),
        classes=names,
        words=found.text,
    )


def _read(
    task: ImageTask[Any, Any], request: TrainRequest, recipe: Recipe, progress: Progress | None
) -> tuple[AnnotatedImages[Any], AnnotatedImages[Any], list[AnnotatedImages[Any]]]:
    """Images learned from, images held out, and the sources they come from.

    A part named for validation is held out where there is one, else a share of all but the test part.
    """
    data, options = recipe.data, request.options
    reader = task.reader(data, None)
    spec = ImageSpec(sides(data.size), data.mode, fit=data.fit)
    whole = open_annotated(request.source, reader, spec, container=options.container, progress=progress)
    sources = [whole]
    for path in request.also:
        like = ImageSpec((whole.frame.height, whole.frame.width), whole.frame.mode, fit=data.fit)
        sources.append(open_annotated(path, whole.reader, like, container=options.container))
    known = whole.part("validation")
    rest = whole.at([row for row, part in enumerate(whole.parts) if part not in ("validation", "test")])
    digests = rest.digests
    different = len(np.unique(groups_of(digests))) if len(rest) else 0
    came = f"{different} different images with {reader.what}"
    check(different >= LEAST, str(request.source), came, f"at least {LEAST}, some of which are held out")
    if len(known):
        rows = {"train": np.flatnonzero(~np.isin(_keys(digests), _keys(known.digests)))}
        train, validation = rest.at(rows["train"]), known
        came = "no image to learn from that is not held out too"
        check(len(train) > 0, str(request.source), came, "some outside the part for validation")
    else:
        shares = {"train": 1 - data.validation, "validation": data.validation}
        together = None if data.group_by is None else groups_by_path(rest.paths, data.group_by).numbers
        rows = split(np.zeros(len(rest), np.int64), digests, shares, recipe.seed, together=together)
        train, validation = rest.at(rows["train"]), rest.at(rows["validation"])
    held = _keys(validation.digests)
    for more in sources[1:]:
        kept = ~np.isin(more.parts, ("validation", "test")) & ~np.isin(_keys(more.digests), held)
        train = train.joined(more.at(np.flatnonzero(kept)))
    return train, validation, sources


def _keys(digests: Any) -> Any:
    """Digests (N, 16) as values that compare."""
    return np.ascontiguousarray(digests).view("S16").ravel()


def _notes(
    train: AnnotatedImages[Any], validation: AnnotatedImages[Any], names: tuple[str, ...]
) -> tuple[str, ...]:
    height, width = train.frame.height, train.frame.width
    size = f"{height}x{width}"
    if names:
        size = marked(f"{size}, classes {listed(names)}")
    repeated = train.joined(validation).repeated
    verb = marked("image is") if repeated == 1 else marked("images are")
    twice = marked(f"{repeated:,} {verb} there more than once, on one side of the split")
    learns = marked(f"learns from {len(train):,} images of {size}; {len(validation):,} are held out")
    return (twice, learns) if repeated else (learns,)


def _plan(
    task: ImageTask[Any, Any],
    recipe: Recipe,
    hardware: Hardware,
    train: AnnotatedImages[Any],
    validation: AnnotatedImages[Any],
    blank: Trained[TaskFile],
) -> Plan[nn.Module]:
    """The recipe resolved against images and hardware."""
    world = hardware.fabric.world_size
    check(world == 1, f"--task {task.name}", f"{world} processes", "one", "Leave out torchrun.")
    network = task.network(recipe, blank.classes, blank.facts)
    network.to(hardware.fabric.device)
    batches = AnnotatedBatches(
        train, task, blank.facts, recipe.data.batch, derive(recipe.seed, "data"),
        recipe.data.scene_augmentation(), hardware.dtype,
    )  # fmt: skip

    def look(network: nn.Module) -> Mapping[str, float]:
        return task.look(replace(blank, network=network), validation)

    loss = {"train": task.loss(recipe, blank.facts)}
    return recipe.plan(network, batches, batches.pass_steps, loss, look)


def _start(
    task: ImageTask[Any, Any], request: TrainRequest, network: nn.Module, classes: Classes, facts: TaskFile
) -> str | None:
    """Give a network the weights of ``--init-from``, else those it comes with; SHA-256 of that run's.

    Where classes, points or words differ, the layers that stand for them keep their fresh weights.
    """
    if request.init_from is None:
        task.start(network)
        return None
    source = Run.open(request.init_from, finished=False)
    came = f"a run of {source.kind}"
    check(source.kind == task.kind, f"--init-from {request.init_from}", came, f"one of {task.kind}")
    names, own = source.classes(), source.task(task.file)
    weights: Mapping[str, Tensor] = source.weighted(
        lambda: task.network(source.recipe(), names, own)
    ).state_dict()
    if task.meanings(names, own) != task.meanings(classes, facts):
        weights = {name: one for name, one in weights.items() if not name.startswith(task.meant)}
    copy_weights(weights, network, f"--init-from {request.init_from}")
    return hashlib.sha256((source.folder / "model.safetensors").read_bytes()).hexdigest()


@dataclass(frozen=True, eq=False)
class AnnotatedBatches:
    """Batches of annotated images: each pass takes every image once, in an order of its own.

    Args:
        images: to draw from.
        task: makes the targets.
        facts: of the images.
        batch: images a step, all of them where there are fewer.
        seed: of orders and augmentation; a step's batch follows from it and the step's number alone.
        augment: how images and annotations are moved; None leaves them.
        dtype: floating type that images come in.
    """

    images: AnnotatedImages[Any]
    task: ImageTask[Any, Any]
    facts: TaskFile
    batch: int
    seed: int
    augment: SceneAugment | None
    dtype: torch.dtype

    @property
    def pass_steps(self) -> int:
        """Steps of a pass; images left over at its end wait for the next."""
        return max(1, len(self.images) // self.batch)

    def rows(self, step: int) -> IntArray:
        """The images of a step."""
        number, place = divmod(step, self.pass_steps)
        order = numpy_generator(self.seed, "order", number).permutation(len(self.images))
        return order[place * self.batch : (place + 1) * self.batch].astype(np.int64)

    def __call__(self, model: nn.Module, step: int) -> Batch:
        """Images and targets of a step, on the model's device."""
        rows, device = self.rows(step), next(model.parameters()).device
        annotations = [self.images.annotations[row] for row in rows]
        generator = torch_generator(self.seed, "augment", step)
        images = self.images.tensor(rows)
        images, *targets = self.task.batch(images, annotations, self.facts, self.augment, generator)
        return images.to(device, self.dtype), *(target.to(device) for target in targets)
