"""``bayesight translate``: sentences in another language."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bayesight.cli.common import json_wanted, progress_bar, with_json, write
from bayesight.errors import InvalidInput
from bayesight.language import marked

__all__ = ["translate"]


@with_json
def translate(
    run: Annotated[Path, typer.Argument(help="A run folder of a translation model.")],
    sentences: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SENTENCE]...", help="Sentences to translate; - reads standard input."),
    ] = None,
    lines: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Translate the lines of this file, plain or .gz (default: none)."),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the translations here, a line each (default: print them)."),
    ] = None,
    beam: Annotated[
        int,
        typer.Option(
            min=1,
            max=100,
            help="Beginnings that the search keeps; 1 takes the most probable symbol each time.",
        ),
    ] = 4,
) -> None:
    """Translate sentences, by a translation model.

    The model is one that 'bayesight train corpus.de --model transformer --out RUN' has made.

    Example: bayesight translate runs/de-en "ein hund läuft über die wiese ."
    """
    from bayesight.data.text import read_lines
    from bayesight.files import write_atomic
    from bayesight.workflows.texts import translate as translated

    given = sys.stdin.read().splitlines() if sentences == ["-"] else list(sentences or [])
    if bool(given) == bool(lines):
        raise InvalidInput(
            f"translate: {'sentences and --lines' if lines else 'nothing to translate'}; expected one of "
            'them, as: bayesight translate RUN "SENTENCE"'
        )
    wanted = given if lines is None else read_lines(lines)
    with progress_bar("translating") as progress:
        found = translated(run, wanted, beam=beam, progress=progress)
    if to is not None:
        write_atomic(to, "".join(f"{line}\n" for line in found))
    rows = [{"source": one, "translation": other} for one, other in zip(wanted, found, strict=True)]
    document = {"run": str(run), "beam": beam, "translations": rows}
    if to is not None and not json_wanted():
        typer.echo(marked(f"{len(found):,} translations in {to}"))
        return
    write(document, "\n".join(found), verbatim=True)
