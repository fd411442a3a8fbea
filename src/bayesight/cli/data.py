"""``bayesight data``: look at a source of images, make one, fetch one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bayesight.cli.common import JsonFlag, emit, progress_bar

__all__ = ["data_app"]

data_app = typer.Typer(no_args_is_help=True, help="Look at a source of images, render one, fetch one.")


@data_app.command("inspect")
def inspect(
    source: Annotated[Path, typer.Argument(help="A folder, .tar(.gz|.xz|.bz2), .zip or IDX .gz file.")],
    as_json: JsonFlag = False,
) -> None:
    """Count classes and images, name what is broken and what is there twice."""
    from bayesight.data.store import open_store

    with progress_bar("reading") as progress:
        store = open_store(source, progress=progress)
    emit({"examples": len(store)}, as_json=as_json, text=lambda: f"{len(store)} images")


@data_app.callback()
def _group() -> None:
    """Look at a source of images, render one, fetch one."""
