"""``bayesight demo``: the whole story on rendered letters."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayesight.cli.common import SeedOption, progress_bar, say, this_program, with_json, write
from bayesight.cli.events import training_listeners
from bayesight.language import marked, retold

if TYPE_CHECKING:
    from bayesight.report import Step
    from bayesight.workflows.demo import Demo

__all__ = ["demo"]


@with_json
def demo(
    out: Annotated[Path, typer.Option("--out", help="The run folder to make.")] = Path("runs/demo"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run that is there.")] = False,
    seed: SeedOption = 0,
    threads: Annotated[int | None, typer.Option(help="Processor threads; default: half the cores.")] = None,
) -> None:
    """Tell the whole story on rendered letters, with no download, and write a report.

    Render, inspect, train, evaluate, move the base rates, read twice, infer base rates, teach new classes,
    meet the unknown.

    Example: bayesight demo --out runs/demo
    """
    from bayesight.training.startup import defer_imports

    defer_imports()
    from bayesight.workflows.demo import demo as work

    with progress_bar("rendering") as rendering, training_listeners(out, quiet=True) as listeners:
        found = work(
            out,
            overwrite=overwrite,
            seed=seed,
            threads=threads,
            tell=_tell,
            progress=rendering,
            listeners=tuple(listeners),
        )
    write(found.as_dict(), _text(found))


def _tell(step: Step) -> None:
    command = f"  $ {step.command}\n" if step.command else ""
    words = retold(step.words).replace("\n", " ")
    say(f"{retold(step.title)} ({step.elapsed_s:.1f} s)\n{command}  {words}\n", verbatim=True)


def _text(found: Demo) -> str:
    return marked(
        f"The report, with pictures: {found.report}\n"
        f"The run, to go on with:    {found.run.folder}\n"
        f"With your own images:      bayesight train YOUR-IMAGES.zip --out runs/mine\n"
        "\n"
        "To show it letters you draw, correct it and teach it new ones, in a browser:\n"
        f"  $ {shlex.join([*this_program(), 'serve', str(found.run.folder), '--source', str(found.source)])}"
    )
