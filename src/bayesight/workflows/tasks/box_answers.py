"""Boxes found, each with the posterior of what it frames, beside those that are there."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

from bayesight import report
from bayesight.bayes.rates import Estimate
from bayesight.data.annotated import AnnotatedImages
from bayesight.data.annotations import Annotated
from bayesight.evaluation.boxes import UNCOUNTED, BoxMatches, FoundBoxes, TrueBoxes, box_truth, match_boxes
from bayesight.evaluation.calibration import Answers, Reliability
from bayesight.formatting import decimal, percent
from bayesight.language import marked, tr
from bayesight.report.overlays import box_overlay, class_colours, in_colour, side_by_side
from bayesight.types import FloatArray, ImageArray, IntArray
from bayesight.workflows.tasks.base import in_decimals, lines_of, measures_of, rates_of, weights_at

Images: TypeAlias = AnnotatedImages[Annotated]
BINS = 15
LEAST = 0.05
"""From this probability on a box is told of, and counts for the calibration error."""
SHOWN = 0.5
"""From this probability on a box is drawn, and named in a line."""
_SCORED = 0.01  # from this probability on a box of a class counts for average precision
_DRAWS = 500  # of the bootstrap


@dataclass(frozen=True, eq=False)
class BoxPosteriors:
    """Boxes of an image (M, 4), the likeliest first, and what each frames: log-posteriors (M, K + 1)."""

    boxes: FloatArray
    log_p: FloatArray

    @property
    def kinds(self) -> IntArray:
        """(M,) the likeliest class of each, if it frames anything."""
        found: IntArray = self.log_p[:, :-1].argmax(axis=1)
        return found

    @property
    def p(self) -> FloatArray:
        """(M,) the probability of that class."""
        found: FloatArray = np.exp(self.log_p[:, :-1].max(axis=1, initial=-math.inf))
        return found

    def at(self, rows: Any) -> BoxPosteriors:
        """Some of them."""
        return BoxPosteriors(self.boxes[rows], self.log_p[rows])

    @property
    def found(self) -> FoundBoxes:
        """A box of each class that is not all but excluded."""
        p = np.exp(self.log_p[:, :-1])
        rows, kinds = np.nonzero(p > _SCORED)
        return FoundBoxes(self.boxes[rows], kinds, p[rows, kinds])


@dataclass(frozen=True, eq=False)
class MeasuredBoxes:
    """Boxes beside the truth.

    Args:
        names: of the classes.
        matches: at the overlaps of COCO.
        answers: the boxes that are told of, each with its likeliest class.
        weights: of those, as for stated base rates; None where none are stated.
        prior: stated base rates (K,).
        unknown: true boxes of classes that the run does not know.
    """

    names: tuple[str, ...]
    matches: BoxMatches
    answers: Answers
    weights: FloatArray | None
    prior: Tensor | None
    unknown: Mapping[str, int]

    @classmethod
    def of(
        cls,
        names: tuple[str, ...],
        images: Images,
        posteriors: Sequence[BoxPosteriors],
        prior: Tensor | None,
    ) -> MeasuredBoxes:
        """The measures of posteriors of every image's boxes."""
        truths = [truth_of(one, names) for one in images.annotations]
        matches = match_boxes(
            [(true, one.found) for true, one in zip(truths, posteriors, strict=True)], len(names)
        )
        parts = []
        for true, one in zip(truths, posteriors, strict=True):
            told = one.at(one.p >= LEAST)
            truth = box_truth(told.boxes, true, len(names))
            log_p, rows = told.log_p[truth != UNCOUNTED], truth[truth != UNCOUNTED]
            kinds = log_p[:, :-1].argmax(axis=1)
            at = np.arange(len(rows))
            parts.append(Answers(rows, kinds, log_p[at, kinds], log_p[at, rows]))
        answers = Answers.joined(parts)
        weights = None
        if prior is not None:
            ratio = weights_at(prior.numpy(), matches.present.sum(axis=0))
            weights = np.append(ratio, 1.0)[answers.labels]
        unknown = Counter(name for one in images.annotations for name in one.names if name not in names)
        return cls(names, matches, answers, weights, prior, unknown)

    @cached_property
    def reliability(self) -> Reliability | None:
        """Stated probability of a box's class against how often it came true; None without a box."""
        known = len(self.answers.labels) and (self.weights is None or self.weights.sum() > 0)
        return self.answers.reliability(BINS, weights=self.weights) if known else None

    @cached_property
    def precision(self) -> dict[str, Estimate]:
        """Average precision at .5 and over the overlaps of COCO, means over classes."""
        found = {}
        for name, overlap in (("0.5", 0.5), ("0.5:0.95", None)):
            low, high = self.matches.interval(overlap, draws=_DRAWS)
            found[name] = Estimate(self.matches.mean_average_precision(None, overlap), low, high)
        return found

    @cached_property
    def by_class(self) -> dict[str, Estimate]:
        """Average precision of each class at an overlap of .5."""
        each, ends = self.matches.average_precision()[0], self.matches.class_intervals(0.5, draws=_DRAWS)
        return {
            name: Estimate(float(value), float(low), float(high))
            for name, value, (low, high) in zip(self.names, each, ends, strict=True)
        }

    @property
    def boxes(self) -> dict[str, int]:
        """True boxes of each class."""
        return dict(zip(self.names, self.matches.present.sum(axis=0).tolist(), strict=True))

    @property
    def figures(self) -> dict[str, Any]:
        """The measures for ``--json``."""
        reliability = self.reliability
        return {
            "examples": len(self.matches.present),
            "boxes": sum(self.boxes.values()),
            "average_precision": {name: one.mean for name, one in self.precision.items()},
            "average_precision_interval": {name: [one.low, one.high] for name, one in self.precision.items()},
            "f1": self.matches.f1(0.5, SHOWN),
            "ece": None if reliability is None else reliability.expected_error,
            "ece_bins": BINS,
            "ece_from_probability": LEAST,
            "reliability": None if reliability is None else reliability.as_dict(),
            "prior": rates_of(self.prior, self.names),
            "per_class": measures_of(self.by_class, "average_precision", self.boxes, "boxes"),
            "unknown_boxes": dict(self.unknown),
        }

    @cached_property
    def text(self) -> str:
        """The measures in a line, and the classes in a table."""
        half, mean = self.precision["0.5"], self.precision["0.5:0.95"]
        ece = "–" if self.reliability is None else decimal(self.reliability.expected_error, 4)
        lines = [
            tr(
                "{images:,} images, {boxes:,} boxes: average precision {half} at an overlap of .5, {mean} "
                "over .5 to .95, F1 {f1}, calibration error {error} over {bins} bins",
                images=len(self.matches.present),
                boxes=sum(self.boxes.values()),
                half=in_decimals(half),
                mean=decimal(mean.mean, 3),
                f1=decimal(self.matches.f1(0.5, SHOWN), 3),
                error=ece,
                bins=BINS,
            )
        ]
        lines += lines_of(self.by_class, in_decimals)
        if self.unknown:
            told = ", ".join(f"{name} {count:,}" for name, count in self.unknown.items())
            lines.append(marked(f"  left out boxes of classes that the run does not know: {told}"))
        return "\n".join(lines)

    def sections(self, images: Images, posteriors: Sequence[BoxPosteriors]) -> Iterator[report.Section]:
        """The report: the figures, cases, classes, reliability."""
        yield report.prose(tr("How well it finds boxes"), self.text.partition("\n")[0])
        words = tr(
            "The image, its boxes, and those found with a probability of {share} or more.",
            share=percent(SHOWN),
        )
        yield report.cases(_cases(images, posteriors, self.names), words)
        heading = tr("Average precision of each class at an overlap of .5")
        measure = tr("average precision")
        yield report.measures_by_class(heading, self.by_class, self.boxes, measure, tr("boxes"))
        if self.reliability is not None:
            yield report.reliability_diagram(self.reliability, "box")


def truth_of(one: Annotated, names: Sequence[str]) -> TrueBoxes:
    """The boxes of an image whose class is known."""
    number = {name: k for k, name in enumerate(names)}
    rows = [row for row, name in enumerate(one.names) if name in number]
    kinds = np.array([number[one.names[row]] for row in rows], np.int64)
    return TrueBoxes(one.boxes[rows], kinds, one.difficult[rows].astype(bool))


def _cases(
    images: Images, posteriors: Sequence[BoxPosteriors], names: tuple[str, ...]
) -> Iterator[report.Card]:
    """The two best, most typical and worst answers, by the F1 of an image."""
    each = []
    for annotation, one in zip(images.annotations, posteriors, strict=True):
        pair = (truth_of(annotation, names), one.found)
        each.append(match_boxes([pair], len(names), overlaps=(0.5,)).f1(0.5, SHOWN))
    for title, row in report.telling(each):
        pixels, one = images.pixels[row], posteriors[row]
        true = truth_of(images.annotations[row], names)
        marks = [names[k] for k in true.classes.tolist()]
        truth = box_overlay(pixels, true.boxes, class_colours(len(names))[true.classes], marks)
        page = side_by_side([in_colour(pixels), truth, drawn(pixels, one.at(one.p >= SHOWN), names)])
        yield report.Card(page, title, [f"F1 {decimal(each[row], 3)}"], images.paths[row])


def drawn(image: ImageArray, shown: BoxPosteriors, names: Sequence[str]) -> ImageArray:
    """An image with boxes, each with its class and probability."""
    marks = [f"{names[k]} {percent(p)}" for k, p in zip(shown.kinds.tolist(), shown.p.tolist(), strict=True)]
    return box_overlay(image, shown.boxes, class_colours(len(names))[shown.kinds], marks)
