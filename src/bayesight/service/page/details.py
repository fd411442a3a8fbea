"""The details of one image: the four terms now and before, its labels, its neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bayesight.belief.classifier import Classifier
from bayesight.belief.updating import take_back as take_back_label
from bayesight.belief.updating import without_emptied
from bayesight.evaluation.novelty import threshold
from bayesight.ledger import LabelRecord, Ledger, WithdrawalRecord
from bayesight.ledger.applying import row_of
from bayesight.ledger.label_history import LabelHistory, label_histories, own
from bayesight.service.work.belief import CurrentBelief
from bayesight.service.work.recording import ImageFeatures
from bayesight.workflows.predict import Prediction, Readings, judge

__all__ = ["LEVEL", "ImageDetails", "LabelView", "Neighbour", "details_of", "nearest_known"]

LEVEL = 0.05
"""Share of images of known kinds that may be called unknown."""

NEIGHBOURS = 6


@dataclass(frozen=True)
class LabelView:
    """A label of an image, as the page shows it.

    Attributes:
        entry: its sequence number.
        label: the class, as it is called today.
        at: when, UTC, ISO 8601.
        learned: whether it was taken into the belief.
        removed: whether it was taken out of the belief.
        former: the class the image had before from the same person, or the run; None for none.
        taken_back: the record by which its author took it back; 0 for none.
        gone: classes that lost their last image by that.
    """

    entry: int
    label: str
    at: str
    learned: bool
    removed: bool
    former: str | None = None
    taken_back: int = 0
    gone: tuple[str, ...] = ()


@dataclass(frozen=True)
class Neighbour:
    """A known image near another one.

    Attributes:
        label: its class.
        image: 32 hexadecimal digits.
        distance: Euclidean, in the features the belief rests on.
    """

    label: str
    image: str
    distance: float


@dataclass(frozen=True)
class ImageDetails:
    """An image and what is believed of it.

    Attributes:
        seen: the image.
        answer: the four terms under the belief as it is now.
        limit: novelty from which an image is called unknown.
        before: posterior as it would be without the newest label, if that stands; None without one.
        called: what people called it, newest first.
        neighbours: the nearest known images, nearest first.
        mine: the label that whoever looks may take back; None for none.
        stands: the class the image has now from the same person, or the run; None for none.
    """

    seen: ImageFeatures
    answer: Prediction
    limit: float
    before: Mapping[str, float] | None
    called: tuple[LabelView, ...]
    neighbours: tuple[Neighbour, ...]
    mine: str | None = None
    stands: str | None = None

    @property
    def best(self) -> str:
        """The class with the highest posterior."""
        return max(self.answer.posterior, key=lambda name: self.answer.posterior[name])


def details_of(ledger: Ledger, current: CurrentBelief, seen: ImageFeatures, person: str = "") -> ImageDetails:
    """The details of one image.

    Args:
        ledger: where labels and earlier answers are kept.
        current: the belief now, and the base rates in force.
        seen: the image.
        person: who looks.
    """
    history = label_histories(ledger, current.state, [seen.image])[seen.image]
    mine = history.last(person)
    rows = torch.from_numpy(seen.features[None])
    classifier = current.classifier
    how = Readings(prior=current.prior(), level=LEVEL)
    return ImageDetails(
        seen=seen,
        answer=judge(classifier, [seen.image], rows, how)[0],
        limit=threshold(classifier.novelty_reference, LEVEL),
        before=_before(current, seen, history),
        called=_called(ledger, history),
        neighbours=nearest_known(classifier, rows, NEIGHBOURS),
        mine=mine[0].label if mine else None,
        stands=own(history.standing(), person),
    )


def nearest_known(classifier: Classifier, features: Tensor, count: int) -> tuple[Neighbour, ...]:
    """The known images nearest to one, nearest first.

    Args:
        classifier: whose exemplars are searched.
        features: (1, D) of the image.
        count: how many.
    """
    absorbed = classifier.absorbed
    distances = torch.cdist(features, absorbed.exemplars.to(features.dtype))[0]
    found = distances.topk(min(count, len(distances)), largest=False)
    rows = absorbed.exemplar_rows[found.indices]
    names = classifier.classes.names
    return tuple(
        Neighbour(names[int(absorbed.labels[row])], absorbed.digests[row].numpy().tobytes().hex(), distance)
        for row, distance in zip(rows.tolist(), found.values.tolist(), strict=True)
    )


def _before(current: CurrentBelief, seen: ImageFeatures, history: LabelHistory) -> Mapping[str, float] | None:
    """The posterior of an image as it would be without its newest label."""
    newest = max(history.events, key=lambda one: one.entry, default=None)
    if newest is None or newest not in history.last(newest.person):
        return None
    label = LabelRecord(current.state.run, seen.image, newest.label, newest.person, seen.features)
    now = current.classifier
    then, _ = without_emptied(now, take_back_label(now, row_of(label)))
    before = replace(current, state=replace(current.state, classifier=then))
    log_prior = torch.tensor([before.prior()[name] for name in then.classes.names], dtype=torch.float64).log()
    posterior = (then.log_likelihood(torch.from_numpy(seen.features[None])) + log_prior).softmax(dim=1)[0]
    return dict(zip(then.classes.names, posterior.tolist(), strict=True))


def _called(ledger: Ledger, history: LabelHistory) -> tuple[LabelView, ...]:
    called = []
    for one in sorted(history.events, key=lambda one: -one.entry):
        back = ledger.entry(one.taken_back).record if one.taken_back else None
        gone = back.gone_classes if isinstance(back, WithdrawalRecord) else ()
        called.append(
            LabelView(
                one.entry, one.label, one.at, one.update is not None, one.removing, history.former(one.entry),
                one.taken_back, gone,
            )
        )  # fmt: skip
    return tuple(called)
