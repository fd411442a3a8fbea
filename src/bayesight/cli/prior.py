"""``bayesight prior``: the base rates of a place, from unlabelled images taken there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayesight.cli.options import (
    ClusterOption,
    LedgerOption,
    PartsOption,
    SeedOption,
    SourceOptions,
    check_parts,
    with_json,
    with_source,
)
from bayesight.cli.output import ledger_words, progress_bar, say, write, write_parts
from bayesight.files import write_atomic
from bayesight.formatting import columns, padded, percent
from bayesight.language import marked, retold, tr

if TYPE_CHECKING:
    from bayesight.workflows.infer_prior import InferredPrior


@with_json
@with_source("by_name", "by_position", "labels_from", "class_level", "split_folders")
def prior(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    source: Annotated[
        Path | None, typer.Argument(help="Images; their labels, if any, are not looked at.")
    ] = None,
    level: Annotated[float, typer.Option(help="Probability inside each interval.")] = 0.9,
    out: Annotated[
        Path | None,
        typer.Option(help="Also write the prior to a JSON file for --prior (default: it is printed alone)."),
    ] = None,
    seed: SeedOption = 0,
    ledger: LedgerOption = None,
    parts: PartsOption = None,
    cluster: ClusterOption = None,
    *,
    options: SourceOptions,
) -> None:
    """Infer the base rates of unlabelled images, with intervals, a second opinion and a warning.

    Example: bayesight prior runs/letters new-images.zip --out prior.json
    """
    import json

    from bayesight.workflows.infer_prior import infer_prior

    check_parts(source, parts, cluster, {"--ledger": ledger})
    job = None
    if parts is not None:
        from bayesight.workflows.parts.answering import infer_parts

        with progress_bar("parts", unit="parts") as progress:
            found, job = infer_parts(
                run, parts, level=level, seed=seed, cluster=cluster, options=options, progress=progress
            )
    else:
        assert source is not None
        with progress_bar("reading") as progress:
            found = infer_prior(
                run,
                source,
                level=level,
                seed=seed,
                ledger=ledger,
                container=options.container,
                progress=progress,
            )
    for note in found.source.get("notes", ()):
        say(note)
    if found.warning:
        say(marked(f"warning: {found.warning}"))
    if out is not None:
        write_atomic(out, json.dumps(found.as_dict()["prior"], indent=1, ensure_ascii=False) + "\n")
    if job is not None:
        write_parts(found.as_dict(), f"{_text(found)}\n{job.text()}", job)
    else:
        write(found.as_dict() | ledger_words(run, ledger), _text(found))


def _text(found: InferredPrior) -> str:
    tree = found.as_dict()
    width = max(columns(tr("class")), *map(columns, found.classes))
    to = tr(" to ")
    rows = [
        f"{padded(name, width)}  {percent(p):>8}  {to.join(map(percent, tree['interval'][name])):>18}  "
        f"{percent(tree['second_opinion'][name]):>14}"
        for name, p in tree["prior"].items()
    ]
    spread = marked(f"{percent(tree['level'], 0)} interval")
    heads = {tr("class"): width, tr("here"): -8, retold(spread): -18, tr("second opinion"): -14}
    head = "  ".join(padded(name, space) for name, space in heads.items())
    unknown = found.estimate.unknown
    if unknown is not None:
        share, low, high = map(percent, (unknown.share, unknown.low, unknown.high))
        rows.append(marked(f"of all {share} are of unknown kinds ({low} to {high})"))
    return "\n".join([head, *rows, "", found.method])
