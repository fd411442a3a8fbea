"""What may be believed of a score: reliability of probabilities, and evidence of known and unknown."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from bayesight.checks import check
from bayesight.evaluate import Reliability
from bayesight.evaluate.arrays import floats
from bayesight.report.figures.canvas import TEXT, WIDTH, chart, isolated, percent_axis, to_svg
from bayesight.report.figures.ink import stand_in
from bayesight.report.words import rate
from bayesight.types import FloatArray

__all__ = ["evidence_histogram", "reliability_diagram"]


@isolated
def reliability_diagram(data: Reliability, *, uid: str = "f") -> str:
    """Stated probability against how often it came true, with intervals, above how many images said so.

    Args:
        data: bins with their counts, confidence, accuracy and interval.
        uid: prefix of the figure's ids.

    Returns:
        An SVG element.
    """
    height, strip = 430, 84
    figure, axes = chart("probability stated", "how often it was right", height=height, bottom=48 + strip)
    filled = data.counts > 0
    x, y = data.confidence[filled], data.accuracy[filled]
    axes.plot([0, 1], [0, 1], color=stand_in("muted"), linewidth=1, linestyle=(0, (4, 3)))
    axes.vlines(x, data.low[filled], data.high[filled], color=stand_in("c1"), linewidth=1.6, alpha=0.6)
    axes.plot(x, y, "o", color=stand_in("c1"), markersize=6)
    axes.set(xlim=(0, 1.01), ylim=(0, 1.02))
    for which in "xy":
        percent_axis(axes, which)
    axes.tick_params(labelbottom=False)
    axes.set_xlabel("")
    box = axes.get_position()
    below = figure.add_axes((box.x0, 48 / height, box.width, (strip - 26) / height))
    below.patch.set_visible(False)
    below.spines[["top", "right", "left"]].set_visible(False)
    below.spines["bottom"].set_color(stand_in("muted"))
    below.bar(
        data.edges[:-1],
        data.counts,
        np.diff(data.edges) * 0.86,
        align="edge",
        color=stand_in("c1"),
        alpha=0.55,
    )
    below.set(xlim=(0, 1.01), yticks=[])
    below.tick_params(length=0, labelsize=TEXT, labelcolor=stand_in("muted"), pad=7)
    below.set_xlabel("probability stated", fontsize=TEXT, color=stand_in("ink"), labelpad=8)
    below.set_title("images", loc="left", fontsize=TEXT - 1, color=stand_in("muted"), pad=2)
    percent_axis(below, "x")
    said = f"expected calibration error {rate(data.expected_error)} over {len(data.counts)} bins"
    return to_svg(figure, f"Reliability: stated probability against the share that was right; {said}", uid)


@isolated
def evidence_histogram(
    known: npt.ArrayLike,
    unknown: npt.ArrayLike | None = None,
    *,
    threshold: float | None = None,
    unknown_above: bool = True,
    label: str = "novelty score",
    bins: int = 48,
    uid: str = "f",
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
        uid: prefix of the figure's ids.

    Returns:
        An SVG element.

    Raises:
        InvalidInput: no known scores, or one that is NaN.
    """
    groups = [(floats(known), "c1", 0.5)]
    if unknown is not None and np.size(floats(unknown)):
        groups.append((floats(unknown), "c2", 0.5))
    together = np.concatenate([scores for scores, _, _ in groups])
    check(groups[0][0].size > 0, "evidence_histogram", "got no known scores", "at least one")
    check(not np.isnan(together).any(), "evidence_histogram", "holds NaN", "scores")
    edges = _edges(together, threshold, bins)
    figure, axes = chart(label, "share of images")
    for scores, role, alpha in groups:
        shares = np.histogram(np.clip(scores, edges[0], edges[-1]), edges)[0] / len(scores)
        axes.stairs(shares, edges, fill=True, color=stand_in(role), alpha=alpha, linewidth=0)
        axes.stairs(shares, edges, color=stand_in(role), linewidth=1.2)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, axes.get_ylim()[1] * 1.12)
    percent_axis(axes, "y")
    if threshold is not None:
        _draw_threshold(axes, threshold, unknown_above)
    said = "known images" + (" and unknown ones" if len(groups) > 1 else "")
    line = f"; from {threshold:.4g} an image is called unknown" if threshold is not None else ""
    return to_svg(figure, f"Histogram of the {label} of {said}{line}", uid)


def _edges(scores: FloatArray, threshold: float | None, bins: int) -> FloatArray:
    """Edges of equal width over all but the outermost scores, the threshold always inside."""
    finite = scores[np.isfinite(scores)]
    low, high = np.quantile(finite, [0.005, 0.995]) if finite.size else (0.0, 1.0)
    if threshold is not None and np.isfinite(threshold):
        low, high = min(low, threshold), max(high, threshold)
    room = 0.04 * (high - low) or 0.5
    return np.linspace(low - room, high + room, bins + 1)


def _draw_threshold(axes: Axes, threshold: float, unknown_above: bool) -> None:
    """The line between known and unknown, with an arrow of words to the unknown side."""
    left, right = axes.get_xlim()
    top = axes.get_ylim()[1]
    axes.axvline(threshold, color=stand_in("ink"), linewidth=1.4)
    across = (threshold - left) / (right - left)
    room = (1 - across if unknown_above else across) * WIDTH > 110
    outward = unknown_above == room  # the words move to the other side when their own has no room
    words = "unknown →" if unknown_above else "← unknown"
    axes.annotate(
        words, (threshold, top), xytext=(6 if outward else -6, -2), textcoords="offset points", va="top",
        ha="left" if outward else "right", fontsize=TEXT, color=stand_in("ink"),
    )  # fmt: skip
