"""The trial of a network that names every pixel of a scene.

```
data          scenes(batch, train, test=400, side=48, glyphs=3)
model         unet(widths, skips)
loss          mask(dice=0)
optimization  any registered optimizer
```
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from bayesight.evaluation import expected_calibration_error
from bayesight.evaluation.regions import pixel_counts
from bayesight.letters.scenes import SceneOptions, Scenes, compose
from bayesight.losses.segmentation import mask_loss
from bayesight.milestones.bench.claim import Keys, Measurement, RecipeKey
from bayesight.milestones.bench.pictures import ImageBatches, outputs
from bayesight.milestones.bench.workbench import Bench, parameters_of, thinned, update_of
from bayesight.models.outline import initial_weights
from bayesight.models.unet import UNet
from bayesight.report.overlays import class_colours, image_grid, in_colour
from bayesight.seeding import numpy_generator
from bayesight.training.engine import Batch, Task
from bayesight.types import ImageArray, IntArray

SHOWN = 6
JUDGED_PIXELS = 100_000
"""Pixels that the calibration is judged on, drawn from those of all scenes."""


def segment(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """Train on scenes of the letters to learn from and judge on scenes of the letters held out.

    Returns:
        ``mean_iou`` over ground and letters; ``pixel_accuracy``; ``ece`` of the probability of each pixel's
        class, over 15 bins; ``parameters``; a picture of some scenes, their masks and the answers.
    """
    (recipe,) = recipes
    train, test = scenes_of(recipe.data, bench)
    classes = len(bench.sources.letters.classes) + 1
    with initial_weights(bench.seed):
        model = UNet(1, classes, **recipe.model.options)
    masks, size = torch.from_numpy(train.masks), recipe.data["batch"]
    batches = ImageBatches(train.images, (masks,), size, bench.derive("data"), "scenes", bench.dtype)
    dice = recipe.loss.get("dice", 0.0)

    def loss(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        images, masks = batch
        return {"total": mask_loss(network(images), masks.long(), dice=dice)}

    task = Task(batches, model, {"train": loss}, [update_of(recipe.optimization, model)])
    losses = bench.fit(task, recipe.optimization["steps"])
    found = outputs(model, test.images, bench)
    log_p = np.concatenate([logits.float().log_softmax(dim=1).cpu().numpy() for logits in found])
    named = log_p.argmax(axis=1)
    counts = pixel_counts(zip(test.masks, named, strict=True), classes)
    pixels = test.masks.size
    some = numpy_generator(0, "pixels").choice(pixels, min(JUDGED_PIXELS, pixels), replace=False)
    rows = np.moveaxis(log_p, 1, -1).reshape(-1, classes)[some].astype(np.float64)
    truth = test.masks.reshape(-1)[some].astype(np.int64)
    values = {
        "mean_iou": counts.mean_iou(),
        "pixel_accuracy": float(counts.total.trace() / counts.total.sum()),
        "ece": expected_calibration_error(rows, truth),
        "parameters": parameters_of(model),
    }
    caption = "scenes, what every pixel is, and what it was called"
    return Measurement(values, thinned(losses), {caption: _page(test, named, classes)})


def scenes_of(data: RecipeKey, bench: Bench) -> tuple[Scenes, Scenes]:
    """Scenes to learn from and to be judged on, the same for every seed; no letter is in both."""
    sides = bench.sources.letters.split()
    look = SceneOptions(side=data.get("side", 48), glyphs=data.get("glyphs", 3))
    counts = data["train"], data.get("test", 400)

    def made() -> tuple[Scenes, Scenes]:
        train, test = (
            compose(part.images(np.arange(len(part)))[:, 0].numpy(), part.labels, count, look, seed=number)
            for number, (part, count) in enumerate(zip(sides, counts, strict=True))
        )
        return train, test

    return bench.once(("scenes", look, counts), made)


def _page(scenes: Scenes, named: IntArray, classes: int) -> ImageArray:
    """Some scenes in a row, their masks below, the answers below these; each class in a colour of its own."""
    colours = np.concatenate([np.zeros((1, 3), np.uint8), class_colours(classes - 1)])
    grey = [in_colour(image) for image in scenes.images[:SHOWN]]
    return image_grid([grey, *(list(colours[masks[:SHOWN]]) for masks in (scenes.masks, named))])
