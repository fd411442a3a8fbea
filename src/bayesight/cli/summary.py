"""``bayesight summary``: layers, shapes, parameters and multiply-adds."""

from __future__ import annotations

from typing import Annotated

import typer

from bayesight.cli.options import with_json
from bayesight.cli.output import write

__all__ = ["summary"]


@with_json
def summary(
    what: Annotated[str, typer.Argument(metavar="RUN|MODEL", help="A run folder, or a model's name.")],
    classes: Annotated[int, typer.Option(help="Number of classes, for a model's name.")] = 10,
    size: Annotated[int, typer.Option(help="Side of the images in pixels, for a model's name.")] = 28,
    mode: Annotated[str, typer.Option(help="L (grey) or RGB, for a model's name.")] = "L",
) -> None:
    """Print a network's layers with their shapes, parameters and multiply-adds.

    Example: bayesight summary resnet
    """
    from bayesight.workflows.summary import summarise

    found = summarise(what, classes=classes, size=size, mode=mode)
    write(found.as_dict(), found.table, verbatim=True)
