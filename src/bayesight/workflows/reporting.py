"""Finished numbers put into the sections of a report."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from bayesight import report
from bayesight.bayes.rates import mixture_draws
from bayesight.data import Store
from bayesight.data.audit import audit
from bayesight.data.batches import Examples
from bayesight.data.labelled_texts import TextStore
from bayesight.data.notes import notes
from bayesight.formatting import capitalised
from bayesight.language import marked, retold, tr
from bayesight.report import Estimate, Picture, PrecisionCurve, Report, Section, save
from bayesight.run import Run
from bayesight.seeding import numpy_generator
from bayesight.types import FloatArray, ImageArray
from bayesight.workflows.evaluate import (
    CALIBRATION_BINS,
    MOST_CLASSES,
    EvaluateResult,
    Evaluation,
    NoveltyCheck,
)

MISTAKES = 24
_FITTED = {
    "crop": marked("cut to its middle"),
    "pad": marked("kept whole, with black beside it"),
    "stretch": marked("stretched"),
}
CURVES = 60
CURVE_DRAWS = 4000


def training_report(
    run: Run,
    evaluation: Evaluation,
    validation: Examples,
    stores: Sequence[Store],
    *,
    borrowed: bool = False,
) -> Path:
    """Write ``report.html`` of a finished run.

    Args:
        run: with its metrics and history saved.
        evaluation: of the validation images.
        validation: those images.
        stores: the source, then every further one.
        borrowed: the belief holds those images too, and each was left out of it as it was judged.

    Returns:
        The path of the report.
    """
    groups = run.metrics().get("groups", {})
    apart = (
        tr(", in {validation:,} groups of which none trained", validation=groups["validation"])
        if groups
        else ""
    )
    note = tr(
        "Judged on the {validation:,} images held out of training{apart}. They also chose the "
        "weights and the sharpness, so images from elsewhere are the better judge: bayesight "
        "evaluate.",
        validation=len(validation),
        apart=apart,
    )
    judged = tr("held out of training")
    if borrowed:
        judged = tr("left out one of each class at a time")
        note = tr(
            "Judged on {validation:,} images, each left out of the belief as it was judged, "
            "together with one of every other class. All images chose the sharpness so, and the "
            "network comes from others; images from elsewhere are the better judge: bayesight "
            "evaluate.",
            validation=len(validation),
        )
    summary, *rest = evaluation_sections(evaluation, note=note, judged=judged)
    sections = [
        summary,
        *training_sections(run),
        *rest,
        mistakes(evaluation, validation, stores[0], rows=validation.rows),
        _network_input(run, validation),
        *data_sections(stores[0]),
    ]
    title = tr(
        "{name}: a classifier of {classes} classes", name=run.folder.name, classes=len(evaluation.classes)
    )
    return write_report(title, sections, run.folder / "report.html", str(run.folder))


def run_report(run: Run, title: str, sections: Sequence[Section], *, quantity: str) -> Path:
    """Write ``report.html`` of a finished run that is no classifier's, its training behind what it can do.

    Args:
        run: with its metrics and history saved.
        title: of the report.
        sections: on what it can do.
        quantity: what the losses measure.

    Returns:
        The path of the report.
    """
    path = run.folder / "report.html"
    return write_report(title, [*sections, *training_curves(run, quantity=quantity)], path, str(run.folder))


def training_sections(run: Run) -> list[Section]:
    """Sections on the training of a classifier: model, data, and the learning curves."""
    both = {tr("validation"): "log_loss", tr("training"): "classifier.total"}
    told, *curves = training_curves(run, both, accuracy=True)
    note = tr(
        "The training loss is measured on augmented images with dropout and label smoothing as "
        "the recipe says, so it may lie above the validation loss."
    )
    return [told, *(curve.with_note(note) for curve in curves)]


def training_curves(
    run: Run,
    series: Mapping[str, str] | None = None,
    *,
    accuracy: bool = False,
    chosen: bool = True,
    **quantity: str,
) -> list[Section]:
    """Sections on a training: model and data, and where it was looked at more than once its learning curves.

    Args:
        run: with its metrics and history saved.
        series: column of the history by the name of the curve; log-loss and training's when left out.
        accuracy: also that of what was held out.
        chosen: a look chose the weights that are kept.
        quantity: what the losses measure, where they are no losses in nats.
    """
    metrics, rows = run.metrics(), run.history()
    sections = [report.training(metrics, run.recipe().as_dict())]
    if len(rows) < 2:
        return sections
    series = series or {tr("validation"): "log_loss", tr("training"): "train.total"}
    looks = (at for at, row in enumerate(rows, start=1) if chosen and row["step"] == metrics["best_step"])
    curves = report.learning_curves(
        {name: [row[column] for row in rows] for name, column in series.items()},
        [row["accuracy"] for row in rows] if accuracy else None,
        best_epoch=next(looks, None),
        **quantity,
    )
    return [*sections, curves]


def write_report(title: str, sections: Sequence[Section], path: str | Path, subtitle: str = "") -> Path:
    """Write sections as one HTML file, dated today; returns its path."""
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    return save(Report(title, tuple(sections), subtitle, today), path)


def evaluation_report(result: EvaluateResult, path: str | Path) -> Path:
    """Write the report of an evaluation.

    Returns:
        The path of the report.
    """
    evaluation, data = result.evaluation, result.data
    seen = retold(result.seen_note)
    notes = (capitalised(seen), "; ".join(map(retold, data.said)))
    judged = tr("of which it has seen some") if result.seen_note else tr("it never learned from")
    sections: list[Section] = [
        *evaluation_sections(evaluation, note=". ".join(filter(None, notes)), judged=judged),
        mistakes(evaluation, data.examples, data.store),
        *([novelty_section(result.novelty)] if result.novelty is not None else []),
        *data_sections(data.store),
    ]
    title = tr(
        "{name} on {source}", name=result.run.folder.name, source=Path(data.store.manifest.source).name
    )
    return write_report(title, sections, path, str(result.run.folder))


def evaluation_sections(
    evaluation: Evaluation, note: str = "", judged: str = marked("it never learned from")
) -> list[Section]:
    """Summary first, then confusion, the classes as tests, precision against base rate, reliability.

    Args:
        evaluation: the figures.
        note: a further paragraph of the summary.
        judged: which images they are of, behind "images".
    """
    readings = _readings(evaluation)
    where = tr("the stated base rates") if evaluation.prior is not None else tr("the images judged")
    sections: list[Section] = [
        report.summary(
            Estimate(evaluation.accuracy, *evaluation.accuracy_interval),
            len(evaluation.labels),
            log_loss=evaluation.log_loss,
            calibration_error=evaluation.ece,
            by_chance=evaluation.ece_by_chance,
            bins=CALIBRATION_BINS,
            readings=readings,
            verdict=retold(evaluation.verdict),
            judged=judged,
        ).with_note(note),
        report.confusion_table(evaluation.cells, evaluation.classes),
    ]
    if readings:
        sections += [
            report.per_class(readings, base_rates=where),
            report.precision_curves(evaluation_curves(evaluation)),
        ]
    return [*sections, report.reliability_diagram(evaluation.reliability())]


def mistakes(
    evaluation: Evaluation, examples: Examples, store: Store, rows: np.ndarray | None = None
) -> Section:
    """The most confident mistakes, as pictures; of texts, their words.

    Args:
        evaluation: of ``examples``.
        examples: the images judged.
        store: where they come from.
        rows: (N,) their rows in the store, when not all of it in order.
    """
    predicted, sure = evaluation.predictions, evaluation.answers.log_p
    wrong = np.flatnonzero(predicted != evaluation.labels)
    order = wrong[np.argsort(-sure[wrong], kind="stable")][:MISTAKES]
    texts = isinstance(store, TextStore)
    images = [None] * len(order) if texts else as_stored(examples.images(order))
    pictures = [
        Picture(
            image=image,
            label=evaluation.classes[evaluation.labels[i]],
            prediction=evaluation.classes[predicted[i]],
            probability=float(np.exp(sure[i])),
            path=store.shown(int(i if rows is None else rows[i])),
        )
        for i, image in zip(order, images, strict=True)
    ]
    return report.mistakes(pictures, total=len(wrong))


def novelty_section(found: NoveltyCheck) -> Section:
    """Known and unknown images on one scale, with the limit."""
    figures = found.as_dict()
    return report.novelty(
        found.known.numpy(),
        found.unknown.numpy(),
        threshold=found.limit,
        level=found.level,
        auroc=figures["auroc"],
        fpr95=figures["fpr95"],
        source=found.source,
    )


def data_sections(store: Store) -> list[Section]:
    """Sections on a source: its classes, quarantined files and duplicates."""
    manifest, found = store.manifest, audit(store)
    said = " ".join(f"{capitalised(note)}." for note in map(retold, notes(store)))
    return [
        report.class_counts(manifest.counts).with_note(retold(manifest.choice)),
        report.quarantine(
            [(q.path, retold(q.reason)) for q in manifest.quarantined], ignored=manifest.ignored
        ).with_note(said),
        report.duplicates(found.groups, found.extra, found.conflicts),
    ]


def _network_input(run: Run, examples: Examples) -> Section:
    """Three of the images, or texts, as the network is given them."""
    some = np.unique(np.linspace(0, len(examples) - 1, 3).round().astype(np.int64))
    given, vocabulary = examples.images(some), run.classes().vocabulary
    if vocabulary is not None:
        pieces = (" ".join(vocabulary.pieces(row)) for row in given.tolist())
        return report.prose(tr("As the network reads them, symbol by symbol"), *pieces)
    return report.network_input(as_stored(given), tr(_FITTED[run.classes().fit]))


def as_stored(images: Tensor) -> ImageArray:
    """Images uint8 (N, C, H, W) as they are stored."""
    pixels: ImageArray = images.permute(0, 2, 3, 1).numpy()
    return pixels[..., 0] if pixels.shape[3] == 1 else pixels


def _readings(evaluation: Evaluation) -> dict[str, dict[str, Any]]:
    """Each class with its shares of the images and their intervals; of many, the least precise."""
    several = len(evaluation.classes) > 1
    rows = evaluation.per_class(evaluation.least_precise(MOST_CLASSES)) if several else {}
    return {name: row for name, row in rows.items() if row["support"] > 0 or name in evaluation.unmet}


def evaluation_curves(evaluation: Evaluation) -> tuple[PrecisionCurve, ...]:
    """Precision of each class at every base rate, the others as common beside each other as they are."""
    return tuple(_precision_curve(evaluation, k) for k in evaluation.least_precise(CURVES))


def _precision_curve(evaluation: Evaluation, k: int) -> PrecisionCurve:
    """A line of the shares of the images, as the tables are, in the interval of draws of the two rates."""
    cells = evaluation.cells
    called, support, others = cells[:, [k]].toarray()[:, 0], cells.sum(axis=1), np.arange(cells.shape[0]) != k
    here = support / support.sum()
    weights = (here if evaluation.prior is None else evaluation.prior)[others]
    weights = weights if weights.any() else np.ones(len(weights))
    met = np.where(support[others] > 0, weights, 0.0)
    rng = numpy_generator(0, "precision curve", k)
    s = rng.beta(called[k] + 0.5, support[k] - called[k] + 0.5, CURVE_DRAWS)
    f = mixture_draws(called[others], support[others], weights, rng, draws=CURVE_DRAWS)
    marks = [float(here[k]), None if evaluation.prior is None else float(evaluation.prior[k])]
    grid = np.union1d(np.geomspace(1e-4, 0.999, 41), [x for x in marks if x])
    with np.errstate(invalid="ignore"):
        shares = called[others] / np.maximum(support[others], 1)
        line = _precision_at(grid, called[k] / support[k], met @ shares / met.sum())
    drawn = _precision_at(grid, s[:, None], f[:, None])
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    low, high = np.fmin(low, line), np.fmax(high, line)
    return PrecisionCurve(evaluation.classes[k], grid, line, low, high, marks[0] or None, marks[1])


def _precision_at(base_rate: FloatArray, sensitivity: Any, false_alarm: Any) -> FloatArray:
    found = base_rate * sensitivity
    precision: FloatArray = found / (found + (1 - base_rate) * false_alarm)
    return precision
