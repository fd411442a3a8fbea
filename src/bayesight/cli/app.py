"""The commands put together, and what happens when one of them fails."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import bayesight
from bayesight.cli.bayes import bayes, diagnose
from bayesight.cli.causal import causal_app
from bayesight.cli.data import cache, data_app
from bayesight.cli.estimate import estimate
from bayesight.cli.evaluate import evaluate
from bayesight.cli.export import export, summary
from bayesight.cli.learn import demo, learn
from bayesight.cli.ledger import ledger_app, token_app
from bayesight.cli.milestones import milestones_app
from bayesight.cli.output import INTERRUPTED, STOPPED, ReportedStatus, say
from bayesight.cli.predict import predict
from bayesight.cli.prior import prior
from bayesight.cli.serve import serve
from bayesight.cli.shift import shift
from bayesight.cli.texts import generate, translate
from bayesight.cli.train import train
from bayesight.cli.update import update
from bayesight.errors import BayesightError
from bayesight.files import refusal_of_system

app = typer.Typer(
    name="bayesight",
    help="Train an image classifier from an archive, and know what its answers are worth.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
    epilog="Example: bayesight train letters.tar.gz --out runs/letters",
)
causal_app.command("shift")(shift)
_COMMANDS = (
    *(demo, learn, data_app, train, evaluate, predict, update, prior, bayes, diagnose, estimate, causal_app),
    *(generate, translate, export, cache, summary, milestones_app, serve, ledger_app, token_app),
)
for _one in _COMMANDS:  # in the order of help
    if isinstance(_one, typer.Typer):
        app.add_typer(_one)
    else:
        app.command(_one.__name__)(_one)


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

    0 success; 1 a refused input, told in one sentence on standard error; 2 wrong usage; 130 interrupted, or
    143 ended by SIGTERM.
    """
    try:
        app(prog_name="bayesight")  # wrong usage: Typer itself tells it and leaves with 2
    except BayesightError as refused:
        say(f"bayesight: {refused}", verbatim=True)
        sys.exit(1)
    except OSError as problem:
        if (told := refusal_of_system(problem)) is None:
            raise
        say(f"bayesight: {told}", verbatim=True)
        sys.exit(1)
    except SystemExit as leave:
        if leave.code != INTERRUPTED or isinstance(leave.code, ReportedStatus):
            raise
        say(STOPPED)
        sys.exit(ReportedStatus(INTERRUPTED))
