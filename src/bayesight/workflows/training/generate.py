"""From an archive of images, with labels or without, to a run that makes images like them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from bayesight import report
from bayesight.checks import check
from bayesight.data import open_store, split
from bayesight.data.batches import Examples
from bayesight.data.codecs import png_of
from bayesight.data.notes import notes as source_notes
from bayesight.files import write_atomic
from bayesight.language import marked, tr
from bayesight.models import GenerativeModel
from bayesight.run import Run
from bayesight.seeding import derive, torch_generator
from bayesight.training.generation import FEWEST, generation, measure_generator
from bayesight.training.recipe import Recipe
from bayesight.types import ImageArray, Progress
from bayesight.workflows.reporting import as_stored, training_curves, write_report
from bayesight.workflows.sources import pictures_of, unlabelled
from bayesight.workflows.training.images import Material, classes_like, further_unlabelled, seen_freely
from bayesight.workflows.training.job import TrainingJob, TrainResult, described
from bayesight.workflows.training.request import TrainRequest

SAMPLES = 64
"""Images that are made for ``samples.png`` and the report."""
REMEMBERED = 12
"""Validation images that the report shows with what their codes bring back."""


def train_generator(job: TrainingJob) -> TrainResult:
    """Train a model that makes images and save its run.

    Raises:
        InvalidInput: too few images, or options that such a run has no use for.
        TrainingDiverged: a loss ran away; only good weights of an earlier look are left.
    """
    request, recipe = job.request, job.recipe
    came, want = "a run to start from", "none for a generative model"
    check(request.init_from is None, "--init-from", came, want, "Train the run afresh.")
    pictures = _read(request, recipe, job.progress)
    notes = [note for store in pictures.stores for note in source_notes(store)]
    read_s = job.tell(notes)
    plan = generation(recipe, pictures.train, pictures.validation, job.hardware)
    training = job.fit(job.start(pictures.classes), plan, job.identity(pictures.content_hashes), read_s)
    run, network = training.run, plan.network.eval()
    network.fit_codes(images.float().div_(255) for images, _ in pictures.train.in_order(1024))
    samples = network.sample(SAMPLES, torch_generator(recipe.seed, "samples"))
    write_atomic(run.folder / "samples.png", png_of(sheet(samples), small=True))
    selection = marked("the last weights: a game has no measure of its own that could choose")
    if network.monitor is not None:
        selection = marked(
            f"weights of the epoch with the lowest {network.monitor.words} on the validation images"
        )
    with torch.no_grad():
        some = (
            pictures.validation.images(np.arange(min(REMEMBERED, len(pictures.validation)))).float().div_(255)
        )
        codes = network.encode(some)
        remembered = () if codes is None else (some, network.decode(codes).float())
    return training.save(
        (len(pictures.train), len(pictures.validation)),
        [described(store) for store in pictures.stores],
        notes,
        selection,
        {**measure_generator(network, pictures.validation), "examples": len(pictures.validation)},
        report=lambda: _report(run, network, samples, remembered),
    )


def sheet(images: Tensor, columns: int | None = None) -> ImageArray:
    """Images side by side in rows, two black pixels between them.

    Args:
        images: (N, C, H, W) in [0, 1], C 1 or 3.
        columns: in a row; None makes the sheet about square.

    Returns:
        uint8 (H', W') or (H', W', 3).

    Example:
        >>> sheet(torch.ones(5, 1, 4, 4), columns=3).shape
        (14, 20)
    """
    check(len(images) > 0, "sheet", "no images", "at least one")
    count, channels, height, width = images.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    page = np.zeros((rows * (height + 2), columns * (width + 2), channels), np.uint8)
    for number, image in enumerate(_pixels(images).reshape(count, height, width, channels)):
        top, left = number // columns * (height + 2) + 1, number % columns * (width + 2) + 1
        page[top : top + height, left : left + width] = image
    whole = np.pad(page, ((1, 1), (1, 1), (0, 0)))
    return whole[:, :, 0] if channels == 1 else whole


def _read(request: TrainRequest, recipe: Recipe, progress: Progress | None) -> Material:
    """Every image of every source, whatever its label; some of the first source's are held out."""
    wanted = recipe.data
    store = open_store(
        request.source,
        size=wanted.size,
        mode=wanted.mode,
        fit=wanted.fit,
        labelled=False,
        container=request.options.container,
        progress=progress,
    )
    check(
        len(store) >= FEWEST, str(request.source), f"{len(store)} images", f"at least {FEWEST}", "Add images."
    )
    shape, share = classes_like(store, ()), recipe.data.validation
    rows, validation = pictures_of(store, without=("test",)).rows, store.rows_of("validation")
    if not len(validation):
        shares = {"train": 1 - share, "validation": share}
        digests = np.asarray(store.digests)[rows]
        parts = split(np.zeros(len(rows), np.int64), digests, shares, derive(recipe.seed, "split"))
        validation = rows[parts["validation"]]
    held_out = np.asarray(store.digests)[np.concatenate([validation, store.rows_of("test")])]
    further = further_unlabelled(request.also, shape, held_out, request.options.container, progress)
    learned, stores = zip((seen_freely(store, rows, held_out), store), *further, strict=True)
    train, held = reduce(Examples.joined, learned), unlabelled(store, validation)
    return Material(stores, shape, train, held, also=None, dropped=0, digests={})


def _pixels(images: Tensor) -> ImageArray:
    """Images (N, C, H, W) in [0, 1] as they are stored: uint8 (N, H, W) or (N, H, W, 3)."""
    return as_stored(images.clamp(0, 1).mul(255).round().to(torch.uint8))


def _report(run: Run, network: GenerativeModel, samples: Tensor, remembered: Sequence[Tensor]) -> None:
    """Write images that were made, images held out beside what their codes bring back, and the training."""
    sections = [report.generated_images(_pixels(samples))]
    if remembered:
        sections.append(report.reconstructions(*map(_pixels, remembered)))
    name = run.recipe().model.name
    title = tr("{name}: images made by {model!r}", name=run.folder.name, model=name)
    turns = [column for row in run.history()[:1] for column in reversed(row) if column.endswith(".total")]
    if network.monitor is not None:
        both = {tr("validation"): network.monitor.name} | {tr("training"): column for column in turns[:1]}
        curves = training_curves(run, both, quantity=str(network.monitor))
    else:
        losses = {column.removesuffix(".total"): column for column in turns}
        told, *curves = training_curves(run, losses, chosen=False)
        note = tr("A game has no downward curve: where both losses stay level, neither side is winning.")
        curves = [told, *(curve.with_note(note) for curve in curves)]
    write_report(title, [*sections, *curves], run.folder / "report.html", str(run.folder))
