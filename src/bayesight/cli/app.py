"""The commands put together, and what happens when one of them fails."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import click
import typer

import bayesight
from bayesight.cli import evaluate, predict, summary, train
from bayesight.cli.common import say
from bayesight.cli.data import data_app
from bayesight.errors import BayesightError

__all__ = ["app", "run"]

app = typer.Typer(
    name="bayesight",
    help="Train an image classifier from an archive, and know what its answers are worth.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
    epilog="Example: bayesight train letters.tar.gz --out runs/letters",
)
app.add_typer(data_app)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("predict")(predict.predict)
app.command("summary")(summary.summary)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bayesight {bayesight.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the program itself."""


def run() -> None:
    """Run the command line and leave with its exit status.

    0 success; 1 a refused input, told in one sentence on standard error; 2 wrong usage; 130 interrupted.
    """
    try:
        app(standalone_mode=False)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.ClickException as usage:
        usage.show()
        sys.exit(usage.exit_code)
    except BayesightError as refused:
        say(f"bayesight: {refused}")
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort):
        say("bayesight: interrupted; what was written before is whole.")
        sys.exit(130)
    except BrokenPipeError:
        # The reader left (`| head`): nothing to say, and Python must not complain while it shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
