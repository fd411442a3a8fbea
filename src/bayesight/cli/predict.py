"""``bayesight predict``: what single images are, in the four terms of Bayes' theorem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from bayesight.checks import check
from bayesight.cli.options import (
    ClusterOption,
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
from bayesight.cli.output import ledger_words, progress_bar, say, write, write_parts
from bayesight.formatting import percent
from bayesight.language import marked, retold

if TYPE_CHECKING:
    from bayesight.data.sources import ContainerOptions
    from bayesight.workflows.predict import Prediction, Readings, UnreadImage

Box: TypeAlias = tuple[float, float, float, float]

SHOWN = 5


@with_json
@with_source("by_name", "by_position", "labels_from", "class_level", "split_folders")
def predict(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    images: Annotated[
        list[str] | None,
        typer.Argument(
            help="Image files, folders and archives of them, and tables with a column 'path'; of a run "
            "of texts, texts and files with one a line."
        ),
    ] = None,
    prior: PriorOption = None,
    same_subject: Annotated[
        bool,
        typer.Option("--same-subject", help="Readings of one subject: a posterior is the next prior."),
    ] = False,
    dependence: Annotated[
        float,
        typer.Option(help="Correlation of such readings: 0 independent, 1 the same reading again."),
    ] = 0.0,
    level: Annotated[float, typer.Option(help="Share of known images that may be called unknown.")] = 0.05,
    abstain: Annotated[
        bool, typer.Option("--abstain", help="Answer 'unknown' where an image is like nothing seen.")
    ] = False,
    costs: Annotated[
        str | None,
        typer.Option(
            help='Costs to decide by: zero-one, or a JSON file {"act": {"A": 0, "*": 5}, ...} (default: '
            "nothing is decided, or zero-one where another cost is given)."
        ),
    ] = None,
    hand_over: Annotated[
        float | None,
        typer.Option(
            help="Cost of handing an image to a person, a possible action then (default: no such action)."
        ),
    ] = None,
    reading_cost: Annotated[
        float | None,
        typer.Option(
            help="Cost of another reading of the subject, a possible action then (default: no such action)."
        ),
    ] = None,
    set_coverage: SetCoverageOption = None,
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv|.parquet",
            help="Write a table with a row an image; with --parts a folder of them, one a part (default: the "
            "answers are printed).",
        ),
    ] = None,
    explain: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.png",
            help="Draw the parts of the one image given that the answer rests on, and those that are "
            "unfamiliar where it is unlike anything seen (default: nothing is drawn).",
        ),
    ] = None,
    overlay: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.png|FOLDER",
            help="Of a run that names pixels or answers questions: draw the answer over the image, or those "
            "of several images into a folder (default: nothing is drawn).",
        ),
    ] = None,
    box: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LEFT,TOP,RIGHT,BOTTOM",
            help="Of a run that finds key points: a figure's box in pixels; again for each further one "
            "(default: the one figure that the image shows).",
        ),
    ] = None,
    question: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Of a run that answers questions: the question (default: none)."),
    ] = None,
    ledger: LedgerOption = None,
    parts: PartsOption = None,
    cluster: ClusterOption = None,
    *,
    options: SourceOptions,
) -> None:
    """Classify images: prior, likelihood, evidence, posterior, and whether they are like anything seen.

    With costs, also what to do: the action of least expected cost, to hand the image to a person, or to ask
    for another reading where that is expected to save more than it costs.

    An image that cannot be read is named, and the others are answered. With --to the exit status is 1 then,
    and the table is written all the same.

    Example: bayesight predict runs/letters first.png second.png --same-subject --prior A=0.5

    Example: bayesight predict runs/letters first.png --costs zero-one --hand-over 0.1 --reading-cost 0.01

    Example: bayesight predict runs/letters first.png --explain first-explained.png

    Example: bayesight predict runs/letters scans.tar.gz more.csv --to answers.parquet

    Example: bayesight predict runs/reviews "a film to see twice" more.txt

    Example: bayesight predict runs/street crossing.jpg --overlay crossing-named.png

    Example: bayesight predict runs/shapes one.png --question "What shape is closest to the red object?"
    """
    from bayesight.run import Run
    from bayesight.training.recipe import ON_IMAGES
    from bayesight.workflows.decisions import Stakes
    from bayesight.workflows.predict import Readings, answers_for

    check_parts(images, parts, cluster, {"--ledger": ledger, "--explain": explain})
    opened, container = Run.open(run), options.container
    if opened.kind in ON_IMAGES:
        given = {
            "--parts": parts, "--same-subject": same_subject, "--dependence": dependence,
            "--abstain": abstain, "--costs": costs, "--hand-over": hand_over is not None,
            "--reading-cost": reading_cost is not None, "--level": level != 0.05,
            "--set-coverage": set_coverage, "--explain": explain, "--ledger": ledger, "--to": to,
        }  # fmt: skip
        refuse_options(given, opened.kind)
        from bayesight.workflows.tasks.answers import answer_images

        assert images is not None
        boxes = [_box(one) for one in box or ()]
        answers = answer_images(
            opened,
            images,
            prior=prior,
            question=question or "",
            boxes=boxes,
            overlay=overlay,
            container=container,
        )
        for name, reason in answers.unread:
            say(f"{name}: {retold(reason)}", verbatim=True)
        write(answers.as_list(), answers.text)
        return
    refuse_options({"--overlay": overlay, "--box": box, "--question": question}, opened.kind)
    stated = costs is not None or hand_over is not None or reading_cost is not None
    stakes = Stakes(costs or "zero-one", hand_over, reading_cost) if stated else None
    how = Readings(prior, same_subject, dependence, level, abstain, stakes, set_coverage)
    if dependence and not same_subject:
        raise typer.BadParameter(
            "needs --same-subject, for images of different subjects do not depend on each other",
            param_hint="--dependence",
        )
    if parts is not None:
        if to is None:
            raise typer.BadParameter("needs --to FOLDER for its tables, one a part", param_hint="--parts")
        _answer_parts(run, parts, to, how, cluster, options)
        return
    assert images is not None
    if explain is not None and (len(images) != 1 or to is not None):
        raise typer.BadParameter("explains one image file, and goes without --to", param_hint="--explain")
    if to is not None:
        _write(run, images, to, how, ledger, container)
        return
    if explain is not None:
        from bayesight.workflows.explain import explain as explained

        explanation = explained(run, images[0], explain, how, ledger=ledger)
        say(marked(f"explained in {explanation.path}"))
        found = explanation.answers
    else:
        with progress_bar("reading") as progress:
            found = answers_for(run, images, how, ledger=ledger, container=container, progress=progress)
    more = ledger_words(run, ledger)
    _say_of_sources(found.sources, found.unread)
    text = "\n".join(_lines(p, found.notes.get(p.path, ())) for p in found.predictions)
    write([row | more for row in found.as_list()], text)


def _box(text: str) -> Box:
    """A box as it is written, of some extent."""
    try:
        ends = [float(end) for end in text.split(",")]
    except ValueError:
        ends = []
    fits = len(ends) == 4 and ends[0] < ends[2] and ends[1] < ends[3]
    check(fits, "--box", f"got {text!r}", "LEFT,TOP,RIGHT,BOTTOM in pixels, as 10,20,90,200")
    return ends[0], ends[1], ends[2], ends[3]


def _answer_parts(
    run: Path, parts: Path, to: Path, how: Readings, cluster: str | None, options: SourceOptions
) -> None:
    from bayesight.workflows.parts.answering import answer_parts

    with progress_bar("parts", unit="parts") as progress:
        made = answer_parts(run, parts, to, how, cluster=cluster, options=options, progress=progress)
    write_parts(made.as_dict(), made.text(), made.job)


def _write(
    run: Path,
    images: list[str],
    to: Path,
    how: Readings,
    ledger: str | None,
    container: ContainerOptions,
) -> None:
    """Answer into a table; exit status 1 where an image could not be read."""
    from bayesight.workflows.answer_table import write_answers

    with progress_bar("reading") as progress:
        made = write_answers(run, images, to, how, ledger=ledger, container=container, progress=progress)
    _say_of_sources(made.sources, made.unread)
    write(made.as_dict() | ledger_words(run, ledger), made.text())
    if made.unread:
        raise typer.Exit(1)


def _say_of_sources(sources: Mapping[str, Sequence[str]], unread: Sequence[UnreadImage]) -> None:
    from bayesight.errors import shown

    for name, said in sources.items():
        for note in said:
            say(f"{shown(name)}: {retold(note)}", verbatim=True)
    for one in unread:
        error = retold(one.error)
        say(error if one.path in error else f"{shown(one.path, 120)}: {error}", verbatim=True)


def _lines(found: Prediction, notes: Sequence[str] = ()) -> str:
    ranked = sorted(found.posterior.items(), key=lambda pair: -pair[1])[:SHOWN]
    best = ranked[0][0]
    share = percent(found.p_value, 0)
    share = marked(f"at most {share}") if found.strangest else share
    lines = [
        f"{found.path}: {found.prediction}",
        marked(f"  posterior  {', '.join(f'{n} {percent(p)}' for n, p in ranked)}"),
        marked(
            f"  {best} was {percent(found.prior[best])} before; log-evidence {found.log_evidence:.1f} nats, "
            f"novelty {found.novelty:+.1f} ({share} of the known are as strange)"
        ),
    ]
    if found.decision is not None:
        made = found.decision
        least = min(made.expected_cost.values())
        lines.append(
            marked(f"  do         {made.action} (least expected cost {least:.3g})")
            if made.reading_saves is None
            else marked(
                f"  do         {made.action} (least expected cost {least:.3g}; another reading tells "
                f"{made.information_bits:.2f} bits and saves {made.reading_saves:.3g})"
            )
        )
    if found.set is not None:
        lines.append(marked(f"  set        {', '.join(found.set)}"))
    lines += [marked(f"  note       {note}") for note in notes]
    return "\n".join(lines + ([f"  {found.reason}"] if found.reason else []))
