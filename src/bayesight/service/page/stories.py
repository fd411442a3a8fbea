"""What can be said of one image: the four terms now and before, what people called it, its neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bayesight.evaluate.novelty import threshold
from bayesight.ledger import Entry, Label, Ledger, Prediction, Update
from bayesight.ledger.records import Features
from bayesight.models.classifier import Classifier
from bayesight.service.belief import Believed
from bayesight.workflows.predict import Prediction as Answer
from bayesight.workflows.predict import Readings, judge

__all__ = ["LEVEL", "Called", "Neighbour", "Seen", "Story", "nearest_known", "seen_in", "story_of"]

LEVEL = 0.05
"""Share of images of known kinds that may be called unknown."""

NEIGHBOURS = 6


@dataclass(frozen=True)
class Called:
    """Somebody called an image something.

    Attributes:
        label: the class.
        at: when, UTC, ISO 8601.
        learned: whether it is in the belief.
        removed: whether it was taken out of the belief.
    """

    label: str
    at: str
    learned: bool
    removed: bool


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
class Seen:
    """An image the network has read.

    Attributes:
        image: 32 hexadecimal digits.
        features: (D,) float32.
        pixels: a PNG file; empty where it was not kept.
    """

    image: str
    features: Features
    pixels: bytes


@dataclass(frozen=True)
class Story:
    """An image and what is believed of it.

    Attributes:
        seen: the image.
        answer: the four terms under the belief as it is now.
        limit: novelty from which an image is called unknown.
        before: posterior when it was last asked about before anybody said what it is; None without a label.
        called: what people called it, newest first.
        neighbours: the nearest known images, nearest first.
    """

    seen: Seen
    answer: Answer
    limit: float
    before: Mapping[str, float] | None
    called: tuple[Called, ...]
    neighbours: tuple[Neighbour, ...]

    @property
    def best(self) -> str:
        """The class with the highest posterior."""
        return max(self.answer.posterior, key=lambda name: self.answer.posterior[name])


def story_of(ledger: Ledger, believed: Believed, seen: Seen) -> Story:
    """Everything known of an image.

    Args:
        ledger: where labels and earlier answers are kept.
        believed: the belief now, and the base rates in force.
        seen: the image.
    """
    entries = ledger.about(believed.held.run, seen.image)
    rows = torch.from_numpy(seen.features[None])
    classifier = believed.classifier
    how = Readings(prior=believed.prior(), level=LEVEL)
    return Story(
        seen=seen,
        answer=judge(classifier, [seen.image], rows, how)[0],
        limit=threshold(classifier.novelty_reference, LEVEL),
        before=_before(entries),
        called=_called(ledger, entries),
        neighbours=nearest_known(classifier, rows, NEIGHBOURS),
    )


def seen_in(ledger: Ledger, run: str, image: str) -> Seen | None:
    """An image of the ledger, for which features were kept; None where there is none.

    Args:
        ledger: where predictions and labels are kept.
        run: its name.
        image: 32 hexadecimal digits.
    """
    for entry in ledger.about(run, image):
        record = entry.record
        if isinstance(record, Prediction | Label) and record.features is not None and len(record.features):
            return Seen(image, record.features, record.pixels)
    return None


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


def _before(entries: Sequence[Entry]) -> Mapping[str, float] | None:
    """The posterior of the last prediction before the first label; entries come newest first."""
    first = min((e.sequence for e in entries if isinstance(e.record, Label)), default=0)
    earlier = (e.record for e in entries if isinstance(e.record, Prediction) and e.sequence < first)
    found = next(earlier, None)
    return None if found is None else found.posterior


def _called(ledger: Ledger, entries: Sequence[Entry]) -> tuple[Called, ...]:
    labels = [entry for entry in entries if isinstance(entry.record, Label)]
    updates = ledger.absorbed_by([entry.sequence for entry in labels]) if labels else {}
    said = []
    for entry in labels:
        assert isinstance(entry.record, Label)
        update = ledger.entry(updates[entry.sequence]).record if entry.sequence in updates else None
        removed = isinstance(update, Update) and update.remove
        said.append(Called(entry.record.label, entry.at, update is not None, removed))
    return tuple(said)
