"""Detection: boxes around things, each with a calibrated posterior that moves with stated base rates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any
from xml.sax.saxutils import escape

import numpy as np
import torch
from torch import Tensor, nn

from bayesight.bayes.calibrate import Calibration, apply, fit_bcts
from bayesight.belief.classifier import Classes
from bayesight.checks import check
from bayesight.data.annotated import as_tensor, own_picture, picture_of
from bayesight.data.annotations import Annotated as AnnotatedBoxes
from bayesight.data.augment import SceneAugment
from bayesight.data.codecs import png_of
from bayesight.data.readers import BoxReader, points_out
from bayesight.evaluation.boxes import UNCOUNTED, box_truth, match_boxes
from bayesight.formatting import percent
from bayesight.language import marked
from bayesight.letters.scenes import compose
from bayesight.losses.detection import detection_loss
from bayesight.models import DETECTORS, centre_peaks
from bayesight.models.base import channels_last
from bayesight.run_schema import TaskFile
from bayesight.training.engine import Batch, Loss
from bayesight.training.recipe import DataKey, Recipe
from bayesight.types import FloatArray, ImageArray, IntArray
from bayesight.values import Name, Within
from bayesight.workflows.tasks.base import (
    Asked,
    ImageAnswer,
    ImageTask,
    Judgement,
    Trained,
    at_rates,
    on_one_side,
)
from bayesight.workflows.tasks.box_answers import (
    LEAST,
    SHOWN,
    BoxPosteriors,
    Images,
    MeasuredBoxes,
    drawn,
    truth_of,
)

_MOST = 300  # boxes of an image
TOGETHER = 8
"""Images that the network is shown at a time."""
BOX_WEIGHT = 1.0
"""Of the boxes' overlap beside the focal loss of centres."""
_RIDGE = 0.02  # of the calibration: logits of a focal loss are to be stretched threefold and more


class DetectionFile(TaskFile):
    """``task.json`` of a run that finds boxes.

    Args:
        names: (K,) classes, in the order of the network's outputs.
        temperature: logits of a box, beside 0 for nothing, are divided by it.
        bias: (K + 1,) nats, added after that; nothing last.
    """

    names: Sequence[Name] = ()
    temperature: Annotated[float, Within(1e-3, 1e4)] = 1.0
    bias: Sequence[Annotated[float, Within(-1e3, 1e3)]] = ()


TrainedNet = Trained[DetectionFile]


@dataclass(frozen=True, eq=False)
class _Candidates:
    """Boxes of an image, the likeliest first: (M, 4) in the frame's pixels, and logits (M, K)."""

    boxes: FloatArray
    logits: Tensor


class DetectTask(ImageTask[AnnotatedBoxes, DetectionFile]):
    """Finds things, and says where each is and what."""

    name, kind, model = "detect", "detection", "centernet"
    file = DetectionFile
    measure = ("average_precision", "average precision at an overlap of .5")
    meant = ("centre.3.",)

    def reader(self, data: DataKey, trained: TrainedNet | None) -> BoxReader:
        """The reader of boxes."""
        return BoxReader()

    def learned(
        self, train: Images, validation: Images, data: DataKey
    ) -> tuple[tuple[str, ...], DetectionFile, tuple[str, ...]]:
        """The classes that boxes name, and their shares of the boxes learned from."""
        counts = [
            Counter(name for one in part.annotations for name in one.names) for part in (train, validation)
        ]
        names = tuple(sorted(counts[0] | counts[1]))
        check(len(names) > 0, train.source, "pictures without a box", "boxes of at least one class")
        each = ", ".join(f"{name} {counts[0][name]:,}" for name in names)
        notes = [
            marked(f"{sum(counts[0].values()):,} boxes to learn from: {each}"),
        ]
        notes += [
            marked(f"no picture {where} has {alone}, which pictures {other} have")
            for where, alone, other in on_one_side(
                names, *([part[name] for name in names] for part in counts)
            )
        ]
        smoothed = np.array([counts[0][name] + 1.0 for name in names])
        return names, DetectionFile(names=names, shares=(smoothed / smoothed.sum()).tolist()), tuple(notes)

    def network(self, recipe: Recipe, classes: Classes, facts: DetectionFile) -> nn.Module:
        """A network of ``DETECTORS``."""
        return channels_last(self.made(DETECTORS, recipe, classes.image_shape, len(classes.names)))

    def batch(
        self,
        images: Tensor,
        annotations: Sequence[AnnotatedBoxes],
        facts: DetectionFile,
        augment: SceneAugment | None,
        generator: torch.Generator,
    ) -> Batch:
        """Images, boxes (B, G, 4) and their classes (B, G), -1 where there is none."""
        moves = None
        if augment is not None:
            images, moves = augment.moved(images, generator)
        most = max(1, *(len(one.names) for one in annotations))
        boxes, classes = torch.zeros(len(images), most, 4), torch.full((len(images), most), -1)
        for row, one in enumerate(annotations):
            true = truth_of(one, facts.names)
            placed = torch.from_numpy(true.boxes).float()
            placed = placed if moves is None else moves.boxes(row, placed).float()
            boxes[row, : len(placed)] = placed
            classes[row, : len(placed)] = torch.from_numpy(true.classes)
        sides = torch.tensor([images.shape[-1], images.shape[-2]] * 2)
        middles = (boxes[..., :2] + boxes[..., 2:]) / 2
        inside = ((middles >= 0) & (middles < sides[:2])).all(dim=-1)
        return images, boxes.clamp(min=0).minimum(sides), classes.where(inside, -1)

    def loss(self, recipe: Recipe, facts: DetectionFile) -> Loss:
        """The focal loss of centres, and the overlap of the boxes there."""
        weight = recipe.loss.options.get("box", BOX_WEIGHT)

        def terms(model: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
            images, boxes, classes = batch
            logits, found = model(images)
            return detection_loss(logits, found, boxes, classes, stride=int(model.stride), box=weight)  # type: ignore[arg-type]

        return terms

    def look(self, trained: TrainedNet, images: Images) -> Mapping[str, float]:
        """The loss of pictures held out, and average precision at an overlap of .5."""
        total, found = 0.0, []
        generator = torch.Generator()
        for rows, (logits, boxes) in _answered(trained, images):
            pictures, annotations = images.tensor(rows), images.annotations[rows]
            batch = self.batch(pictures, annotations, trained.facts, None, generator)
            stride = int(trained.network.stride)  # type: ignore[arg-type]
            terms = detection_loss(logits, boxes, *batch[1:], stride=stride, box=BOX_WEIGHT)
            total += float(terms["total"]) * len(pictures)
            found += _candidates(logits, boxes)
        names = trained.classes.names
        pairs = [
            (truth_of(true, names), _posterior(trained, one, None).found)
            for true, one in zip(images.annotations, found, strict=True)
        ]
        matches = match_boxes(pairs, len(names), overlaps=(0.5,))
        precision = matches.mean_average_precision()
        return {"log_loss": total / len(images), "average_precision": precision}

    def calibrated(self, trained: TrainedNet, images: Images) -> DetectionFile:
        """A temperature and a bias for each class and for nothing, of the logits of boxes."""
        scores, truth = [], []
        nothing = len(trained.classes.names)
        for one, annotation in zip(_found(trained, images), images.annotations, strict=True):
            scores.append(_beside_nothing(one.logits))
            truth.append(box_truth(one.boxes, truth_of(annotation, trained.classes.names), nothing))
        labels = torch.from_numpy(np.concatenate(truth))
        counted = labels != UNCOUNTED
        fitted = fit_bcts(torch.cat(scores)[counted], labels[counted], ridge=_RIDGE)
        return trained.facts.model_copy(
            update={"temperature": fitted.temperature, "bias": fitted.bias.tolist()}
        )

    def judge(self, trained: TrainedNet, images: Images, prior: Tensor | None) -> Judgement:
        """Average precision and calibration of the boxes; cases beside the truth."""
        posteriors = [_posterior(trained, one, prior) for one in _found(trained, images)]
        found = MeasuredBoxes.of(trained.classes.names, images, posteriors, prior)
        return Judgement(found.figures, found.text, tuple(found.sections(images, posteriors)))

    def scenes(
        self, glyphs: ImageArray, labels: IntArray, names: Sequence[str], count: int, seed: int
    ) -> Iterator[tuple[str, bytes]]:
        """Images, and the boxes of each as Pascal VOC writes them."""
        made = compose(glyphs, labels, count, seed=seed)
        for number, (image, boxes, kinds) in enumerate(
            zip(made.images, made.boxes, made.labels, strict=True)
        ):
            yield f"JPEGImages/{number:05}.png", png_of(image)
            rows = [(names[k], box) for k, box in zip(kinds.tolist(), boxes.tolist(), strict=True)]
            yield f"Annotations/{number:05}.xml", _voc(f"{number:05}.png", image.shape, rows)

    def answer(self, trained: TrainedNet, blob: bytes, asked: Asked) -> ImageAnswer:
        """Boxes with their posteriors, in the image's own pixels, and drawn over it."""
        names = trained.classes.names
        pixels, placing = picture_of(blob, trained.classes.frame)
        with torch.no_grad():
            logits, boxes = trained.network(as_tensor(pixels[None]))
        (candidates,) = _candidates(logits, boxes)
        found = _posterior(trained, candidates, asked.prior)
        height, width = placing.size
        corners = points_out(found.boxes.reshape(-1, 2, 2), placing).clip(0, [width, height])
        found = replace(found, boxes=corners.reshape(-1, 4))
        expected = np.exp(found.log_p[:, :-1]).sum(axis=0)
        told = found.at(found.p >= LEAST)
        shown = found.at(found.p >= SHOWN)
        counts = Counter(names[k] for k in shown.kinds.tolist())
        row = {
            "size": [height, width],
            "boxes": [_row(names, *one) for one in zip(told.boxes, told.log_p, strict=True)],
            "expected_counts": dict(zip(names, expected.tolist(), strict=True)),
        }
        each = "".join(f", {name} {count:,}" for name, count in counts.items())
        lines = [
            marked(f"{len(shown.boxes):,} boxes with a probability of {percent(SHOWN)} or more{each}"),
        ]
        for box, kind, p in zip(shown.boxes, shown.kinds.tolist(), shown.p.tolist(), strict=True):
            lines.append("  {} {}: {:.0f}, {:.0f} to {:.0f}, {:.0f}".format(names[kind], percent(p), *box))
        own = own_picture(blob)
        shown = replace(shown, boxes=shown.boxes * (own.shape[1] / width))
        return ImageAnswer(row, "\n".join(lines), drawn(own, shown, names))


@torch.no_grad()
def _answered(trained: TrainedNet, images: Images) -> Iterator[tuple[slice, tuple[Tensor, Tensor]]]:
    """Logits of centres and boxes of a few images at a time, float32, on the CPU."""
    for start in range(0, len(images), TOGETHER):
        rows = slice(start, start + TOGETHER)
        logits, boxes = trained.network(images.tensor(rows).to(trained.device))
        yield rows, (logits.float().cpu(), boxes.float().cpu())


def _found(trained: TrainedNet, images: Images) -> list[_Candidates]:
    """The candidates of every image."""
    return [one for _, answer in _answered(trained, images) for one in _candidates(*answer)]


def _candidates(logits: Tensor, boxes: Tensor) -> list[_Candidates]:
    """The peaks of each image of a batch."""
    peaks = centre_peaks(logits, boxes, _MOST)
    return [
        _Candidates(each[there].double().numpy(), scores[there].double())
        for each, scores, there in zip(peaks.boxes, peaks.logits, peaks.there, strict=True)
    ]


def _beside_nothing(logits: Tensor) -> Tensor:
    """Logits (M, K) beside the 0 of nothing, (M, K + 1)."""
    return torch.cat([logits, logits.new_zeros(len(logits), 1)], dim=1)


def _posterior(trained: TrainedNet, found: _Candidates, prior: Tensor | None) -> BoxPosteriors:
    """Calibrated posteriors of what boxes frame, at the training's base rates or at stated ones (K,).

    Stated rates move classes against one another; how many things there are in all, and how often a box
    frames nothing, they leave.
    """
    facts, names = trained.facts, trained.classes.names
    bias = torch.tensor(list(facts.bias) or [0.0] * (len(names) + 1), dtype=torch.float64)
    log_p = apply(Calibration(facts.temperature, bias), _beside_nothing(found.logits))
    nothing = torch.ones(1, dtype=torch.float64)  # as common as all things together: it cancels
    rates = None if prior is None else torch.cat([prior.double(), nothing]) / 2
    return BoxPosteriors(found.boxes, at_rates(log_p, [*facts.shares, 1.0], rates).numpy())


def _row(names: Sequence[str], box: FloatArray, log_p: FloatArray) -> dict[str, Any]:
    """A box for ``--json``."""
    p, best = np.exp(log_p), int(log_p[:-1].argmax())
    return {
        "box": [round(end, 2) for end in box.tolist()],
        "class": names[best],
        "probability": float(p[best]),
        "posterior": dict(zip(names, p[:-1].tolist(), strict=True)),
        "nothing": float(p[-1]),
    }


def _voc(name: str, shape: tuple[int, ...], rows: Sequence[tuple[str, Sequence[float]]]) -> bytes:
    """Boxes as Pascal VOC writes them: pixels from 1 on, both ends inside."""
    lines = [f"<annotation><filename>{name}</filename>"]
    lines.append(f"<size><width>{shape[1]}</width><height>{shape[0]}</height><depth>1</depth></size>")
    for kind, (left, top, right, bottom) in rows:
        ends = {"xmin": left + 1, "ymin": top + 1, "xmax": right, "ymax": bottom}
        told = "".join(f"<{end}>{value:g}</{end}>" for end, value in ends.items())
        lines.append(f"<object><name>{escape(kind)}</name><bndbox>{told}</bndbox></object>")
    return "\n".join([*lines, "</annotation>", ""]).encode()
