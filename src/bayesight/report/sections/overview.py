"""Sections that say what was done: summary, training, learning curves, counts, steps, prose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesight.evaluation.arrays import floats
from bayesight.language import marked, tr
from bayesight.report.blocks import (
    Beside,
    Block,
    Cell,
    Chart,
    Column,
    Facts,
    Grid,
    Items,
    Section,
    Step,
    Story,
    TableBlock,
    Tile,
    Tiles,
    Words,
    line_keys,
)
from bayesight.report.figures import Line, count_bars, line_chart
from bayesight.report.figures.axes import numbers, spanned
from bayesight.report.words import (
    Number,
    count,
    duration,
    interval,
    mean_of,
    of_hundred,
    percent,
    plural,
    points,
    rate,
)
from bayesight.types import FloatArray

__all__ = [
    "ClassReading",
    "TrainingSource",
    "class_counts",
    "learning_curves",
    "loss_curves",
    "prose",
    "steps",
    "summary",
    "training",
    "worth",
]

_KEYS = ("data", "model", "loss", "optimization")


@dataclass(frozen=True)
class ClassReading:
    """One class read as a diagnostic test: it against all others.

    Attributes:
        name: the class.
        support: examples of the class.
        sensitivity: of those, the fraction that was called it.
        false_alarm: of all others, the fraction that was called it.
        precision: of those called it, the fraction that was it.
        likelihood_ratio_positive: factor by which being called it multiplies the odds.
        likelihood_ratio_negative: factor by which being called something else multiplies them.
        undefined: a word for each of these that the images leave open ("never said").
    """

    name: str
    support: int
    sensitivity: Number
    false_alarm: Number
    precision: Number
    likelihood_ratio_positive: Number
    likelihood_ratio_negative: Number
    undefined: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingSource:
    """One source of data.

    Attributes:
        path: the archive or folder.
        use: what it was for ("training and validation", "training only", "test").
        examples: images, or characters, taken from it.
        content_hash: of its content, hexadecimal.
    """

    path: str
    use: str
    examples: int
    content_hash: str = ""


def summary(
    accuracy: Number,
    examples: int,
    *,
    log_loss: float | None = None,
    calibration_error: float | None = None,
    by_chance: float | None = None,
    bins: int = 15,
    readings: tuple[ClassReading, ...] = (),
    level: float = 0.95,
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
        readings: the classes; the best and the worst precision become sentences.
        level: credible level of the intervals.
        verdict: what makes it no classifier, if anything; it comes first.
        judged: which images were judged, behind "images".
    """
    judged = tr(judged)
    base, right, spread = of_hundred(accuracy)
    sentences = [verdict] if verdict else []
    named = tr("it names {right} rightly{level}.", right=right, level=_level(spread, level))
    sentences.append(tr("Of {base} images {judged}, {named}", base=base, judged=judged, named=named))
    ranked = [reading for reading in readings if np.isfinite(mean_of(reading.precision))]
    ranked.sort(key=lambda reading: mean_of(reading.precision))
    if ranked:
        sentences.append(
            tr(
                "Trust it least when it says {name}: {worth}",
                name=ranked[0].name,
                worth=worth(ranked[0], level),
            )
        )
    if len(ranked) > 1:
        sentences.append(
            tr(
                "Trust it most when it says {name}: {worth}",
                name=ranked[-1].name,
                worth=worth(ranked[-1], level),
            )
        )
    if calibration_error is not None:
        off = points(calibration_error)
        sentences.append(
            tr("The probabilities it states are off by {off} percentage points on average.", off=off)
        )
        if by_chance is not None:
            alone = points(by_chance)
            sentences[-1] += " " + tr("Were all of them true, chance alone would show {alone}.", alone=alone)
    tiles = [Tile(tr("accuracy"), rate(accuracy), _range(interval(accuracy), level))]
    if log_loss is not None:
        tiles.append(Tile(tr("log-loss"), f"{log_loss:.3f}", tr("nats an image; 0 is perfect")))
    if calibration_error is not None:
        tiles.append(
            Tile(tr("calibration error"), percent(calibration_error), tr("over {bins} bins", bins=bins))
        )
    tiles.append(Tile(tr("judged"), count(examples), tr("images {judged}", judged=judged)))
    return Section(tr("In short"), (Tiles(tuple(tiles)), Items(tuple(sentences))))


def worth(reading: ClassReading, level: float) -> str:
    """The precision of a class, as a sentence about a hundred images."""
    base, right, spread = of_hundred(reading.precision)
    return tr(
        "of {base} images called {name}, {right} are {name}{level}.",
        base=base,
        name=reading.name,
        right=right,
        level=_level(spread, level),
    )


def training(
    sources: Sequence[TrainingSource],
    *,
    samples: Mapping[str, int] = MappingProxyType({}),
    recipe: Mapping[str, str | Mapping[str, Any]] = MappingProxyType({}),
    seed: int | None = None,
    selection: str = "",
    elapsed_s: float | None = None,
    threads: int | None = None,
    versions: Mapping[str, str] = MappingProxyType({}),
    unit: str = marked("images"),
) -> Section:
    """Sources, recipe, seed and versions of a training.

    Args:
        sources: where the examples came from.
        samples: how many examples each use got ({"training": 6400, "validation": 800}).
        recipe: the four keys data, model, loss and optimization, each a sentence or a mapping of options.
        seed: the one seed.
        selection: the rule by which weights were kept, one sentence.
        elapsed_s: duration of the training, seconds.
        threads: processor threads used.
        versions: package to version.
        unit: what examples are.
    """
    blocks: list[Block] = [_sources(sources, unit)] if sources else []
    order = [*(key for key in _KEYS if key in recipe), *(key for key in recipe if key not in _KEYS)]
    if order:
        blocks.append(Facts(tuple((key, _options(recipe[key])) for key in order)))
    facts = []
    if samples:
        facts.append((tr(unit), ", ".join(f"{count(n)} {tr(use)}" for use, n in samples.items())))
    if selection:
        facts.append((tr("weights kept"), selection))
    if seed is not None:
        facts.append((tr("seed"), str(seed)))
    if elapsed_s is not None:
        on = tr(" on {threads}", threads=plural(threads, "thread")) if threads is not None else ""
        facts.append((tr("time"), duration(elapsed_s) + on))
    if versions:
        facts.append((tr("versions"), ", ".join(f"{name} {value}" for name, value in versions.items())))
    return Section(
        tr("What was trained on what"), ((*blocks, Facts(tuple(facts))) if facts else tuple(blocks))
    )


def class_counts(counts: Mapping[str, int]) -> Section:
    """Examples of each class.

    Args:
        counts: class name to number of examples.
    """
    heading = tr("Examples of each class")
    if not counts:
        return Section(heading, (Words((tr("There are no examples."),)),))
    fewest, most = min(counts, key=lambda name: counts[name]), max(counts, key=lambda name: counts[name])
    total = sum(counts.values())
    said = [
        tr(
            "{examples} in {classes}.",
            examples=plural(total, "example"),
            classes=plural(len(counts), "class", "classes"),
        )
    ]
    if counts[fewest] == counts[most]:
        said.append(
            tr(
                "Every class has {count}, so each has a base rate of {share}.",
                count=count(counts[most]),
                share=rate(1 / len(counts)),
            )
        )
    else:
        said.append(
            tr(
                "{most} has most, {count} (a base rate of {most_share}), {fewest} fewest, {fewest_count} "
                "({fewest_share}).",
                most=most,
                count=count(counts[most]),
                most_share=rate(counts[most] / total),
                fewest=fewest,
                fewest_count=count(counts[fewest]),
                fewest_share=rate(counts[fewest] / total),
            )
        )
    return Section(heading, (Beside(Chart(count_bars(counts)), (Words(tuple(said)),)),))


def learning_curves(
    epochs: npt.ArrayLike,
    *,
    train_loss: npt.ArrayLike | None = None,
    validation_loss: npt.ArrayLike | None = None,
    train_accuracy: npt.ArrayLike | None = None,
    validation_accuracy: npt.ArrayLike | None = None,
    best_epoch: int | None = None,
) -> Section:
    """Loss and accuracy after each epoch; series left out are not drawn.

    Args:
        epochs: epoch numbers (E,).
        train_loss: mean loss on training data (E,), NaN where unknown.
        validation_loss: mean log-loss on validation data (E,), nats.
        train_accuracy: fractions (E,).
        validation_accuracy: fractions (E,).
        best_epoch: the epoch whose weights were kept.
    """
    losses = {tr("validation"): validation_loss, tr("training"): train_loss}
    accuracies = {tr("validation"): validation_accuracy, tr("training"): train_accuracy}
    charts = [
        *_over_epochs(epochs, losses, tr("loss (nats)"), best_epoch),
        *_over_epochs(epochs, accuracies, tr("accuracy"), best_epoch, fraction=True),
    ]
    return Section(
        tr("How it learned"),
        (
            Grid(tuple(charts)),
            Words(_learned(floats(epochs), train_accuracy, validation_accuracy, best_epoch)),
        ),
    )


def loss_curves(
    epochs: npt.ArrayLike,
    losses: Mapping[str, npt.ArrayLike],
    *,
    quantity: str = marked("loss (nats)"),
    best_epoch: int | None = None,
) -> Section:
    """Up to two losses after each epoch.

    Args:
        epochs: epoch numbers (E,).
        losses: one or two series (E,) by name; the first is drawn solid.
        quantity: what they measure, the label of the axis.
        best_epoch: the epoch whose weights were kept, if one was chosen.
    """
    charts = _over_epochs(epochs, losses, tr(quantity), best_epoch)
    said = tr("Training went over the images {times}.", times=plural(len(floats(epochs)), "time"))
    return Section(tr("How the losses went"), (*charts, Words((said,))))


def steps(told: Sequence[Step], *, heading: str = marked("Step by step")) -> Section:
    """Steps in their order, as of the demonstration.

    Args:
        told: the steps.
        heading: of the section.
    """
    return Section(tr(heading), (Story(tuple(told)),))


def prose(heading: str, *paragraphs: str) -> Section:
    """Words for which no other section is made.

    Args:
        heading: of the section.
        paragraphs: plain text.
    """
    return Section(heading, (Words(paragraphs),))


def _over_epochs(
    epochs: npt.ArrayLike,
    series: Mapping[str, npt.ArrayLike | None],
    quantity: str,
    best_epoch: int | None,
    *,
    fraction: bool = False,
) -> list[Chart]:
    """One quantity after each epoch, where it is known at all."""
    lines = [Line(name, epochs, values) for name, values in series.items() if values is not None]
    if not lines:
        return []
    share = (
        numbers(*spanned((line.y for line in lines), 0.08), quantity, words=rate) if fraction else quantity
    )
    marks = {} if best_epoch is None else {tr("weights kept"): best_epoch}
    return [Chart(line_chart(lines, tr("epoch"), share, marks=marks), line_keys(lines))]


def _learned(
    epochs: FloatArray,
    train_accuracy: npt.ArrayLike | None,
    validation_accuracy: npt.ArrayLike | None,
    best_epoch: int | None,
) -> tuple[str, ...]:
    """One to three sentences on the curves."""
    said = [tr("Training went over the images {times}.", times=plural(len(epochs), "time"))]
    best = np.flatnonzero(epochs == best_epoch) if best_epoch is not None else np.array([], int)
    if best.size:
        reached = ""
        if validation_accuracy is not None:
            at_best = floats(validation_accuracy)[best[0]]
            reached = tr(
                ", where {share} of the validation images were named rightly", share=rate(float(at_best))
            )
        said.append(
            tr(
                "The weights of epoch {best_epoch} were kept (dotted line){reached}.",
                best_epoch=best_epoch,
                reached=reached,
            )
        )
    if train_accuracy is not None and validation_accuracy is not None and len(epochs):
        gap = float(floats(train_accuracy)[-1] - floats(validation_accuracy)[-1])
        if gap > 0.03:
            ahead = tr("{points:.0f} points ahead of validation", points=100 * gap)
            said.append(tr("At the end training is {ahead}: some of it is memory.", ahead=ahead))
    return tuple(said)


def _sources(sources: Sequence[TrainingSource], unit: str) -> TableBlock:
    """The sources as a table."""
    columns = (
        Column(tr("source"), numeric=False),
        Column(tr("used for"), numeric=False),
        Column(tr(unit)),
        Column(
            tr("content hash"),
            tr("of images and labels") if unit == "images" else tr("of the text"),
            numeric=False,
        ),
    )
    rows = tuple(
        (Cell(s.path), Cell(tr(s.use)), Cell(count(s.examples)), Cell(s.content_hash)) for s in sources
    )
    return TableBlock(columns, rows, tr("Sources"))


def _options(value: str | Mapping[str, Any]) -> str:
    """A key of the recipe in one line."""
    if isinstance(value, str):
        return value
    named = [_option(value["name"])] if "name" in value else []
    rest = [
        f"{name.replace('_', ' ')} {_option(setting)}" for name, setting in value.items() if name != "name"
    ]
    return ", ".join(named + rest)


def _option(setting: Any) -> str:
    if isinstance(setting, bool):
        return tr("yes") if setting else tr("no")
    if isinstance(setting, int) and abs(setting) >= 10_000:
        return count(setting)
    if isinstance(setting, float):
        return f"{setting:g}"
    if isinstance(setting, Mapping):
        return f"({_options(setting)})"
    if isinstance(setting, (list, tuple)):
        return " × ".join(_option(item) for item in setting)
    return tr("none") if setting is None else str(setting)


def _level(spread: str, level: float) -> str:
    """A spread with its credible level, in brackets."""
    return f" ({rate(level)}: {spread})" if spread else ""


def _range(spread: str, level: float) -> str:
    return f"{rate(level)}: {spread}" if spread else ""
