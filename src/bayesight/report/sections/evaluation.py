"""Sections that say how good it is: in short, confusion, each class as a test, base rates, reliability."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, sparray

from bayesight.bayes.rates import Estimate
from bayesight.evaluation import ConfusedPair, Reliability, most_confused
from bayesight.evaluation.arrays import floats
from bayesight.formatting import capitalised
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
    Section,
    TableBlock,
    Tile,
    Tiles,
    Words,
)
from bayesight.report.figures import Line, confusion_heat_map, rate_curve
from bayesight.report.figures.drawing import width_of
from bayesight.report.figures.matrix import LARGEST
from bayesight.report.words import (
    count,
    interval,
    of_hundred,
    percent,
    plural,
    points,
    rate,
    ratio,
    ratio_interval,
    spread,
)
from bayesight.types import FloatArray

_BESIDE = 470  # widest figure, in CSS pixels, that still leaves room for words beside it
_POINTS = (0.001, 0.01, 0.1, 0.5)
_LEVEL = 0.95


@dataclass(frozen=True)
class PrecisionCurve(Line):
    """Precision of the class ``name`` (``y``) at every base rate in (0, 1] (``x``).

    Attributes:
        sample_rate: base rate among the test images.
        stated_rate: base rate the user stated, if any.
    """

    sample_rate: float | None = None
    stated_rate: float | None = None


def summary(
    accuracy: Estimate,
    examples: int,
    *,
    log_loss: float,
    calibration_error: float,
    by_chance: float | None = None,
    bins: int,
    readings: Mapping[str, Mapping[str, Any]],
    verdict: str = "",
    judged: str = marked("it never learned from"),
) -> Section:
    """The whole report in a few plain sentences and figures.

    Args:
        accuracy: fraction of images called rightly.
        examples: how many images were judged.
        log_loss: mean, in nats.
        calibration_error: expected calibration error, a fraction.
        by_chance: the one to be expected of so many images were all probabilities true.
        bins: the bins of the calibration error.
        readings: as ``per_class`` takes them; the best and the worst precision become sentences.
        verdict: what makes it no classifier, if anything; it comes first.
        judged: which images were judged, behind "images".
    """
    judged = tr(judged)
    base, right, span = of_hundred(accuracy)
    named = tr("it names {right} rightly{level}.", right=right, level=_level(span))
    sentences = [verdict] if verdict else []
    sentences.append(tr("Of {base} images {judged}, {named}", base=base, judged=judged, named=named))
    precisions = _precisions(readings)
    ranked = sorted(precisions, key=lambda name: precisions[name].mean)
    if ranked:
        worth = _worth(ranked[0], precisions[ranked[0]])
        sentences.append(tr("Trust it least when it says {name}: {worth}", name=ranked[0], worth=worth))
    if len(ranked) > 1:
        worth = _worth(ranked[-1], precisions[ranked[-1]])
        sentences.append(tr("Trust it most when it says {name}: {worth}", name=ranked[-1], worth=worth))
    off = points(calibration_error)
    sentences.append(
        tr("The probabilities it states are off by {off} percentage points on average.", off=off)
    )
    if by_chance is not None:
        alone = points(by_chance)
        sentences[-1] += " " + tr("Were all of them true, chance alone would show {alone}.", alone=alone)
    tiles = [
        Tile(tr("accuracy"), rate(accuracy), f"{rate(_LEVEL)}: {interval(accuracy)}"),
        Tile(tr("log-loss"), f"{log_loss:.3f}", tr("nats an image; 0 is perfect")),
        Tile(tr("calibration error"), percent(calibration_error), tr("over {bins} bins", bins=bins)),
        Tile(tr("judged"), count(examples), tr("images {judged}", judged=judged)),
    ]
    return Section(tr("In short"), [Tiles(tiles), Items(sentences)])


def confusion_table(matrix: npt.ArrayLike | sparray, classes: Sequence[str]) -> Section:
    """Confusion matrix as a heat map, with the five most confused pairs in words.

    Args:
        matrix: counts (K, K), rows true, columns predicted; an array, or a sparse one of SciPy.
        classes: names (K,).
    """
    given: Any = matrix if isinstance(matrix, sparray) else floats(matrix)
    counts: Any = csr_array(given)
    mistakes, images = float(counts.sum() - counts.diagonal().sum()), plural(counts.sum(), "image")
    said: list[Block] = [Words([tr("Not one of {images} was taken for another class.", images=images)])]
    if mistakes:
        wrong = plural(mistakes, "mistake")
        total = tr("{mistakes} in {images}. Most often:", mistakes=wrong, images=images)
        pairs = [_pair(pair, classes) for pair in most_confused(counts, 5)]
        said = [Words([total]), Items(pairs, ordered=True)]
    drawn, names, left_out = _largest(counts, classes)
    quiet = [tr("A row holds the images of one class, a column those that were called it."), left_out]
    said.append(Words([words for words in quiet if words], quiet=True))
    keys = [Key("c1", "band", tr("rightly named")), Key("c2", "band", tr("mistaken"))]
    svg = confusion_heat_map(drawn, names)
    beside = width_of(svg) <= _BESIDE
    blocks = [Beside(Chart(svg, keys), said)] if beside else [Chart(svg, keys, scrolls=True), *said]
    return Section(tr("Who is taken for whom"), blocks)


def per_class(
    readings: Mapping[str, Mapping[str, Any]], *, base_rates: str = marked("the test images")
) -> Section:
    """Each class as a diagnostic test, it against all others, in a table.

    Args:
        readings: the class by name: its ``support``, the rates of the test, None where the images leave one
            open, their ``intervals``, and a word for each that is open, ``undefined``.
        base_rates: where the base rates behind the precision come from ("the test images", "your prior").
    """
    columns = [
        Column(tr("class"), numeric=False),
        Column(tr("images"), tr("of the class")),
        Column(tr("sensitivity"), tr("of the class, found")),
        Column(tr("false alarm"), tr("of the others, accused")),
        Column(tr("precision"), tr("of those called it, right")),
        Column(tr("LR+"), tr("being called it multiplies the odds by")),
        Column(tr("LR−"), tr("not being called it multiplies them by")),
    ]
    rows = [
        [
            Cell(name),
            Cell(count(row["support"])),
            _share(row, "sensitivity"),
            _share(row, "false_alarm", 2),
            _share(row, "precision"),
            _ratio(row, "likelihood_ratio_positive"),
            _ratio(row, "likelihood_ratio_negative"),
        ]
        for name, row in readings.items()
    ]
    words = tr(
        "Each class is read as a test: it, or anything else. Sensitivity and false alarm "
        "belong to the classifier; precision belongs to the place as well, here with the base "
        "rates of {base_rates}. Small figures are {level} credible intervals.",
        base_rates=tr(base_rates),
        level=rate(_LEVEL),
    )
    sentences = [capitalised(_worth(name, e)) for name, e in _precisions(readings).items()]
    said = Fold(tr("The precision of every class in words"), [Items(sentences)])
    heading = tr("Each class as a test")
    return Section(heading, [Words([words]), TableBlock(columns, rows, heading), said])


def precision_curves(curves: Sequence[PrecisionCurve]) -> Section:
    """Precision against base rate, for a class to be chosen on the page."""
    options = [(curve.name, [_precision(curve)]) for curve in curves]
    words = tr(
        "The rarer a class is where the classifier is used, the more of its positives are false alarms."
    )
    return Section(
        tr("What a positive is worth elsewhere"),
        [Words([words]), Alternatives(tr("What is it worth to be called"), options)],
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
    low, high = map(rate, data.edges[fullest : fullest + 2].tolist())
    verdict = (
        tr(": it is too sure of itself.") if stated > right else tr(": it is more modest than it need be.")
    )
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
            verdict="." if abs(stated - right) < 0.005 else verdict,
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
    more = Words([quiet + tr(_STATED_FOR[unit])], quiet=True)
    return Section(tr("Do its probabilities come true?"), [Beside(chart, [Words(said), more])])


def _estimate(row: Mapping[str, Any], name: str) -> Estimate:
    """A rate of a class; NaN where the images leave it open."""
    value = row[name]
    if value is None:
        value = math.inf if row["undefined"][name] == "infinite" else math.nan
    return Estimate(value, *row["intervals"][name])


def _precisions(readings: Mapping[str, Mapping[str, Any]]) -> dict[str, Estimate]:
    """The precision of every class that has one."""
    return {
        name: _estimate(row, "precision") for name, row in readings.items() if row["precision"] is not None
    }


def _worth(name: str, precision: Estimate) -> str:
    """The precision of a class, as a sentence about a hundred images."""
    base, right, span = of_hundred(precision)
    return tr(
        "of {base} images called {name}, {right} are {name}{level}.",
        base=base,
        name=name,
        right=right,
        level=_level(span),
    )


def _level(span: str) -> str:
    """An interval with its credible level, in brackets."""
    return f" ({rate(_LEVEL)}: {span})" if span else ""


def _share(row: Mapping[str, Any], name: str, digits: int = 1) -> Cell:
    e = _estimate(row, name)
    return Cell(tr(row["undefined"].get(name, "")) or percent(e, digits), interval(e, digits))


def _ratio(row: Mapping[str, Any], name: str) -> Cell:
    e = _estimate(row, name)
    return Cell(tr(row["undefined"].get(name, "")) or ratio(e), ratio_interval(e))


def _pair(pair: ConfusedPair, classes: Sequence[str]) -> str:
    return tr(
        "{true} called {called}: {times}, {share} of all {true}",
        true=classes[pair.true],
        called=classes[pair.predicted],
        times=plural(pair.count, "time"),
        share=rate(pair.share),
    )


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


def _precision(curve: PrecisionCurve) -> Block:
    """Figure and table of one class, read between two points of its curve."""
    marks = {tr("test images"): curve.sample_rate, tr("stated"): curve.stated_rate}
    known = {name: value for name, value in marks.items() if value is not None}
    svg = rate_curve([curve], tr("base rate of the class"), tr("precision"), marks=known)
    grid, named = floats(curve.x), {value: name for name, value in known.items()}
    lines = [floats(line) for line in (curve.y, curve.low, curve.high) if line is not None]
    rows = []
    for point in sorted({*_POINTS, *known.values()}):
        if grid[0] <= point <= grid[-1]:
            mean, *ends = (float(np.interp(point, grid, line)) for line in lines)
            worth = Cell(percent(mean), spread(ends) if ends else "")
            rows.append([Cell(rate(point), named.get(point, "")), worth])
    meaning = tr("of those called {name}, right", name=curve.name)
    columns = [Column(tr("base rate")), Column(tr("precision"), meaning)]
    table = TableBlock(columns, rows, tr("Precision of {name}", name=curve.name))
    return Beside(Chart(svg), [table])
