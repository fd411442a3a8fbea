"""Labels into a classifier and out of it again: what an update, its replay and a withdrawal share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bayesight.bayes.head.gaussian import AbsorbedBatch, sufficient_statistics
from bayesight.belief.absorbed import Rows
from bayesight.belief.classifier import Classifier
from bayesight.belief.corrections import RUN, Corrections, ReplacedLabel, compare, rows_of
from bayesight.checks import check


@dataclass(frozen=True)
class LearningOptions:
    """Options of learning: discount, robustness, or removal.

    Args:
        trust_past: in (0, 1], what an image absorbed earlier counts beside a new one.
        robust: weigh each label by the probability that it is right.
        remove: take the labelled images out again.

    Raises:
        InvalidInput: ``trust_past`` outside (0, 1], or ``remove`` with an option of absorbing.
    """

    trust_past: float = 1.0
    robust: bool = False
    remove: bool = False

    def __post_init__(self) -> None:
        check(0 < self.trust_past <= 1, "trust_past", f"got {self.trust_past:g}", "a number in (0, 1]")
        for name, given in (("trust_past", self.trust_past != 1), ("robust", self.robust)):
            check(not (self.remove and given), name, "given with --remove", "one of the two")


@dataclass(frozen=True)
class BatchOutcome:
    """The outcome of a labelled batch.

    Args:
        labels: how many labels it had.
        new_classes: names that were not known before.
        absorbed: what was learned; None when images were taken out, or nothing was done.
        corrections: its labels beside those given before; None likewise.
        known: names of the classes before it.
        gone_classes: names of classes that lost their last image.
    """

    labels: int = 0
    new_classes: tuple[str, ...] = ()
    absorbed: AbsorbedBatch | None = None
    corrections: Corrections | None = None
    known: tuple[str, ...] = ()
    gone_classes: tuple[str, ...] = ()


def update_belief(
    classifier: Classifier,
    rows: Rows,
    new_classes: tuple[str, ...],
    options: LearningOptions,
    *,
    gone: Sequence[str] | None = None,
) -> tuple[Classifier, BatchOutcome]:
    """One labelled batch into a belief or out of it, less the classes that have lost their last image.

    Args:
        classifier: the belief so far; it is not changed.
        rows: the batch, in the order in which it was said.
        new_classes: names of the classes it brings.
        options: how it is taken.
        gone: the classes to do without, where they are known; by default those that ``emptied`` finds.

    Raises:
        InvalidInput: rows to remove that were never absorbed.
    """
    absorbed = found = None
    if not options.remove:
        found = compare(classifier.absorbed, rows)
        after, absorbed = _absorbed(classifier, rows, new_classes, found, options)
    else:
        after = classifier.remove(rows) if len(rows) else classifier
    if gone is None:
        after, gone = without_emptied(classifier, after)
    else:
        after = without_classes(after, gone)
    left = tuple(name for name in new_classes if name not in gone)
    known = classifier.classes.names
    return after, BatchOutcome(len(rows), left, absorbed, found, known, tuple(gone))


def absorb(
    classifier: Classifier,
    rows: Rows,
    new_classes: tuple[str, ...] = (),
    *,
    trust_past: float = 1.0,
    robust: bool = False,
) -> tuple[Classifier, AbsorbedBatch]:
    """One labelled batch: discount the past, and learn the batch.

    A label replaces the earlier one of its image and source, which is taken out with the weight it has now;
    the same label again changes nothing. The result is the belief that only ever saw the later label.

    Args:
        classifier: the belief so far; it is not changed.
        rows: the batch, in the order in which it was said.
        new_classes: names of the classes it brings.
        trust_past: in (0, 1].
        robust: weigh each image by the probability that its label is right.

    Returns:
        The belief after it, and what was learned on the way.
    """
    options = LearningOptions(trust_past, robust)
    return _absorbed(classifier, rows, new_classes, compare(classifier.absorbed, rows), options)


def take_back(classifier: Classifier, row: Rows) -> Classifier:
    """The belief as if the last label of an image by one source had never been given.

    What that label had replaced stands again, with the weight it would have had.

    Args:
        classifier: the belief so far; it is not changed.
        row: one row: the image, its features and the source; the label does not matter.
    """
    image, source = row.digests[0].numpy().tobytes(), int(row.sources[0])
    absorbed = classifier.absorbed
    said = rows_of(absorbed, {image})
    mine = [place for place in said if int(absorbed.sources[place]) == source]
    if not mine:
        return classifier
    after = classifier.without_rows(torch.tensor(mine[-1:]), row.features)
    if len(mine) > 1:
        return after
    others = [place for place in said if int(absorbed.sources[place]) not in (source, RUN)]
    back = _last_replaced(after, image, source) or ([] if others else _last_replaced(after, image, RUN))
    return _restored(after, row, back, trained=absorbed.trained_on(row.digests))


def emptied(before: Classifier, after: Classifier) -> tuple[str, ...]:
    """Classes that hold no image any more, or came and hold none, and can go; two always stay.

    Args:
        before: the belief until now.
        after: the belief with these classes.
    """
    held, names = _held(after), after.classes.names
    empty = set(before.classes.names) - _held(before)  # from the beginning: no image of theirs was lost
    gone = [name for name in names if name not in held and name not in empty]
    founding = [name for name in names[: after.head.founding] if name not in gone]
    if len(names) - len(gone) < 2 or not founding:
        gone = [name for name in gone if name not in names[: after.head.founding]]
    return tuple(gone) if len(names) - len(gone) >= 2 else ()


def without_emptied(before: Classifier, after: Classifier) -> tuple[Classifier, tuple[str, ...]]:
    """A belief without the classes that lost their last image by a change, and their names."""
    gone = emptied(before, after)
    return without_classes(after, gone), gone


def without_classes(classifier: Classifier, names: Sequence[str]) -> Classifier:
    """The belief without those of these classes of which it holds nothing."""
    for name in names:
        known = classifier.classes.names
        if name in known and name not in _held(classifier):
            classifier = classifier.without_class(name)
    return classifier


def _absorbed(
    classifier: Classifier,
    rows: Rows,
    new_classes: tuple[str, ...],
    found: Corrections,
    options: LearningOptions,
) -> tuple[Classifier, AbsorbedBatch]:
    """``absorb`` of a batch that has been compared with the labels given before."""
    after = classifier if options.trust_past == 1 else classifier.discount(options.trust_past)
    after = _without_replaced(after, rows, found, new_classes)
    if len(found.learned) < len(rows):
        rows = rows.at(found.learned)
    weights = after.trust(rows) if options.robust else None
    after = after.with_classes(new_classes)
    return after.with_rows(rows, weights=weights, trained=classifier.absorbed.trained_on(rows.digests))


def _held(classifier: Classifier) -> set[str]:
    """The classes of which the belief holds images."""
    names = classifier.classes.names
    counts = torch.bincount(classifier.absorbed.labels, minlength=len(names))
    total = counts + classifier.parts.counted(len(names))
    return {name for name, count in zip(names, total.tolist(), strict=True) if count}


def _without_replaced(
    classifier: Classifier, rows: Rows, found: Corrections, new_classes: tuple[str, ...]
) -> Classifier:
    """The belief without the labels a batch replaces; it remembers them."""
    absorbed, names = classifier.absorbed, (*classifier.classes.names, *new_classes)
    step = 1 + max((one.step for one in classifier.replaced), default=0)
    gone = [
        ReplacedLabel(image.tobytes(), names[label], weight, source, step + by)
        for image, label, weight, source, by in zip(
            absorbed.digests[found.replaced].numpy(),
            absorbed.labels[found.replaced].tolist(),
            absorbed.weights[found.replaced].tolist(),
            absorbed.sources[found.replaced].tolist(),
            found.by.tolist(),
            strict=True,
        )
    ]
    for at, by in found.superseded:
        image, source = rows.digests[at].numpy().tobytes(), int(rows.sources[at])
        gone.append(ReplacedLabel(image, names[int(rows.labels[at])], 1.0, source, step + by))
    if not gone:
        return classifier
    after = classifier
    if len(found.by):
        stays = classifier.room >= len(found.learned)
        after = classifier.without_rows(found.replaced, rows.features[found.by], exemplars_return=stays)
    return replace(after, replaced=(*classifier.replaced, *gone))


def _last_replaced(classifier: Classifier, image: bytes, source: int) -> list[ReplacedLabel]:
    """The labels of a source that the last of its image's labels had replaced."""
    gone = [one for one in classifier.replaced if (one.image, one.source) == (image, source)]
    last = max((one.step for one in gone), default=0)
    return [one for one in gone if one.step == last]


def _restored(
    classifier: Classifier, row: Rows, back: Sequence[ReplacedLabel], *, trained: Tensor
) -> Classifier:
    """The belief with replaced labels of an image in it again."""
    if not back:
        return classifier
    new = dict.fromkeys(one.label for one in back if one.label not in classifier.classes.names)
    after = classifier.with_classes(tuple(new))
    numbers = torch.tensor([after.classes.names.index(one.label) for one in back])
    several = torch.zeros(len(back), dtype=torch.int64)
    sources = torch.tensor([one.source for one in back])
    rows = Rows(row.features[several], numbers, row.digests[several], sources)
    weights = torch.tensor([one.weight for one in back], dtype=torch.float64)
    counts, sums, second = sufficient_statistics(after.head, rows.features, rows.labels, weights)
    head = replace(
        after.head,
        counts=after.head.counts + counts,
        sums=after.head.sums + sums,
        second_moments=after.head.second_moments + second,
    )
    keep = torch.arange(min(after.room, len(rows)))
    absorbed = after.absorbed.with_rows(rows, weights, keep, trained=trained.expand(len(rows)))
    left = tuple(one for one in after.replaced if one not in back)
    return replace(after, head=head, absorbed=absorbed, replaced=left)
