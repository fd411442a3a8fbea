"""The trials of detectors of letters in scenes: a map of centres, and a classifier of windows.

```
data          scenes(batch, train, test=400, side=48, glyphs=3)
model         centernet(widths, width, stride)          windows(widths, shapes, step, sampled)
loss          centres(box=2)                            cross_entropy
optimization  any registered optimizer
```
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bayesight.data.annotated import as_tensor
from bayesight.evaluation.boxes import BoxMatches, FoundBoxes, TrueBoxes, box_overlaps, match_boxes
from bayesight.letters.scenes import Scenes
from bayesight.losses.detection import detection_loss
from bayesight.milestones.bench.claim import Keys, Measurement
from bayesight.milestones.bench.pictures import ImageBatches
from bayesight.milestones.bench.segmenting import scenes_of
from bayesight.milestones.bench.workbench import Bench, parameters_of, thinned, update_of
from bayesight.models.base import kaiming_normal
from bayesight.models.centernet import CenterNet, centre_peaks, halving_block
from bayesight.models.outline import initial_weights
from bayesight.report.overlays import box_overlay, class_colours, image_grid, in_colour
from bayesight.training.engine import Batch, Loss, Task
from bayesight.types import FloatArray, ImageArray
from bayesight.values import Widths

OVERLAP = 0.5
"""From this overlap on a box is found."""
SHOWN = 6
_BATCH = 50
_MEANT = 200
"""Scenes to choose a threshold on, the last of those to learn from; none of them is learned from."""
_KEPT = 20
"""Boxes of a scene."""
_SUPPRESSED = 0.45
"""Of two boxes of a class that overlap so much the surer is kept."""
_SIDE = 24  # pixels that a window is brought to

Detect: TypeAlias = Callable[[Tensor], list[FoundBoxes]]
"""Images (B, 1, S, S) to the boxes of each."""


def detect_by_centres(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """Train a map of centres on scenes, and judge it on scenes of letters held out.

    Returns:
        As ``detect_by_windows``.
    """
    (recipe,) = recipes
    with initial_weights(bench.seed):
        model = CenterNet(1, len(bench.sources.letters.classes), **recipe.model.options)
    weight = recipe.loss.get("box", 2.0)

    def loss(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        images, boxes, labels = batch
        logits, found = network(images)
        return detection_loss(logits, found, boxes, labels, stride=model.stride, box=weight)

    def detect(images: Tensor) -> list[FoundBoxes]:
        with bench.hardware.fabric.autocast():
            logits, boxes = model(images)
        peaks = centre_peaks(logits, boxes, _KEPT)
        heights, kinds = peaks.logits.sigmoid().max(dim=2)
        heights = heights * peaks.there
        places, sure = (one.cpu().double().numpy() for one in (peaks.boxes, heights))
        return list(map(FoundBoxes, places, kinds.cpu().numpy(), sure))

    return _measured(recipe, bench, model, loss, detect)


def detect_by_windows(recipes: Sequence[Keys], bench: Bench) -> Measurement:
    """Train a classifier of windows on scenes, and judge it in all places and shapes of scenes held out.

    Returns:
        ``f1`` at the threshold that is best on scenes of letters learned from; ``average_precision`` at an
        overlap of .5; ``images_per_second`` of the processor's time; ``parameters``; a picture of some scenes
        with the boxes found.
    """
    (recipe,) = recipes
    train, _ = scenes_of(recipe.data, bench)
    options = recipe.model.without("shapes", "step", "sampled")
    with initial_weights(bench.seed):
        model = WindowClassifier(len(bench.sources.letters.classes), **options)
    sides = _shapes(train.boxes[:-_MEANT], recipe.model["shapes"])
    windows = _everywhere(sides, train.images.shape[1], recipe.model["step"])

    def loss(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        images, boxes, labels = batch
        drawn = _drawn(boxes, windows, recipe.model["sampled"])
        truth = _named(drawn, boxes, labels, network.classes)  # type: ignore[arg-type]
        return {"total": F.cross_entropy(network(images, drawn).float(), truth.flatten())}

    def detect(images: Tensor) -> list[FoundBoxes]:
        return [_slid(model, image, windows, bench) for image in images]

    return _measured(recipe, bench, model, loss, detect)


class WindowClassifier(nn.Module):
    """The class of what a window frames, or that it frames nothing.

    Args:
        classes: K; number K is nothing.
        widths: channels at each size of a window.

    Shape:
        images (B, 1, S, S) and windows (B, W, 4) in pixels to logits (B W, K + 1).
    """

    def __init__(self, classes: int, *, widths: Widths) -> None:
        super().__init__()
        self.classes = classes
        pairs = zip((1, *widths), widths, strict=False)
        self.blocks = nn.Sequential(*(halving_block(a, b) for a, b in pairs))
        self.head = nn.Linear(widths[-1], classes + 1)
        kaiming_normal(self)

    def forward(self, images: Tensor, windows: Tensor) -> Tensor:
        """Logits of every window."""
        logits: Tensor = self.head(self.blocks(2 * _cut(images, windows) - 1).mean(dim=(2, 3)))
        return logits


def _sides(scenes: Scenes, batch: int, seed: int, dtype: torch.dtype) -> tuple[ImageBatches, slice]:
    """Batches of scenes with their boxes (G, 4) and classes (G,), and the scenes that no batch holds."""
    count = len(scenes.images) - min(_MEANT, len(scenes.images) // 5)
    targets = torch.from_numpy(scenes.boxes[:count]).float(), torch.from_numpy(scenes.labels[:count])
    return ImageBatches(scenes.images[:count], targets, batch, seed, "scenes", dtype), slice(count, None)


def _measured(recipe: Keys, bench: Bench, model: nn.Module, loss: Loss, detect: Detect) -> Measurement:
    """Train, choose the threshold, and judge."""
    train, test = scenes_of(recipe.data, bench)
    batches, held_out = _sides(train, recipe.data["batch"], bench.derive("data"), bench.dtype)
    task = Task(batches, model, {"train": loss}, [update_of(recipe.optimization, model)])
    losses = bench.fit(task, recipe.optimization["steps"])
    model.eval()
    classes = len(bench.sources.letters.classes)
    known, _, _ = _found(train, held_out, detect, bench, classes)
    threshold = max(np.unique(known.scores.round(2)).tolist(), key=lambda at: known.f1(OVERLAP, at))
    matches, answers, seconds = _found(test, slice(None), detect, bench, classes)
    values = {
        "f1": matches.f1(OVERLAP, threshold),
        "average_precision": matches.mean_average_precision(),
        "images_per_second": len(test.images) / seconds,
        "parameters": parameters_of(model),
    }
    names = bench.sources.letters.classes
    caption = "scenes above, and the boxes found in them below, each in the colour of its class: "
    caption += ", ".join(names)
    return Measurement(values, thinned(losses), {caption: _page(test, answers, threshold, classes)})


@torch.no_grad()
def _found(
    scenes: Scenes, rows: slice, detect: Detect, bench: Bench, classes: int
) -> tuple[BoxMatches, list[FoundBoxes], float]:
    """Boxes of scenes beside the truth, the boxes, and the processor's seconds that finding them took."""
    device, images = bench.hardware.fabric.device, scenes.images[rows]
    answers: list[FoundBoxes] = []
    began = time.process_time()
    for start in range(0, len(images), _BATCH):
        answers += detect(as_tensor(images[start : start + _BATCH], bench.dtype).to(device))
    seconds = time.process_time() - began
    truth = map(TrueBoxes, scenes.boxes[rows], scenes.labels[rows])
    pairs = list(zip(truth, answers, strict=True))
    return match_boxes(pairs, classes, overlaps=(OVERLAP,)), answers, seconds


def _shapes(boxes: FloatArray, count: int) -> FloatArray:
    """Widths and heights (count, 2) of windows: the means that the sides of boxes lie around (Lloyd)."""
    sides = (boxes[..., 2:] - boxes[..., :2]).reshape(-1, 2)
    means: FloatArray = sides[np.argsort(sides.prod(axis=1))][
        np.linspace(0, len(sides) - 1, count).astype(int)
    ]
    for _ in range(20):
        nearest = ((sides[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
        means = np.stack([sides[nearest == k].mean(axis=0) if (nearest == k).any() else means[k]
                          for k in range(count)])  # fmt: skip
    return means


def _everywhere(shapes: FloatArray, side: int, step: float) -> Tensor:
    """Windows (W, 4) of every shape, ``step`` pixels apart, inside an image of that side."""
    parts = []
    for width, height in shapes.tolist():
        left, top = (np.arange(0, max(side - length, 0) + step / 2, step) for length in (width, height))
        x, y = (axis.ravel() for axis in np.meshgrid(left, top))
        parts.append(np.stack([x, y, x + width, y + height], axis=1))
    return torch.from_numpy(np.concatenate(parts)).float()


def _drawn(boxes: Tensor, windows: Tensor, count: int) -> Tensor:
    """Windows (B, W, 4) of each scene to learn from: two near each box, ``count`` from anywhere."""
    near = boxes.repeat(1, 2, 1)
    sides = near[..., 2:] - near[..., :2]
    centres = (near[..., :2] + near[..., 2:]) / 2 + 0.12 * sides * torch.randn_like(sides)
    halves = sides * (0.15 * torch.randn_like(sides)).exp() / 2
    near = torch.cat([centres - halves, centres + halves], dim=2)
    anywhere = windows[torch.randint(len(windows), (len(boxes), count))].to(boxes)
    return torch.cat([near, anywhere], dim=1)


def _named(windows: Tensor, boxes: Tensor, labels: Tensor, nothing: int) -> Tensor:
    """Class (B, W) of the box that each window overlaps most, ``nothing`` where that is below .5."""
    low = torch.maximum(windows[:, :, None, :2], boxes[:, None, :, :2])
    high = torch.minimum(windows[:, :, None, 2:], boxes[:, None, :, 2:])
    both = (high - low).clamp(min=0).prod(dim=3)
    areas = [(one[..., 2:] - one[..., :2]).prod(dim=2) for one in (windows, boxes)]
    overlap, which = (both / (areas[0][:, :, None] + areas[1][:, None] - both)).max(dim=2)
    return labels.gather(1, which).where(overlap >= OVERLAP, nothing)


def _cut(images: Tensor, windows: Tensor) -> Tensor:
    """The pixels that windows (B, W, 4) frame, each brought to the same side: (B W, 1, side, side)."""
    count, side = windows.shape[1], images.shape[-1]
    places = (torch.arange(_SIDE, device=images.device) + 0.5) / _SIDE
    x, y = (
        windows[..., axis, None] + places * (windows[..., axis + 2] - windows[..., axis])[..., None]
        for axis in (0, 1)
    )  # (B, W, side) each
    grid = torch.stack(torch.broadcast_tensors(x[:, :, None], y[..., None]), dim=-1) * 2 / side - 1
    rows = grid.flatten(1, 2).to(images.dtype)  # (B, W side, side, 2)
    cut = F.grid_sample(images, rows, padding_mode="border", align_corners=False)
    return cut.reshape(len(images), count, _SIDE, _SIDE).flatten(0, 1)[:, None]


def _slid(model: nn.Module, image: Tensor, windows: Tensor, bench: Bench) -> FoundBoxes:
    """The boxes of one image (1, S, S): the surest of the windows that overlap."""
    with bench.hardware.fabric.autocast():
        logits = model(image[None], windows[None].to(image.device))
    p = logits.float().softmax(dim=1)[:, :-1].cpu().double().numpy()
    best, kinds = p.max(axis=1), p.argmax(axis=1)
    order = np.argsort(-best)[:200]
    boxes = windows.double().numpy()[order]
    overlap = box_overlaps(boxes, boxes) * (kinds[order][:, None] == kinds[order])
    kept: list[int] = []
    for place in range(len(order)):
        if len(kept) < _KEPT and not (overlap[place, kept] > _SUPPRESSED).any():
            kept.append(place)
    return FoundBoxes(boxes[kept], kinds[order][kept], best[order][kept])


def _page(scenes: Scenes, answers: Sequence[FoundBoxes], threshold: float, classes: int) -> ImageArray:
    """Some scenes in a row, and below them the same with the boxes found, in the colour of their class."""
    colours = class_colours(classes)
    twice = [in_colour(image.repeat(2, axis=0).repeat(2, axis=1)) for image in scenes.images[:SHOWN]]
    drawn = []
    for image, found in zip(twice, answers, strict=False):
        sure = found.scores >= threshold
        drawn.append(box_overlay(image, 2 * found.boxes[sure], colours[found.classes[sure]]))
    return image_grid([twice, drawn])
