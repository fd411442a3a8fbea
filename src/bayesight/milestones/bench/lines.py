"""Trials that fit a line: by gradient descent, by least squares, by Bayes, and as it was done before.

```
data          line(points, slope, intercept, noise)
model         line
loss          squared error, or what the method minimises
optimization  gradient descent through the engine, or a closed form
```
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from bayesight.bayes.conjugate import regression
from bayesight.milestones.bench.claim import Keys, Measurement, RecipeKey
from bayesight.milestones.bench.workbench import Bench, thinned, update_of
from bayesight.seeding import torch_generator
from bayesight.training.engine import Batch, Task


class StraightLine(nn.Module):
    """y = slope x + intercept, both zero at the start."""

    def __init__(self) -> None:
        super().__init__()
        self.slope, self.intercept = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """(N,) to (N,)."""
        return self.slope * x + self.intercept


def points_of(data: RecipeKey, bench: Bench) -> tuple[Tensor, Tensor]:
    """Points: x uniform in [-1, 3], y = slope x + intercept + noise, float64 (N,)."""
    generator = torch_generator(bench.seed, "points")
    x = torch.rand(data["points"], generator=generator, dtype=torch.float64) * 4 - 1
    noise = torch.randn(data["points"], generator=generator, dtype=torch.float64) * data["noise"]
    return x, data["slope"] * x + data["intercept"] + noise


def fit_by_descent(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """The line that the engine finds, every point in every batch."""
    (recipe,) = recipes
    x, y = points_of(recipe.data, bench)
    single = (x.float(), y.float())

    def terms(model: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        inputs, targets = batch
        return {"total": (model(inputs) - targets).square().mean()}

    line = StraightLine()
    device = bench.hardware.fabric.device
    batch: Batch = tuple(part.to(device) for part in single)
    task = Task(lambda model, step: batch, line, {"train": terms}, [update_of(recipe.optimization, line)])
    losses = bench.in_float32().fit(task, recipe.optimization["steps"])
    return Measurement(_errors(line.slope.item(), line.intercept.item(), x, y), thinned(losses))


def fit_by_bayes(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """The posterior's means, and its 95 % intervals."""
    (recipe,) = recipes
    x, y = points_of(recipe.data, bench)
    prior = regression.prior(precision=recipe.model["prior_precision"])
    posterior, _ = regression.update(prior, torch.stack([x, y], 1))
    intercept, slope = posterior.centre.tolist()
    low, high = regression.interval(posterior)["coefficients"]
    limits = {
        "intercept_low": float(low[0]),
        "intercept_high": float(high[0]),
        "slope_low": float(low[1]),
        "slope_high": float(high[1]),
    }
    return Measurement(_errors(slope, intercept, x, y) | limits)


def fit_by_averages(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """The line through the centres of the left and the right half of the points (Mayer 1750)."""
    (recipe,) = recipes
    x, y = points_of(recipe.data, bench)
    left, right = x.argsort().tensor_split(2)
    slope = ((y[right].mean() - y[left].mean()) / (x[right].mean() - x[left].mean())).item()
    return Measurement(_errors(slope, (y.mean() - slope * x.mean()).item(), x, y))


def least_squares(x: Tensor, y: Tensor) -> tuple[float, float]:
    """Slope and intercept of the line with the least sum of squared errors.

    The same bits each time, which LAPACK does not promise: its sums depend on where memory lies.

    Args:
        x: (N,).
        y: (N,).

    Example:
        >>> least_squares(torch.tensor([0.0, 1.0, 2.0]), torch.tensor([1.0, 3.0, 5.0]))
        (2.0, 1.0)
    """
    right, up = x.double() - x.double().mean(), y.double() - y.double().mean()
    slope = (right @ up / (right @ right)).item()
    return slope, (y.double().mean() - slope * x.double().mean()).item()


def _errors(slope: float, intercept: float, x: Tensor, y: Tensor) -> dict[str, float]:
    """The line, its distance from least squares in closed form, and what it misses by."""
    best_slope, best_intercept = least_squares(x, y)
    return {
        "slope": slope,
        "intercept": intercept,
        "slope_error": abs(slope - best_slope),
        "intercept_error": abs(intercept - best_intercept),
        "squared_error": (slope * x + intercept - y).square().mean().item(),
    }
