"""Key points of figures: a place for each, with the calibrated probability that it is near enough.

Figures are cut out of their images by their boxes. A point is found within a share of the longer side of its
figure's box (PCK); its map is a posterior over places, and what of it lies within that radius, calibrated on
images held out, is the probability that it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor, nn

from bayesight.bayes.calibrate import Calibration, apply, fit_bcts
from bayesight.belief.classifier import Classes
from bayesight.checks import check
from bayesight.data.annotated import AnnotatedImages, as_tensor, own_picture, picture_of
from bayesight.data.annotations import Annotated as Boxes
from bayesight.data.augment import MARGIN, Crops, SceneAugment, crop_boxes
from bayesight.data.codecs import png_of
from bayesight.data.readers import KeypointReader, points_in, points_out
from bayesight.errors import listed
from bayesight.evaluation.keypoints import FigurePoints
from bayesight.formatting import percent
from bayesight.frame import Placing
from bayesight.language import marked
from bayesight.letters.figures import coco_of, draw_figures
from bayesight.losses.pose import heat_map_loss
from bayesight.models import POSE_MODELS
from bayesight.models.pose import log_places, mass_near, places
from bayesight.report.overlays import skeleton_overlay
from bayesight.run_schema import TaskFile
from bayesight.training.engine import Batch, Loss
from bayesight.training.recipe import DataKey, Recipe
from bayesight.types import FloatArray, ImageArray, IntArray
from bayesight.values import Each, Names, Within
from bayesight.workflows.tasks.base import Asked, ImageAnswer, ImageTask, Judgement, Trained
from bayesight.workflows.tasks.pose_measures import NEAR, KeypointMeasures

SIDES = (32, 96)
"""Pixels of a cut figure's side, at least and at most."""
TOGETHER = 32
"""Images that the network is shown at a time."""
LOOKS = 3
"""Times that a figure without a box is looked at, closer each time."""
_SURE = 1e-6
_SIDE = re.compile(r"(?<![a-z])(left|right|l|r)(?![a-z])")
_OTHER = {"left": "right", "right": "left", "l": "r", "r": "l"}


class PoseFile(TaskFile):
    """``task.json`` of a run that finds key points.

    Args:
        points: names of the key points.
        lines: pairs of them that are drawn with a line between.
        side: pixels of a cut figure.
        reach: longer side of a figure's box for that of the extent of its points.
        temperature: the log-probabilities that a point is not near enough, and that it is, are divided by it.
        bias: nats, added to both after that.
    """

    points: Names
    lines: Sequence[Annotated[Sequence[int], Each(Within(0, 999), 2, 2)]] = ()
    side: Annotated[int, Within(8, 1024)]
    reach: Annotated[float, Within(1, 100)] = 1.0
    temperature: Annotated[float, Within(1e-3, 1e4)] = 1.0
    bias: Annotated[Sequence[float], Each(Within(-1e3, 1e3), 2, 2)] = (0.0, 0.0)

    @property
    def radius(self) -> float:
        """The radius within which a point is near enough, pixels of a cut figure."""
        return NEAR * self.side / MARGIN

    @property
    def mirrored(self) -> list[int]:
        """The point whose place each has in a mirror image: left and right change sides.

        Example:
            >>> PoseFile(points=["nose", "left_eye", "right_eye", "left_horn"], side=32).mirrored
            [0, 2, 1, 3]
        """
        number = {name.lower(): place for place, name in enumerate(self.points)}
        other = [_SIDE.sub(lambda found: _OTHER[found[0]], name) for name in number]
        return [number.get(name, place) for place, name in enumerate(other)]


Images = AnnotatedImages[Boxes]
TrainedNet = Trained[PoseFile]


class PoseTask(ImageTask[Boxes, PoseFile]):
    """Finds the key points of figures."""

    name, kind, model = "pose", "pose", "heat_maps"
    file = PoseFile
    measure = ("pck", "PCK")
    asks = "box"

    def meanings(self, classes: Classes, facts: PoseFile) -> object:
        """The key points."""
        return tuple(facts.points)

    def reader(self, data: DataKey, trained: TrainedNet | None) -> KeypointReader:
        """The reader of key points; of a run, of its points alone."""
        return KeypointReader(points=tuple(trained.facts.points) if trained else ())

    def learned(
        self, train: Images, validation: Images, data: DataKey
    ) -> tuple[tuple[str, ...], PoseFile, tuple[str, ...]]:
        """The names of the points, the lines between them, and the side that figures are cut to."""
        skeleton, every = train.annotations[0].skeleton, (*train.annotations, *validation.annotations)
        longer = np.concatenate([_longer(one.boxes) for one in every])
        side = int(np.clip(16 * round(MARGIN * float(np.median(longer)) / 16), *SIDES))
        shown = np.asarray(np.concatenate([one.points[..., 2] for one in train.annotations]).any(axis=0))
        never = [name for name, seen in zip(skeleton.points, shown, strict=True) if not seen]
        held = any(one.points[..., 2].any() for one in validation.annotations)
        check(bool(shown.any()) and held, train.source, "no key point that is there", "some in every part")
        facts = PoseFile(
            points=list(skeleton.points),
            lines=list(skeleton.lines),
            side=side,
            reach=_reach(train.annotations),
        )
        notes = [
            marked(f"{len(longer):,} figures of {len(skeleton.points)} key points, cut to {side}x{side}")
        ]
        notes += [marked(f"no image learned from shows {listed(never)}")] * bool(never)
        return (), facts, tuple(notes)

    def network(self, recipe: Recipe, classes: Classes, facts: PoseFile) -> nn.Module:
        """A network of ``POSE_MODELS``."""
        shape = (classes.image_shape[0], facts.side, facts.side)
        return self.made(POSE_MODELS, recipe, shape, len(facts.points))

    def batch(
        self,
        images: Tensor,
        annotations: Sequence[Boxes],
        facts: PoseFile,
        augment: SceneAugment | None,
        generator: torch.Generator,
    ) -> Batch:
        """Cut figures (M, C, S, S), their points (M, P, 2) in pixels, and which are there (M, P)."""
        crops, points, there = _cut(images, annotations, facts.side)
        if augment is None:
            return crops.images, points, there
        moved, moves = augment.moved(crops.images, generator)
        points = torch.stack([moves.points(row, one) for row, one in enumerate(points)]).float()
        flipped = moves.mirrored[:, None]
        points = torch.where(flipped[..., None], points[:, facts.mirrored], points)
        there = torch.where(flipped, there[:, facts.mirrored], there)
        return moved, points, there & ((points >= 0) & (points <= facts.side)).all(dim=2)

    def loss(self, recipe: Recipe, facts: PoseFile) -> Loss:
        """Divergence of each point's map from a Gaussian around it."""
        spread = recipe.loss.options.get("spread", 1.0)

        def terms(model: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
            images, points, there = batch
            return {"total": heat_map_loss(model(images), points, there, spread=spread)}

        return terms

    def look(self, trained: TrainedNet, images: Images) -> Mapping[str, float]:
        """Divergence of a point's map, nats, and the share of points that are near enough."""
        total, count, near = 0.0, 0, 0
        for maps, _, points, there in _answered(trained, images):
            known = int(there.sum())
            total += float(heat_map_loss(maps, points, there)) * known
            gap = (places(log_places(maps)) - points).norm(dim=2)
            near += int(((gap <= trained.facts.radius) & there).sum())
            count += known
        return {"log_loss": total / max(count, 1), "pck": near / max(count, 1)}

    def calibrated(self, trained: TrainedNet, images: Images) -> PoseFile:
        """A temperature and a bias of the probability that a point is near enough."""
        points, held = _found(trained, images)
        hit = torch.from_numpy(points.near(NEAR)[points.there].astype(np.int64))
        one = fit_bcts(_log_odds(held[points.there]), hit)
        return trained.facts.model_copy(update={"temperature": one.temperature, "bias": one.bias.tolist()})

    def judge(self, trained: TrainedNet, images: Images, prior: Tensor | None) -> Judgement:
        """Points near enough, likeness of whole figures, and whether probabilities come true."""
        check(prior is None, "--prior", "base rates", "none, for key points have no classes")
        points, held = _found(trained, images)
        check(bool(points.there.any()), images.source, "no key point that is there", "some")
        facts, p = trained.facts, _near_probability(trained.facts, held)
        found = KeypointMeasures(facts.points, facts.lines, images, points, p)
        return Judgement(found.figures, found.text, tuple(found.sections()))

    def scenes(
        self, glyphs: ImageArray, labels: IntArray, names: Sequence[str], count: int, seed: int
    ) -> Iterator[tuple[str, bytes]]:
        """Images of a stick figure among glyphs each, and their key points as COCO writes them."""
        figures = draw_figures(glyphs, count, seed=seed)
        files = [f"images/{number:05}.png" for number in range(count)]
        for name, image in zip(files, figures.images, strict=True):
            yield name, png_of(image)
        yield "keypoints.json", json.dumps(coco_of(figures, files)).encode()

    def answer(self, trained: TrainedNet, blob: bytes, asked: Asked) -> ImageAnswer:
        """The key points of each figure: those in the boxes asked about, else of the one that is there."""
        facts = trained.facts
        pixels, placing = picture_of(blob, trained.classes.frame)
        boxes = _boxes_in(asked.boxes, placing)
        points, held, seen = _looked(trained, as_tensor(pixels[None]), boxes, closer=not asked.boxes)
        p = _near_probability(facts, held)
        own, edges = points_out(points, placing), points_out(seen.reshape(-1, 2, 2), placing).reshape(-1, 4)
        figures: list[dict[str, Any]] = [
            {
                "box": edges[g].tolist(),
                "points": [
                    {"name": name, "x": float(x), "y": float(y), "probability": float(p[g, k])}
                    for k, (name, (x, y)) in enumerate(zip(facts.points, own[g], strict=True))
                ],
            }
            for g in range(len(own))
        ]
        row = {"size": list(placing.size), "within": NEAR, "figures": figures}
        told = "\n".join(
            ", ".join(
                f"{p['name']} {p['x']:.0f}, {p['y']:.0f} ({percent(p['probability'])})" for p in one["points"]
            )
            for one in figures
        )
        near = percent(NEAR, 0)
        words = marked(f"in brackets the probability to lie within {near} of the figure's longer side")
        text = f"{told}\n  {words}"
        picture = own_picture(blob)
        scale = picture.shape[0] / placing.size[0]
        return ImageAnswer(row, text, skeleton_overlay(picture, own * scale, facts.lines, p))


def _longer(boxes: FloatArray) -> FloatArray:
    """The longer side (G,) of boxes (G, 4)."""
    longer: FloatArray = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    return longer


def _reach(annotations: Sequence[Boxes]) -> float:
    """Longer side of a box for that of the extent of its points: the median of figures that are all there."""
    found = []
    for one in annotations:
        whole = one.points[..., 2].all(axis=1)
        extent = np.ptp(one.points[whole, :, :2], axis=1).max(axis=1)
        found += (_longer(one.boxes[whole]) / extent.clip(1e-3)).tolist()
    return float(np.clip(np.median(found), 1, 2)) if found else 1.0


def _cut(images: Tensor, annotations: Sequence[Boxes], side: int) -> tuple[Crops, Tensor, Tensor]:
    """All figures cut out of their images, their points (M, P, 2), and which are there (M, P)."""
    which = torch.repeat_interleave(torch.tensor([len(one.boxes) for one in annotations]))
    boxes = torch.from_numpy(np.concatenate([one.boxes for one in annotations]))
    points = torch.from_numpy(np.concatenate([one.points for one in annotations])).float()
    crops = crop_boxes(images, which, boxes, side)
    return crops, crops.inside(points[..., :2]), points[..., 2] > 0


@torch.no_grad()
def _answered(trained: TrainedNet, images: Images) -> Iterator[tuple[Tensor, Crops, Tensor, Tensor]]:
    """Maps (M, P, S, S) of the figures of a few images at a time, their cuts, points, and which are there."""
    for start in range(0, len(images), TOGETHER):
        rows = slice(start, start + TOGETHER)
        crops, points, there = _cut(images.tensor(rows), images.annotations[rows], trained.facts.side)
        yield trained.network(crops.images.to(trained.device)).float().cpu(), crops, points, there


def _found(trained: TrainedNet, images: Images) -> tuple[FigurePoints, FloatArray]:
    """All figures with the points found, in the pixels of their frames, and what the maps hold (G, P)."""
    found, held = [], []
    for maps, crops, _, _ in _answered(trained, images):
        one, mass = _points_of(maps, trained.facts.radius)
        found.append(crops.outside(one).numpy())
        held.append(mass.numpy())
    boxes = np.concatenate([one.boxes for one in images.annotations])
    points = np.concatenate([one.points for one in images.annotations])
    many = [len(one.boxes) for one in images.annotations]
    figures = FigurePoints(
        len(many),
        np.repeat(np.arange(len(many)), many),
        points[..., :2],
        points[..., 2] > 0,
        np.concatenate(found).astype(float),
        _longer(boxes),
        (boxes[:, 2:] - boxes[:, :2]).prod(axis=1),
    )
    return figures, np.concatenate(held).astype(float)


def _points_of(maps: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """Places (M, P, 2) in the pixels of the cuts, and what lies within a radius of each."""
    log_p = log_places(maps)
    found = places(log_p)
    return found, mass_near(log_p, found, radius)


@torch.no_grad()
def _looked(
    trained: TrainedNet, image: Tensor, boxes: Tensor, *, closer: bool
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Points, what their maps hold, and the boxes; ``closer`` looks again at where points were found."""
    facts = trained.facts
    for _ in range(LOOKS if closer else 1):
        seen = boxes
        crops = crop_boxes(image, torch.zeros(len(boxes), dtype=torch.int64), boxes, facts.side)
        inside, held = _points_of(
            trained.network(crops.images.to(trained.device)).float().cpu(), facts.radius
        )
        found = crops.outside(inside)
        low, high = found.amin(dim=1), found.amax(dim=1)
        more = (facts.reach - 1) / 2 * (high - low).amax(dim=1, keepdim=True)
        boxes = torch.cat([low - more, high + more], dim=1)
    return found.numpy().astype(float), held.numpy().astype(float), seen.numpy().astype(float)


def _boxes_in(boxes: Sequence[Sequence[float]], placing: Placing) -> Tensor:
    """Boxes of an image in the pixels of its frame; where there are none, one cut out as the image."""
    height, width = placing.size
    spare = (1 - 1 / MARGIN) / 2 * max(width, height)
    whole = min(spare, width / 3), min(spare, height / 3)
    edges = np.array(boxes or [(*whole, width - whole[0], height - whole[1])], dtype=float)
    inside = (edges[:, 2:] > 0).all() and (edges[:, :2] < (width, height)).all()
    check(bool(inside), "--box", f"a box outside the image of {width}x{height}", "boxes inside it")
    return torch.from_numpy(points_in(edges.reshape(-1, 2, 2), placing).reshape(-1, 4))


def _log_odds(held: FloatArray) -> Tensor:
    """Log-probabilities (M, 2) that a point is not near enough, and that it is."""
    p = torch.from_numpy(held.clip(_SURE, 1 - _SURE)).double()
    return torch.stack([torch.log1p(-p), p.log()], dim=-1)


def _near_probability(facts: PoseFile, held: FloatArray) -> FloatArray:
    """The calibrated probability that each point is near enough, in the shape of what the maps hold."""
    bias = torch.tensor(list(facts.bias), dtype=torch.float64)
    log_p = apply(Calibration(facts.temperature, bias), _log_odds(held.ravel()))
    p: FloatArray = log_p[:, 1].exp().numpy().reshape(held.shape)
    return p
