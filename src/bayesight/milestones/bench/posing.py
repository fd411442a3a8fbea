"""The trial of a network that finds the key points of a stick figure.

```
data          figures(batch, train, test=400, side=48)
model         heat_maps(widths), or coordinates(widths, hidden)
loss          heat_map(spread=1), or coordinate()
optimization  any registered optimizer
```
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn

from bayesight.evaluation.calibration import Answers
from bayesight.evaluation.keypoints import near_keypoints
from bayesight.letters.figures import POINTS, SKELETON, FigureOptions, Figures, draw_figures
from bayesight.losses.pose import coordinate_loss, heat_map_loss
from bayesight.milestones.bench.claim import Keys, Measurement, RecipeKey
from bayesight.milestones.bench.pictures import ImageBatches, outputs
from bayesight.milestones.bench.workbench import Bench, parameters_of, thinned, update_of
from bayesight.models.outline import initial_weights
from bayesight.models.pose import CoordinatePose, log_places, mass_near, places
from bayesight.models.unet import UNet
from bayesight.report.overlays import image_grid
from bayesight.training.engine import Batch, Task
from bayesight.types import FloatArray, ImageArray

SHOWN = 6
ENLARGED = 3
"""Pixels a side in which one of a picture is shown."""
NEAR = 0.1
"""A point is found within this share of the longer side of its figure's box."""


@dataclass(frozen=True)
class _Answers:
    """Points (N, P, 2), and the probability (N, P) that each is near enough where the network has one."""

    points: FloatArray
    near: FloatArray | None


def pose(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """Train on figures among the letters to learn from and judge on figures among the letters held out.

    Returns:
        ``pck``, the share of points found within a tenth of the longer side of their figure's box,
        ``pck_hidden`` of those a letter lies over, and ``pck_fine`` within a twentieth; ``ece`` of the
        probability that a point is found, over 15 bins, where the network says one; ``parameters``; a picture
        of some figures as they are and as they were found.
    """
    (recipe,) = recipes
    train, test = figures_of(recipe.data, bench)
    side = train.images.shape[1]
    with initial_weights(bench.seed):
        model = _model_of(recipe.model, side)
    points, there = torch.from_numpy(train.points).float(), torch.from_numpy(train.there)
    batches = ImageBatches(
        train.images, (points, there), recipe.data["batch"], bench.derive("data"), "figures", bench.dtype
    )

    def loss(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        images, points, there = batch
        found = network(images)
        if found.ndim == 4:
            return {"total": heat_map_loss(found, points, there, **recipe.loss.options)}
        return {"total": coordinate_loss(found, points, there, side=side)}

    task = Task(batches, model, {"train": loss}, [update_of(recipe.optimization, model)])
    losses = bench.fit(task, recipe.optimization["steps"])
    lengths = (test.boxes[:, 2:] - test.boxes[:, :2]).max(axis=1)
    answers = _answers(model, test, NEAR * lengths, bench)
    values = {
        name: float(np.nanmean(near_keypoints(test.points, answers.points, lengths, share, which)))
        for name, share, which in (
            ("pck", NEAR, test.there),
            ("pck_fine", NEAR / 2, test.there),
            ("pck_hidden", NEAR, test.hidden),
        )
    }
    if answers.near is not None:
        distance = np.linalg.norm(answers.points - test.points, axis=2)
        hit = (distance <= NEAR * lengths[:, None])[test.there]
        values["ece"] = Answers.of_events(answers.near[test.there], hit).reliability(15).expected_error
    values["parameters"] = parameters_of(model)
    caption = "figures as they are, and as they were found"
    return Measurement(values, thinned(losses), {caption: _page(test, answers.points)})


def figures_of(data: RecipeKey, bench: Bench) -> tuple[Figures, Figures]:
    """Figures to learn from and to be judged on, the same for every seed; no letter is among both."""
    sides = bench.sources.letters.split()
    look = FigureOptions(side=data.get("side", 48))
    counts = data["train"], data.get("test", 400)

    def made() -> tuple[Figures, Figures]:
        train, test = (
            draw_figures(part.images(np.arange(len(part)))[:, 0].numpy(), count, look, seed=number)
            for number, (part, count) in enumerate(zip(sides, counts, strict=True))
        )
        return train, test

    return bench.once(("figures", look, counts), made)


def _model_of(model: RecipeKey, side: int) -> nn.Module:
    if model.name == "coordinates":
        return CoordinatePose(1, len(POINTS), side=side, **model.options)
    return UNet(1, len(POINTS), **model.options)


def _answers(model: nn.Module, figures: Figures, radius: FloatArray, bench: Bench) -> _Answers:
    points: list[FloatArray] = []
    near: list[FloatArray] = []
    for found in outputs(model, figures.images, bench):
        if found.ndim == 4:
            log_p, first = log_places(found), sum(map(len, points))
            found = places(log_p)
            limit = torch.from_numpy(radius[first : first + len(found)]).float().to(found.device)
            near.append(mass_near(log_p, found, limit).cpu().numpy().astype(float))
        points.append(found.cpu().numpy().astype(float))
    return _Answers(np.concatenate(points), np.concatenate(near) if near else None)


def _page(figures: Figures, found: FloatArray) -> ImageArray:
    """Some figures in a row with the points they have, and below with those that were found."""
    images = figures.images[:SHOWN]
    return image_grid([list(map(_overlaid, images, points)) for points in (figures.points, found)])


def _overlaid(image: ImageArray, points: FloatArray) -> ImageArray:
    """A picture, enlarged, with its skeleton over it: left orange, right blue."""
    page = (
        Image.fromarray(image).convert("RGB").resize((image.shape[1] * ENLARGED, image.shape[0] * ENLARGED))
    )
    pen = ImageDraw.Draw(page)
    places = [tuple(place) for place in points * ENLARGED]
    for one, other in SKELETON:
        pen.line([places[one], places[other]], (120, 220, 120), 1)
    for name, (x, y) in zip(POINTS, places, strict=True):
        colour = {"left": (255, 150, 40), "right": (80, 160, 255)}.get(name.split("_")[0], (255, 255, 255))
        pen.ellipse((x - 2, y - 2, x + 2, y + 2), colour)
    return np.asarray(page)
