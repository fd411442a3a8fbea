"""A classifier's recipe, resolved against data and hardware.

Where all but the last layer is frozen and images are read once, that layer alone is trained, on the features
of each image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from bayesight.bayes import calibrate, sharpness
from bayesight.belief.absorbed import Rows
from bayesight.checks import check
from bayesight.data.batches import Batches, Examples, Mixture
from bayesight.data.dataset import as_input
from bayesight.evaluation.calibration import Answers
from bayesight.losses import ClassificationLoss, EnvironmentLoss, build_loss, sees_environments
from bayesight.losses.invariance import backdoor_weights, group_means
from bayesight.models import ImageModel, build, channels_last
from bayesight.seeding import derive, torch_generator
from bayesight.training.engine import Batch, Loss, Plan, Task, fit
from bayesight.training.hardware import Hardware
from bayesight.training.recipe import Recipe

EVALUATION_BATCH = 1024
_READ = 64
"""Images at a time whose features are kept."""
_GROUPED = ("adjusted_accuracy", "adjusted_log_loss", "worst_group_accuracy", "worst_group_log_loss")


def classification(
    recipe: Recipe,
    train: Examples,
    validation: Examples,
    classes: int,
    hardware: Hardware,
    also: Examples | None = None,
    shape: tuple[int, int, int] | None = None,
) -> Plan[ImageModel]:
    """Resolve a classifier's recipe against data and hardware.

    Args:
        recipe: the four keys by name.
        train: images to learn from.
        validation: images that choose the weights, never trained on.
        classes: K.
        hardware: device, precision, processes.
        also: further images that fill their share of every batch.
        shape: (C, H, W) of an image, (symbols, 1, T) of a text; None for that of the images.

    Raises:
        InvalidInput: an image shape the model cannot take, an option out of range.
    """
    network = new_network(recipe, train, classes, shape)
    seeing = sees_environments(recipe.loss.name)
    counts = group_counts(train, classes) if seeing and train.environments is not None else None
    loss = build_loss(recipe.loss.name, classes, counts, **recipe.loss.options)
    fabric, dtype = hardware.fabric, hardware.dtype
    batches = Batches(
        train if seeing else train.without_environments(),
        recipe.data.batch,
        derive(recipe.seed, "data"),
        augment=recipe.data.augmentation(),
        dtype=dtype,
        share=(fabric.global_rank, fabric.world_size),
        mixture=None if also is None else Mixture(also, recipe.data.also_share),
    )
    network.to(fabric.device)
    plan = recipe.plan(
        network,
        batches,
        batches.steps_per_epoch,
        {"classifier": total_loss(loss)},
        evaluation(validation, classes, dtype),
        {} if seeing else _divergence_limits(classes),
    )
    if not isinstance(loss, EnvironmentLoss):
        return replace(plan, budget=replace(plan.budget, monitor="calibrated_log_loss"))
    _check_pieces(recipe)
    data = clocked(batches, loss, plan.budget.steps)
    return replace(
        plan,
        task=replace(plan.task, data=data, stateful={"loss": loss}),
        budget=replace(plan.budget, monitor=loss.monitor),
    )


def group_counts(examples: Examples, classes: int) -> Tensor:
    """(E, K) images of each environment and class.

    Raises:
        InvalidInput: the examples have no environments.
    """
    given = examples.environments
    check(given is not None, "group_counts", "examples without environments", "one for each image")
    assert given is not None
    groups = torch.from_numpy(given * classes + examples.labels)
    return torch.bincount(groups, minlength=(int(given.max()) + 1) * classes).view(-1, classes)


def environment_metrics(
    log_p: Tensor, labels: Tensor, environments: Tensor, classes: int
) -> dict[str, float]:
    """Figures that do not profit from an association between environment and class.

    Args:
        log_p: (N, K) nats.
        labels: (N,).
        environments: (N,).
        classes: K.

    Returns:
        adjusted_accuracy and adjusted_log_loss, every image weighted by ``losses.backdoor_weights``: what
        would be found were the classes as frequent in every environment; worst_group_accuracy and
        worst_group_log_loss, of the worst class within an environment. NaN and infinity where an environment
        has no image of some class.
    """
    count = int(environments.max()) + 1
    groups = environments * classes + labels
    losses = -log_p[torch.arange(len(labels)), labels].double()
    right = (log_p.argmax(1) == labels).double()
    lost, numbers = group_means(losses, groups, count * classes)
    hits, _ = group_means(right, groups, count * classes)
    if not bool((numbers > 0).all()):
        return {name: math.inf if "loss" in name else math.nan for name in _GROUPED}
    weights = backdoor_weights(numbers.view(count, classes)).flatten()
    return {
        "adjusted_accuracy": float((weights * hits).sum() / len(labels)),
        "adjusted_log_loss": float((weights * lost).sum() / len(labels)),
        "worst_group_accuracy": float((hits / numbers).min()),
        "worst_group_log_loss": float((lost / numbers).max()),
    }


def new_network(
    recipe: Recipe, train: Examples, classes: int, shape: tuple[int, int, int] | None = None
) -> ImageModel:
    """The recipe's network, initialised from its seed, normalising by the training images' moments."""
    options = recipe.model.options
    network = build(recipe.model.name, shape or train.image_shape, classes, seed=recipe.seed, **options)
    if not network.own_normalisation:
        network.standardise.fit(*train.channel_moments())
    network.freeze()
    network.answers_alone = sees_environments(recipe.loss.name)
    channels_last(network)
    return network


def log_probabilities(
    model: nn.Module, examples: Examples, *, dtype: torch.dtype = torch.float32, batch: int = EVALUATION_BATCH
) -> Tensor:
    """Log-softmax of the model's logits for every example, in order.

    Args:
        model: images (B, C, H, W) in [0, 1] to logits (B, K); put it into evaluation mode first.
        examples: N of them.
        dtype: floating type the images are handed over in.
        batch: images at a time.

    Returns:
        (N, K) float64, nats, on the CPU.
    """
    return torch.cat(list(log_probability_blocks(model, examples, dtype=dtype, batch=batch)))


@torch.no_grad()
def log_probability_blocks(
    model: nn.Module, examples: Examples, *, dtype: torch.dtype = torch.float32, batch: int = EVALUATION_BATCH
) -> Iterator[Tensor]:
    """``log_probabilities`` of one batch after the other."""
    device = next(model.parameters()).device
    for images, _ in examples.in_order(batch):
        yield model(as_input(images.to(device), dtype)).double().log_softmax(dim=1).cpu()


def total_loss(loss: ClassificationLoss | EnvironmentLoss) -> Loss:
    """A classifier's loss as the engine takes it; a batch's environments are handed on where it has them."""

    def terms(model: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        images, labels, *environments = batch
        return {"total": loss(model(images), labels, *environments)}

    return terms


def clocked(batches: Batches, loss: EnvironmentLoss, steps: int) -> Callable[[nn.Module, int], Batch]:
    """Batches that tell the loss which step they are for; so a resumed run needs no reminder."""

    def batch(model: nn.Module, step: int) -> Batch:
        loss.at(step, steps)
        return batches(model, step)

    return batch


def evaluation(
    validation: Examples, classes: int, dtype: torch.dtype
) -> Callable[[nn.Module], Mapping[str, float]]:
    """Measures of a network: accuracy, log_loss (nats), ece and calibrated_log_loss on the validation images.

    The last is the log-loss at the temperature that suits it best, and it chooses the weights: a temperature
    is fitted after training in any case, and plain log-loss would stop a network that goes on getting better
    while it grows too sure of itself. Where the validation images have environments, also those of
    ``environment_metrics``, one of which chooses the weights of a loss that sees environments; where they
    have none, ``sharpness.judges`` of very many are measured.
    """
    if validation.environments is None:
        validation = validation.at(sharpness.judges(len(validation), classes).numpy())
    labels = torch.from_numpy(validation.labels)
    given = None if validation.environments is None else torch.from_numpy(validation.environments)

    def evaluate(model: nn.Module) -> Mapping[str, float]:
        log_p = log_probabilities(model, validation, dtype=dtype)
        return figures(log_p, labels, given, classes)

    return evaluate


def figures(log_p: Tensor, labels: Tensor, environments: Tensor | None, classes: int) -> dict[str, float]:
    """The measures of ``evaluation``.

    Args:
        log_p: (N, K) nats.
        labels: (N,).
        environments: (N,), or None where there are none.
        classes: K.
    """
    if bool(log_p.isnan().any()):  # finite weights, and a product that is not: the engine says so
        return dict.fromkeys(("accuracy", "log_loss", "calibrated_log_loss", "ece", *_GROUPED), math.nan)
    calibrated = calibrate.apply(calibrate.fit_bcts(log_p, labels, bias=False), log_p)
    plain = Answers.of(log_p, labels)
    return {
        "accuracy": plain.accuracy,
        "log_loss": plain.log_loss(),
        "calibrated_log_loss": Answers.of(calibrated, labels).log_loss(),
        "ece": plain.reliability().expected_error,
        **({} if environments is None else environment_metrics(log_p, labels, environments, classes)),
    }


def _divergence_limits(classes: int) -> dict[str, float]:
    """Losses beyond which training has diverged: 50 times the ln K of giving every class alike.

    The first steps of a short training may take a network to 5 times, and one too sure of itself may be as
    far off on images it has not seen; what has diverged is beyond by orders of magnitude.
    """
    limit = 50 * math.log(max(classes, 2))
    return {"classifier.total": limit, "log_loss": limit}


def _check_pieces(recipe: Recipe) -> None:
    pieces = recipe.optimization.accumulate
    mend = "What such a loss says of a batch is not the sum of what it says of its pieces."
    check(pieces == 1, f"loss {recipe.loss.name!r}", f"accumulate = {pieces}", "accumulate = 1", mend)


def reads_once(recipe: Recipe, network: ImageModel) -> bool:
    """True where each image has the same features in every epoch, so that they need to be read only once.

    The network is frozen but for its last layer, images are not augmented, and the loss does not see where
    they come from.
    """
    plain = recipe.data.augment.name == "none" and not sees_environments(recipe.loss.name)
    return plain and network.learns_head_alone


def last_layer(
    plan: Plan[ImageModel], recipe: Recipe, train: Rows, validation: Rows, hardware: Hardware
) -> Plan[ImageModel]:
    """The plan of a classifier, with features in the place of images and the last layer in the network's.

    Args:
        plan: of the whole network; frozen, but for its last layer.
        recipe: the four keys.
        train: features to learn from.
        validation: features that choose the weights.
        hardware: device, precision.
    """
    network, key = plan.network, recipe.optimization
    batch = min(recipe.data.batch, len(train))
    a_pass = math.ceil(len(train) / batch)
    steps = max(1, math.ceil(key.epochs * a_pass))
    loss = build_loss(recipe.loss.name, network.classes, None, **recipe.loss.options)
    seed = derive(recipe.seed, "data")

    def rows(model: nn.Module, step: int) -> Batch:
        turn, at = divmod(step, a_pass)
        order = torch.randperm(len(train), generator=torch_generator(seed, "order", turn))
        some = order[at * batch : (at + 1) * batch]
        device = next(model.parameters()).device
        return train.features[some].to(device), train.labels[some].to(device)

    task = Task(
        rows, network.head, {"classifier": total_loss(loss)}, [key.update(network.head, steps, "classifier")]
    )
    some = sharpness.judges(len(validation), network.classes)
    features, labels = validation.features[some], validation.labels[some]

    def evaluate(model: nn.Module) -> Mapping[str, float]:
        device = next(model.parameters()).device
        log_p = model(features.to(device)).double().log_softmax(dim=1).cpu()
        return figures(log_p, labels, None, network.classes)

    budget = replace(plan.budget, steps=steps, evaluate_every=a_pass)
    return replace(plan, task=task, budget=budget, evaluate=evaluate, average=None)


def fit_last_layer(
    plan: Plan[ImageModel], recipe: Recipe, train: Examples, validation: Examples, hardware: Hardware
) -> None:
    """Train the last layer of a classifier's plan before the rest, on its features as they are.

    The arguments are those of ``last_layer``, with images in the place of features.
    """
    alone = last_layer(plan, recipe, _seen(plan.network, train), _seen(plan.network, validation), hardware)
    fit(alone.task, alone.budget, fabric=hardware.fabric, evaluate=alone.evaluate)
    if plan.average is not None:
        plan.average.restart()


@torch.no_grad()
def _seen(network: ImageModel, examples: Examples) -> Rows:
    """The features that the last layer sees of every image, in evaluation mode, and no digests."""
    network.eval()
    device = next(network.parameters()).device
    blocks = examples.in_order(_READ)
    parts = [network.features(as_input(images.to(device))).float().cpu() for images, _ in blocks]
    return Rows(torch.cat(parts), torch.from_numpy(examples.labels), torch.empty(len(examples), 0))
