"""A trained network made into a classifier that knows what its answers are worth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from bayesight.evaluation import Answers
from bayesight.language import marked
from bayesight.losses import sees_environments
from bayesight.models import ImageModel
from bayesight.training.classification import (
    EVALUATION_BATCH,
    log_probability_blocks,
)
from bayesight.training.hardware import Hardware
from bayesight.training.recipe import Recipe
from bayesight.workflows.evaluate import Evaluation
from bayesight.workflows.groups import (
    environment_scores,
)
from bayesight.workflows.training.images import Material

__all__ = [
    "BORROWED_SELECTION",
    "ENVIRONMENT_SELECTION",
    "SELECTION",
    "environment_metrics",
    "fitted_classifier",
    "read_rows",
    "reading_precision",
    "selection",
    "softmax_figures",
]

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
