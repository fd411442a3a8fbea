"""Sections that say what was done: summary, training, learning curves, counts, steps, prose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bayesight.evaluation.arrays import floats
from bayesight.report.blocks import (
    Beside,
    Block,
    Cell,
    Chart,
    Column,
    Facts,
    Grid,
    Items,
    Key,
    Story,
    StoryStep,
    Table,
    Tile,
    Tiles,
    Words,
)
from bayesight.report.figures import count_bars, learning_curve
from bayesight.report.sections import (
    ClassCounts,
    ClassReading,
    LearningCurves,
    LossCurves,
    Prose,
    Steps,
    Summary,
    Training,
)
from bayesight.report.words import (
    THIN,
    count,
    duration,
    interval,
    mean_of,
    of_hundred,
    percent,
    plural,
    rate,
)

__all__ = ["class_counts", "learning_curves", "prose", "steps", "summary", "training", "worth"]

_KEYS = ("data", "model", "loss", "optimization")


def summary(section: Summary, uid: str) -> tuple[Block, ...]:
    """Sentences first, then the figures they rest on."""
    base, right, spread = of_hundred(section.accuracy)
    sentences = [section.verdict] if section.verdict else []
    named = f"it names {right} rightly{_level(spread, section.level)}."
    sentences.append(f"Of {base} images {section.judged}, {named}")
    ranked = [reading for reading in section.readings if np.isfinite(mean_of(reading.precision))]
    ranked.sort(key=lambda reading: mean_of(reading.precision))
    if ranked:
        sentences.append(f"Trust it least when it says {ranked[0].name}: {worth(ranked[0], section.level)}")
    if len(ranked) > 1:
        sentences.append(f"Trust it most when it says {ranked[-1].name}: {worth(ranked[-1], section.level)}")
    if section.calibration_error is not None:
        off = rate(section.calibration_error).removesuffix(f"{THIN}%")
        sentences.append(f"The probabilities it states are off by {off} percentage points on average.")
    tiles = [Tile("accuracy", rate(section.accuracy), _range(interval(section.accuracy), section.level))]
    if section.log_loss is not None:
        tiles.append(Tile("log-loss", f"{section.log_loss:.3f}", "nats an image; 0 is perfect"))
    if section.calibration_error is not None:
        tiles.append(
            Tile("calibration error", percent(section.calibration_error), f"over {section.bins} bins")
        )
    tiles.append(Tile("judged", count(section.examples), f"images {section.judged}"))
    return Tiles(tuple(tiles)), Items((*sentences, *section.sentences))


def worth(reading: ClassReading, level: float) -> str:
    """What being called a class is worth, as a sentence about a hundred images."""
    base, right, spread = of_hundred(reading.precision)
    return f"of {base} images called {reading.name}, {right} are {reading.name}{_level(spread, level)}."


def training(section: Training, uid: str) -> tuple[Block, ...]:
    """Sources, the recipe in its four keys, and what is needed to do it again."""
    blocks: list[Block] = [_sources(section)] if section.sources else []
    recipe = [(key, _options(section.recipe[key])) for key in _KEYS if key in section.recipe]
    recipe += [(key, _options(value)) for key, value in section.recipe.items() if key not in _KEYS]
    if recipe:
        blocks.append(Facts(tuple(recipe)))
    facts = []
    if section.samples:
        facts.append(("images", ", ".join(f"{count(n)} {use}" for use, n in section.samples.items())))
    if section.selection:
        facts.append(("weights kept", section.selection))
    if section.seed is not None:
        facts.append(("seed", str(section.seed)))
    if section.elapsed_s is not None:
        threads = f" on {plural(section.threads, 'thread')}" if section.threads is not None else ""
        facts.append(("time", duration(section.elapsed_s) + threads))
    if section.versions:
        facts.append(("versions", ", ".join(f"{name} {value}" for name, value in section.versions.items())))
    return (*blocks, Facts(tuple(facts))) if facts else tuple(blocks)


def class_counts(section: ClassCounts, uid: str) -> tuple[Block, ...]:
    """The bars, and how uneven they are."""
    counts = section.counts
    if not counts:
        return (Words(("There are no examples.",)),)
    fewest, most = min(counts, key=lambda name: counts[name]), max(counts, key=lambda name: counts[name])
    total = sum(counts.values())
    said = [f"{plural(total, 'example')} in {plural(len(counts), 'class', 'classes')}."]
    if counts[fewest] == counts[most]:
        said.append(
            f"Every class has {count(counts[most])}, so each has a base rate of {rate(1 / len(counts))}."
        )
    else:
        said.append(
            f"{most} has most, {count(counts[most])} (a base rate of {rate(counts[most] / total)}), "
            f"{fewest} fewest, {count(counts[fewest])} ({rate(counts[fewest] / total)})."
        )
    return (Beside(Chart(count_bars(counts)), (Words(tuple(said)),)),)


def learning_curves(section: LearningCurves, uid: str) -> tuple[Block, ...]:
    """Loss and accuracy side by side."""
    charts = []
    pairs = (
        ("loss (nats)", section.train_loss, section.validation_loss),
        ("accuracy", section.train_accuracy, section.validation_accuracy),
    )
    for quantity, train, validation in pairs:
        keys = []
        if train is not None:
            keys.append(Key("c2", "dashes", "training"))
        if validation is not None:
            keys.append(Key("c1", "line", "validation"))
        if not keys:
            continue
        svg = learning_curve(section.epochs, train, validation, quantity, best_epoch=section.best_epoch)
        charts.append(Chart(svg, tuple(keys)))
    return Grid(tuple(charts)), Words(_learned(section))


def loss_curves(section: LossCurves, uid: str) -> tuple[Block, ...]:
    """One chart, one line a loss."""
    marks = (("c1", "line"), ("c2", "dashes"))
    keys = tuple(Key(*mark, name) for mark, name in zip(marks, section.losses, strict=False))
    series = [*section.losses.values(), None][:2]
    svg = learning_curve(
        section.epochs, series[1], series[0], section.quantity, best_epoch=section.best_epoch
    )
    said = f"Training went over the images {plural(len(floats(section.epochs)), 'time')}."
    return Chart(svg, keys), Words((said,))


def steps(section: Steps, uid: str) -> tuple[Block, ...]:
    """The steps, numbered."""
    told = (
        StoryStep(s.title, s.words, s.command, "" if s.elapsed_s is None else duration(s.elapsed_s))
        for s in section.steps
    )
    return (Story(tuple(told)),)


def prose(section: Prose, uid: str) -> tuple[Block, ...]:
    """The paragraphs as they are."""
    return (Words(section.paragraphs),)


def _learned(section: LearningCurves) -> tuple[str, ...]:
    """What the curves show, in a sentence or two."""
    epochs = floats(section.epochs)
    said = [f"Training went over the images {plural(len(epochs), 'time')}."]
    best = (
        np.flatnonzero(epochs == section.best_epoch) if section.best_epoch is not None else np.array([], int)
    )
    if best.size:
        reached = ""
        if section.validation_accuracy is not None:
            at_best = floats(section.validation_accuracy)[best[0]]
            reached = f", where {rate(float(at_best))} of the validation images were named rightly"
        said.append(f"The weights of epoch {section.best_epoch} were kept (dotted line){reached}.")
    if section.train_accuracy is not None and section.validation_accuracy is not None and len(epochs):
        gap = float(floats(section.train_accuracy)[-1] - floats(section.validation_accuracy)[-1])
        if gap > 0.03:
            points = f"{100 * gap:.0f}"
            said.append(f"At the end training is {points} points ahead of validation: some of it is memory.")
    return tuple(said)


def _sources(section: Training) -> Table:
    """Where the images came from."""
    columns = (
        Column("source", numeric=False),
        Column("used for", numeric=False),
        Column("images"),
        Column("content hash", "of images and labels", numeric=False),
    )
    rows = tuple(
        (Cell(s.path), Cell(s.use), Cell(count(s.examples)), Cell(s.content_hash)) for s in section.sources
    )
    return Table(columns, rows, "Sources")


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
        return "yes" if setting else "no"
    if isinstance(setting, int) and abs(setting) >= 10_000:
        return count(setting)
    if isinstance(setting, float):
        return f"{setting:g}"
    if isinstance(setting, Mapping):
        return f"({_options(setting)})"
    if isinstance(setting, (list, tuple)):
        return " × ".join(_option(item) for item in setting)
    return "none" if setting is None else str(setting)


def _level(spread: str, level: float) -> str:
    """A spread with its credible level, in brackets."""
    return f" ({rate(level)}: {spread})" if spread else ""


def _range(spread: str, level: float) -> str:
    return f"{rate(level)}: {spread}" if spread else ""
