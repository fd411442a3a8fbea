"""``bayesight generate`` and ``translate``: a text gone on with, sentences in another language."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bayesight.cli.options import SeedOption, with_json
from bayesight.cli.output import json_wanted, progress_bar, write
from bayesight.errors import InvalidInput
from bayesight.files import write_atomic
from bayesight.language import marked


@with_json
def generate(
    run: Annotated[Path, typer.Argument(help="A run folder of a language model.")],
    prompt: Annotated[str, typer.Option(help="The beginning of the text; - reads standard input.")],
    tokens: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Characters to write, or subwords as the run has them.")
    ] = 200,
    temperature: Annotated[
        float,
        typer.Option(min=0.0, help="0 writes what is most probable, 1 draws as the model believes."),
    ] = 0.8,
    top: Annotated[
        int | None,
        typer.Option(min=1, help="Draw from so many of the most probable symbols (default: from all)."),
    ] = None,
    seed: SeedOption = 0,
) -> None:
    """Go on with a text, by a language model.

    The model is one that 'bayesight train TEXT.txt --model gpt --out RUN' has made.

    Example: bayesight generate runs/plays --prompt "To be, " --tokens 200 --temperature 0.8 --seed 0
    """
    from bayesight.workflows.texts import generate as written

    beginning = sys.stdin.read() if prompt == "-" else prompt
    pieces = written(run, beginning, tokens, temperature=temperature, top=top, seed=seed)
    if not json_wanted():
        first = next(pieces)  # what is refused is refused before anything is written
        typer.echo(beginning + first, nl=False)
        for piece in pieces:
            typer.echo(piece, nl=False)
        typer.echo()
        return
    text = "".join(pieces)
    write(
        {"text": beginning + text, "prompt": beginning, "tokens": tokens, "seed": seed}, text, verbatim=True
    )


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
    from bayesight.workflows.texts import translate as translated

    given = sys.stdin.read().splitlines() if sentences == ["-"] else list(sentences or [])
    if bool(given) == bool(lines):
        raise InvalidInput(
            f"translate: {'sentences and --lines' if lines else 'nothing to translate'}; expected "
            'sentences or --lines FILE, as: bayesight translate RUN "SENTENCE"'
        )
    wanted = given if lines is None else read_lines(lines)
    with progress_bar("translating") as progress:
        found = translated(run, wanted, beam=beam, progress=progress)
    if to is not None:
        write_atomic(to, "".join(f"{line}\n" for line in found))
    rows = [{"source": one, "translation": other} for one, other in zip(wanted, found, strict=True)]
    document = {"run": str(run), "beam": beam, "translations": rows}
    if to is not None and not json_wanted():
        write(document, marked(f"{len(found):,} translations in {to}"))
        return
    write(document, "\n".join(found), verbatim=True)
