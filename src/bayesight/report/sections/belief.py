"""Sections about belief: prior to posterior, natural frequencies, base rates, novelty, updates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from bayesight.bayes.frequencies import SMALLEST, natural_frequencies
from bayesight.bayes.rates import Estimate, Rates
from bayesight.evaluation.arrays import floats
from bayesight.language import marked, tr
from bayesight.report.blocks import (
    Beside,
    Block,
    Cell,
    Chart,
    Column,
    Facts,
    Items,
    Key,
    Section,
    TableBlock,
    Words,
    line_keys,
)
from bayesight.report.figures import (
    Line,
    belief_bars,
    interval_rows,
    novelty_histogram,
    people_dots,
    rate_curve,
)
from bayesight.report.words import (
    Number,
    count,
    duration,
    interval,
    joined,
    mean_of,
    percent,
    plural,
    rate,
    signed,
)
from bayesight.types import FloatArray

__all__ = [
    "BeliefStep",
    "Comparison",
    "base_rates",
    "belief_steps",
    "counted_people",
    "novelty",
    "posterior_by_prevalence",
    "update_change",
]


@dataclass(frozen=True)
class Comparison:
    """A figure before and after.

    Attributes:
        name: what is measured ("accuracy on the old classes").
        before: its value, NaN when there was none.
        after: its value.
        fraction: whether it is a fraction, to be shown in per cent.
    """

    name: str
    before: Number
    after: Number
    fraction: bool = True


@dataclass(frozen=True)
class BeliefStep:
    """Belief after one piece of news.

    Attributes:
        title: the news ("prior", "1st positive").
        probabilities: one for each hypothesis (K,), summing to 1.
        log_evidence: how probable the news was, nats; None for the prior.
    """

    title: str
    probabilities: npt.ArrayLike
    log_evidence: float | None = None


def belief_steps(
    hypotheses: tuple[str, ...],
    steps: tuple[BeliefStep, ...],
    *,
    heading: str = marked("From prior to posterior"),
) -> Section:
    """Prior to posterior, step by step, for two or many hypotheses.

    Args:
        hypotheses: names (K,).
        steps: in order, the prior first.
        heading: of the section.
    """
    said = []
    for step in steps:
        p = floats(step.probabilities)
        best = int(p.argmax())
        evidence = "" if step.log_evidence is None else f" ({_evidence(step.log_evidence)})"
        believed = f"{hypotheses[best]}, {rate(float(p[best]))}"
        if p.max() - p.min() < 1e-9:
            believed = tr("all {count} alike, {share} each", count=len(p), share=rate(float(p[0])))
        said.append(_sentence(f"{step.title}{evidence}: {believed}"))
    svg = belief_bars(hypotheses, {step.title: step.probabilities for step in steps})
    keys = (Key("c1", "band", tr("belief")), Key("ink", "tick", tr("the step before")))
    quiet = tr("The posterior of one step is the prior of the next.")
    return Section(
        tr(heading),
        (Beside(Chart(svg, keys), (Items(tuple(said), ordered=True), Words((quiet,), quiet=True))),),
    )


def counted_people(
    prevalence: float,
    sensitivity: float,
    false_alarm: float,
    *,
    who: str = marked("people"),
    affected: str = marked("ill"),
    unaffected: str = marked("healthy"),
    positive: str = marked("positive"),
) -> Section:
    """A test told as whole people: a thousand, or as many as it takes for all who may occur to be one.

    Of more than a thousand, a thousand are drawn.

    Args:
        prevalence: P(affected).
        sensitivity: P(positive | affected).
        false_alarm: P(positive | not affected).
        who: what the dots stand for.
        affected: how the affected are called ("ill", "of class B").
        unaffected: how the others are called.
        positive: what the test says of them ("positive", "called B").
    """
    count_of = partial(
        natural_frequencies, prevalence=prevalence, sensitivity=sensitivity, false_alarm=false_alarm
    )
    people = count_of()
    drawn = people if people.people <= SMALLEST else count_of(people=SMALLEST)
    who, ill, well, positive = (tr(word) for word in (who, affected, unaffected, positive))
    said = [
        tr(
            "Of {people} {who}, {ill} are {kind}. Of these {tp} are {positive} and {missed}.",
            people=count(people.people),
            who=who,
            ill=count(people.ill),
            kind=ill,
            tp=count(people.tp),
            positive=positive,
            missed=plural(people.fn, "is missed", "are missed"),
        ),
        tr(
            "Of the {people} {well}, {fp} are {positive} all the same.",
            people=count(people.people - people.ill),
            well=well,
            fp=count(people.fp),
            positive=positive,
        ),
    ]
    if people.positives:
        worth = Rates(sensitivity, false_alarm, prevalence).precision
        said.append(
            tr(
                "So of {positives} who are {positive}, {tp} are {ill}: {worth}.",
                positives=count(people.positives),
                positive=positive,
                tp=count(people.tp),
                ill=ill,
                worth=rate(worth),
            )
        )
    if drawn is not people:
        said.append(tr("Drawn are {people} of them.", people=count(drawn.people)))
    keys = (
        Key("c1", "dot", f"{ill}, {positive}"),
        Key("c1", "ring", tr("{ill}, missed", ill=ill)),
        Key("c2", "dot", f"{well}, {positive}"),
        Key("grid", "dot", tr("{well}, cleared", well=well)),
    )
    return Section(tr("Counted in people"), (Beside(Chart(people_dots(drawn), keys), (Words(tuple(said)),)),))


def posterior_by_prevalence(
    prevalence: npt.ArrayLike,
    after_positive: npt.ArrayLike,
    *,
    after_negative: npt.ArrayLike | None = None,
    low: npt.ArrayLike | None = None,
    high: npt.ArrayLike | None = None,
    here: float | None = None,
    log: bool = False,
) -> Section:
    """Probability after a positive and after a negative, at every prevalence.

    Args:
        prevalence: ascending (G,), in (0, 1] on a logarithmic axis, in [0, 1] on a linear one.
        after_positive: P(affected | positive) at each (G,).
        after_negative: P(affected | negative) at each (G,), or None.
        low: lower ends of the interval of ``after_positive`` (G,), or None.
        high: upper ends (G,), or None.
        here: the prevalence that applies, marked.
        log: a logarithmic axis.
    """
    curves = [Line(tr("after a positive"), prevalence, after_positive, low, high)]
    if after_negative is not None:
        curves.append(Line(tr("after a negative"), prevalence, after_negative))
    marks = {tr("here"): here} if here is not None else {}
    svg = rate_curve(curves, tr("prevalence"), tr("probability of being affected"), marks=marks, log=log)
    grid = floats(prevalence)
    said = [tr("The same result says more where more are affected.")]
    if here is not None:
        after = float(np.interp(here, grid, floats(after_positive)))
        words = tr(
            "Where {here} are affected, a positive makes it {after}", here=rate(here), after=rate(after)
        )
        if after_negative is not None:
            cleared = float(np.interp(here, grid, floats(after_negative)))
            words += tr(", a negative {cleared}", cleared=rate(cleared))
        said.append(words + ".")
    return Section(
        tr("The same test elsewhere"), (Beside(Chart(svg, line_keys(curves)), (Words(tuple(said)),)),)
    )


def base_rates(
    classes: tuple[str, ...],
    training: npt.ArrayLike,
    here: npt.ArrayLike,
    *,
    low: npt.ArrayLike | None = None,
    high: npt.ArrayLike | None = None,
    method: str = "",
    measures: tuple[Comparison, ...] = (),
) -> Section:
    """Base rates of training beside those of where the classifier is used.

    Args:
        classes: names (K,).
        training: base rates in training (K,).
        here: base rates where it is used (K,).
        low: lower ends of their intervals (K,), or None when they were stated.
        high: upper ends (K,).
        method: how they were found, one sentence.
        measures: figures before and after the change of base rates.
    """
    learned, used = floats(training), floats(here)
    order = np.argsort(-np.abs(used - learned), kind="stable")[:3]
    said = [
        tr(
            "{name} has a base rate of {used} here, {learned} in training",
            name=classes[k],
            used=rate(float(used[k])),
            learned=rate(float(learned[k])),
        )
        for k in order
        if abs(used[k] - learned[k]) >= 0.005
    ]
    ends = (
        np.broadcast_to(np.nan, (2, len(used)))
        if low is None or high is None
        else (floats(low), floats(high))
    )
    estimates = [Estimate(*three) for three in zip(used.tolist(), *ends, strict=True)]
    shown = interval_rows(classes, [learned.tolist(), estimates], fraction=True, change=True)
    keys = [Key("c2", "ring", tr("in training")), Key("c1", "dot", tr("here"))]
    keys += [Key("c1", "line", tr("interval"))] if low is not None else []
    blocks: list[Block] = [Words((method,))] if method else []
    blocks.append(Items(tuple(said)) if said else Words((tr("The base rates are those of training."),)))
    beside = Beside(Chart(shown, tuple(keys)), tuple(blocks))
    return Section(
        tr("Base rates where it is used"), ((beside, _measures(measures)) if measures else (beside,))
    )


def novelty(
    known: npt.ArrayLike,
    *,
    unknown: npt.ArrayLike | None = None,
    threshold: float | None = None,
    level: float | None = None,
    auroc: Number | None = None,
    fpr95: Number | None = None,
    source: str = "",
) -> Section:
    """Known images beside images of nothing that was learned.

    Args:
        known: score of each known image (N,).
        unknown: score of each unknown image (M,), or None when there were none to try.
        threshold: score from which an image is called unknown.
        level: fraction of known images the threshold is meant to flag.
        auroc: probability that an unknown image scores as more unknown than a known one.
        fpr95: fraction of unknown images that pass when 95 % of the known ones do.
        source: where the unknown images came from.
    """
    seen = floats(known)
    strange = floats(()) if unknown is None else floats(unknown)
    said = []
    if threshold is not None:
        meant = tr(" (meant: {level})", level=rate(level)) if level is not None else ""
        said.append(
            tr(
                "Of {images}, {flagged} are called unknown{meant}.",
                images=plural(len(seen), "known image"),
                flagged=rate(float(np.mean(seen >= threshold))),
                meant=meant,
            )
        )
        if len(strange):
            origin = tr(" from {source}", source=source) if source else ""
            found = rate(float(np.mean(strange >= threshold)))
            said.append(
                tr(
                    "Of {images}{origin} that show nothing it knows, {found} are.",
                    images=plural(len(strange), "image"),
                    origin=origin,
                    found=found,
                )
            )
    facts = []
    if auroc is not None:
        meaning = tr("how often the unknown one of two images is the one that scores so")
        facts.append(("AUROC", f"{percent(auroc)} {_brackets(auroc)}– {meaning}"))
    if fpr95 is not None:
        meaning = tr("unknown images that pass when 95 % of the known ones do")
        facts.append(("FPR95", f"{percent(fpr95)} {_brackets(fpr95)}– {meaning}"))
    keys = (Key("c1", "line", tr("known")), Key("c2", "dashes", tr("unknown")))[: 1 + bool(len(strange))]
    svg = novelty_histogram(seen, strange, threshold)
    blocks: list[Block] = [Words(tuple(said))] if said else []
    return Section(
        tr("Known and unknown"),
        (Beside(Chart(svg, keys), (*blocks, *([Facts(tuple(facts))] if facts else []))),),
    )


def update_change(
    classes: tuple[str, ...],
    before: npt.ArrayLike,
    after: npt.ArrayLike,
    absorbed: int,
    *,
    removed: int = 0,
    elapsed_s: float | None = None,
    new_classes: tuple[str, ...] = (),
    trust_past: float = 1.0,
    measures: tuple[Comparison, ...] = (),
) -> Section:
    """A trained classifier before and after it took in new labelled images.

    Args:
        classes: names (K,), new ones included.
        before: sensitivity of each class before (K,), NaN for a new one.
        after: sensitivity of each class after (K,).
        absorbed: images taken in.
        removed: images taken out.
        elapsed_s: how long that took, seconds.
        new_classes: the classes that were not there before.
        trust_past: weight of old evidence, in (0, 1].
        measures: further figures before and after.
    """
    changes = []
    if absorbed:
        changes.append(
            tr(
                "{images} taken in",
                images=plural(absorbed, "labelled image was", "labelled images were"),
            )
        )
    if removed:
        changes.append(tr("{images} taken out", images=plural(removed, "image was", "images were")))
    time = tr("in {time}, ", time=duration(elapsed_s)) if elapsed_s is not None else ""
    said = [
        _sentence(tr("{time}{changes}, without training again.", time=time, changes=joined(changes)))
        if changes
        else tr("Nothing changed.")
    ]
    if new_classes:
        said.append(
            tr("{name} is a new class.", name=new_classes[0])
            if len(new_classes) == 1
            else tr("{names} are new classes.", names=joined(new_classes))
        )
    if trust_past < 1:
        said.append(
            tr("What was learned before was given a weight of {trust_past}.", trust_past=rate(trust_past))
        )
    said += _moved(classes, floats(after) - floats(before))
    keys = (Key("c2", "ring", tr("before")), Key("c1", "dot", tr("after")))
    both = [floats(before).tolist(), floats(after).tolist()]
    chart = Chart(interval_rows(classes, both, fraction=True, change=True), keys, tr("sensitivity"))
    beside = Beside(chart, (Words(tuple(said)),))
    return Section(
        tr("Before and after the update"), ((beside, _measures(measures)) if measures else (beside,))
    )


def _moved(classes: tuple[str, ...], change: FloatArray) -> list[str]:
    """The class that gained and the one that lost most."""
    if not np.isfinite(change).any():
        return []
    said = []
    best, worst = int(np.nanargmax(change)), int(np.nanargmin(change))
    if change[best] >= 0.0005:
        points = 100 * float(change[best])
        said.append(
            tr("{name} gained most: {points:.1f} points of sensitivity.", name=classes[best], points=points)
        )
    if change[worst] <= -0.0005:
        points = -100 * float(change[worst])
        said.append(
            tr("{name} lost most: {points:.1f} points of sensitivity.", name=classes[worst], points=points)
        )
    return said


def _measures(measures: tuple[Comparison, ...]) -> TableBlock:
    """Figures before and after, and their difference."""
    columns = (Column("", numeric=False), Column(tr("before")), Column(tr("after")), Column(tr("change")))
    return TableBlock(columns, tuple(_measure_row(m) for m in measures), tr("Before and after"))


def _measure_row(measure: Comparison) -> tuple[Cell, ...]:
    before, after = mean_of(measure.before), mean_of(measure.after)
    change = after - before

    def shown(number: Number) -> Cell:
        if measure.fraction:
            return Cell(percent(number), interval(number))
        return Cell("–" if math.isnan(mean_of(number)) else f"{mean_of(number):.3f}")

    if math.isnan(change):
        difference = "–"
    else:
        difference = (
            tr("{change} points", change=signed(change))
            if measure.fraction
            else f"{change:+.3f}".replace("-", "−")
        )
    return Cell(measure.name), shown(measure.before), shown(measure.after), Cell(difference)


def _brackets(number: Number) -> str:
    spread = interval(number)
    return f"({spread}) " if spread else ""


def _evidence(log_evidence: float) -> str:
    """The probability of what was seen; a density, or what is all but impossible, stays a logarithm."""
    if -9 < log_evidence <= 0:
        return tr("a result with a probability of {share}", share=rate(math.exp(log_evidence)))
    return tr(
        "log-evidence {sign}{log_evidence:.1f} nats",
        sign="−" if log_evidence < 0 else "",
        log_evidence=abs(log_evidence),
    )


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]
