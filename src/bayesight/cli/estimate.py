"""``bayesight estimate``: a parameter by maximum likelihood and by Bayes, side by side, as the data grow."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from bayesight.cli.options import with_json
from bayesight.cli.output import write
from bayesight.formatting import four_figures, padded, percent
from bayesight.language import marked, retold, tr

if TYPE_CHECKING:
    from bayesight.workflows.estimate import ParameterEstimate

_KEYS = {
    "beta": marked("rate"),
    "dirichlet": marked("probabilities"),
    "normal": marked("mean"),
    "regression": marked("coefficients"),
    "wishart": "mean",
}


@with_json
def estimate(
    family: Annotated[str, typer.Argument(metavar="FAMILY", help="coin, categories, mean, line or cloud.")],
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA...", help="The data themselves, a CSV or text file, or - for standard input."
        ),
    ],
    prior: Annotated[
        str,
        typer.Option(
            metavar="NAME=NUMBER,...",
            help="coin: a, b (1, 1); categories: alpha (1); mean: mean, strength, shape, rate; line: "
            "precision, shape, rate; cloud: strength, df. What is left out of the last three is a reference "
            "prior, which depends on no unit and gives the t intervals of least squares.",
        ),
    ] = "",
    categories: Annotated[
        str, typer.Option(metavar="A,B,...", help="All categories, when some may not have come up yet.")
    ] = "",
    level: Annotated[float, typer.Option(help="Probability inside each interval.")] = 0.95,
) -> None:
    """Estimate a parameter by maximum likelihood and by Bayes, side by side, as the data grow.

    coin takes 1 and 0 (or H and T), categories any words, mean numbers, line rows of x,y, cloud rows of
    numbers. Put -- before inline data that start with a minus sign.

    Example: bayesight estimate coin 1 1 0 1 1 0 1 1 --prior a=2,b=2
    """
    from bayesight.workflows.estimate import estimate as work

    piped = sys.stdin.read() if data == ["-"] else None
    found = work(family, data, prior=prior, categories=categories, level=level, piped=piped)
    write(found.as_dict(), _tell(found, level))


def _tell(found: ParameterEstimate, level: float) -> str:
    kind, names, snapshots = found.family, found.names, found.snapshots
    key = _KEYS[kind]
    labels = {
        "dirichlet": names,
        "regression": names,
        "wishart": [marked(f"mean of {n}") for n in names],
    }.get(kind, [key])
    lines = []
    for j, label in enumerate(labels):
        spread = retold(marked(f"{percent(level, 0)} interval"))
        best, mean = padded(tr("max. likelihood"), -15), padded(tr("posterior mean"), -14)
        lines += [tr(label) if label == key else label, f"{'n':>9}  {best}  {mean}  {spread}"]
        for s in snapshots:
            best = four_figures(s.mle[key].reshape(-1)[j].item()) if s.mle else tr("open")
            mean, reach = tr("open"), tr("open")
            if s.interval:
                mean = four_figures(s.posterior[key].reshape(-1)[j].item())
                reach = tr(" to ").join(
                    four_figures(bound.reshape(-1)[j].item()) for bound in s.interval[key]
                )
            lines.append(f"{s.n:>9,}  {best:>15}  {mean:>14}  {reach}")
        lines.append("")
    last = snapshots[-1]
    if "variance" in last.posterior:
        spread = tr(" to ").join(four_figures(bound.item()) for bound in last.interval["variance"])
        best = four_figures(last.mle["variance"].item()) if last.mle else tr("open")
        bayes = four_figures(last.posterior["variance"].item())
        lines.append(marked(f"variance: {best} by maximum likelihood, {bayes} by Bayes ({spread})"))
    if last.log_evidence != last.log_evidence:
        lines.append(marked("log-evidence: not defined after a reference prior; state one with --prior"))
    else:
        lines.append(marked(f"log-evidence of all {last.n:,}: {last.log_evidence:.4f} nats"))
    return "\n".join(lines)
