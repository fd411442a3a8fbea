"""The trials of few labels: a linear model on what was learned without any, or a network from them alone.

```
stage pretrain   letters(batch, augment) · any network, projection · nt_xent(temperature) · any optimizer
stage labels     letters(labels, draws) · linear · squared_error(ridge) · closed_form, or from scratch
                 letters(labels, draws, batch, augment) · any network · a classifier's loss · any optimizer
```
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bayesight.data.augment import Augment
from bayesight.data.batches import Batches, Examples
from bayesight.milestones.bench.claim import Keys, Measurement, RecipeKey, key
from bayesight.milestones.bench.classifying import (
    accuracy_of,
    augment_of,
    letters_of,
    network_of,
    train_classifier,
)
from bayesight.milestones.bench.pictures import page_of, pixels_of, spread
from bayesight.milestones.bench.workbench import Bench, thinned, update_of
from bayesight.models import ProjectionHead
from bayesight.seeding import numpy_generator
from bayesight.training.contrastive import TwoViews, contrastive_loss
from bayesight.training.engine import Task
from bayesight.types import ImageArray


def probe(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """Pretrain without labels, then a linear model on what comes out.

    Returns:
        ``accuracy_1`` and ``accuracy_10``: share of held-out letters that are right with so many labels a
        class, the median over the draws of the labels.
    """
    first, second = recipes
    letters, test = letters_of(first.data, bench)
    network = network_of(_without(first.model, "projection"), letters, bench)
    model = ProjectionHead(network, size=first.model["projection"], seed=bench.seed)
    augment = augment_of(first.data)
    assert augment is not None
    batches = Batches(letters, first.data["batch"], bench.derive("pretrain data"))
    views = TwoViews(batches, augment, bench.derive("views"), bench.dtype)
    losses = {"pretrain": contrastive_loss(first.loss["temperature"])}
    task = Task(views, model, losses, [update_of(first.optimization, model, "pretrain")])
    seen = bench.fit(task, first.optimization["steps"])
    everything, held_out = (embedded(model, part) for part in (letters, test))
    truth = torch.from_numpy(test.labels)
    values = {}
    for labels in second.data["labels"]:
        right = []
        for rows in draws_of(letters, labels, second.data["draws"], bench):
            answers = F.one_hot(torch.from_numpy(letters.labels[rows]), network.classes).double()
            fitted = ridge_regression(everything[rows], answers, second.loss["ridge"])
            right.append((fitted(held_out).argmax(1) == truth).double().mean().item())
        values[f"accuracy_{labels}"] = median(right)
    return Measurement(values, thinned(seen), {"two views of ten letters": _pairs(letters, augment)})


def from_scratch(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """The same network from the labels alone, with the same augmentation."""
    (recipe,) = recipes
    letters, test = letters_of(recipe.data, bench)
    values = {}
    for labels in recipe.data["labels"]:
        right = []
        for rows in draws_of(letters, labels, recipe.data["draws"], bench):
            # each label as often as a batch has room for it, every time in another view
            repeated = np.tile(rows, max(1, recipe.data["batch"] // len(rows)))
            known = Examples(letters.arrays, letters.rows[repeated], letters.labels[repeated])
            network = network_of(recipe.model, letters, bench)
            train_classifier(network, recipe, known, bench)
            right.append(accuracy_of(network, test, bench))
        values[f"accuracy_{labels}"] = median(right)
    return Measurement(values)


def ridge_regression(points: Tensor, targets: Tensor, ridge: float) -> Callable[[Tensor], Tensor]:
    """The linear map with an intercept that comes nearest to the targets, its weights kept small.

    Solved over the points and not the dimensions, for there are few points (the dual form).

    Args:
        points: (N, D) float64.
        targets: (N, K) float64.
        ridge: weight of the squared weights, in units of the points' mean squared distance from their mean.

    Returns:
        What maps (M, D) to (M, K).
    """
    centre, level = points.mean(0), targets.mean(0)
    near = points - centre
    products = near @ near.T
    strength = ridge * products.diagonal().mean()
    products.diagonal().add_(strength)
    weights = near.T @ torch.linalg.solve(products, targets - level)
    return lambda others: (others - centre) @ weights + level


def draws_of(letters: Examples, labels: int, draws: int, bench: Bench) -> list[np.ndarray]:
    """Rows of so many letters of each class, for each draw: the same for every arm of a seed."""
    classes = range(len(bench.sources.letters.classes))
    generators = [numpy_generator(bench.seed, "labels", labels, draw) for draw in range(draws)]
    return [
        np.concatenate([g.choice(np.flatnonzero(letters.labels == c), labels, False) for c in classes])
        for g in generators
    ]


@torch.no_grad()
def embedded(model: ProjectionHead, examples: Examples) -> Tensor:
    """The projection's hidden layer of every image at unit length, (N, D) float64, fp32 throughout.

    Likeness is the angle between two embeddings, so that lengths mean nothing and only add noise.
    """
    model.eval()
    parts = [
        model.hidden(model.network.features(images.float().div_(255))).relu().double()
        for images, _ in examples.in_order(512)
    ]
    return F.normalize(torch.cat(parts), dim=1)


def _without(model: RecipeKey, *names: str) -> RecipeKey:
    return key(model.name, **model.without(*names))


def _pairs(letters: Examples, augment: Augment) -> ImageArray:
    """Two views of ten letters, one above the other."""
    images = pixels_of(letters, spread(len(letters), 10))
    generator = torch.Generator().manual_seed(0)
    return page_of([augment(images, generator) for _ in range(2)])
