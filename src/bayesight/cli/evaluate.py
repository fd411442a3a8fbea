"""``bayesight evaluate``: how good a run is on labelled images."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayesight.cli.common import JsonFlag, LedgerOption, emit, ledger_words, progress_bar, say
from bayesight.cli.train import environment_lines

if TYPE_CHECKING:
    from bayesight.workflows.evaluate import EvaluateResult

__all__ = ["evaluate"]


class Head(StrEnum):
    """What answers."""

    gaussian = "gaussian"
    laplace = "laplace"


PriorOption = Annotated[
    str | None,
    typer.Option(
        "--prior",
        help="Base rates where it is used: A=0.5,B=0.1 (the rest shared), uniform, or a .json file.",
    ),
]


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    source: Annotated[Path, typer.Argument(help="Labelled images: folder, archive or IDX file.")],
    prior: PriorOption = None,
    unknown: Annotated[
        Path | None, typer.Option(help="Images of kinds it never learned: does it notice?")
    ] = None,
    level: Annotated[float, typer.Option(help="Share of known images that may be called unknown.")] = 0.05,
    head: Annotated[
        Head, typer.Option(help="gaussian, the run's belief, or laplace, a softmax to compare it with.")
    ] = Head.gaussian,
    labels: Annotated[Path | None, typer.Option(help="Labels of an IDX source, if not beside it.")] = None,
    environments: Annotated[
        str | None,
        typer.Option(
            metavar="folder|TABLE:COLUMN", help="Where each image comes from, as in train: scored apart."
        ),
    ] = None,
    ledger: LedgerOption = None,
    report: Annotated[Path | None, typer.Option(help="Also write an HTML report to this file.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure a run: confusion matrix, and each class read as a diagnostic test.

    Example: bayesight evaluate runs/letters more-letters.zip --prior A=0.5 --report letters.html
    """
    from bayesight.workflows.evaluate import evaluate as work
    from bayesight.workflows.reporting import evaluation_report

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
            progress=progress,
        )
    for note in (result.data.note, result.data.fitted_note):
        if note:
            say(note)
    if report is not None:
        say(f"report: {evaluation_report(result, report)}")
    emit(result.as_dict() | ledger_words(run, ledger), as_json=as_json, text=lambda: _text(result))


def _text(result: EvaluateResult) -> str:
    found = result.evaluation
    where = "at the stated base rates" if found.prior is not None else "base rates as among these images"
    width = max(5, *(len(name) for name in found.classes))
    lines = [
        f"{len(found.labels):,} images, {where}: accuracy {found.accuracy:.4f}, log-loss "
        f"{found.log_loss:.4f} nats, calibration error {found.ece:.4f}",
        "",
        f"{'class':{width}}  images  sensitivity        false alarm        precision",
    ]
    for name, row in found.per_class().items():
        spans = row["intervals"]
        cells = [
            f"{row[key]:.3f} ({spans[key][0]:.3f}-{spans[key][1]:.3f})" if key in spans else f"{row[key]:.3f}"
            for key in ("sensitivity", "false_alarm", "precision")
        ]
        lines.append(f"{name:{width}}  {row['support']:6,}  " + "  ".join(cells))
    if result.environments:
        lines += ["", environment_lines(result.environments).rstrip()]
    if result.novelty is not None:
        figures = result.novelty.as_dict()
        lines += [
            "",
            f"unknown: of {figures['unknown_examples']:,} images of other kinds "
            f"{figures['unknown_flagged']:.1%} are flagged, and {figures['known_flagged']:.1%} of the known; "
            f"AUROC {figures['auroc']:.4f}",
        ]
    lines += ["", "precision: of the images called so, the share that are. Intervals: 95 %."]
    return "\n".join(lines)
