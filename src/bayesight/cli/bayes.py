"""``bayesight bayes`` and ``diagnose``: the theorem with the numbers put in, and what a test is worth."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayesight.checks import check, probability
from bayesight.cli.options import SeedOption, share, share_option, with_json
from bayesight.cli.output import write
from bayesight.errors import InvalidInput, UnknownName
from bayesight.formatting import columns, decimal, padded, percent, ratio, short_of_1
from bayesight.language import marked, retold, tr

if TYPE_CHECKING:
    from bayesight.bayes.diagnostic import Diagnosis, Rate
    from bayesight.bayes.theorem import Belief, UpdateStep

_NAMES = (
    marked("specificity"),
    marked("negative predictive value"),
    marked("likelihood ratios"),
    marked("likelihood ratio positive"),
    marked("likelihood ratio negative"),
)
"""Those of the estimates that no other file names."""
_RESULTS = {"+": "+", "positive": "+", "pos": "+", "-": "-", "negative": "-", "neg": "-"}


@with_json
def bayes(
    prior: Annotated[
        float | None,
        share_option("P(has it) before the test: 0.1 or 10% (default: none; needed without --hypotheses)."),
    ] = None,
    sensitivity: Annotated[
        float | None, share_option("P(positive | has it) (default: none; needed without --hypotheses).")
    ] = None,
    false_alarm: Annotated[
        float | None,
        share_option("P(positive | does not have it) (default: none; needed without --hypotheses)."),
    ] = None,
    result: Annotated[
        list[str] | None, typer.Option(metavar="+|-", help="A result of the test; repeat for each reading.")
    ] = None,
    hypotheses: Annotated[
        str | None,
        typer.Option(
            metavar="A=0.2,B=0.5,...",
            help="Priors of many hypotheses, instead of --prior (default: has it, or not).",
        ),
    ] = None,
    likelihood: Annotated[
        list[str] | None,
        typer.Option(metavar="A=.9,B=.1,...", help="P(reading | hypothesis); repeat for each reading."),
    ] = None,
    dependence: Annotated[
        float, typer.Option(help="Correlation of repeated readings, 0 (independent) to 1 (one and the same).")
    ] = 0.0,
) -> None:
    """Go from prior to posterior, one reading after another.

    Example: bayesight bayes --prior 0.1 --sensitivity 0.99 --false-alarm 0.1 --result + --result +
    """
    if hypotheses is None:
        if prior is None or sensitivity is None or false_alarm is None or not result or likelihood:
            raise typer.BadParameter(
                "give --prior, --sensitivity, --false-alarm and at least one --result, "
                "or --hypotheses and at least one --likelihood"
            )
        _one_test(prior, (sensitivity, false_alarm), result, dependence)
    else:
        if {prior, sensitivity, false_alarm} != {None} or result or not likelihood:
            raise typer.BadParameter(
                "--hypotheses goes with --likelihood, once for each reading, and without --prior"
            )
        _many(_pairs(hypotheses, "--hypotheses"), likelihood, dependence)


def _one_test(prior: float, rates: tuple[float, float], results: list[str], dependence: float) -> None:
    from bayesight.bayes.theorem import Belief, likelihoods, sequence

    signs = [_sign(r) for r in results]
    for rate, name in zip(rates, ("--sensitivity", "--false-alarm"), strict=True):
        probability(rate, name)
    p = probability(prior, "--prior")
    belief = Belief.from_probabilities({"has it": p, "does not": 1 - p})
    given = {
        "+": likelihoods(belief, dict(zip(belief.names, rates, strict=True))),
        "-": likelihoods(belief, {n: 1 - r for n, r in zip(belief.names, rates, strict=True)}),
    }
    steps = sequence(belief, [given[s] for s in signs], dependence=dependence)
    document = _document(signs, steps, lambda belief: belief.of("has it").item())
    write(document, _tell_test(signs, steps, rates, dependence))


def _many(priors: dict[str, float], readings: list[str], dependence: float) -> None:
    from bayesight.bayes.theorem import Belief, likelihoods, sequence

    total = sum(priors.values())
    came = f"priors that sum to {total:g}"
    check(
        abs(total - 1) < 1e-6,
        "--hypotheses",
        came,
        "1",
        "Of what look like counts, divide each by their sum.",
    )
    belief = Belief.from_probabilities(priors)
    given = [_pairs(r, "--likelihood") for r in readings]
    steps = sequence(belief, [likelihoods(belief, g) for g in given], dependence=dependence)
    document = _document(
        readings, steps, lambda belief: dict(zip(belief.names, belief.p.tolist(), strict=True))
    )
    write(document, _tell_many(steps, dependence))


def _document(
    readings: list[str], steps: tuple[UpdateStep, ...], shown: Callable[[Belief], Any]
) -> dict[str, Any]:
    rows = [
        {
            "result": reading,
            "prior": shown(step.prior),
            "evidence": step.log_evidence.exp().item(),
            "posterior": shown(step.posterior),
        }
        for reading, step in zip(readings, steps, strict=True)
    ]
    return {"steps": rows}


def _tell_test(
    signs: list[str], steps: tuple[UpdateStep, ...], rates: tuple[float, float], dependence: float
) -> str:
    from bayesight.bayes.frequencies import natural_frequencies

    lines = [marked("posterior = prior x likelihood / evidence"), ""]
    for i, (sign, step) in enumerate(zip(signs, steps, strict=True), 1):
        word = marked("positive") if sign == "+" else marked("negative")
        p, q = short_of_1(step.prior.p.tolist())
        like = step.effective_likelihood.tolist()
        evidence, posterior = step.log_evidence.exp().item(), short_of_1(step.posterior.p.tolist())[0]
        discounted = i > 1 and dependence > 0
        lines += [
            marked(f"Reading {i}: {word}, its likelihood discounted for dependence {dependence:g}")
            if discounted
            else marked(f"Reading {i}: {word}"),
            "  {0} x {2} / ({0} x {2} + {1} x {3})".format(*map(decimal, (p, q, *like))),
            f"  = {decimal(p * like[0])} / {decimal(evidence)} = {decimal(posterior)}",
        ]
        f = natural_frequencies(prevalence=p, sensitivity=rates[0], false_alarm=rates[1])
        have, do_not = (f.tp, f.fp) if sign == "+" else (f.fn, f.tn)
        # Even the largest population may have nobody of a kind that there is.
        countable = (have or posterior == 0) and (do_not or posterior == 1)
        if not discounted and countable:
            lines.append(
                marked(
                    f"  Of {f.people:,} such people {f.ill:,} have it, and {have:,} of them test {word}; "
                    f"{f.people - f.ill:,} do not, and {do_not:,} of them test {word}:"
                )
            )
            lines.append(marked(f"  {have:,} of {have + do_not:,} {word}s have it."))
        lines.append("")
    before, after = short_of_1(steps[0].prior.p.tolist())[0], short_of_1(steps[-1].posterior.p.tolist())[0]
    lines.append(marked(f"Probability of having it: {percent(before, 2)} before, {percent(after, 2)} after."))
    return "\n".join(lines)


def _tell_many(steps: tuple[UpdateStep, ...], dependence: float) -> str:
    lines = [marked("posterior = prior x likelihood / evidence"), ""]
    width = max(columns(n) for n in (*steps[0].prior.names, tr("hypothesis")))
    heads = {
        marked("hypothesis"): width,
        marked("prior"): -8,
        marked("likelihood"): -10,
        marked("product"): -10,
        marked("posterior"): -9,
    }
    head = "  ".join(padded(tr(name), space) for name, space in heads.items())
    for i, step in enumerate(steps, 1):
        discounted = i > 1 and dependence > 0
        lines.append(
            marked(f"Reading {i}, its likelihood discounted for dependence {dependence:g}")
            if discounted
            else marked(f"Reading {i}")
        )
        lines.append(f"  {head}")
        rows = zip(
            step.prior.names,
            short_of_1(step.prior.p.tolist()),
            step.effective_likelihood.tolist(),
            short_of_1(step.posterior.p.tolist()),
            strict=True,
        )
        lines += [
            f"  {padded(name, width)}  {decimal(p, 4):>8}  {decimal(like, 4):>10}  {decimal(p * like, 4):>10}"
            f"  {decimal(after, 4):>9}"
            for name, p, like, after in rows
        ]
        lines += [
            marked(f"  evidence: the sum of the products, {decimal(step.log_evidence.exp().item())}"),
            "",
        ]
    return "\n".join(lines)


def _sign(text: str) -> str:
    if text.casefold() not in _RESULTS:
        raise UnknownName("result", text, ["+", "-", "positive", "negative"])
    return _RESULTS[text.casefold()]


def _pairs(text: str, where: str) -> dict[str, float]:
    """``A=0.2,B=0.5`` as a dictionary."""
    found: dict[str, float] = {}
    for part in text.split(","):
        name, equals, number = part.partition("=")
        try:
            value = share(number)
        except ValueError:
            equals = ""
        if not equals or not name.strip():
            raise InvalidInput(
                f"{where}: {part!r}; expected NAME=NUMBER, several of them separated by commas."
            )
        if name.strip() in found:
            raise InvalidInput(f"{where}: {name.strip()!r} twice; expected every name once.")
        found[name.strip()] = value
    return found


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
    write(found.as_dict(), _tell_diagnosis(found, own))


def _tell_diagnosis(found: Diagnosis, own_prevalence: bool) -> str:
    from bayesight.bayes.diagnostic import TERMS
    from bayesight.bayes.frequencies import natural_frequencies

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
