"""``bayesight milestones``: the papers that changed the field, each claim measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayesight.cli.options import with_json
from bayesight.cli.output import json_wanted, progress_bar, say, write
from bayesight.errors import MissingExtra
from bayesight.formatting import padded
from bayesight.language import marked, retold, tr

if TYPE_CHECKING:
    from bayesight.milestones import Milestone, Outcome, Setting

_KEYS = (marked("data"), marked("model"), marked("loss"), marked("optimization"))

milestones_app = typer.Typer(
    name="milestones", no_args_is_help=True, help="Papers that changed the field, each claim measured."
)


@milestones_app.callback()
def _group() -> None:
    """Papers that changed the field, each claim measured."""


@milestones_app.command("list", epilog="Example: bayesight milestones list --json")
@with_json
def list_() -> None:
    """Name the milestones: year, paper, claim, four keys, what each displaced, and minutes."""
    from bayesight.training.startup import defer_imports

    defer_imports()
    from bayesight.milestones import gallery

    told = gallery()
    write([_entry(m) for m in told], "\n\n".join(_lines(m) for m in told))


@milestones_app.command("run", epilog="Example: bayesight milestones run resnet --smoke")
@with_json
def run(
    name: Annotated[str, typer.Argument(help="A milestone's name, or 'all'.")],
    smoke: Annotated[bool, typer.Option("--smoke", help="A small budget, with bounds to suit.")] = False,
    seeds: Annotated[int | None, typer.Option(help="How many; default: the milestone's own.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Your images (archive, folder, IDX) or text; default: no download.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="The folder for cards; made if need be.")] = Path(
        "runs/milestones"
    ),
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start clean, where an interrupted run would go on.")
    ] = False,
    threads: Annotated[int | None, typer.Option(help="Processor threads; default: half the cores.")] = None,
) -> None:
    """Train a milestone's arms and its predecessor's, and hold the paper's claim against them.

    Writes a card with curves and pictures. Exit status 0 only when the claim is reproduced. A run that is
    interrupted keeps the trials it has finished and goes on from there.
    """
    from bayesight.training.startup import defer_imports

    defer_imports()
    from bayesight.milestones import Setting, find, gallery

    chosen = gallery() if name == "all" else (find(name),)
    setting = Setting(out=out, smoke=smoke, seeds=seeds, data=data, fresh=fresh, threads=threads)
    documents = []
    for milestone in chosen:
        if data is not None and name != "all" and milestone.source in ("none", "play", "shapes"):
            say(marked(f"{name} makes its own data; --data is not used."))
        suits = name != "all" or data is None or milestone.source in _kinds(data)
        try:
            documents.append(_run(milestone, setting if suits else replace(setting, data=None)))
        except MissingExtra as error:
            if name != "all":
                raise
            say(marked(f"{milestone.name} is left out: {error}"))
    if name == "all":
        write(documents, marked(f"cards: {out}"))
    else:
        write(documents[0], marked(f"card: {out / name}.md"))
    if not all(document["reproduced"] for document in documents):
        raise typer.Exit(1)


def _run(milestone: Milestone, setting: Setting) -> dict[str, Any]:
    """One milestone: measured, told on standard error (or output), its card and the index written."""
    from bayesight.milestones import gallery, run, write_card, write_index

    with progress_bar(milestone.name, unit="steps") as progress:
        outcome = run(milestone, setting, tell=say, progress=progress)
    page = write_card(outcome, setting.out)
    write_index(gallery(), setting.out)
    if not json_wanted():
        write({}, _verdict(outcome))
    return {**outcome.as_dict(), "card": str(page)}


def _verdict(outcome: Outcome) -> str:
    m = outcome.milestone
    lines = [
        f"{m.name} ({m.year}): {retold(m.claim)}",
        f"  {tr('the paper: {figure}', figure=retold(m.figure))}",
        f"  {tr('here, on {data}:', data=retold(outcome.origin))}",
        *(
            marked(
                f"    {marked('holds') if v.holds else marked('DOES NOT HOLD')}: {v.sentence}"
                f" (measured {v.measured:.4g}, bound {v.bound:.4g})"
            )
            for v in outcome.verdicts
        ),
        marked(f"  reproduced in {outcome.seconds:.0f} s")
        if outcome.reproduced
        else marked(f"  not reproduced in {outcome.seconds:.0f} s"),
    ]
    return "\n".join(lines)


def _kinds(data: Path) -> tuple[str, ...]:
    """The kinds of source that data can be, text, sentences, pairs or images, by their names."""
    if data.is_dir() and any(data.glob("*train*.*")) and not (data / "train").is_dir():
        return ("pairs", "sentences") if (data / "sms-spam.tsv.gz").is_file() else ("pairs",)
    return ("text",) if data.name.lower().endswith((".txt", ".txt.gz", ".md")) else ("letters",)


def _entry(m: Milestone) -> dict[str, Any]:
    return {
        "name": m.name,
        "year": m.year,
        "paper": vars(m.paper),
        "claim": m.claim,
        "published": m.figure,
        "displaced": m.displaced,
        "key": m.key,
        "arms": {arm.name: [recipe.as_dict() for recipe in arm.recipes] for arm in m.arms},
        "threshold": [claim.sentence() for claim in m.claims],
        "minutes": m.minutes,
    }


def _lines(m: Milestone) -> str:
    recipe = m.arms[0].recipes[-1]
    return "\n".join(
        [
            marked(f"{m.year}  {m.name}  (about {m.minutes:g} min; {m.paper.authors}, {m.paper.title!r})"),
            f"      {retold(m.claim)}",
            *(f"      {padded(tr(key), 13)} {getattr(recipe, key)}" for key in _KEYS),
            f"      {padded(tr('displaced'), 13)} "
            + tr("{what} (by its {key})", what=retold(m.displaced), key=tr(m.key)),
        ]
    )
