"""The commands put together, and what happens when one of them fails."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import bayesight
from bayesight.cli import (
    bayes,
    cache,
    demo,
    diagnose,
    estimate,
    evaluate,
    export,
    generate,
    learn,
    predict,
    prior,
    shift,
    summary,
    train,
    translate,
    update,
)
from bayesight.cli.causal import causal_app
from bayesight.cli.common import INTERRUPTED, STOPPED, ReportedStatus, say
from bayesight.cli.data import data_app
from bayesight.cli.ledger import ledger_app
from bayesight.cli.milestones import milestones_app
from bayesight.cli.serve import serve
from bayesight.cli.token import token_app
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
app.command("demo")(demo.demo)
app.command("learn")(learn.learn)
app.add_typer(data_app)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("predict")(predict.predict)
app.command("update")(update.update)
app.command("prior")(prior.prior)
app.command("bayes")(bayes.bayes)
app.command("diagnose")(diagnose.diagnose)
app.command("estimate")(estimate.estimate)
causal_app.command("shift")(shift.shift)
app.add_typer(causal_app)
app.command("generate")(generate.generate)
app.command("translate")(translate.translate)
app.command("export")(export.export)
app.command("cache")(cache.cache)
app.command("summary")(summary.summary)
app.add_typer(milestones_app)
app.command("serve")(serve)
app.add_typer(ledger_app)
app.add_typer(token_app)


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
        app(prog_name="bayesight")  # wrong usage: Typer itself tells it and leaves with 2
    except BayesightError as refused:
        say(f"bayesight: {refused}", verbatim=True)
        sys.exit(1)
    except SystemExit as leave:
        if leave.code != INTERRUPTED or isinstance(leave.code, ReportedStatus):
            raise
        say(STOPPED)
        sys.exit(ReportedStatus(INTERRUPTED))
