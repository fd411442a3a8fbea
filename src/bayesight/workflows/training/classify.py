"""From labelled images or texts to a classifier that knows what its answers are worth."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bayesight.bayes import sharpness
from bayesight.bayes.calibrate import apply, fit_bcts
from bayesight.bayes.head import gaussian
from bayesight.belief.absorbed import Rows
from bayesight.belief.classifier import Classifier, fit_classifier
from bayesight.belief.features import Precision, features_of, reader_of
from bayesight.data.batches import Examples
from bayesight.data.layout import PARTS
from bayesight.data.notes import source_facts
from bayesight.evaluation import Answers
from bayesight.language import marked
from bayesight.losses import sees_environments
from bayesight.models import Bert, ImageModel
from bayesight.training.checkpoint import FileCheckpointer
from bayesight.training.classification import (
    EVALUATION_BATCH,
    classification,
    fit_last_layer,
    last_layer,
    log_probability_blocks,
    reads_once,
)
from bayesight.training.contrastive import contrastive
from bayesight.training.engine import fit
from bayesight.training.events import Listener
from bayesight.training.hardware import Hardware
from bayesight.training.masked import masked
from bayesight.training.recipe import Recipe
from bayesight.workflows.evaluate import Evaluation, Likelihoods, measure
from bayesight.workflows.groups import (
    environment_scores,
)
from bayesight.workflows.reporting import training_report
from bayesight.workflows.training.images import Material, Pool, pretraining_images, read_material
from bayesight.workflows.training.job import FinishedTraining, TrainingJob, TrainResult, described
from bayesight.workflows.training.request import NAMED, without_mirror_images
from bayesight.workflows.training.start import start_from

SELECTION = marked(
    "weights of the epoch with the lowest validation log-loss at its best temperature; shrinkage and "
    "sharpness of the Gaussian head are chosen on the same images"
)
"""How the kept weights were chosen, in words, for every report."""

BORROWED_SELECTION = marked(
    "the network comes from other images and is left as it is; shrinkage and sharpness of the Gaussian head "
    "are chosen on all images, each left out of the head together with one of every other class, and so are "
    "the validation figures; weights of the last layer's own softmax are those of the epoch with the lowest "
    "validation log-loss"
)
"""The same where features have learned nothing of any of the images."""

ENVIRONMENT_SELECTION = {
    "reweight": marked(
        "weights of the epoch with the lowest validation log-loss after adjustment for environments; the "
        "Gaussian head sees the logits alone, its shrinkage and sharpness are chosen on the same images"
    ),
    "groupdro": marked(
        "weights of the epoch whose worst class within an environment has the lowest validation "
        "log-loss; the Gaussian head sees the logits alone, its shrinkage and sharpness are chosen "
        "on the same images"
    ),
    "irm": marked(
        "weights of the last step; the Gaussian head sees the logits alone, its shrinkage and sharpness are "
        "chosen on the same images"
    ),
}
"""The same for the losses that see environments."""


def train_classifier(job: TrainingJob) -> TrainResult:
    """Train a classifier with the Gaussian head that knows what its answers are worth."""
    request, hardware = job.request, job.hardware
    material = read_material(request, job.recipe, job.progress)
    if job.why != NAMED and not job.recipe.reads_texts:
        recipe, why = without_mirror_images(job.recipe, material.train, job.why)
        job = replace(job, recipe=recipe, why=why)
    recipe = job.recipe
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
    said = [] if job.why == NAMED else [marked(f"model {recipe.model.name}: {job.why}")]
    job.tell((*material.notes, *said))
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
    elif recipe.optimization.backbone_lr is not None and start and not sees_environments(recipe.loss.name):
        images = material.train if material.also is None else material.train.joined(material.also)
        fit_last_layer(plan, recipe, images, material.validation, hardware)
    fresh = request.init_from is None and request.weights is None and pool is None  # other images' weights
    borrowed = plan.network.learns_head_alone and start is not None and fresh and material.interchangeable
    training = job.fit(run, plan, identity, read_s)
    return TrainResult(run, _finished(training, material, pretrained, rows, borrowed=borrowed), material)


def pretrain(
    recipe: Recipe,
    network: ImageModel,
    pool: Pool,
    hardware: Hardware,
    keeper: FileCheckpointer,
    listeners: Iterable[Listener] = (),
) -> dict[str, Any]:
    """Let a network learn without labels, images from two views and texts by masking, in place.

    Args:
        recipe: with a key ``pretrain``.
        network: whose features learn.
        pool: what it looks at.
        hardware: what to compute on.
        keeper: where an interrupted pretraining goes on.
        listeners: told every event.

    Returns:
        What the run's metrics say of it: images, steps, seconds, and the loss after each pass, in nats.

    Raises:
        TrainingDiverged: the loss became NaN.
    """
    assert recipe.pretrain is not None
    if isinstance(network, Bert):
        assert pool.vocabulary is not None
        task, budget = masked(recipe.pretrain, network, pool.examples, pool.vocabulary, hardware, recipe.seed)
    else:
        task, budget = contrastive(recipe.pretrain, network, pool.examples, hardware, recipe.seed)
    with keeper.stopping_between_steps():
        state = fit(task, budget, fabric=hardware.fabric, checkpointer=keeper, listeners=listeners)
    if isinstance(network, Bert):
        network.name_masked(False)
    return {
        "name": recipe.pretrain.name,
        "examples": {"labelled": pool.labelled, "unlabelled": len(pool.examples) - pool.labelled},
        "validation_images": PARTS[-1],  # left out
        "sources": [
            {
                "source": store.manifest.source,
                "content_hash": store.manifest.content_hash,
                "images": len(store),
            }
            for store in pool.stores
        ],
        "steps": state.step,
        "loss": [row["pretrain.total"] for row in state.history],
        "seconds": state.elapsed_s,
    }


def _finished(
    training: FinishedTraining,
    material: Material,
    pretrained: Mapping[str, Any] | None,
    rows: Mapping[str, Rows] | None,
    *,
    borrowed: bool,
) -> dict[str, Any]:
    """Calibrate, measure and save; the metrics come last, for they say that the run is finished.

    Args:
        training: of the network.
        material: what it learned from.
        pretrained: what the metrics say of learning without labels.
        rows: what was read of the images already, where the network is frozen.
        borrowed: it is frozen below its last layer, with weights that come from other images.
    """
    measuring = time.perf_counter()
    network: ImageModel = training.plan.network.eval()
    recipe, hardware = training.job.recipe, training.job.hardware
    known = rows["validation"].features if rows else None
    precision = reading_precision(network, recipe, hardware)
    rows = rows or read_rows(network, material, precision)
    classifier = fitted_classifier(network, material, precision, rows, borrowed=borrowed)
    validation_rows = rows["validation"]
    likelihoods: Likelihoods | Tensor = Likelihoods(classifier.log_likelihood, validation_rows.features)
    if borrowed:
        likelihoods = gaussian.density_at(classifier.predictive, classifier.left_out(validation_rows))
    found = measure(classifier, likelihoods, validation_rows.labels)
    learned = {
        "classes": list(material.classes.names),
        "examples": {
            "train": len(material.train),
            "also": 0 if material.also is None else len(material.also),
            "validation": len(material.validation),
            "dropped": material.dropped,
        },
        "sources": [described(store) for store in material.stores],
        "parts": dict(material.stores[0].manifest.parts),
        **_group_counts(material),
        "left_out": source_facts(material.stores[0], material.notes, most=1000),
        "notes": list(material.notes),
        **({} if pretrained is None else {"pretraining": pretrained}),
    }
    judged = {
        "selection": selection(
            recipe, len(material.validation), len(material.classes.names), borrowed=borrowed
        ),
        "validation": {
            **found.figures,
            "log_loss_error": found.log_loss_error if math.isfinite(found.log_loss_error) else None,
            "examples": len(found.labels),
            "verdict": found.verdict,
        },
        **environment_metrics(found, material),
        "softmax": softmax_figures(network, material.validation, known),
    }
    metrics = training.metrics(learned, judged, measuring=time.perf_counter() - measuring)
    if hardware.fabric.is_global_zero:
        run = training.run
        run.save_network(network)
        run.save_classifier(classifier)
        run.save_history(training.state.history)
        run.save_metrics(metrics)
        training_report(run, found, material.validation, material.stores, borrowed=borrowed)
        run.drop_checkpoint()
    return metrics


def _group_counts(material: Material) -> dict[str, Any]:
    """The numbers of groups on each side, as a run's metrics name them; nothing where there are none."""
    groups = material.groups
    if groups is None:
        return {}
    sides = {"train": material.train, "validation": material.validation}
    return {"groups": {name: groups.count(examples.rows) for name, examples in sides.items()}}


def reading_precision(network: ImageModel, recipe: Recipe, hardware: Hardware) -> Precision:
    """The precision that features are read in: fp32 of a frozen network, else that of the training.

    The many layers of a frozen network multiply what bf16 rounds off, and what was exported from it would
    answer otherwise than the run. A recipe that states bf16 has its way, but for texts, which are always
    read in fp32.
    """
    exact = network.learns_head_alone and recipe.optimization.precision == "auto"
    return "32" if exact or network.reads == "texts" else hardware.precision


def read_rows(network: ImageModel, material: Material, precision: Precision) -> dict[str, Rows]:
    """Evidence features of "train", "validation" and "also", with labels and digests."""
    reader = reader_of(network, precision)
    return {
        name: _rows(reader, examples, material.digests[name])
        for name, examples in vars(material).items()
        if name in material.digests
    }


def fitted_classifier(
    network: ImageModel,
    material: Material,
    precision: Precision,
    rows: Mapping[str, Rows],
    *,
    borrowed: bool = False,
) -> Classifier:
    """The head on the source's images, or on all: whichever predicts the validation images better.

    Where features are ``borrowed`` the validation images are absorbed as well, and judge left out.
    """
    train, validation = rows["train"], rows["validation"]
    candidates = [train] if "also" not in rows else [train, train.joined(rows["also"])]
    fitted = [
        fit_classifier(network, material.classes, part, validation, precision, borrowed=borrowed)
        for part in candidates
    ]
    if len(fitted) == 1:
        return fitted[0]
    return max(fitted, key=lambda one: _judged_evidence(one, validation if borrowed else None))


def _judged_evidence(classifier: Classifier, left_out: Rows | None) -> float:
    """Log p(labels), nats, of the images that judge, or of those to be left out that the belief holds."""
    judged = classifier.judged
    rows, labels, weights = judged.rows, judged.labels, judged.weights
    if left_out is not None:
        some = left_out.at(sharpness.judges(len(left_out), len(classifier.classes.names)))
        rows, labels, weights = classifier.left_out(some), some.labels, torch.ones(len(some))
    return sharpness.log_evidence(gaussian.judged_losses(classifier.predictive, rows, labels, weights))


def _rows(reader: ImageModel, examples: Examples, digests: np.ndarray) -> Rows:
    features = features_of(reader, examples.in_order(EVALUATION_BATCH))
    return Rows(features, torch.from_numpy(examples.labels), torch.from_numpy(digests))


def softmax_figures(
    network: ImageModel, validation: Examples, features: Tensor | None = None
) -> dict[str, float]:
    """The same figures for the network's own softmax with a fitted temperature, to compare the head with.

    ``sharpness.judges`` of the images choose the temperature; the figures are of all.

    Args:
        network: trained.
        validation: its images.
        features: (N, D) what the last layer sees of them, where it is known.
    """
    some = sharpness.judges(len(validation), network.classes)
    judges = validation.at(some.numpy())
    scores = torch.cat(list(_scores(network, judges, None if features is None else features[some])))
    calibration = fit_bcts(scores, torch.from_numpy(judges.labels), bias=False)
    blocks = _scores(network, validation, features)
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


@torch.no_grad()
def _scores(network: ImageModel, examples: Examples, features: Tensor | None) -> Iterator[Tensor]:
    """Log-probabilities (B, K), nats, of one batch after the other; from features where they are known."""
    if features is None:
        yield from log_probability_blocks(network, examples)
        return
    for block in features.split(EVALUATION_BATCH):
        yield network.head(block.to(network.head.weight)).double().log_softmax(dim=1).cpu()


def selection(recipe: Recipe, images: int, classes: int, *, borrowed: bool = False) -> str:
    """The rule that chose the kept weights, in words; of very many images times classes a sample judges."""
    if borrowed:
        return BORROWED_SELECTION
    if sees_environments(recipe.loss.name):
        return ENVIRONMENT_SELECTION[recipe.loss.name]
    judges = len(sharpness.judges(images, classes))
    if judges == images:
        return SELECTION
    return marked(f"{SELECTION}, {judges:,} of the {images:,} held out, for there are {classes:,} classes")


def environment_metrics(found: Evaluation, material: Material) -> dict[str, Any]:
    """The validation figures of each environment, where there are any."""
    environments, numbers = material.environments, material.validation.environments
    if environments is None or numbers is None:
        return {}
    return {"environments": environment_scores(found.log_p, found.labels, numbers, environments.names)}
