"""``bayesight generate``: a text that goes on where a prompt ends."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bayesight.cli.common import SeedOption, json_wanted, with_json, write

__all__ = ["generate"]


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
