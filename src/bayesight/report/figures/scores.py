"""The worth of a score: reliability of probabilities, and novelty of known and unknown images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from bayesight.checks import check
from bayesight.evaluation import Reliability
from bayesight.evaluation.arrays import floats
from bayesight.language import tr
from bayesight.report.figures.axes import QUARTERS, WIDTH, Axes, Axis, numbers
from bayesight.report.figures.drawing import TEXT, picture, rect, stroke, text
from bayesight.report.figures.lines import Line, line_chart
from bayesight.report.words import rate
from bayesight.types import FloatArray

_BINS = 48


def reliability_diagram(data: Reliability) -> Markup:
    """Stated probability against how often it came true, with intervals, above how many images said so.

    Args:
        data: bins with their counts, confidence, accuracy and interval.
    """
    stated = Axis(0, 1.01, tr("probability stated"), QUARTERS)
    axes = Axes(Axis(0, 1.01), Axis(0, 1.02, tr("how often it was right"), QUARTERS), bottom=298)
    below = Axes(stated, Axis(0, float(max(data.counts.max(), 1))), top=324, bottom=382)
    parts = [*axes.frame(), axes.curve([0, 1], [0, 1], "muted", 1, dash="4 3")]
    filled = np.flatnonzero(data.counts > 0)
    for x, low, high in zip(
        axes.across(data.confidence), axes.down(data.low), axes.down(data.high), strict=True
    ):
        if np.isfinite([x, low, high]).all():
            parts.append(stroke((x, low), (x, high), "c1", 1.6, stroke_opacity=0.6))
    parts += [axes.dot(data.confidence[i], data.accuracy[i], "c1") for i in filled]
    parts += [*below.frame(), text(below.left, below.top - 4, tr("images"), role="muted", size=TEXT - 1)]
    left, top = below.across(data.edges), below.down(data.counts)
    for x, end, y in zip(left[:-1], left[1:], top, strict=True):
        parts.append(rect(x, y, 0.86 * (end - x), below.bottom - y, fill="c1", fill_opacity=0.55))
    said = tr(
        "expected calibration error {expected_error} over {bins} bins",
        expected_error=rate(data.expected_error),
        bins=len(data.counts),
    )
    label = tr("Reliability: stated probability against the share that was right; {said}", said=said)
    return picture(WIDTH, below.bottom + 48, label, parts)


def novelty_histogram(
    known: npt.ArrayLike, unknown: npt.ArrayLike = (), threshold: float | None = None
) -> Markup:
    """Novelty of known and of unknown images, and where the line is drawn between them.

    The outermost half per cent at either end is counted into the end bins, so that one extreme image does not
    flatten the rest. Each group is shown as shares of itself.

    Args:
        known: scores of images of known classes (N,).
        unknown: scores of images of none of them (M,).
        threshold: the score from which an image is called unknown.

    Raises:
        InvalidInput: no known scores, or one that is NaN.
    """
    groups = {tr("known"): floats(known), tr("unknown"): floats(unknown)}
    together = np.concatenate(list(groups.values()))
    check(np.size(known) > 0, "novelty_histogram", "got no known scores", "at least one")
    check(not np.isnan(together).any(), "novelty_histogram", "holds NaN", "scores")
    edges = _edges(together, threshold)
    lines = []
    for name, scores in groups.items():
        if scores.size:
            share = np.histogram(np.clip(scores, edges[0], edges[-1]), edges)[0] / len(scores)
            x, y = np.repeat(edges, 2), np.pad(np.repeat(share, 2), 1)
            lines.append(Line(name, x, y, np.zeros_like(y), y))
    highest = 1.05 * max(float(np.max(line.y)) for line in lines)
    shares = numbers(0, highest, tr("share of images"), words=rate)
    marks = {} if threshold is None else {tr("unknown →"): threshold}
    return line_chart(lines, numbers(edges[0], edges[-1], tr("novelty score")), shares, marks=marks)


def _edges(scores: FloatArray, threshold: float | None) -> FloatArray:
    """Edges of equal width over all but the outermost scores, the threshold always inside."""
    finite = scores[np.isfinite(scores)]
    low, high = np.quantile(finite, [0.005, 0.995]) if finite.size else (0.0, 1.0)
    if threshold is not None and np.isfinite(threshold):
        low, high = min(low, threshold), max(high, threshold)
    room = 0.04 * (high - low) or 0.5
    return np.linspace(low - room, high + room, _BINS + 1)
