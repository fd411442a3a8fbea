"""Sections about belief: prior to posterior, natural frequencies, base rates, novelty, updates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from bayesight.bayes.frequencies import SMALLEST, natural_frequencies
from bayesight.bayes.rates import Rates
from bayesight.evaluation.arrays import floats
from bayesight.formatting import NO_VALUE, capitalised
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


def belief_steps(
    hypotheses: Sequence[str],
    steps: Mapping[str, npt.ArrayLike],
    *,
    heading: str = marked("From prior to posterior"),
) -> Section:
    """Prior to posterior, step by step, for two or many hypotheses.

    Args:
        hypotheses: names (K,).
        steps: the news ("prior", "1st positive") and the probabilities after it (K,), in order.
        heading: of the section.
    """
    said = []
    for title, probabilities in steps.items():
        p = floats(probabilities)
        believed = f"{hypotheses[int(p.argmax())]}, {rate(float(p.max()))}"
        if p.max() - p.min() < 1e-9:
            believed = tr("all {count} alike, {share} each", count=len(p), share=rate(float(p[0])))
        said.append(capitalised(f"{title}: {believed}"))
    keys = [Key("c1", "band", tr("belief")), Key("ink", "tick", tr("the step before"))]
    quiet = Words([tr("The posterior of one step is the prior of the next.")], quiet=True)
    drawn = Chart(belief_bars(hypotheses, steps), keys)
    return Section(tr(heading), [Beside(drawn, [Items(said, ordered=True), quiet])])


def counted_people(
    prevalence: float,
    sensitivity: float,
    false_alarm: float,
    *,
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
        affected: how the affected are called ("ill", "of class B").
        unaffected: how the others are called.
        positive: what the test says of them ("positive", "called B").
    """
    count_of = partial(
        natural_frequencies, prevalence=prevalence, sensitivity=sensitivity, false_alarm=false_alarm
    )
    people = count_of()
    drawn = people if people.people <= SMALLEST else count_of(people=SMALLEST)
    ill, well, positive = (tr(word) for word in (affected, unaffected, positive))
    said = [
        tr(
            "Of {people} {who}, {ill} are {kind}. Of these {tp} are {positive} and {missed}.",
            people=count(people.people),
            who=tr("people"),
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
        said.append(
            tr(
                "So of {positives} who are {positive}, {tp} are {ill}: {worth}.",
                positives=count(people.positives),
                positive=positive,
                tp=count(people.tp),
                ill=ill,
                worth=rate(Rates(sensitivity, false_alarm, prevalence).precision),
            )
        )
    if drawn is not people:
        said.append(tr("Drawn are {people} of them.", people=count(drawn.people)))
    keys = [
        Key("c1", "dot", f"{ill}, {positive}"),
        Key("c1", "ring", tr("{ill}, missed", ill=ill)),
        Key("c2", "dot", f"{well}, {positive}"),
        Key("grid", "dot", tr("{well}, cleared", well=well)),
    ]
    return Section(tr("Counted in people"), [Beside(Chart(people_dots(drawn), keys), [Words(said)])])


def posterior_by_prevalence(prevalence: npt.ArrayLike, after_positive: npt.ArrayLike, here: float) -> Section:
    """Probability after a positive, at every prevalence.

    Args:
        prevalence: ascending (G,), in (0, 1].
        after_positive: P(affected | positive) at each (G,).
        here: the prevalence that applies, marked.
    """
    line = Line(tr("after a positive"), prevalence, after_positive)
    svg = rate_curve([line], tr("prevalence"), tr("probability of being affected"), marks={tr("here"): here})
    after = float(np.interp(here, floats(prevalence), floats(after_positive)))
    worth = tr("Where {here} are affected, a positive makes it {after}", here=rate(here), after=rate(after))
    said = Words([tr("The same result says more where more are affected."), worth + "."])
    return Section(tr("The same test elsewhere"), [Beside(Chart(svg, line_keys([line])), [said])])


def base_rates(
    classes: Sequence[str],
    training: npt.ArrayLike,
    here: Sequence[Number],
    *,
    method: str,
    measures: Mapping[str, tuple[Number, Number]],
) -> Section:
    """Base rates of training beside those of where the classifier is used.

    Args:
        classes: names (K,).
        training: base rates in training (K,).
        here: base rates where it is used (K,), with intervals where they were inferred.
        method: how they were found, one sentence.
        measures: fractions before and after the change of base rates, by name.
    """
    learned, used = floats(training), np.array([mean_of(p) for p in here])
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
    drawn = interval_rows(classes, [learned.tolist(), here], fraction=True, change=True)
    keys = [
        Key("c2", "ring", tr("in training")),
        Key("c1", "dot", tr("here")),
        Key("c1", "line", tr("interval")),
    ]
    changes: Block = Items(said) if said else Words([tr("The base rates are those of training.")])
    beside = Beside(Chart(drawn, keys), [Words([method]), changes])
    return Section(tr("Base rates where it is used"), [beside, _measures(measures)])


def novelty(
    known: npt.ArrayLike,
    unknown: npt.ArrayLike,
    *,
    threshold: float,
    level: float,
    auroc: float,
    fpr95: float,
    source: str,
) -> Section:
    """Known images beside images of nothing that was learned.

    Args:
        known: novelty of each known image (N,).
        unknown: novelty of each unknown image (M,).
        threshold: novelty from which an image is called unknown.
        level: fraction of known images the threshold is meant to flag.
        auroc: probability that an unknown image is more novel than a known one.
        fpr95: fraction of unknown images that pass when 95 % of the known ones do.
        source: where the unknown images came from.
    """
    flagged, found = (rate(float(np.mean(floats(novel) >= threshold))) for novel in (known, unknown))
    said = [
        tr(
            "Of {images}, {flagged} are called unknown{meant}.",
            images=plural(np.size(known), "known image"),
            flagged=flagged,
            meant=tr(" (meant: {level})", level=rate(level)),
        ),
        tr(
            "Of {images}{origin} that show nothing it knows, {found} are.",
            images=plural(np.size(unknown), "image"),
            origin=tr(" from {source}", source=source),
            found=found,
        ),
    ]
    often = tr("how often the unknown one of two images is the one that scores so")
    passing = tr("unknown images that pass when 95 % of the known ones do")
    facts = [("AUROC", f"{percent(auroc)} – {often}"), ("FPR95", f"{percent(fpr95)} – {passing}")]
    keys = [Key("c1", "line", tr("known")), Key("c2", "dashes", tr("unknown"))]
    drawn = Chart(novelty_histogram(known, unknown, threshold), keys)
    return Section(tr("Known and unknown"), [Beside(drawn, [Words(said), Facts(facts)])])


def update_change(
    classes: Sequence[str],
    before: npt.ArrayLike,
    after: npt.ArrayLike,
    absorbed: int,
    *,
    elapsed_s: float,
    new_classes: Sequence[str],
    measures: Mapping[str, tuple[Number, Number]],
) -> Section:
    """A trained classifier before and after it took in new labelled images.

    Args:
        classes: names (K,), new ones included.
        before: sensitivity of each class before (K,), NaN for a new one.
        after: sensitivity of each class after (K,).
        absorbed: images taken in.
        elapsed_s: how long that took, seconds.
        new_classes: the classes that were not there before.
        measures: further fractions before and after, by name.
    """
    images = plural(absorbed, "labelled image was", "labelled images were")
    said = [
        capitalised(
            tr(
                "{time}{changes}, without training again.",
                time=tr("in {time}, ", time=duration(elapsed_s)),
                changes=tr("{images} taken in", images=images),
            )
        )
    ]
    if len(new_classes) == 1:
        said.append(tr("{name} is a new class.", name=new_classes[0]))
    elif new_classes:
        said.append(tr("{names} are new classes.", names=joined(new_classes)))
    said += _moved(classes, floats(after) - floats(before))
    both = [floats(before).tolist(), floats(after).tolist()]
    keys = [Key("c2", "ring", tr("before")), Key("c1", "dot", tr("after"))]
    chart = Chart(interval_rows(classes, both, fraction=True, change=True), keys, tr("sensitivity"))
    return Section(tr("Before and after the update"), [Beside(chart, [Words(said)]), _measures(measures)])


def _moved(classes: Sequence[str], change: FloatArray) -> list[str]:
    """The class that gained and the one that lost most."""
    known = np.flatnonzero(np.isfinite(change))
    order = known[np.argsort(change[known], kind="stable")]
    said = []
    if known.size and change[order[-1]] >= 0.0005:
        points = 100 * float(change[order[-1]])
        name = classes[order[-1]]
        said.append(tr("{name} gained most: {points:.1f} points of sensitivity.", name=name, points=points))
    if known.size and change[order[0]] <= -0.0005:
        points = -100 * float(change[order[0]])
        name = classes[order[0]]
        said.append(tr("{name} lost most: {points:.1f} points of sensitivity.", name=name, points=points))
    return said


def _measures(measures: Mapping[str, tuple[Number, Number]]) -> TableBlock:
    """Fractions before and after, NaN where there was none, and their difference."""
    columns = [Column("", numeric=False), Column(tr("before")), Column(tr("after")), Column(tr("change"))]
    rows = []
    for name, both in measures.items():
        change = mean_of(both[1]) - mean_of(both[0])
        moved = NO_VALUE if math.isnan(change) else tr("{change} points", change=signed(change))
        rows.append([Cell(name), *(Cell(percent(one), interval(one)) for one in both), Cell(moved)])
    return TableBlock(columns, rows, tr("Before and after"))
