"""``bayesight evaluate``: how good a run is on labelled images."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayesight.cli.options import (
    ClusterOption,
    LabelsFileOption,
    LedgerOption,
    PartsOption,
    PriorOption,
    SetCoverageOption,
    SourceOptions,
    check_parts,
    refuse_options,
    with_json,
    with_source,
)
from bayesight.cli.output import environment_lines, ledger_words, progress_bar, say, write, write_parts
from bayesight.errors import listed
from bayesight.formatting import capitalised, columns, decimal, padded, percent
from bayesight.language import marked, retold, tr

if TYPE_CHECKING:
    from bayesight.run import Run
    from bayesight.workflows.evaluate import EvaluateResult, Evaluation


class HeadChoice(StrEnum):
    """The head that answers."""

    gaussian = "gaussian"
    laplace = "laplace"


class Part(StrEnum):
    """Images of a source that were set apart."""

    train = "train"
    validation = "validation"
    test = "test"


@with_json
@with_source()
def evaluate(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    source: Annotated[
        Path | None, typer.Argument(help="Labelled images: folder, archive or IDX file.")
    ] = None,
    prior: PriorOption = None,
    unknown: Annotated[
        Path | None, typer.Option(help="Images of kinds it never learned: does it notice? (default: none).")
    ] = None,
    level: Annotated[float, typer.Option(help="Share of known images that may be called unknown.")] = 0.05,
    head: Annotated[
        HeadChoice, typer.Option(help="gaussian, the run's belief, or laplace, a softmax to compare it with.")
    ] = HeadChoice.gaussian,
    labels: LabelsFileOption = None,
    environments: Annotated[
        str | None,
        typer.Option(
            metavar="folder|TABLE:COLUMN",
            help="Where each image comes from, as in train: scored apart (default: not scored apart).",
        ),
    ] = None,
    ledger: LedgerOption = None,
    part: Annotated[
        Part | None, typer.Option(help="Of a source with parts, the one to score; default: test, if there.")
    ] = None,
    set_coverage: SetCoverageOption = None,
    report: Annotated[
        Path | None, typer.Option(help="Also write an HTML report to this file (default: none).")
    ] = None,
    parts: PartsOption = None,
    cluster: ClusterOption = None,
    *,
    options: SourceOptions,
) -> None:
    """Measure a run: confusion matrix, and each class read as a diagnostic test.

    Example: bayesight evaluate runs/letters more-letters.zip --prior A=0.5 --report letters.html
    """
    from bayesight.run import Run
    from bayesight.training.recipe import ON_IMAGES
    from bayesight.workflows.evaluate import evaluate as work
    from bayesight.workflows.reporting import evaluation_report

    chosen = replace(options, part=None if part is None else part.value)
    alone = {
        "--unknown": unknown, "--labels-file": labels, "--environments": environments, "--ledger": ledger,
        "--set-coverage": set_coverage, "--head": head is not HeadChoice.gaussian,
    }  # fmt: skip
    check_parts(source, parts, cluster, {**alone, "--report": report})
    if parts is not None:
        _evaluate_parts(run, parts, prior, cluster, chosen)
        return
    assert source is not None
    opened = Run.open(run)
    if opened.kind in ON_IMAGES:
        layout = options.layout
        of_classes = {
            "--level": level != 0.05, "--class-level": layout.class_level, "--by-name": options.numbers,
            "--labels-from": layout.labels_from, "--split-folders": layout.split_folders is not None,
        }  # fmt: skip
        refuse_options({**alone, **of_classes}, opened.kind)
        _evaluate_task(opened, source, prior, chosen, report)
        return
    with progress_bar("reading") as progress:
        result = work(
            run,
            source,
            prior=prior,
            unknown=unknown,
            level=level,
            head=head.value,
            labels=labels,
            environments=environments,
            ledger=ledger,
            set_coverage=set_coverage,
            options=chosen,
            progress=progress,
        )
    for note in result.data.notes:
        say(note)
    for note in () if result.novelty is None else result.novelty.notes:
        say(f"--unknown: {retold(note)}", verbatim=True)
    if report is not None:
        say(marked(f"report: {evaluation_report(result, report)}"))
    write(result.as_dict() | ledger_words(run, ledger), _text(result))


def _evaluate_task(
    run: Run, source: Path, prior: str | None, options: SourceOptions, report: Path | None
) -> None:
    """Measure a run that answers more of an image than its class."""
    from bayesight.workflows.tasks.answers import evaluate_task

    with progress_bar("reading") as progress:
        result = evaluate_task(run, source, prior=prior, options=options, progress=progress)
    for note in result.notes:
        say(note)
    if report is not None:
        say(marked(f"report: {result.report(report)}"))
    write(result.as_dict(), result.judgement.text)


def _evaluate_parts(
    run: Path, parts: Path, prior: str | None, cluster: str | None, options: SourceOptions
) -> None:
    from bayesight.report.words import quality
    from bayesight.workflows.parts.answering import evaluate_parts

    with progress_bar("parts", unit="parts") as progress:
        made = evaluate_parts(run, parts, prior=prior, cluster=cluster, options=options, progress=progress)
    found, reads = made.evaluation, made.run.reads
    lines = [
        *([found.verdict] if found.verdict else []),
        *([made.seen_note] if made.seen_note else []),
        f"{made.run.classes().counted(len(found.labels))}: " + quality(found.figures),
        made.job.text(),
        "",
        *_table(found, reads),
    ]
    write_parts(made.as_dict(), "\n".join(lines), made.job)


def _text(result: EvaluateResult) -> str:
    from bayesight.report.words import quality, spread

    found, reads = result.evaluation, result.run.reads
    judged = result.run.classes().counted(len(found.labels))
    if result.data.part:
        judged = marked(f"{judged} of the {result.data.part} part")
    figures = quality(found.figures)
    lines = [
        *([found.verdict] if found.verdict else []),
        *([_sentence(result.seen_note)] if result.seen_note else []),
        marked(f"{judged}, base rates as among these {reads}: {figures}")
        if found.prior is None
        else marked(f"{judged}, at the stated base rates: {figures}"),
        "",
        *_table(found, reads),
    ]
    if found.unmet:
        lines += [
            "",
            marked(
                f"{listed(found.unmet)}: no image in this sample, so nothing is known of what they are "
                "called; accuracy takes half of them to be right, its interval and the others' figures "
                "allow for all."
            ),
        ]
    if (sets := result.sets) is not None:
        lines += [
            "",
            marked(
                f"sets of classes for {percent(sets.asked)}: they hold the class of {percent(sets.held)} of "
                f"the {reads} ({spread(sets.interval)}), with {decimal(sets.mean_size, 2)} classes in a set; "
                f"{percent(sets.single)} of them have one"
            ),
        ]
    if result.environments:
        lines += ["", *environment_lines(result.environments)]
    if result.novelty is not None:
        novel = result.novelty.as_dict()
        lines += [
            "",
            marked(
                f"unknown: of {novel['unknown_examples']:,} {reads} of other kinds "
                f"{percent(novel['unknown_flagged'])} are flagged, and {percent(novel['known_flagged'])} "
                f"of the known; AUROC {decimal(novel['auroc'], 4)}"
            ),
        ]
    lines += ["", marked(f"precision: of the {reads} called so, the share that are. Intervals: 95 %.")]
    return "\n".join(lines)


def _table(found: Evaluation, reads: str) -> list[str]:
    """A line a class, the least precise where there are too many to read."""
    from bayesight.report.words import percent, spread
    from bayesight.workflows.evaluate import MOST_CLASSES, WHOLE

    rows, count = found.per_class(found.least_precise(MOST_CLASSES)), len(found.classes)
    width = min(40, max(columns(tr("class")), *map(columns, rows)))
    table = [[tr("sensitivity"), tr("false alarm"), tr("precision")]]
    for row in rows.values():
        cells = []
        for key in ("sensitivity", "false_alarm", "precision"):
            digits = 2 if key == "false_alarm" else 1
            value = tr(row["undefined"].get(key, "")) or percent(row[key], digits)
            reach = f" ({spread(row['intervals'][key], digits)})" if key in row["intervals"] else ""
            cells.append(f"{value}{reach}")
        table.append(cells)
    wide = [max(map(columns, column)) for column in zip(*table, strict=True)]
    heads = [f"{padded(tr('class'), width)}  {padded(tr(reads), -6)}"]
    heads += [f"{padded(listed([name]), width)}  {row['support']:6,}" for name, row in rows.items()]
    lines = [
        "  ".join([head, *(padded(cell, w) for cell, w in zip(cells, wide, strict=True))]).rstrip()
        for head, cells in zip(heads, table, strict=True)
    ]
    if count > len(rows):
        rest = f"{count - len(rows):,}"
        lines.append(
            marked(f"{rest} classes of higher precision are not listed; --json has all.")
            if count <= WHOLE
            else marked(f"{rest} classes of higher precision are not listed; --json has every confusion.")
        )
    return lines


def _sentence(words: str) -> str:
    return f"{capitalised(words)}."
