"""Lines over an axis: learning, precision against base rate, posterior against prevalence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from bayesight.checks import check
from bayesight.evaluate.arrays import floats
from bayesight.report.figures.canvas import HEIGHT, TEXT, chart, isolated, percent_axis, to_svg, veiled
from bayesight.report.figures.ink import stand_in
from bayesight.report.words import rate
from bayesight.types import FloatArray

__all__ = ["Curve", "learning_curve", "rate_curve"]


@dataclass(frozen=True)
class Curve:
    """A line with an optional band.

    Attributes:
        y: heights (G,), fractions in [0, 1].
        low: lower edge of the band (G,), or None.
        high: its upper edge (G,), or None.
    """

    y: npt.ArrayLike
    low: npt.ArrayLike | None = None
    high: npt.ArrayLike | None = None


@isolated
def learning_curve(
    epochs: npt.ArrayLike,
    train: npt.ArrayLike | None,
    validation: npt.ArrayLike | None,
    quantity: str,
    *,
    best_epoch: int | None = None,
    uid: str = "f",
) -> str:
    """One quantity over the epochs: training dashed in the second colour, validation solid in the first.

    Args:
        epochs: epoch numbers (E,).
        train: the quantity on training data (E,), NaN where unknown, or None.
        validation: the same on validation data.
        quantity: "accuracy" (a fraction, shown in per cent) or the label of the axis.
        best_epoch: the epoch whose weights were kept, marked.
        uid: prefix of the figure's ids.

    Returns:
        An SVG element.
    """
    x = floats(epochs)
    figure, axes = chart("epoch", quantity)
    for values, role, style in ((train, "c2", (0, (4, 2))), (validation, "c1", "-")):
        if values is not None:
            y = floats(values)
            check(
                y.shape == x.shape, "learning_curve", f"{y.shape} for {x.shape} epochs", "one value an epoch"
            )
            single = "o" if np.isfinite(y).sum() == 1 else ""
            axes.plot(x, y, color=stand_in(role), linestyle=style, linewidth=2, marker=single)
    if best_epoch is not None:
        axes.axvline(best_epoch, color=stand_in("muted"), linewidth=1, linestyle=(0, (2, 2)))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
    axes.margins(x=0.02, y=0.08)
    if quantity == "accuracy":
        percent_axis(axes, "y")
    kept = f"; the weights of epoch {best_epoch} were kept" if best_epoch is not None else ""
    return to_svg(figure, f"{quantity} over {len(x)} epochs on training and validation data{kept}", uid)


@isolated
def rate_curve(
    base_rate: npt.ArrayLike,
    curves: list[Curve],
    axis: tuple[str, str],
    *,
    marks: dict[str, float] | None = None,
    log: bool = True,
    uid: str = "f",
) -> str:
    """Fractions against a base rate, as precision is against prevalence.

    Args:
        base_rate: base rates (G,), ascending, in [0, 1]; above 0 on a logarithmic axis.
        curves: up to four lines over it, in the order of the colours; the second is dashed.
        axis: labels of the horizontal and the vertical axis, and what a screen reader says.
        marks: base rates to point out by name: a vertical line, and a dot where it meets the first curve.
        log: a logarithmic horizontal axis, for base rates that are far apart.
        uid: prefix of the figure's ids.

    Returns:
        An SVG element.
    """
    x = floats(base_rate)
    marks = {name: value for name, value in (marks or {}).items() if x[0] <= value <= x[-1]}
    top = 36 + (0, 18, 32)[min(len(marks), 2)]
    figure, axes = chart(axis[0], axis[1], height=HEIGHT + top - 36, top=top)
    styles = ["-", (0, (5, 2)), (0, (1, 1.5)), "-."]
    for curve, role, style in zip(curves, ("c1", "c2", "c3", "c4"), styles, strict=False):
        if curve.low is not None and curve.high is not None:
            band = stand_in(role)
            axes.fill_between(x, floats(curve.low), floats(curve.high), color=band, alpha=0.18, linewidth=0)
        axes.plot(x, floats(curve.y), color=stand_in(role), linewidth=2.2, linestyle=style)
    _mark(axes, x, floats(curves[0].y), marks, log)
    _rate_axes(axes, x, log)
    points = "; ".join(f"{name} {rate(value)}" for name, value in marks.items())
    return to_svg(figure, f"{axis[1]} against {axis[0]}" + (f"; marked: {points}" if points else ""), uid)


def _mark(axes: Axes, x: FloatArray, y: FloatArray, marks: dict[str, float], log: bool) -> None:
    """A vertical line with its name above the chart, and a dot on the curve, for each mark."""
    position = np.log(x) if log else x
    taken: list[float] = []
    for name, value in sorted(marks.items(), key=lambda item: item[1]):
        at = float(np.log(value)) if log else value
        height = float(np.interp(at, position, y))
        across = (at - position[0]) / (position[-1] - position[0])
        axes.plot([value, value], [0, 1.02], color=stand_in("muted"), linewidth=1, linestyle=(0, (2, 2)))
        axes.plot(
            [value], [height], "o", color=stand_in("c1"), markersize=7, markeredgecolor=stand_in("paper")
        )
        level = sum(abs(across - other) < 0.3 for other in taken)
        side = "left" if across < 0.12 else "right" if across > 0.88 else "center"
        axes.annotate(
            veiled(name), (value, 1.02), xytext=(0, 3 + 14 * level), textcoords="offset points", ha=side,
            fontsize=TEXT - 1, color=stand_in("muted"), annotation_clip=False,
        )  # fmt: skip
        taken.append(across)


def _rate_axes(axes: Axes, x: FloatArray, log: bool) -> None:
    """Both axes in per cent; decades at 1, 10 and 100 when logarithmic."""
    axes.set_ylim(0, 1.02)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    percent_axis(axes, "y")
    if log:
        axes.set_xscale("log")
        ticks = [t for t in (1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1) if x[0] <= t <= x[-1] * (1 + 1e-9)]
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_minor_locator(NullLocator())
    percent_axis(axes, "x")
    axes.set_xlim(x[0], x[-1])
