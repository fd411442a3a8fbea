"""The trial of a kernel machine: what came before deep networks, fitted in closed form.

```
data          letters(...), as a classifier has it
model         rbf_kernel(widths, ridges)
loss          squared_error, of one output of -1 or 1 a class
optimization  closed_form
```

A least-squares support vector machine (Suykens, Vandewalle 1999) has the kernel and the regularisation of the
usual one and a squared loss in place of the hinge; Rifkin and Klautau (2004, "In Defense of One-Vs-All
Classification") find the two equally accurate. It needs one linear system and no further dependency.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bayesight.data.batches import Examples
from bayesight.milestones.bench.claim import Keys, Measurement
from bayesight.milestones.bench.classifying import letters_of
from bayesight.milestones.bench.workbench import Bench
from bayesight.seeding import torch_generator

VALIDATION = 0.2
"""Share of the training images on which width and ridge are chosen."""


class KernelMachine:
    """f(x) = sum_i a_i exp(-|x - x_i|^2 / (width m)), one for each class; the largest wins.

    Args:
        points: (N, D).
        labels: (N,) int64.
        classes: K.
        width: in units of m, the median of the squared distances between points.
        ridge: added to the diagonal of the kernel matrix, > 0.
    """

    def __init__(self, points: Tensor, labels: Tensor, classes: int, *, width: float, ridge: float) -> None:
        self.points = points
        distances = _squared_distances(points, points)
        sample = distances[: min(len(points), 1000), : min(len(points), 1000)]
        self.scale = width * sample[sample > 0].median()
        kernel = torch.exp(-distances / self.scale)
        kernel.diagonal().add_(ridge)
        targets = F.one_hot(labels, classes).to(points.dtype) * 2 - 1
        self.weights = torch.cholesky_solve(targets, torch.linalg.cholesky(kernel))

    def __call__(self, points: Tensor) -> Tensor:
        """Scores (M, K) of points (M, D)."""
        return torch.exp(-_squared_distances(points, self.points) / self.scale) @ self.weights


def fit_kernel_machine(
    points: Tensor,
    labels: Tensor,
    classes: int,
    grid: Sequence[tuple[float, float]],
    generator: torch.Generator,
) -> KernelMachine:
    """The machine whose (width, ridge) does best on a fifth of the points held back, fitted to all."""
    order = torch.randperm(len(points), generator=generator)
    held, rest = order[: int(VALIDATION * len(order))], order[int(VALIDATION * len(order)) :]

    def accuracy(width: float, ridge: float) -> float:
        machine = KernelMachine(points[rest], labels[rest], classes, width=width, ridge=ridge)
        return (machine(points[held]).argmax(1) == labels[held]).double().mean().item()

    width, ridge = grid[0] if len(grid) == 1 else max(grid, key=lambda pair: accuracy(*pair))
    return KernelMachine(points, labels, classes, width=width, ridge=ridge)


def kernel_machine(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """Fit the machine and judge it on letters held out.

    Returns:
        ``accuracy`` in [0, 1]; ``parameters``, one a training image and class.
    """
    (recipe,) = recipes
    train, test = letters_of(recipe.data, bench)
    points, labels = _flat(train)
    mean, deviation = points.mean(), points.std()
    grid = [(width, ridge) for width in recipe.model["widths"] for ridge in recipe.model["ridges"]]
    classes = len(bench.sources.letters.classes)
    generator = torch_generator(bench.seed, "held back")
    machine = fit_kernel_machine((points - mean) / deviation, labels, classes, grid, generator)
    judged, truth = _flat(test)
    right = (machine((judged - mean) / deviation).argmax(1) == truth).double().mean().item()
    return Measurement({"accuracy": right, "parameters": float(len(points) * classes)})


def _flat(examples: Examples) -> tuple[Tensor, Tensor]:
    images = examples.images(np.arange(len(examples)))
    return images.flatten(1).float() / 255, torch.from_numpy(examples.labels)


def _squared_distances(one: Tensor, other: Tensor) -> Tensor:
    squares = one.square().sum(1)[:, None] + other.square().sum(1)
    return (squares - 2 * one @ other.T).clamp_min(0)
