"""Sections that say what was done: training, learning curves, counts, steps, prose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesight.evaluation.arrays import floats
from bayesight.language import marked, retold, tr
from bayesight.report.blocks import (
    Beside,
    Cell,
    Chart,
    Column,
    Facts,
    Grid,
    Section,
    Step,
    Story,
    TableBlock,
    Words,
    line_keys,
)
from bayesight.report.figures import Line, count_bars, line_chart
from bayesight.report.figures.axes import numbers, spanned
from bayesight.report.words import count, duration, plural, rate

_KEYS = ("data", "model", "loss", "optimization")
_USES = (marked("train"), marked("validation"), marked("also"))  # as metrics name them


def training(metrics: Mapping[str, Any], recipe: Mapping[str, Any]) -> Section:
    """Sources, recipe, seed and versions of a training.

    Args:
        metrics: of the run, as its folder keeps them.
        recipe: the options of each of the four keys.
    """
    text, hardware = metrics.get("kind") == "language", metrics["hardware"]
    unit, hashed = (
        (tr("characters"), tr("of the text")) if text else (tr("images"), tr("of images and labels"))
    )
    columns = [
        Column(tr("source"), numeric=False),
        Column(tr("used for"), numeric=False),
        Column(unit),
        Column(tr("content hash"), hashed, numeric=False),
    ]
    rows = []
    for number, one in enumerate(metrics["sources"]):
        use = tr("training only") if number else tr("training and validation")
        examples = one.get("images", one.get("characters", one.get("pairs")))
        rows.append([Cell(one["source"]), Cell(use), Cell(count(examples)), Cell(one["content_hash"])])
    samples = (f"{count(n)} {tr(use)}" for use, n in metrics["examples"].items() if n)
    time = duration(metrics["seconds"]["training"])
    facts = [
        (unit, ", ".join(samples)),
        (tr("weights kept"), retold(metrics["selection"])),
        (tr("seed"), str(metrics["seed"])),
        (tr("time"), time + tr(" on {threads}", threads=plural(hardware["threads"], "thread"))),
        (tr("versions"), f"bayesight {metrics['bayesight']}, torch {hardware['torch']}"),
    ]
    options = Facts([(key, _options(recipe[key])) for key in _KEYS])
    return Section(
        tr("What was trained on what"), [TableBlock(columns, rows, tr("Sources")), options, Facts(facts)]
    )


def class_counts(counts: Mapping[str, int]) -> Section:
    """Examples of each class, by name."""
    heading = tr("Examples of each class")
    if not counts:
        return Section(heading, [Words([tr("There are no examples.")])])
    fewest, most = min(counts, key=lambda name: counts[name]), max(counts, key=lambda name: counts[name])
    total, classes = sum(counts.values()), plural(len(counts), "class", "classes")
    extremes = tr(
        "{most} has most, {count} (a base rate of {most_share}), {fewest} fewest, {fewest_count} "
        "({fewest_share}).",
        most=most,
        count=count(counts[most]),
        most_share=rate(counts[most] / total),
        fewest=fewest,
        fewest_count=count(counts[fewest]),
        fewest_share=rate(counts[fewest] / total),
    )
    if counts[fewest] == counts[most]:
        extremes = tr(
            "Every class has {count}, so each has a base rate of {share}.",
            count=count(counts[most]),
            share=rate(1 / len(counts)),
        )
    said = tr("{examples} in {classes}.", examples=plural(total, "example"), classes=classes)
    return Section(heading, [Beside(Chart(count_bars(counts)), [Words([said, extremes])])])


def learning_curves(
    losses: Mapping[str, npt.ArrayLike],
    accuracy: npt.ArrayLike | None = None,
    *,
    quantity: str = marked("loss (nats)"),
    best_epoch: int | None = None,
) -> Section:
    """Losses after each epoch, and accuracy where there is one.

    Args:
        losses: one or two series (E,) by name, that of the validation first; NaN where unknown.
        accuracy: on validation data, fractions (E,).
        quantity: what the losses measure, the label of the axis.
        best_epoch: the epoch whose weights were kept, if one was chosen.
    """
    epochs = np.arange(1, 1 + np.size(next(iter(losses.values()))))
    lines = [Line(name, epochs, values) for name, values in losses.items()]
    marks = {} if best_epoch is None else {tr("weights kept"): best_epoch}
    charts = [Chart(line_chart(lines, tr("epoch"), tr(quantity), marks=marks), line_keys(lines))]
    if accuracy is not None:
        lines = [Line(tr("validation"), epochs, accuracy)]
        axis = numbers(*spanned([accuracy], 0.08), tr("accuracy"), words=rate)
        charts.append(Chart(line_chart(lines, tr("epoch"), axis, marks=marks), line_keys(lines)))
    said = [tr("Training went over the images {times}.", times=plural(len(epochs), "time"))]
    if best_epoch is not None:
        reached = ""
        if accuracy is not None:
            share = rate(float(floats(accuracy)[best_epoch - 1]))
            reached = tr(", where {share} of the validation images were named rightly", share=share)
        said.append(
            tr(
                "The weights of epoch {best_epoch} were kept (dotted line){reached}.",
                best_epoch=best_epoch,
                reached=reached,
            )
        )
    return Section(tr("How it learned"), [Grid(charts), Words(said)])


def steps(told: Sequence[Step], *, heading: str = marked("Step by step")) -> Section:
    """Steps in their order, as of the demonstration."""
    shown = [replace(step, title=retold(step.title), words=retold(step.words)) for step in told]
    return Section(tr(heading), [Story(shown)])


def prose(heading: str, *paragraphs: str) -> Section:
    """Words for which no other section is made."""
    return Section(heading, [Words(paragraphs)])


def _options(value: Mapping[str, Any]) -> str:
    """A key of the recipe in one line."""
    named = [_option(value["name"])] if "name" in value else []
    rest = (f"{name.replace('_', ' ')} {_option(v)}" for name, v in value.items() if name != "name")
    return ", ".join([*named, *rest])


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
