"""``bayesight prior``: the base rates of a place, from unlabelled images taken there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayesight.cli.common import (
    FollowLinksFlag,
    JsonFlag,
    LedgerOption,
    NamesOption,
    SeedOption,
    emit,
    ledger_words,
    progress_bar,
    say,
    source_options,
)

if TYPE_CHECKING:
    from bayesight.workflows.infer_prior import InferredPrior

__all__ = ["prior"]


def prior(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    source: Annotated[Path, typer.Argument(help="Images; their labels, if any, are not looked at.")],
    level: Annotated[float, typer.Option(help="Probability inside each interval.")] = 0.9,
    out: Annotated[Path | None, typer.Option(help="Also write the prior to a JSON file for --prior.")] = None,
    seed: SeedOption = 0,
    ledger: LedgerOption = None,
    names: NamesOption = None,
    follow_links: FollowLinksFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Infer the base rates of unlabelled images, with intervals, a second opinion and a warning.

    Example: bayesight prior runs/letters new-images.zip --out prior.json
    """
    import json

    from bayesight.files import write_atomic
    from bayesight.workflows.infer_prior import infer_prior

    with progress_bar("reading") as progress:
        found = infer_prior(
            run,
            source,
            level=level,
            seed=seed,
            ledger=ledger,
            container=source_options(names=names, follow_links=follow_links).container,
            progress=progress,
        )
    for note in found.source.get("notes", ()):
        say(note)
    if found.warning:
        say(f"warning: {found.warning}")
    if out is not None:
        write_atomic(out, json.dumps(found.as_dict()["prior"], indent=1, ensure_ascii=False) + "\n")
    emit(found.as_dict() | ledger_words(run, ledger), as_json=as_json, text=lambda: _text(found))


def _text(found: InferredPrior) -> str:
    tree = found.as_dict()
    width = max(5, *map(len, found.classes))
    rows = [
        f"{name:{width}}  {p:6.1%}  {tree['interval'][name][0]:6.1%} to {tree['interval'][name][1]:6.1%}  "
        f"{tree['second_opinion'][name]:6.1%}"
        for name, p in tree["prior"].items()
    ]
    head = f"{'class':{width}}    here  {tree['level']:.0%} interval       second opinion"
    unknown = found.estimate.unknown
    if unknown is not None:
        span = f"{unknown.low:.1%} to {unknown.high:.1%}"
        rows.append(f"of all images {unknown.share:.1%} are of unknown kinds ({span})")
    return "\n".join([head, *rows, "", found.method])
