"""SimCLR: a network that has learned to recognise images in their random views needs hardly any labels."""

from collections.abc import Sequence
from statistics import median

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bayesight.data.augment import Augment
from bayesight.data.batches import Batches, Examples
from bayesight.milestones.bench.claim import Arm, Claim, Key, Keys, Measured, Milestone, Paper, Smoke, key
from bayesight.milestones.bench.classifying import (
    accuracy_of,
    augment_of,
    letters_of,
    network_of,
    train_classifier,
)
from bayesight.milestones.bench.workbench import Bench, thinned, update_of
from bayesight.models import Projected
from bayesight.seeding import numpy_generator
from bayesight.train.contrastive import TwoViews, recognise_the_other_view
from bayesight.train.engine import Task

VIEWS = key("glyph", rotate_deg=15, shear=0.2, scale=0.25, shift_px=3, thickness=1.0, elastic_px=1.0)
LABELLED = key("letters", labels=(1, 10), draws=5, batch=100, augment=VIEWS)
RESNET = key("resnet", widths=(32, 64, 96))


def pretrained(steps: int) -> Keys:
    """Two views of every letter, and no label."""
    return Keys(
        data=key("letters", batch=192, augment=VIEWS),
        model=key("resnet", widths=(32, 64, 96), projection=64),
        loss=key("nt_xent", temperature=0.25),
        optimization=key(
            "adamw", lr=2e-3, weight_decay=1e-4, schedule=key("cosine", warmup=0.1), steps=steps
        ),
        stage="pretrain",
    )


PROBE = Keys(
    data=LABELLED,
    model=key("linear", on="hidden layer of the projection, standardised"),
    loss=key("cross_entropy", ridge=30.0),
    optimization=key("lbfgs", lr=1.0, steps=100),
    stage="labels",
)


def probe(recipes: Sequence[Keys], bench: Bench) -> Measured:
    """Pretrain without labels, then a linear model on what comes out.

    Returns:
        ``accuracy_1`` and ``accuracy_10``: share of held-out letters that are right with so many labels a
        class, the median over the draws of the labels.
    """
    first, second = recipes
    letters, test = letters_of(first.data, bench)
    network = network_of(_without(first.model, "projection"), letters, bench)
    model = Projected(network, size=first.model["projection"], seed=bench.seed)
    augment = augment_of(first.data)
    assert augment is not None
    batches = Batches(letters, first.data["batch"], bench.derive("pretrain data"))
    views = TwoViews(batches, augment, bench.derive("views"), bench.dtype)
    losses = {"pretrain": recognise_the_other_view(first.loss["temperature"])}
    task = Task(views, model, losses, [update_of(first.optimization, model, "pretrain")])
    seen = bench.fit(task, first.optimization["steps"])
    everything, held_out = (_embedded(model, part) for part in (letters, test))
    mean, deviation = everything.mean(0), everything.std(0).clamp_min(1e-6)
    values = {}
    for labels in second.data["labels"]:
        right = []
        for rows in _draws(letters, labels, second.data["draws"], bench):
            known, answers = (everything[rows] - mean) / deviation, torch.from_numpy(letters.labels[rows])
            weights = _linear(known, answers, network.classes, second)
            said = ((held_out - mean) / deviation) @ weights[:-1] + weights[-1]
            right.append((said.argmax(1) == torch.from_numpy(test.labels)).double().mean().item())
        values[f"accuracy_{labels}"] = median(right)
    return Measured(values, thinned(seen), {"two views of ten letters": _pairs(letters, augment)})


def from_scratch(recipes: Sequence[Keys], bench: Bench) -> Measured:
    """The same network from the labels alone, with the same augmentation."""
    (recipe,) = recipes
    letters, test = letters_of(recipe.data, bench)
    values = {}
    for labels in recipe.data["labels"]:
        right = []
        for rows in _draws(letters, labels, recipe.data["draws"], bench):
            # each label as often as a batch has room for it, every time in another view
            repeated = np.tile(rows, max(1, recipe.data["batch"] // len(rows)))
            known = Examples(letters.arrays, letters.rows[repeated], letters.labels[repeated])
            network = network_of(recipe.model, letters, bench)
            train_classifier(network, recipe, known, bench)
            right.append(accuracy_of(network, test, bench))
        values[f"accuracy_{labels}"] = median(right)
    return Measured(values)


def _draws(letters: Examples, labels: int, draws: int, bench: Bench) -> list[np.ndarray]:
    """Rows of so many letters of each class, for each draw: the same for every arm of a seed."""
    classes = range(len(bench.sources.letters.classes))
    generators = [numpy_generator(bench.seed, "labels", labels, draw) for draw in range(draws)]
    return [
        np.concatenate([g.choice(np.flatnonzero(letters.labels == c), labels, False) for c in classes])
        for g in generators
    ]


@torch.no_grad()
def _embedded(model: Projected, examples: Examples) -> Tensor:
    """What the projection's hidden layer says of every image, (N, D) float64, fp32 throughout."""
    model.eval()
    parts = [
        model.hidden(model.network.features(images.float().div_(255))).relu().double()
        for images, _ in examples.in_order(512)
    ]
    return torch.cat(parts)


def _linear(features: Tensor, labels: Tensor, classes: int, recipe: Keys) -> Tensor:
    """Weights (D + 1, K) of softmax regression with a ridge on all but the last row, the intercept."""
    weights = torch.zeros(features.shape[1] + 1, classes, dtype=torch.float64, requires_grad=True)
    key = recipe.optimization
    optimizer = torch.optim.LBFGS(
        [weights], lr=key["lr"], max_iter=key["steps"], line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        total: Tensor = F.cross_entropy(features @ weights[:-1] + weights[-1], labels, reduction="sum")
        total = total + 0.5 * recipe.loss["ridge"] * weights[:-1].square().sum()
        total.backward()
        return total

    optimizer.step(closure)
    return weights.detach()


def _without(model: Key, *names: str) -> Key:
    return key(model.name, **model.without(*names))


def _pairs(letters: Examples, augment: Augment) -> np.ndarray:
    """Two views of ten letters, one above the other."""
    images = letters.images(np.linspace(0, len(letters) - 1, 10).astype(np.int64)).float().div_(255)
    generator = torch.Generator().manual_seed(0)
    rows = [torch.cat(list(augment(images, generator)), dim=2)[0] for _ in range(2)]
    page: np.ndarray = torch.cat(rows).mul(255).round().to(torch.uint8).numpy()
    return page


MILESTONE = Milestone(
    name="simclr",
    year=2020,
    paper=Paper(
        "Chen, Kornblith, Norouzi, Hinton",
        "A Simple Framework for Contrastive Learning of Visual Representations",
        "ICML 2020",
        "https://arxiv.org/abs/2002.05709",
    ),
    claim="A network that has learned to recognise images in their random views needs hardly any labels.",
    figure="ImageNet with 1 % of the labels: top-5 accuracy 75.5 % (ResNet-50), against 48.4 % for the same "
    "network from the labels alone (table 7).",
    displaced="supervised training on the few labels there are",
    key="loss",
    story="The loss asks for no label: two random views of an image shall be recognised as one among all "
    "others. The data key makes the views, and what they differ in is what the network learns to ignore. A "
    "linear model then needs a label or two to put names to what was found.",
    arms=(
        Arm("simclr", (pretrained(800), PROBE), probe),
        Arm(
            "scratch",
            (
                Keys(
                    data=LABELLED,
                    model=RESNET,
                    loss=key("cross_entropy", label_smoothing=0.1),
                    optimization=key(
                        "adamw", lr=2e-3, weight_decay=0.01, schedule=key("cosine", warmup=0.1), steps=150
                    ),
                    stage="labels",
                ),
            ),
            from_scratch,
        ),
    ),
    claims=(
        Claim(
            "simclr",
            "accuracy_1",
            ">=",
            against="scratch",
            margin=0.04,
            differs=("model", "loss", "optimization", "pretrain"),
            smoke=(1.0, 0.0),
        ),
    ),
    metrics={
        "accuracy_1": "share of held-out letters that are right with one label a class, median of the draws",
        "accuracy_10": "the same with ten labels a class",
    },
    watched="NT-Xent, nats",
    smoke=Smoke(
        {
            "pretrain.optimization.steps": 150,
            "pretrain.data.batch": 96,
            "labels.optimization.steps": 40,
            "labels.data.draws": 3,
            "labels.data.labels": (1,),
        }
    ),
    minutes=10,
    needs=100,
    differences=(
        "Letters of 28x28 and a small residual network; AdamW and a batch of 192 in place of LARS and 4,096.",
        "The linear model sees the hidden layer of the projection, which did better here than the layer "
        "below it; the paper finds the layer below better on ImageNet.",
        "Scratch has the same augmentation. Without it, it falls far behind, and the gain would be faked.",
        "The claim is held where labels are scarcest, one a class. With ten, this augmentation alone does as "
        "much for the supervised network as pretraining on a few thousand letters: it moves a letter through "
        "most of what fonts differ in. The table shows both.",
    ),
)
