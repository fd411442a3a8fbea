"""``bayesight update``: labelled images into a trained run's belief, or out of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayesight.cli.options import (
    ClusterOption,
    LabelsFileOption,
    PartsOption,
    SourceOptions,
    check_parts,
    with_json,
    with_source,
)
from bayesight.cli.output import progress_bar, say, write, write_parts
from bayesight.formatting import percent
from bayesight.language import marked

if TYPE_CHECKING:
    from bayesight.workflows.update import UpdateResult


@with_json
@with_source()
def update(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    source: Annotated[
        Path | None, typer.Argument(help="Labelled images; new folder names are new classes.")
    ] = None,
    trust_past: Annotated[
        float, typer.Option(help="What an image absorbed earlier counts beside a new one, in (0, 1].")
    ] = 1.0,
    remove: Annotated[bool, typer.Option("--remove", help="Take these images out again.")] = False,
    robust: Annotated[
        bool, typer.Option("--robust", help="Weigh each image by the probability that its label is right.")
    ] = False,
    second_reading: Annotated[
        bool,
        typer.Option(
            "--second-reading", help="A second, independent reading: count beside labels given before."
        ),
    ] = False,
    labels: LabelsFileOption = None,
    similar_names: Annotated[
        bool,
        typer.Option(
            "--similar-names",
            help="New classes may have names that differ from known ones by case, width or blanks only.",
        ),
    ] = False,
    ledger: Annotated[
        str | None,
        typer.Option(
            help="Write it to this ledger, which services follow; the run folder stays as it is (default: "
            "the run folder is changed)."
        ),
    ] = None,
    person: Annotated[str, typer.Option(help="With --ledger: who gave the labels.")] = "",
    run_only: Annotated[
        bool, typer.Option("--run-only", help="Change the run folder even if a ledger goes on from it.")
    ] = False,
    parts: PartsOption = None,
    cluster: ClusterOption = None,
    *,
    options: SourceOptions,
) -> None:
    """Absorb labelled images: yesterday's posterior is today's prior. Nothing is trained again.

    Example: bayesight update runs/letters corrected/ --trust-past 0.9
    """
    from bayesight.workflows.update import update as work

    options = replace(options, similar_names=similar_names)
    alone = {
        "--remove": remove, "--robust": robust, "--second-reading": second_reading, "--ledger": ledger,
        "--labels-file": labels,
    }  # fmt: skip
    check_parts(source, parts, cluster, alone)
    if parts is not None:
        from bayesight.workflows.parts.update import update_by_parts

        with progress_bar("parts", unit="parts") as progress:
            made = update_by_parts(
                run,
                parts,
                cluster=cluster,
                trust_past=trust_past,
                run_only=run_only,
                options=options,
                progress=progress,
            )
        write_parts(made.as_dict(), made.text(), made.job)
        return
    assert source is not None
    if person and ledger is None:
        raise typer.BadParameter("needs --ledger, which keeps who gave them", param_hint="--person")
    if run_only and ledger is not None:
        raise typer.BadParameter("given with --ledger; expected one of the two", param_hint="--run-only")
    with progress_bar("reading") as progress:
        found = work(
            run,
            source,
            trust_past=trust_past,
            remove=remove,
            robust=robust,
            second_reading=second_reading,
            run_only=run_only,
            ledger=ledger,
            person=person,
            labels=labels,
            options=options,
            progress=progress,
        )
    for note in found.source.get("notes", ()):
        say(note)
    write(found.as_dict(), _text(found))


def _text(found: UpdateResult) -> str:
    whole, features = f"{found.features_s + found.belief_s:.2f}", f"{found.features_s:.2f}"
    counted = found.run.classes().counted
    gone = marked(f"gone, for no image of it is left: {', '.join(found.gone_classes)}")
    if found.removed:
        return "\n".join(
            [
                marked(f"took out {counted(found.removed)} in {whole} s (features {features} s)"),
                *[gone] * bool(found.gone_classes),
            ]
        )
    lines = [
        marked(f"absorbed {counted(found.absorbed)} in {whole} s (features {features} s)"),
        *_corrections(found),
    ]
    if found.new_classes:
        lines.append(marked(f"new classes: {', '.join(found.new_classes)}"))
    if found.predicted is not None and found.predicted == found.predicted:
        lines.append(
            marked(f"before that, {percent(found.predicted)} of those of known classes were called rightly")
        )
    return "\n".join([*lines, *[gone] * bool(found.gone_classes)])


def _corrections(found: UpdateResult) -> list[str]:
    """A line each for labels that corrected, repeated or superseded others."""
    total, lines = found.absorbed + found.repeated + found.superseded, []
    if found.corrected:
        (first, count), *more = sorted(found.was.items(), key=lambda pair: (-pair[1], pair[0]))
        others = "".join(marked(f", {n:,} as {name}") for name, n in more)
        lines.append(
            marked(
                f"{count:,} of {total:,} were learned as {first} before{others}; the new label replaces that"
            )
        )
    if found.repeated:
        lines.append(
            marked(
                f"{found.repeated:,} of {total:,} were repeated: learned under this label before, they "
                "change nothing (--second-reading counts them again)"
            )
        )
    if found.superseded:
        lines.append(
            marked(f"{found.superseded:,} of {total:,} came under another label too, and the last counts")
        )
    return lines
