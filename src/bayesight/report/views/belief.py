"""Sections about belief: prior to posterior, natural frequencies, base rates, novelty, updates."""

from __future__ import annotations

import math

import numpy as np

from bayesight.bayes.frequencies import SMALLEST, natural_frequencies
from bayesight.bayes.rates import Rates
from bayesight.evaluation.arrays import floats
from bayesight.report.beliefs import (
    BaseRates,
    BeliefSteps,
    Measure,
    NaturalFrequencies,
    Novelty,
    PosteriorByPrevalence,
    UpdateChange,
)
from bayesight.report.blocks import (
    Beside,
    Block,
    Cell,
    Chart,
    Column,
    Facts,
    Items,
    Key,
    Table,
    Words,
)
from bayesight.report.figures import (
    Curve,
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

__all__ = [
    "base_rates",
    "belief_steps",
    "frequencies",
    "novelty",
    "posterior_by_prevalence",
    "update_change",
]


def belief_steps(section: BeliefSteps, uid: str) -> tuple[Block, ...]:
    """The bars, and the most believed hypothesis after each step."""
    said = []
    for step in section.steps:
        p = floats(step.probabilities)
        best = int(p.argmax())
        evidence = "" if step.log_evidence is None else f" ({_evidence(step.log_evidence)})"
        believed = f"{section.hypotheses[best]}, {rate(float(p[best]))}"
        if p.max() - p.min() < 1e-9:
            believed = f"all {len(p)} alike, {rate(float(p[0]))} each"
        said.append(_sentence(f"{step.title}{evidence}: {believed}"))
    svg = belief_bars(section.hypotheses, [(step.title, step.probabilities) for step in section.steps])
    keys = (Key("c1", "band", "belief"), Key("ink", "tick", "the step before"))
    quiet = "The posterior of one step is the prior of the next."
    return (Beside(Chart(svg, keys), (Items(tuple(said), ordered=True), Words((quiet,), quiet=True))),)


def frequencies(section: NaturalFrequencies, uid: str) -> tuple[Block, ...]:
    """People counted out; of more than a thousand, unless so many are asked for, a thousand are drawn."""
    rates: dict[str, float] = {
        "prevalence": section.prevalence,
        "sensitivity": section.sensitivity,
        "false_alarm": section.false_alarm,
    }
    people = natural_frequencies(**rates, people=section.people)
    few = people.people <= (section.people or SMALLEST)
    drawn = people if few else natural_frequencies(**rates, people=SMALLEST)
    ill, well, positive = section.affected, section.unaffected, section.positive
    said = [
        f"Of {count(people.people)} {section.who}, {count(people.ill)} are {ill}. "
        f"Of these {count(people.tp)} are {positive} and {count(people.fn)} "
        f"{'is' if people.fn == 1 else 'are'} missed.",
        f"Of the {count(people.people - people.ill)} {well}, {count(people.fp)} are {positive} all the same.",
    ]
    if people.positives:
        worth = Rates(section.sensitivity, section.false_alarm, section.prevalence).precision
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
    return (Beside(Chart(people_dots(drawn), keys), (Words(tuple(said)),)),)


def posterior_by_prevalence(section: PosteriorByPrevalence, uid: str) -> tuple[Block, ...]:
    """Both curves, and their heights at the prevalence that applies."""
    curves = [Curve(section.after_positive, section.low, section.high)]
    keys = [Key("c1", "line", "after a positive")]
    if section.after_negative is not None:
        curves.append(Curve(section.after_negative))
        keys.append(Key("c2", "dashes", "after a negative"))
    marks = {"here": section.here} if section.here is not None else {}
    axis = ("prevalence", "probability of being affected")
    svg = rate_curve(section.prevalence, curves, axis, marks=marks, log=section.log)
    grid = floats(section.prevalence)
    said = ["The same result says more where more are affected."]
    if section.here is not None:
        after = float(np.interp(section.here, grid, floats(section.after_positive)))
        words = f"Where {rate(section.here)} are affected, a positive makes it {rate(after)}"
        if section.after_negative is not None:
            cleared = float(np.interp(section.here, grid, floats(section.after_negative)))
            words += f", a negative {rate(cleared)}"
        said.append(words + ".")
    return (Beside(Chart(svg, tuple(keys)), (Words(tuple(said)),)),)


def base_rates(section: BaseRates, uid: str) -> tuple[Block, ...]:
    """Training beside here, the largest changes in words."""
    training, here = floats(section.training), floats(section.here)
    order = np.argsort(-np.abs(here - training), kind="stable")[:3]
    said = [
        f"{section.classes[k]} has a base rate of {rate(float(here[k]))} here, "
        f"{rate(float(training[k]))} in training"
        for k in order
        if abs(here[k] - training[k]) >= 0.005
    ]
    shown = change_rows(
        section.classes, training, here, low=section.low, high=section.high, quantity="base rates"
    )
    keys = [Key("muted", "ring", "in training"), Key("c1", "dot", "here")]
    if section.low is not None and section.high is not None:
        keys.append(Key("c1", "pale", "interval"))
    blocks: list[Block] = [Words((section.method,))] if section.method else []
    blocks.append(Items(tuple(said)) if said else Words(("The base rates are those of training.",)))
    beside = Beside(Chart(shown, tuple(keys)), tuple(blocks))
    return (beside, _measures(section.measures)) if section.measures else (beside,)


def novelty(section: Novelty, uid: str) -> tuple[Block, ...]:
    """The two histograms, and what the threshold does to each of them."""
    known = floats(section.known)
    unknown = None if section.unknown is None else floats(section.unknown)
    said = []
    if section.threshold is not None:
        flagged = _flagged(known, section)
        meant = f" (meant: {rate(section.level)})" if section.level is not None else ""
        said.append(f"Of {plural(len(known), 'known image')}, {rate(flagged)} are called unknown{meant}.")
        if unknown is not None and len(unknown):
            origin = f" from {section.source}" if section.source else ""
            found = rate(_flagged(unknown, section))
            said.append(
                f"Of {plural(len(unknown), 'image')}{origin} that show nothing it knows, {found} are."
            )
    facts = []
    if section.auroc is not None:
        meaning = "how often the unknown one of two images is the one that scores so"
        facts.append(("AUROC", f"{percent(section.auroc)} {_brackets(section.auroc)}– {meaning}"))
    if section.fpr95 is not None:
        meaning = "unknown images that pass when 95 % of the known ones do"
        facts.append(("FPR95", f"{percent(section.fpr95)} {_brackets(section.fpr95)}– {meaning}"))
    keys = [Key("c1", "band", "known")]
    if unknown is not None and len(unknown):
        keys.append(Key("c2", "band", "unknown"))
    svg = evidence_histogram(
        known,
        unknown,
        threshold=section.threshold,
        unknown_above=section.unknown_above,
        label=section.label,
    )
    blocks: list[Block] = [Words(tuple(said))] if said else []
    return (Beside(Chart(svg, tuple(keys)), (*blocks, *([Facts(tuple(facts))] if facts else []))),)


def update_change(section: UpdateChange, uid: str) -> tuple[Block, ...]:
    """What was taken in, and what it did to each class."""
    changes = []
    if section.absorbed:
        changes.append(f"{plural(section.absorbed, 'labelled image was', 'labelled images were')} taken in")
    if section.removed:
        changes.append(f"{plural(section.removed, 'image was', 'images were')} taken out")
    time = f"in {duration(section.elapsed_s)}, " if section.elapsed_s is not None else ""
    said = [_sentence(f"{time}{joined(changes)}, without training again.") if changes else "Nothing changed."]
    if section.new_classes:
        verb = "is a new class" if len(section.new_classes) == 1 else "are new classes"
        said.append(f"{joined(section.new_classes)} {verb}.")
    if section.trust_past < 1:
        said.append(f"What was learned before was given a weight of {rate(section.trust_past)}.")
    said += _moved(section)
    keys = (Key("muted", "ring", "before"), Key("c1", "dot", "after"))
    chart = Chart(change_rows(section.classes, section.before, section.after, quantity="sensitivity"), keys)
    beside = Beside(chart, (Words(tuple(said)),))
    return (beside, _measures(section.measures)) if section.measures else (beside,)


def _moved(section: UpdateChange) -> list[str]:
    """The class that gained and the one that lost most."""
    change = floats(section.after) - floats(section.before)
    if not np.isfinite(change).any():
        return []
    said = []
    for k, verb in ((int(np.nanargmax(change)), "gained"), (int(np.nanargmin(change)), "lost")):
        points = float(change[k]) if verb == "gained" else -float(change[k])
        if points >= 0.0005:
            said.append(f"{section.classes[k]} {verb} most: {100 * points:.1f} points of sensitivity.")
    return said


def _measures(measures: tuple[Measure, ...]) -> Table:
    """Figures before and after, and their difference."""
    columns = (Column("", numeric=False), Column("before"), Column("after"), Column("change"))
    return Table(columns, tuple(_measure_row(m) for m in measures), "Before and after")


def _measure_row(measure: Measure) -> tuple[Cell, ...]:
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


def _flagged(scores: np.ndarray, section: Novelty) -> float:
    assert section.threshold is not None
    beyond = scores >= section.threshold if section.unknown_above else scores <= section.threshold
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
