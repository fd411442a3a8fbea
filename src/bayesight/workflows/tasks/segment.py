"""Segmentation: a class for every pixel, with a calibrated posterior that moves with stated base rates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor, nn

from bayesight import report
from bayesight.bayes.calibrate import Calibration, fit_bcts
from bayesight.bayes.rates import Estimate
from bayesight.belief.classifier import Classes
from bayesight.checks import check
from bayesight.data.annotated import AnnotatedImages, as_tensor, own_picture, picture_of
from bayesight.data.augment import SceneAugment
from bayesight.data.codecs import png_of
from bayesight.data.readers import VOID, MaskReader, mask_in, mask_out
from bayesight.evaluation.calibration import Answers, Reliability
from bayesight.evaluation.regions import PixelCounts, pixel_counts
from bayesight.formatting import decimal, percent
from bayesight.language import marked, tr
from bayesight.letters.scenes import compose
from bayesight.losses.segmentation import mask_loss
from bayesight.models import SEGMENTERS
from bayesight.models.base import channels_last
from bayesight.report.overlays import class_colours, in_colour, mask_overlay, side_by_side
from bayesight.run_schema import TaskFile
from bayesight.seeding import numpy_generator
from bayesight.training.engine import Batch, Loss
from bayesight.training.recipe import DataKey, Recipe
from bayesight.types import FloatArray, ImageArray, IntArray
from bayesight.values import Within
from bayesight.workflows.tasks.base import (
    Asked,
    ImageAnswer,
    ImageTask,
    Judgement,
    Trained,
    at_rates,
    in_decimals,
    lines_of,
    measures_of,
    on_one_side,
    rates_of,
    weights_at,
)

BINS = 15
FITTED_PIXELS = 200_000
"""Pixels that the calibration is fitted on, drawn from those of all images held out."""
JUDGED_PIXELS = 4_000_000
"""Pixels that log-loss and calibration error are taken over, drawn where there are more."""
TOGETHER = 4
"""Images that the network is shown at a time."""


class SegmentationFile(TaskFile):
    """``task.json`` of a run that names pixels.

    Args:
        void: the number in masks that stood for no class, besides 255.
        binary: masks were black and white.
        temperature: log-posteriors are divided by it.
        bias: (K,) nats, added after that.
    """

    void: Annotated[int, Within(0, 255)] | None = None
    binary: bool = False
    temperature: Annotated[float, Within(1e-3, 1e4)] = 1.0
    bias: Sequence[Annotated[float, Within(-1e3, 1e3)]] = ()


Images = AnnotatedImages[ImageArray]
TrainedNet = Trained[SegmentationFile]


class SegmentTask(ImageTask[ImageArray, SegmentationFile]):
    """Names the class of every pixel."""

    name, kind, model = "segment", "segmentation", "unet"
    file = SegmentationFile
    measure = ("mean_iou", "mean IoU")

    def reader(self, data: DataKey, trained: TrainedNet | None) -> MaskReader:
        """The reader of masks; of a run, of its classes alone."""
        if trained is None:
            return MaskReader(void=data.void)
        names, facts = trained.classes.names, trained.facts
        return MaskReader(facts.void, len(names), names, binary=facts.binary)

    def learned(
        self, train: Images, validation: Images, data: DataKey
    ) -> tuple[tuple[str, ...], SegmentationFile, tuple[str, ...]]:
        """The classes of a table beside the masks, else the numbers in them; their shares of the pixels."""
        reader = train.reader
        assert isinstance(reader, MaskReader)
        counts = [_numbers(part) for part in (train, validation)]
        seen = counts[0] + counts[1]
        check(bool(seen.any()), train.source, "masks of nothing but void", "class numbers")
        count = max(len(reader.names), int(np.flatnonzero(seen)[-1]) + 1)
        names = reader.names or tuple(map(str, range(count)))
        names = ("background", "foreground") if reader.binary and not reader.names else names
        mend = "Masks hold class numbers from 0 on, and 255, or --set data.void=NUMBER, for none."
        check(count >= 2, train.source, "masks of one class", "at least two classes", mend)
        notes = [
            marked(f"no image {where} has {alone}, which images {other} have")
            for where, alone, other in on_one_side(names, *counts)
        ]
        smoothed = counts[0][:count] + 1.0  # a class that was never met is not impossible
        facts = SegmentationFile(
            shares=(smoothed / smoothed.sum()).tolist(), void=reader.void, binary=reader.binary
        )
        return names, facts, tuple(notes)

    def network(self, recipe: Recipe, classes: Classes, facts: SegmentationFile) -> nn.Module:
        """A network of ``SEGMENTERS``."""
        network = channels_last(self.made(SEGMENTERS, recipe, classes.image_shape, len(classes.names)))
        least = getattr(network, "least", 1)
        height, width = classes.size
        came = f"images of {height}x{width}"
        check(min(height, width) >= least, f"model {recipe.model.name!r}", came, f"{least}x{least} or larger")
        return network

    def batch(
        self,
        images: Tensor,
        annotations: Sequence[ImageArray],
        facts: SegmentationFile,
        augment: SceneAugment | None,
        generator: torch.Generator,
    ) -> Batch:
        """Images and masks (B, H, W)."""
        masks = torch.from_numpy(np.stack(annotations).astype(np.int64))
        if augment is None:
            return images, masks
        images, moves = augment.moved(images, generator)
        return images, moves.masks(masks, VOID)

    def loss(self, recipe: Recipe, facts: SegmentationFile) -> Loss:
        """Cross-entropy of the pixels, with Dice where the recipe weighs it in."""
        dice = recipe.loss.options.get("dice", 0.0)

        def terms(model: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
            images, masks = batch
            return {"total": mask_loss(model(images), masks, dice=dice, void=VOID)}

        return terms

    def look(self, trained: TrainedNet, images: Images) -> Mapping[str, float]:
        """Log-loss of a pixel, nats, and mean intersection over union."""
        total, pixels, named = 0.0, 0, []
        for logits, masks in _answered(trained, images):
            counted = int((masks != VOID).sum())
            total += float(mask_loss(logits, masks, void=VOID)) * counted
            pixels += counted
            named += list(logits.argmax(1).numpy())
        classes = len(trained.classes.names)
        counts = pixel_counts(zip(images.annotations, named, strict=True), classes, VOID)
        return {"log_loss": total / max(pixels, 1), "mean_iou": counts.mean_iou()}

    def calibrated(self, trained: TrainedNet, images: Images) -> SegmentationFile:
        """A temperature, with a bias for each class where that serves pixels of other images too."""
        rows = _sampled(trained, images, FITTED_PIXELS)
        bias = _bias_serves(rows)
        found = fit_bcts(rows.log_p, rows.labels, bias=bias)
        return trained.facts.model_copy(
            update={"temperature": found.temperature, "bias": found.bias.tolist()}
        )

    def judge(self, trained: TrainedNet, images: Images, prior: Tensor | None) -> Judgement:
        """Intersection over union, log-loss and calibration of the pixels; cases beside the truth."""
        names = trained.classes.names
        named, answers = _judged_pixels(trained, images, prior)
        counts = pixel_counts(zip(images.annotations, named, strict=True), len(names), VOID)
        shares = counts.total.sum(axis=1) / counts.total.sum()
        weights = None
        if prior is not None:
            rates = prior.numpy() * (shares > 0)
            came = "nothing for the classes of these images"
            check(rates.sum() > 0, "--prior", came, "a share for one of them at least")
            counts = counts.at_rates(rates / rates.sum())
            weights = weights_at(rates, shares)[answers.labels]
        found = _Measured(names, counts, answers, weights)
        return Judgement(found.figures(prior), found.text, tuple(found.sections(images, named)))

    def scenes(
        self, glyphs: ImageArray, labels: IntArray, names: Sequence[str], count: int, seed: int
    ) -> Iterator[tuple[str, bytes]]:
        """Images, masks of 0 for the ground and k + 1 for ink of class k, and their names."""
        made = compose(glyphs, labels, count, seed=seed)
        for number, (image, mask) in enumerate(zip(made.images, made.masks, strict=True)):
            yield f"images/{number:05}.png", png_of(image)
            yield f"masks/{number:05}.png", png_of(mask)
        yield "classes.txt", "\n".join(["ground", *names, ""]).encode()

    def answer(self, trained: TrainedNet, blob: bytes, asked: Asked) -> ImageAnswer:
        """The share of the image that each class has, and the mask drawn over it."""
        names = trained.classes.names
        pixels, placing = picture_of(blob, trained.classes.frame)
        with torch.no_grad():
            logits = trained.network(as_tensor(pixels[None]))
        log_p = _log_posterior(trained, logits, asked.prior)[0]
        inside = mask_in(np.zeros(placing.size, np.uint8), placing) != VOID
        p = log_p.exp()[:, torch.from_numpy(inside)]
        best = p.max(0)
        mask = mask_out(log_p.argmax(0).numpy().astype(np.uint8), placing)
        own = own_picture(blob)
        shares = np.bincount(best.indices.numpy(), minlength=len(names)) / best.indices.numel()
        named = dict(zip(names, shares.tolist(), strict=True))
        sure = float(best.values.mean())
        row = {
            "size": list(placing.size),
            "shares": named,
            "expected_shares": dict(zip(names, p.mean(1).tolist(), strict=True)),
            "mean_probability": sure,
        }
        ranked = sorted(named.items(), key=lambda pair: -pair[1])
        told = ", ".join(f"{name} {percent(share)}" for name, share in ranked if share > 0)
        text = f"{told}\n" + marked(f"  a pixel's class has a probability of {percent(sure)} on average")
        return ImageAnswer(row, text, mask_overlay(own, _sized(mask, own), class_colours(len(names))))


@dataclass(frozen=True, eq=False)
class _Measured:
    """Pixels beside the truth."""

    names: tuple[str, ...]
    counts: PixelCounts
    answers: Answers
    weights: FloatArray | None

    @cached_property
    def reliability(self) -> Reliability:
        """Stated probability of a pixel's class against how often it came true."""
        return self.answers.reliability(BINS, weights=self.weights)

    def figures(self, prior: Tensor | None) -> dict[str, Any]:
        """The measures for ``--json``."""
        table, reliability = self.counts.total, self.reliability
        return {
            "examples": len(self.counts.counts),
            "pixels": len(self.answers.labels),
            "mean_iou": self.counts.mean_iou(),
            "mean_iou_interval": list(self.counts.interval()),
            "pixel_accuracy": float(table.trace() / table.sum()),
            "log_loss": self.answers.log_loss(self.weights),
            "ece": reliability.expected_error,
            "ece_bins": BINS,
            "reliability": reliability.as_dict(),
            "prior": rates_of(prior, self.names),
            "per_class": measures_of(self.by_class, "iou", self.pixels, "pixels"),
        }

    @property
    def pixels(self) -> dict[str, int]:
        """True pixels of each class."""
        return dict(zip(self.names, self.counts.total.sum(axis=1).round().astype(int).tolist(), strict=True))

    @cached_property
    def by_class(self) -> dict[str, Estimate]:
        """Intersection over union of each class with its interval."""
        values = self.counts.iou(np.ones(len(self.counts.counts)))
        ends = self.counts.class_intervals()
        return {
            name: Estimate(float(value), float(low), float(high))
            for name, value, (low, high) in zip(self.names, values, ends, strict=True)
        }

    @cached_property
    def text(self) -> str:
        """The measures in a line, and the classes in a table."""
        low, high = self.counts.interval()
        table = self.counts.total
        lines = [
            tr(
                "{count:,} images: mean IoU {mean} ({low} to {high}), {right} of the pixels named right, "
                "log-loss {loss:.4f}, calibration error {error} over {bins} bins",
                count=len(self.counts.counts),
                mean=decimal(self.counts.mean_iou(), 3),
                low=decimal(low, 3),
                high=decimal(high, 3),
                right=percent(float(table.trace() / table.sum())),
                loss=self.answers.log_loss(self.weights),
                error=decimal(self.reliability.expected_error, 4),
                bins=BINS,
            )
        ]
        lines += lines_of(self.by_class, lambda one: f"IoU {in_decimals(one)}")
        return "\n".join(lines)

    def sections(self, images: Images, named: Sequence[ImageArray]) -> Iterator[report.Section]:
        """The report: the figures, cases, classes, reliability."""
        yield report.prose(tr("How well it names pixels"), self.text.partition("\n")[0])
        yield report.cases(
            _cases(images, named, len(self.names)),
            tr("The image, the truth, and the answer; pixels of no class are left as they are."),
        )
        heading = tr("Intersection over union of each class")
        yield report.measures_by_class(heading, self.by_class, self.pixels, "IoU", tr("pixels"))
        yield report.reliability_diagram(self.reliability, "pixel")


def _cases(images: Images, named: Sequence[ImageArray], classes: int) -> Iterator[report.Card]:
    """The two best, most typical and worst answers, by the mean intersection over union of an image."""
    each = [
        pixel_counts([(mask, answer)], classes, VOID).mean_iou()
        for mask, answer in zip(images.annotations, named, strict=True)
    ]
    colours = class_colours(classes)
    for title, row in report.telling(each):
        pixels = images.pixels[row]
        drawn = [mask_overlay(pixels, mask, colours) for mask in (images.annotations[row], named[row])]
        page = side_by_side([in_colour(pixels), *drawn])
        words = tr("mean IoU {value}", value=decimal(each[row], 3))
        yield report.Card(page, title, [words], images.paths[row])


@torch.no_grad()
def _answered(trained: TrainedNet, images: Images) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits (B, K, H, W) float32 and masks (B, H, W) of a few images at a time, on the CPU."""
    for start in range(0, len(images), TOGETHER):
        rows = slice(start, start + TOGETHER)
        logits = trained.network(images.tensor(rows).to(trained.device)).float().cpu()
        yield logits, torch.from_numpy(np.stack(images.annotations[rows]).astype(np.int64))


@dataclass(frozen=True, eq=False)
class _Rows:
    """Pixels drawn from images: log-probabilities (M, K), true classes (M,), and their images (M,)."""

    log_p: Tensor
    labels: Tensor
    image: Tensor


def _sampled(trained: TrainedNet, images: Images, most: int) -> _Rows:
    """At most so many pixels of a class, as many from each image, as the network itself answers them."""
    rng, each = numpy_generator(0, "pixels"), max(1, most // len(images))
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    at = 0
    for logits, masks in _answered(trained, images):
        for one, mask in zip(logits.log_softmax(1), masks, strict=True):
            known = np.flatnonzero(mask.numpy().ravel() != VOID)
            some = torch.from_numpy(rng.permutation(known)[:each])
            parts.append((one.flatten(1).T[some], mask.flatten()[some], torch.full((len(some),), at)))
            at += 1
    return _Rows(*(torch.cat(part) for part in zip(*parts, strict=True)))


def _bias_serves(rows: _Rows) -> bool:
    """True where a bias fitted on every other image lowers the log-loss of those between them, both ways."""
    odd = rows.image % 2 == 1
    if not bool(odd.any()) or bool(odd.all()):
        return False
    better = []
    for fit in (odd, ~odd):
        losses = []
        for bias in (False, True):
            found = fit_bcts(rows.log_p[fit], rows.labels[fit], bias=bias)
            losses.append(nn.functional.nll_loss(_scaled(rows.log_p[~fit], found, -1), rows.labels[~fit]))
        better.append(bool(losses[1] < losses[0]))
    return all(better)


def _scaled(scores: Tensor, found: Calibration, dim: int) -> Tensor:
    """Calibrated log-probabilities, the classes along ``dim``."""
    shape = [1] * scores.ndim
    shape[dim] = -1
    return (
        scores.log_softmax(dim) / found.temperature + found.bias.to(scores.dtype).view(shape)
    ).log_softmax(dim)


def _log_posterior(trained: TrainedNet, logits: Tensor, prior: Tensor | None) -> Tensor:
    """Calibrated log-posteriors (B, K, H, W), nats, at the training's base rates or at stated ones (K,)."""
    facts, names = trained.facts, trained.classes.names
    bias = torch.tensor(list(facts.bias) or [0.0] * len(names), dtype=torch.float64)
    log_p = _scaled(logits.float(), Calibration(facts.temperature, bias), 1)
    if prior is None:
        return log_p
    return at_rates(log_p.movedim(1, -1).double(), facts.shares, prior).movedim(-1, 1).float()


def _judged_pixels(
    trained: TrainedNet, images: Images, prior: Tensor | None
) -> tuple[list[ImageArray], Answers]:
    """The mask that is answered for each image, and the answers of pixels that have a class."""
    rng, each = numpy_generator(0, "judged pixels"), max(1, JUDGED_PIXELS // len(images))
    named, parts = [], []
    for logits, masks in _answered(trained, images):
        for one, mask in zip(_log_posterior(trained, logits, prior), masks, strict=True):
            named.append(one.argmax(0).numpy().astype(np.uint8))
            known = np.flatnonzero(mask.numpy().ravel() != VOID)
            some = torch.from_numpy(known if len(known) <= each else rng.permutation(known)[:each])
            if len(some):
                parts.append(Answers.of(one.flatten(1).T[some].double(), mask.flatten()[some]))
    check(bool(parts), images.source, "masks of nothing but void", "pixels of a class")
    return named, Answers.joined(parts)


def _sized(mask: ImageArray, image: ImageArray) -> ImageArray:
    """A mask as large as an image of the same shape, the nearest pixel of each."""
    rows, columns = (
        (np.arange(side) * own // side) for side, own in zip(image.shape[:2], mask.shape, strict=True)
    )
    found: ImageArray = mask[rows[:, None], columns]
    return found


def _numbers(images: Images) -> IntArray:
    """The pixels of each number, (255,), those of no class left out."""
    each = [np.bincount(mask.ravel(), minlength=VOID + 1) for mask in images.annotations]
    found: IntArray = np.sum(each, axis=0)[:VOID]
    return found
