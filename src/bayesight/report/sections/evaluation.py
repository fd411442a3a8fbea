"""Sections that say how good it is: confusion, each class as a test, base rates, reliability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, sparray

from bayesight.evaluation import ConfusedPair, Reliability, most_confused
from bayesight.evaluation.arrays import floats
from bayesight.language import marked, tr
from bayesight.report import figures
from bayesight.report.blocks import (
    Alternatives,
    Beside,
    Block,
    Cell,
    Chart,
    Column,
    Fold,
    Items,
    Key,
    Option,
    Section,
    TableBlock,
    Words,
)
from bayesight.report.figures import Line, confusion_heat_map, rate_curve
from bayesight.report.figures.drawing import width_of
from bayesight.report.figures.matrix import LARGEST
from bayesight.report.sections.overview import ClassReading, worth
from bayesight.report.words import (
    count,
    interval,
    mean_of,
    percent,
    plural,
    rate,
    ratio,
    ratio_interval,
    spread,
)
from bayesight.types import FloatArray

__all__ = ["PrecisionCurve", "confusion_table", "per_class", "precision_curves", "reliability_diagram"]

_BESIDE = 470  # widest figure, in CSS pixels, that still leaves room for words beside it
_POINTS = (0.001, 0.01, 0.1, 0.5)


@dataclass(frozen=True)
class PrecisionCurve(Line):
    """Precision of the class ``name`` (``y``) at every base rate in (0, 1] (``x``).

    Attributes:
        sample_rate: base rate among the test images.
        stated_rate: base rate the user stated, if any.
    """

    sample_rate: float | None = None
    stated_rate: float | None = None


def confusion_table(matrix: npt.ArrayLike | sparray, classes: tuple[str, ...], *, worst: int = 5) -> Section:
    """Confusion matrix as a heat map, with the most confused pairs in words.

    Args:
        matrix: counts (K, K), rows true, columns predicted; an array, or a sparse one of SciPy.
        classes: names (K,).
        worst: how many of the most confused pairs to put into words.
    """
    heading = tr("Who is taken for whom")
    given: Any = matrix if isinstance(matrix, sparray) else floats(matrix)
    counts: Any = csr_array(given)
    mistakes = float(counts.sum() - counts.diagonal().sum())
    said: list[Block] = []
    if mistakes == 0:
        said.append(
            Words(
                (
                    tr(
                        "Not one of {images} was taken for another class.",
                        images=plural(counts.sum(), "image"),
                    ),
                )
            )
        )
    else:
        total = tr(
            "{mistakes} in {images}. Most often:",
            mistakes=plural(mistakes, "mistake"),
            images=plural(counts.sum(), "image"),
        )
        pairs = most_confused(counts, worst)
        said += [Words((total,)), Items(tuple(_pair(pair, classes) for pair in pairs), ordered=True)]
    said.append(
        Words((tr("A row holds the images of one class, a column those that were called it."),), quiet=True)
    )
    drawn, names, left_out = _largest(counts, classes)
    if left_out:
        said.append(Words((left_out,), quiet=True))
    keys = (Key("c1", "band", tr("rightly named")), Key("c2", "band", tr("mistaken")))
    svg = confusion_heat_map(drawn, names)
    if width_of(svg) <= _BESIDE:
        return Section(heading, (Beside(Chart(svg, keys), tuple(said)),))
    return Section(heading, (Chart(svg, keys, scrolls=True), *said))


def per_class(
    readings: tuple[ClassReading, ...], *, base_rates: str = marked("the test images"), level: float = 0.95
) -> Section:
    """Each class as a diagnostic test, in a table.

    Args:
        readings: one for each class.
        base_rates: where the base rates behind the precision come from ("the test images", "your prior").
        level: credible level of the intervals.
    """
    columns = (
        Column(tr("class"), numeric=False),
        Column(tr("images"), tr("of the class")),
        Column(tr("sensitivity"), tr("of the class, found")),
        Column(tr("false alarm"), tr("of the others, accused")),
        Column(tr("precision"), tr("of those called it, right")),
        Column(tr("LR+"), tr("being called it multiplies the odds by")),
        Column(tr("LR−"), tr("not being called it multiplies them by")),
    )
    rows = tuple(
        (
            Cell(r.name),
            Cell(count(r.support)),
            _share(r, "sensitivity"),
            _share(r, "false_alarm", 2),
            _share(r, "precision"),
            _ratio(r, "likelihood_ratio_positive"),
            _ratio(r, "likelihood_ratio_negative"),
        )
        for r in readings
    )
    words = (
        tr(
            "Each class is read as a test: it, or anything else. Sensitivity and false alarm "
            "belong to the classifier; precision belongs to the place as well, here with the base "
            "rates of {base_rates}. Small figures are {level} credible intervals.",
            base_rates=tr(base_rates),
            level=rate(level),
        ),
    )
    said_of = [r for r in readings if np.isfinite(mean_of(r.precision))]
    sentences = tuple(_sentence(worth(r, level)) for r in said_of)
    said = Fold(tr("The precision of every class in words"), (Items(sentences),))
    heading = tr("Each class as a test")
    return Section(heading, (Words(words), TableBlock(columns, rows, heading), said))


def precision_curves(curves: tuple[PrecisionCurve, ...], *, chosen: str = "", log: bool = True) -> Section:
    """Precision against base rate, for a class to be chosen on the page.

    Args:
        curves: one for each class that can be chosen.
        chosen: name of the class shown first; the first curve when empty.
        log: a logarithmic axis of base rates.
    """
    options = tuple(Option(curve.name, _precision(curve, log)) for curve in curves)
    first = next((i for i, curve in enumerate(curves) if curve.name == chosen), 0)
    words = tr(
        "The rarer a class is where the classifier is used, the more of its positives are false alarms."
    )
    return Section(
        tr("What a positive is worth elsewhere"),
        (Words((words,)), Alternatives(tr("What is it worth to be called"), options, first)),
    )


_COUNTED = (
    marked("{count} pixel"),
    marked("{count} point"),
    marked("{count} answer"),
    marked("{count} box"),
)  # as ``plural`` asks for it
_STATED_FOR = {
    "image": marked("how many images each probability was stated for."),
    "point": marked("how many points each probability was stated for."),
    "pixel": marked("how many pixels each probability was stated for."),
    "answer": marked("how many answers each probability was stated for."),
    "box": marked("how many boxes each probability was stated for."),
}


def reliability_diagram(data: Reliability, unit: str = "image") -> Section:
    """Reliability diagram: stated probabilities against how often they come true.

    Args:
        data: from ``bayesight.evaluation.reliability``.
        unit: what was named, in the singular.
    """
    n = data.counts.sum()
    stated = float(np.nansum(data.confidence * data.counts) / n)
    right = float(np.nansum(data.accuracy * data.counts) / n)
    fullest = int(data.counts.argmax())
    low, high = rate(float(data.edges[fullest])), rate(float(data.edges[fullest + 1]))
    said = [
        tr(
            "Of the {images} it was {low} to {high} sure of, {accuracy} were named rightly.",
            images=plural(int(data.counts[fullest]), unit, "boxes" if unit == "box" else ""),
            low=low,
            high=high,
            accuracy=rate(float(data.accuracy[fullest])),
        ),
        tr(
            "On average it states {stated} and is right in {right}{verdict}",
            stated=rate(stated),
            right=rate(right),
            verdict=_verdict(stated, right),
        ),
        tr(
            "The expected calibration error is {expected_error}, over {bins} bins of equal width.",
            expected_error=rate(data.expected_error),
            bins=len(data.counts),
        ),
    ]
    quiet = tr(
        "On the dashed line, what is stated comes true. Bars are credible intervals; the strip below shows "
    )
    chart = Chart(figures.reliability_diagram(data))
    more = Words((quiet + tr(_STATED_FOR[unit]),), quiet=True)
    return Section(tr("Do its probabilities come true?"), (Beside(chart, (Words(tuple(said)), more)),))


def _pair(pair: ConfusedPair, classes: Sequence[str]) -> str:
    true, called = classes[pair.true], classes[pair.predicted]
    return tr(
        "{true} called {called}: {times}, {share} of all {true}",
        true=true,
        called=called,
        times=plural(pair.count, "time"),
        share=rate(pair.share),
    )


def _share(reading: ClassReading, name: str, digits: int = 1) -> Cell:
    number = getattr(reading, name)
    return Cell(tr(reading.undefined.get(name, "")) or percent(number, digits), interval(number, digits))


def _ratio(reading: ClassReading, name: str) -> Cell:
    number = getattr(reading, name)
    return Cell(tr(reading.undefined.get(name, "")) or ratio(number), ratio_interval(number))


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _largest(matrix: Any, classes: Sequence[str]) -> tuple[FloatArray, Sequence[str], str]:
    """The classes with most mistakes, when there are more than can be drawn, and a sentence that says so."""
    if len(classes) <= LARGEST:
        return matrix.toarray(), classes, ""
    wrong = matrix.sum(axis=0) + matrix.sum(axis=1) - 2 * matrix.diagonal()
    kept = np.sort(np.argsort(-wrong, kind="stable")[:LARGEST])
    said = tr(
        "Of {classes} classes, the {largest} with most mistakes are drawn.",
        classes=len(classes),
        largest=LARGEST,
    )
    return matrix[kept][:, kept].toarray(), [classes[i] for i in kept], said


def _precision(curve: PrecisionCurve, log: bool) -> tuple[Block, ...]:
    """Figure and table of one class."""
    marks = {tr("test images"): curve.sample_rate, tr("stated"): curve.stated_rate}
    known = {name: value for name, value in marks.items() if value is not None}
    svg = rate_curve([curve], tr("base rate of the class"), tr("precision"), marks=known, log=log)
    columns = (
        Column(tr("base rate")),
        Column(tr("precision"), tr("of those called {name}, right", name=curve.name)),
    )
    points = sorted({*_POINTS, *known.values()})
    grid = floats(curve.x)
    named = {value: name for name, value in known.items()}
    rows = tuple(
        (Cell(rate(point), named.get(point, "")), _at(curve, point))
        for point in points
        if grid[0] <= point <= grid[-1]
    )
    return (Beside(Chart(svg), (TableBlock(columns, rows, tr("Precision of {name}", name=curve.name)),)),)


def _at(curve: PrecisionCurve, point: float) -> Cell:
    """Precision and interval at one base rate, between two points of the curve."""
    grid = floats(curve.x)

    def read(values: object) -> float:
        return float(np.interp(point, grid, floats(values)))  # type: ignore[arg-type]

    ends = ""
    if curve.low is not None and curve.high is not None:
        ends = spread((read(curve.low), read(curve.high)))
    return Cell(percent(read(curve.y)), ends)


def _verdict(stated: float, right: float) -> str:
    gap = stated - right
    if abs(gap) < 0.005:
        return "."
    return tr(": it is too sure of itself.") if gap > 0 else tr(": it is more modest than it need be.")
