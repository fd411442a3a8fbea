"""Key points found beside the truth: shares, likeness, probabilities that come true, and words for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bayesight import report
from bayesight.bayes.rates import Estimate
from bayesight.data.annotated import AnnotatedImages
from bayesight.evaluation.calibration import Answers, Reliability
from bayesight.evaluation.keypoints import FigurePoints, tolerances_of
from bayesight.formatting import decimal, percent
from bayesight.language import tr
from bayesight.report.overlays import in_colour, side_by_side, skeleton_overlay
from bayesight.types import FloatArray, ImageArray
from bayesight.workflows.tasks.base import in_percent, lines_of, measures_of

BINS = 15
NEAR = 0.1
"""A point is near enough within this share of the longer side of its figure's box."""
SHARES = (0.05, NEAR, 0.2)
"""Shares at which PCK is measured."""
DRAWS = 300
"""Samples of images that intervals are taken from."""


@dataclass(frozen=True, eq=False)
class KeypointMeasures:
    """The key points of figures beside the truth, in the pixels of their frames.

    Args:
        names: (P,) of the points.
        lines: pairs of points that are drawn with a line between.
        images: they are of.
        points: theirs, and those found.
        p: (G, P) the probability of each point to be near enough.
    """

    names: Sequence[str]
    lines: Sequence[Sequence[int]]
    images: AnnotatedImages[Any]
    points: FigurePoints
    p: FloatArray

    @cached_property
    def answers(self) -> Answers:
        """The probability of each point that is there to be near enough, and whether it was."""
        there = self.points.there
        return Answers.of_events(self.p[there], self.points.near(NEAR)[there])

    @cached_property
    def reliability(self) -> Reliability:
        """Those probabilities against how often they came true."""
        return self.answers.reliability(BINS)

    @cached_property
    def shares(self) -> dict[float, Estimate]:
        """The share of points found, by the share of their figure's size that they are found within."""
        return {share: Estimate(*self.points.pck(share, draws=DRAWS)) for share in SHARES}

    @cached_property
    def by_point(self) -> dict[str, Estimate]:
        """The share of each point found within ``NEAR``."""
        each = (self.points.pck(NEAR, k, draws=DRAWS) for k in range(len(self.names)))
        return {name: Estimate(*one) for name, one in zip(self.names, each, strict=True)}

    @cached_property
    def counts(self) -> dict[str, int]:
        """The number of each point that is there."""
        return dict(zip(self.names, self.points.there.sum(axis=0).tolist(), strict=True))

    @cached_property
    def figures(self) -> dict[str, Any]:
        """The measures for ``--json``; a figure is as sure as its points are on average."""
        matches = self.points.matches(self.p.mean(axis=1), tolerances_of(self.names))
        return {
            "examples": len(self.images),
            "figures": len(self.p),
            "points": int(self.points.there.sum()),
            "pck": self.shares[NEAR].mean,
            "within": NEAR,
            "pck_at": {
                f"{share:g}": {"pck": one.mean, "interval": [one.low, one.high]}
                for share, one in self.shares.items()
            },
            "oks_ap": matches.mean_average_precision(),
            "oks_ap_interval": list(matches.interval(draws=DRAWS)),
            "oks_ap_50": matches.mean_average_precision(overlap=0.5),
            "oks_ap_75": matches.mean_average_precision(overlap=0.75),
            "log_loss": self.answers.log_loss(),
            "ece": self.reliability.expected_error,
            "ece_bins": BINS,
            "reliability": self.reliability.as_dict(),
            "per_point": measures_of(self.by_point, "pck", self.counts, "points"),
        }

    @cached_property
    def text(self) -> str:
        """The measures in a line, and the points in a table."""
        shares = ", ".join(
            tr("{share} within {radius}", share=in_percent(one), radius=percent(share, 0))
            for share, one in self.shares.items()
        )
        low, high = self.figures["oks_ap_interval"]
        lines = [
            tr(
                "{images:,} images, {figures:,} figures: key points {shares} of the longer side of the "
                "figure's box; average precision by likeness {ap} ({low} to {high}), calibration error of a "
                "point's probability {error} over {bins} bins",
                images=len(self.images),
                figures=len(self.p),
                shares=shares,
                ap=decimal(self.figures["oks_ap"], 3),
                low=decimal(low, 3),
                high=decimal(high, 3),
                error=decimal(self.reliability.expected_error, 4),
                bins=BINS,
            )
        ]
        return "\n".join([*lines, *lines_of(self.by_point, in_percent)])

    def sections(self) -> Iterator[report.Section]:
        """The report: the figures, cases, points, reliability."""
        yield report.prose(tr("How well it finds key points"), self.text.partition("\n")[0])
        yield report.cases(
            self._cases(), tr("The image, its key points, and those found, the redder the less likely.")
        )
        heading = tr("Share of each key point found within {radius}", radius=percent(NEAR, 0))
        yield report.measures_by_class(heading, self.by_point, self.counts, tr("share"), tr("points"))
        yield report.reliability_diagram(self.reliability, "point")

    def _cases(self) -> Iterator[report.Card]:
        """The two best, most typical and worst images, by the mean distance of their points."""
        mean = self.points.mean_gaps()
        for title, row in report.telling((-mean).tolist()):
            words = tr("points off by {share} on average", share=percent(float(mean[row])))
            yield report.Card(self._page(row), title, [words], self.images.paths[row])

    def _page(self, row: int) -> ImageArray:
        """An image, its key points, and those found, side by side."""
        own, pixels = self.points.image == row, in_colour(self.images.pixels[row])
        true, found = self.points.true[own], self.points.found[own]
        sure = np.where(self.points.there[own], 1.0, np.nan)
        drawn = (true, np.full_like(sure, np.nan)), (true, sure), (found, self.p[own])
        return side_by_side([skeleton_overlay(pixels, one, self.lines, p) for one, p in drawn])
