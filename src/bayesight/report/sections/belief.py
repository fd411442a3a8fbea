"""Sections about belief: prior to posterior, natural frequencies, base rates, novelty, updates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from bayesight.bayes.frequencies import SMALLEST, natural_frequencies
from bayesight.bayes.rates import Rates
from bayesight.evaluation.arrays import floats
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
)
from bayesight.report.figures import (
    Line,
    belief_bars,
    change_rows,
    evidence_histogram,
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
    hypotheses: tuple[str, ...], steps: tuple[BeliefStep, ...], *, heading: str = "From prior to posterior"
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
            believed = f"all {len(p)} alike, {rate(float(p[0]))} each"
        said.append(_sentence(f"{step.title}{evidence}: {believed}"))
    svg = belief_bars(hypotheses, [(step.title, step.probabilities) for step in steps])
    keys = (Key("c1", "band", "belief"), Key("ink", "tick", "the step before"))
    quiet = "The posterior of one step is the prior of the next."
    return Section(
        heading,
        (Beside(Chart(svg, keys), (Items(tuple(said), ordered=True), Words((quiet,), quiet=True))),),
    )


def counted_people(
    prevalence: float,
    sensitivity: float,
    false_alarm: float,
    *,
    who: str = "people",
    affected: str = "ill",
    unaffected: str = "healthy",
    positive: str = "positive",
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
    ill, well = affected, unaffected
    said = [
        f"Of {count(people.people)} {who}, {count(people.ill)} are {ill}. "
        f"Of these {count(people.tp)} are {positive} and {count(people.fn)} "
        f"{'is' if people.fn == 1 else 'are'} missed.",
        f"Of the {count(people.people - people.ill)} {well}, {count(people.fp)} are {positive} all the same.",
    ]
    if people.positives:
        worth = Rates(sensitivity, false_alarm, prevalence).precision
        said.append(
            f"So of {count(people.positives)} who are {positive}, {count(people.tp)} are {ill}: "
            f"{rate(worth)}."
        )
    if drawn is not people:
        said.append(f"Drawn are {count(drawn.people)} of them.")
    keys = (
        Key("c1", "dot", f"{ill}, {positive}"),
        Key("c1", "ring", f"{ill}, missed"),
        Key("c2", "dot", f"{well}, {positive}"),
        Key("grid", "dot", f"{well}, cleared"),
    )
    return Section("Counted in people", (Beside(Chart(people_dots(drawn), keys), (Words(tuple(said)),)),))


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
    curves = [Line("positive", prevalence, after_positive, low, high)]
    keys = [Key("c1", "line", "after a positive")]
    if after_negative is not None:
        curves.append(Line("negative", prevalence, after_negative))
        keys.append(Key("c2", "dashes", "after a negative"))
    marks = {"here": here} if here is not None else {}
    axis = ("prevalence", "probability of being affected")
    svg = rate_curve(curves, axis, marks=marks, log=log)
    grid = floats(prevalence)
    said = ["The same result says more where more are affected."]
    if here is not None:
        after = float(np.interp(here, grid, floats(after_positive)))
        words = f"Where {rate(here)} are affected, a positive makes it {rate(after)}"
        if after_negative is not None:
            cleared = float(np.interp(here, grid, floats(after_negative)))
            words += f", a negative {rate(cleared)}"
        said.append(words + ".")
    return Section("The same test elsewhere", (Beside(Chart(svg, tuple(keys)), (Words(tuple(said)),)),))


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
        f"{classes[k]} has a base rate of {rate(float(used[k]))} here, {rate(float(learned[k]))} in training"
        for k in order
        if abs(used[k] - learned[k]) >= 0.005
    ]
    shown = change_rows(classes, learned, used, low=low, high=high, quantity="base rates")
    keys = [Key("muted", "ring", "in training"), Key("c1", "dot", "here")]
    if low is not None and high is not None:
        keys.append(Key("c1", "pale", "interval"))
    blocks: list[Block] = [Words((method,))] if method else []
    blocks.append(Items(tuple(said)) if said else Words(("The base rates are those of training.",)))
    beside = Beside(Chart(shown, tuple(keys)), tuple(blocks))
    return Section("Base rates where it is used", ((beside, _measures(measures)) if measures else (beside,)))


def novelty(
    known: npt.ArrayLike,
    *,
    unknown: npt.ArrayLike | None = None,
    threshold: float | None = None,
    level: float | None = None,
    unknown_above: bool = True,
    label: str = "novelty score",
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
        unknown_above: whether larger scores are the unknown ones (False for an evidence).
        label: what the score is.
        auroc: probability that an unknown image scores as more unknown than a known one.
        fpr95: fraction of unknown images that pass when 95 % of the known ones do.
        source: where the unknown images came from.
    """
    seen = floats(known)
    strange = floats(()) if unknown is None else floats(unknown)
    said = []
    if threshold is not None:
        flagged = _flagged(seen, threshold, unknown_above)
        meant = f" (meant: {rate(level)})" if level is not None else ""
        said.append(f"Of {plural(len(seen), 'known image')}, {rate(flagged)} are called unknown{meant}.")
        if len(strange):
            origin = f" from {source}" if source else ""
            found = rate(_flagged(strange, threshold, unknown_above))
            said.append(
                f"Of {plural(len(strange), 'image')}{origin} that show nothing it knows, {found} are."
            )
    facts = []
    if auroc is not None:
        meaning = "how often the unknown one of two images is the one that scores so"
        facts.append(("AUROC", f"{percent(auroc)} {_brackets(auroc)}– {meaning}"))
    if fpr95 is not None:
        meaning = "unknown images that pass when 95 % of the known ones do"
        facts.append(("FPR95", f"{percent(fpr95)} {_brackets(fpr95)}– {meaning}"))
    keys = [Key("c1", "band", "known")]
    if len(strange):
        keys.append(Key("c2", "band", "unknown"))
    svg = evidence_histogram(
        seen,
        strange,
        threshold=threshold,
        unknown_above=unknown_above,
        label=label,
    )
    blocks: list[Block] = [Words(tuple(said))] if said else []
    return Section(
        "Known and unknown",
        (Beside(Chart(svg, tuple(keys)), (*blocks, *([Facts(tuple(facts))] if facts else []))),),
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
        changes.append(f"{plural(absorbed, 'labelled image was', 'labelled images were')} taken in")
    if removed:
        changes.append(f"{plural(removed, 'image was', 'images were')} taken out")
    time = f"in {duration(elapsed_s)}, " if elapsed_s is not None else ""
    said = [_sentence(f"{time}{joined(changes)}, without training again.") if changes else "Nothing changed."]
    if new_classes:
        verb = "is a new class" if len(new_classes) == 1 else "are new classes"
        said.append(f"{joined(new_classes)} {verb}.")
    if trust_past < 1:
        said.append(f"What was learned before was given a weight of {rate(trust_past)}.")
    said += _moved(classes, floats(after) - floats(before))
    keys = (Key("muted", "ring", "before"), Key("c1", "dot", "after"))
    chart = Chart(change_rows(classes, before, after, quantity="sensitivity"), keys)
    beside = Beside(chart, (Words(tuple(said)),))
    return Section("Before and after the update", ((beside, _measures(measures)) if measures else (beside,)))


def _moved(classes: tuple[str, ...], change: FloatArray) -> list[str]:
    """The class that gained and the one that lost most."""
    if not np.isfinite(change).any():
        return []
    said = []
    for k, verb in ((int(np.nanargmax(change)), "gained"), (int(np.nanargmin(change)), "lost")):
        points = float(change[k]) if verb == "gained" else -float(change[k])
        if points >= 0.0005:
            said.append(f"{classes[k]} {verb} most: {100 * points:.1f} points of sensitivity.")
    return said


def _measures(measures: tuple[Comparison, ...]) -> TableBlock:
    """Figures before and after, and their difference."""
    columns = (Column("", numeric=False), Column("before"), Column("after"), Column("change"))
    return TableBlock(columns, tuple(_measure_row(m) for m in measures), "Before and after")


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
        difference = f"{signed(change)} points" if measure.fraction else f"{change:+.3f}".replace("-", "−")
    return Cell(measure.name), shown(measure.before), shown(measure.after), Cell(difference)


def _flagged(scores: FloatArray, threshold: float, unknown_above: bool) -> float:
    beyond = scores >= threshold if unknown_above else scores <= threshold
    return float(np.mean(beyond))


def _brackets(number: Number) -> str:
    spread = interval(number)
    return f"({spread}) " if spread else ""


def _evidence(log_evidence: float) -> str:
    """The probability of what was seen; a density, or what is all but impossible, stays a logarithm."""
    if -9 < log_evidence <= 0:
        return f"a result with a probability of {rate(math.exp(log_evidence))}"
    return f"log-evidence {'−' if log_evidence < 0 else ''}{abs(log_evidence):.1f} nats"


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]
