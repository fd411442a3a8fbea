"""What may be believed of a score: reliability of probabilities, and evidence of known and unknown."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import numpy.typing as npt

from bayesight.checks import check
from bayesight.evaluation import Reliability
from bayesight.evaluation.arrays import floats
from bayesight.language import marked, tr
from bayesight.report.figures.canvas import (
    HEIGHT,
    TEXT,
    WIDTH,
    Axes,
    Scale,
    area,
    axes_of,
    curve,
    dot,
    even_ticks,
    grid,
    horizontal_axis,
    plain,
    rule,
)
from bayesight.report.figures.drawing import node, picture, stroke, text
from bayesight.report.figures.ink import css
from bayesight.report.words import rate
from bayesight.types import FloatArray

__all__ = ["evidence_histogram", "reliability_diagram"]


def reliability_diagram(data: Reliability) -> str:
    """Stated probability against how often it came true, with intervals, above how many images said so.

    Args:
        data: bins with their counts, confidence, accuracy and interval.

    Returns:
        An SVG element.
    """
    height, strip = 430, 84
    x_scale, fifths = Scale(0, 1.01), [0, 0.2, 0.4, 0.6, 0.8, 1]
    axes = axes_of(x_scale, Scale(0, 1.02), size=(WIDTH, height), bottom=48 + strip)
    filled = data.counts > 0
    x, y, low, high = (part[filled] for part in (data.confidence, data.accuracy, data.low, data.high))
    parts = grid(axes, fifths, tr("how often it was right"))
    parts += horizontal_axis(axes, fifths, "")
    parts.append(curve(axes, [0, 1], [0, 1], "muted", width=1, dash="4 3"))
    for at, down, up in zip(axes.across(x), axes.down(low), axes.down(high), strict=True):
        parts.append(stroke((at, down), (at, up), "c1", 1.6, more="stroke-opacity:0.6"))
    parts += [dot(axes, float(a), float(b), "c1", 3) for a, b in zip(x, y, strict=True)]
    most = float(max(data.counts.max(), 1))
    below = Axes(x_scale, Scale(0, most), axes.left, axes.right, height - 48 - (strip - 26), height - 48)
    parts.append(text(below.left, below.top - 4, tr("images"), role="muted", size=TEXT - 1))
    parts += _bars(below, data.edges, data.counts)
    parts += horizontal_axis(below, fifths, tr("probability stated"))
    said = tr(
        "expected calibration error {expected_error} over {bins} bins",
        expected_error=rate(data.expected_error),
        bins=len(data.counts),
    )
    label = tr("Reliability: stated probability against the share that was right; {said}", said=said)
    return picture(WIDTH, height, label, parts)


def evidence_histogram(
    known: npt.ArrayLike,
    unknown: npt.ArrayLike | None = None,
    *,
    threshold: float | None = None,
    unknown_above: bool = True,
    label: str = marked("novelty score"),
    bins: int = 48,
) -> str:
    """How the score of known and of unknown images is spread, and where the line is drawn between them.

    The outermost half per cent at either end is counted into the end bins, so that one extreme image does not
    flatten the rest. Each group is shown as shares of itself.

    Args:
        known: scores of images of known classes (N,).
        unknown: scores of images of none of them (M,), or None.
        threshold: the score from which an image is called unknown.
        unknown_above: whether larger scores are the unknown ones (False for an evidence, which falls).
        label: of the horizontal axis.
        bins: how many.

    Returns:
        An SVG element.

    Raises:
        InvalidInput: no known scores, or one that is NaN.
    """
    label = tr(label)
    groups = [(floats(known), "c1")]
    if unknown is not None and np.size(floats(unknown)):
        groups.append((floats(unknown), "c2"))
    together = np.concatenate([scores for scores, _ in groups])
    check(groups[0][0].size > 0, "evidence_histogram", "got no known scores", "at least one")
    check(not np.isnan(together).any(), "evidence_histogram", "holds NaN", "scores")
    edges = _edges(together, threshold, bins)
    shares = [np.histogram(np.clip(s, edges[0], edges[-1]), edges)[0] / len(s) for s, _ in groups]
    highest = max(float(share.max()) for share in shares)
    axes = axes_of(Scale(float(edges[0]), float(edges[-1])), Scale(0, 1.17 * highest))
    ticks = even_ticks(axes.x.low, axes.x.high, 8)
    parts = grid(axes, even_ticks(0, axes.y.high, 6), tr("share of images"))
    for share, (_, role) in zip(shares, groups, strict=True):
        x, y = np.repeat(edges, 2), np.pad(np.repeat(share, 2), 1)
        parts += [area(axes, x, (np.zeros_like(y), y), role, 0.5), curve(axes, x, y, role, width=1.2)]
    parts += horizontal_axis(axes, ticks, label, plain(ticks))
    if threshold is not None:
        parts += _threshold(axes, threshold, unknown_above)
    said = tr("known images") + (tr(" and unknown ones") if len(groups) > 1 else "")
    line = (
        tr("; from {threshold:.4g} an image is called unknown", threshold=threshold)
        if threshold is not None
        else ""
    )
    return picture(
        WIDTH,
        HEIGHT,
        tr("Histogram of the {label} of {said}{line}", label=label, said=said, line=line),
        parts,
    )


def _edges(scores: FloatArray, threshold: float | None, bins: int) -> FloatArray:
    """Edges of equal width over all but the outermost scores, the threshold always inside."""
    finite = scores[np.isfinite(scores)]
    low, high = np.quantile(finite, [0.005, 0.995]) if finite.size else (0.0, 1.0)
    if threshold is not None and np.isfinite(threshold):
        low, high = min(low, threshold), max(high, threshold)
    room = 0.04 * (high - low) or 0.5
    return np.linspace(low - room, high + room, bins + 1)


def _threshold(axes: Axes, threshold: float, unknown_above: bool) -> list[ET.Element]:
    """The line between known and unknown, with an arrow of words to the unknown side."""
    along = float(axes.x.share(threshold))
    room = (1 - along if unknown_above else along) * WIDTH > 110
    outward = unknown_above == room  # the words move to the other side when their own has no room
    words = tr("unknown →") if unknown_above else tr("← unknown")
    at = float(axes.across(threshold)) + (6 if outward else -6)
    anchor = "start" if outward else "end"
    line = rule(axes, threshold, "ink", width=1.4)
    return [line, text(at, axes.top + 13, words, anchor=anchor, size=TEXT)]


def _bars(axes: Axes, edges: FloatArray, counts: npt.ArrayLike) -> list[ET.Element]:
    """One bar a bin, standing on the lower side."""
    left, top = axes.across(edges), axes.down(counts)
    style = f"fill:{css('c1')};fill-opacity:0.55"
    return [
        node("rect", x=a, y=y, width=0.86 * (b - a), height=axes.bottom - y, style=style)
        for a, b, y in zip(left[:-1].tolist(), left[1:].tolist(), top.tolist(), strict=True)
    ]
