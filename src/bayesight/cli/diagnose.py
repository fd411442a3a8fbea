"""``bayesight diagnose``: what a positive and a negative are worth."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from bayesight.cli.common import SeedOption, share, share_option, with_json, write
from bayesight.errors import InvalidInput
from bayesight.language import marked, retold, tr

if TYPE_CHECKING:
    from bayesight.bayes.diagnostic import Diagnosis, Rate

__all__ = ["diagnose"]

_NAMES = (
    marked("specificity"),
    marked("negative predictive value"),
    marked("likelihood ratios"),
    marked("likelihood ratio positive"),
    marked("likelihood ratio negative"),
)
"""Those of the estimates that no other file names."""


@with_json
def diagnose(
    counts: Annotated[
        tuple[float, float, float, float] | None,
        typer.Option(
            metavar="TP FN FP TN",
            help="People tried: ill +, ill -, healthy +, healthy - (default: rates instead).",
        ),
    ] = None,
    sensitivity: Annotated[
        float | None,
        share_option("P(positive | has it), instead of counts: 0.9 or 90% (default: from --counts)."),
    ] = None,
    false_alarm: Annotated[
        float | None, share_option("P(positive | does not), instead of counts (default: from --counts).")
    ] = None,
    prevalence: Annotated[
        str | None,
        typer.Option(
            metavar="P|LOW-HIGH|N/TOTAL",
            help="Share who have it where the test is used (default: with counts their own share).",
        ),
    ] = None,
    beta: Annotated[
        str, typer.Option(metavar="A,B", help="Prior: pseudo-counts of right and wrong answers.")
    ] = "0.5,0.5",
    level: Annotated[float, typer.Option(help="Probability inside each interval.")] = 0.95,
    seed: SeedOption = 0,
) -> None:
    """Say what a positive and a negative are worth, with credible intervals.

    Example: bayesight diagnose --counts 99 1 90 810 --prevalence 0.01
    """
    from bayesight.bayes.diagnostic import from_counts, from_rates

    base = None if prevalence is None else _prevalence(prevalence, level)
    if counts is not None:
        if sensitivity is not None or false_alarm is not None:
            raise typer.BadParameter("give either --counts or rates, not both")
        found = from_counts(*counts, prevalence=base, prior=_shapes(beta), level=level, seed=seed)
    else:
        if beta != "0.5,0.5":
            raise typer.BadParameter("needs --counts: stated rates have no prior", param_hint="--beta")
        if sensitivity is None or false_alarm is None or base is None:
            raise typer.BadParameter(
                "give --counts TP FN FP TN, or --sensitivity, --false-alarm and --prevalence"
            )
        found = from_rates(sensitivity, false_alarm, base, level=level, seed=seed)
    own = counts is not None and prevalence is None
    write(found.as_dict(), _tell(found, own))


def _tell(found: Diagnosis, own_prevalence: bool) -> str:
    from bayesight.bayes.diagnostic import TERMS
    from bayesight.bayes.frequencies import natural_frequencies
    from bayesight.formatting import padded, percent, ratio

    interval = retold(marked(f"{percent(found.level, 0)} interval"))
    lines = [f"{'':<26}{padded(tr('mean'), -12)}   {interval}"]
    for name, e in found.estimates().items():
        text = ratio if "ratio" in name else lambda p: percent(p, 2)
        spread = tr("{low} to {high}", low=text(e.low), high=text(e.high)) if e.high > e.low else ""
        shown = padded(tr(name.replace("_", " ")), 26)
        lines.append(f"{shown}{text(e.mean):>12}   {spread}".rstrip())
    f = natural_frequencies(
        prevalence=found.prevalence.mean,
        sensitivity=found.sensitivity.mean,
        false_alarm=found.false_alarm.mean,
    )
    lines += [
        "",
        marked(f"Of {f.people:,} people {f.ill:,} have it and {f.fp + f.tn:,} do not."),
        marked(f"{f.tp + f.fp:,} test positive: {f.tp:,} who have it and {f.fp:,} who do not."),
        marked(f"{f.fn + f.tn:,} test negative: {f.fn:,} who have it and {f.tn:,} who do not."),
    ]
    lines += ["", *(f"{tr(name.replace('_', ' '))}: {tr(line)}" for name, line in TERMS.items()), ""]
    if own_prevalence:
        lines.append(
            marked("The prevalence is that of the people tried. If they were chosen, state --prevalence.")
        )
    errors = [
        e.error / (e.high - e.low) for e in found.estimates().values() if e.error > 0 and e.high > e.low
    ]
    if errors:
        most = percent(max(errors))
        lines.append(marked(f"{found.draws:,} draws; their error is at most {most} of an interval's width."))
    return "\n".join(lines).rstrip()


def _prevalence(text: str, level: float) -> Rate:
    """A number, an interval ``0.05-0.15``, or counts ``12/340``."""
    from bayesight.bayes.diagnostic import UncertainRate

    ends = re.split(r"(?<=[\d.%])-(?=[\d.])", text.strip())
    try:
        if "/" in text:
            some, total = map(float, text.split("/"))
            if some > total:
                raise InvalidInput(f"--prevalence: {some:g} of {total:g}; expected no more than the total.")
            return UncertainRate.from_counts(some, total - some)
        if len(ends) == 2:
            return UncertainRate.from_interval(share(ends[0]), share(ends[1]), level)
        return share(text)
    except ValueError as error:
        if isinstance(error, InvalidInput):
            raise
        expected = "a number (0.1, 10%), an interval (0.05-0.15) or counts (12/340)"
        raise InvalidInput(f"--prevalence: got {text!r}; expected {expected}.") from None


def _shapes(text: str) -> tuple[float, float]:
    try:
        right, wrong = map(float, text.split(","))
    except ValueError:
        raise InvalidInput(
            f"--beta: got {text!r}; expected two numbers with a comma, such as 0.5,0.5."
        ) from None
    return right, wrong
