"""One part into sufficient statistics: the task of an update by parts, wherever it is done."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

import bayesight
from bayesight.bayes.head.state import empty, sufficient_statistics
from bayesight.belief.absorbed import AbsorbedRows
from bayesight.belief.classifier import Classifier
from bayesight.belief.held_parts import image_keys
from bayesight.belief.part_statistics import PartStatistics
from bayesight.data.batches import Examples
from bayesight.data.parts import SourcePart
from bayesight.errors import SourceUnreadable
from bayesight.training.classification import EVALUATION_BATCH
from bayesight.types import FloatArray, IntArray
from bayesight.workflows.parts.jobs import labelled_part
from bayesight.workflows.sources import LabelledImages, SourceOptions

EXEMPLARS_A_PART = 256
"""Images of a part whose features come back, shared among its classes; each class has one at least."""
_ROWS = 4096
"""Images whose features are held at once."""


@dataclass(frozen=True)
class LabelledRows:
    """Some images of a part, with labels and weights of their own.

    Args:
        digests: (n, 16) uint8.
        labels: (n,) places in ``names``.
        names: of classes.
        weights: (n,) in [0, 1].
    """

    digests: np.ndarray
    labels: IntArray
    names: tuple[str, ...]
    weights: FloatArray


@dataclass(frozen=True)
class AbsorbTask:
    """A part to absorb.

    Args:
        part: where it is.
        options: how it is read where it does not show.
        rows: only these of its images; all, by their own labels, when left out.
    """

    part: SourcePart
    options: SourceOptions
    rows: LabelledRows | None = None

    def key(self, reader: str) -> str:
        """32 hexadecimal digits for the task done with a reader of this key."""
        total = hashlib.blake2b(digest_size=16)
        asked = asdict(replace(self.options, similar_names=False))
        total.update(repr((self.part.key, asked, reader)).encode())
        if self.rows is not None:
            for values in (self.rows.digests, self.rows.labels, self.rows.weights):
                total.update(values.tobytes())
            total.update(repr(self.rows.names).encode())
        return total.hexdigest()


def reader_of_parts(classifier: Classifier) -> tuple[Classifier, str]:
    """The part of a belief that a worker needs to absorb a part, and a key that changes with it.

    It is the network, the classes and the standardisation, which is fixed; none of what was absorbed.
    """
    own = classifier.head
    head = replace(empty(own.classes, own.shift, own.scale, own.prior), founding=own.founding, kept=own.kept)
    none = torch.empty(0, dtype=torch.int64)
    absorbed = AbsorbedRows(
        torch.empty(0, 16, dtype=torch.uint8), none, none.double(), none.bool(),
        torch.empty(0, head.dimension, dtype=torch.float16), none,
    )  # fmt: skip
    bare = Classifier(
        classifier.network, classifier.classes, classifier.precision, head, absorbed,
        torch.empty(0, head.dimension), none, torch.empty(0, 16, dtype=torch.uint8),
    )  # fmt: skip
    total = hashlib.blake2b(digest_size=16)
    state = {**classifier.network.state_dict(), "head.shift": head.shift, "head.scale": head.scale}
    for name in sorted(state):
        total.update(name.encode())
        total.update(state[name].detach().cpu().contiguous().numpy().tobytes())
    versions = (bayesight.__version__, torch.__version__)
    said = (*versions, classifier.classes.reading, classifier.precision, head.classes, head.founding)
    total.update(repr(said).encode())
    return bare, total.hexdigest()


def absorb_part(reader: Classifier, task: AbsorbTask) -> bytes:
    """The statistics of a part's images, each counted once, as the bytes of a file.

    Raises:
        SourceNotFound, SourceUnreadable, InvalidInput: it cannot be read as the run reads it.
    """
    with labelled_part(task.part, reader.classes, task.options, new_classes=True) as (data, found):
        digests, labels = np.ascontiguousarray(data.digests), np.asarray(data.examples.labels)
        names = (*reader.classes.names, *data.new_classes)
        weights = None
        if task.rows is None:
            places, repeated, superseded = _once(digests, labels)
        else:
            places, repeated, superseded = _places(digests, task), 0, 0
            names = tuple(dict.fromkeys((*reader.classes.names, *task.rows.names)))
            weights = torch.from_numpy(task.rows.weights)
            labels = np.array([names.index(name) for name in task.rows.names], np.int64)[task.rows.labels]
        named = labels[places] if task.rows is None else labels
        facts = _facts(data, found, repeated, superseded)
        return _statistics(
            reader.with_classes(names[len(reader.classes.names) :]),
            replace(data.examples, rows=data.examples.rows[places], labels=named),
            digests[places],
            weights,
            facts,
        ).packed()


def standing(labels: Sequence[int]) -> tuple[int, int]:
    """The place of the label that stands of those an image was given in turn, and how many were replaced.

    The same label again changes nothing; another one replaces it.

    Example:
        >>> standing([3, 3]), standing([3, 5, 5]), standing([3, 5, 3])
        ((0, 0), (1, 1), (2, 2))
    """
    place = replaced = 0
    for at, label in enumerate(labels):
        if label != labels[place]:
            place, replaced = at, replaced + 1
    return place, replaced


def by_digest(digests: np.ndarray) -> IntArray:
    """The order that sorts digests (N, 16); equal ones stay in their order."""
    halves = np.ascontiguousarray(digests).view(">u8").reshape(-1, 2)
    order: IntArray = np.lexsort((halves[:, 1], halves[:, 0]))
    return order


def first_of_each(digests: np.ndarray) -> np.ndarray:
    """(N,) whether each of digests (N, 16) in order differs from the one before."""
    differs = (digests[1:] != digests[:-1]).any(axis=1)
    first: np.ndarray = np.r_[np.ones(min(1, len(digests)), bool), differs]
    return first


def _once(digests: np.ndarray, labels: IntArray) -> tuple[IntArray, int, int]:
    """Places of the labels that count, by digest; how many repeat another, and how many are replaced."""
    order = by_digest(digests)
    kept = np.ones(len(digests), bool)
    superseded = 0
    first = np.flatnonzero(first_of_each(digests[order]))
    sizes = np.diff(np.r_[first, len(order)])
    for at, size in zip(first[sizes > 1], sizes[sizes > 1], strict=True):
        group = order[at : at + size]
        place, replaced = standing(labels[group].tolist())
        superseded += replaced
        kept[np.delete(group, place)] = False
    return order[kept[order]], int((~kept).sum()) - superseded, superseded


def _places(digests: np.ndarray, task: AbsorbTask) -> IntArray:
    """The places in the part of the images asked for."""
    assert task.rows is not None
    order, wanted = by_digest(digests), image_keys(task.rows.digests)
    place = np.searchsorted(image_keys(digests)[order], wanted)
    found = order[np.minimum(place, len(order) - 1)] if len(order) else np.zeros(len(wanted), np.int64)
    if not len(order) or (image_keys(digests)[found] != wanted).any():
        raise SourceUnreadable(
            f"{task.part.name} changed while the job ran: images of it are gone; run the command again."
        )
    return found


def _statistics(
    reader: Classifier, examples: Examples, digests: np.ndarray, weights: Tensor | None, facts: dict[str, Any]
) -> PartStatistics:
    """Statistics of images in the order given, few of whose features are held at once."""
    head, labels = reader.head, torch.from_numpy(examples.labels)
    present, local = labels.unique(return_inverse=True)
    places = _exemplar_places(examples.labels, len(present)) if weights is None else torch.empty(0).long()
    exemplars = torch.empty(len(places), head.dimension, dtype=torch.float16)
    counts, sums = torch.zeros_like(head.counts), torch.zeros_like(head.sums)
    second = torch.zeros_like(head.second_moments)
    for start in range(0, len(labels), _ROWS):
        block = slice(start, start + _ROWS)
        some = replace(examples, rows=examples.rows[block], labels=examples.labels[block])
        features = reader.features(some.in_order(EVALUATION_BATCH))
        few = sufficient_statistics(
            head, features, labels[block], None if weights is None else weights[block]
        )
        for total, part in zip((counts, sums, second), few, strict=True):
            total += part
        here = ((places >= start) & (places < start + _ROWS)).nonzero()[:, 0]
        exemplars[here] = features[places[here] - start].half()
    names = tuple(head.classes[number] for number in present.tolist())
    ids = torch.from_numpy(np.ascontiguousarray(digests))
    return PartStatistics(
        names, counts[present], sums[present], second, ids, local.int(), exemplars, places, facts
    )


def _exemplar_places(labels: IntArray, classes: int) -> Tensor:
    """The places, ascending, of images by whose features distances are told: the first of each class.

    Images come in the order of their digests, which have nothing to do with what they show.
    """
    quota = -(-EXEMPLARS_A_PART // max(1, classes))
    chosen = [np.flatnonzero(labels == number)[:quota] for number in np.unique(labels)]
    return torch.from_numpy(np.sort(np.concatenate(chosen or [np.empty(0, np.int64)])))


def _facts(data: LabelledImages, found: str, repeated: int, superseded: int) -> dict[str, Any]:
    """Facts about a part beside its statistics."""
    return {
        "hash": found,
        "images": len(data.examples.labels),
        "repeated": repeated,
        "superseded": superseded,
        "new_classes": list(data.new_classes),
        "quarantined": len(data.store.manifest.quarantined),
        "notes": data.notes,
    }
