"""One image, one label of each who says so: the rule by which a later label replaces an earlier one.

A *source* is whoever labels: the run itself (what it was trained on, and updates of its folder), or a person.
A label replaces the earlier one of its source, and the run's own; other people's labels stay beside it. The
same label again changes nothing, unless it is said to be a second, independent reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from bayesight.belief.absorbed import AbsorbedRows, Rows

RUN = 0
"""The source of the run's own labels."""


@dataclass(frozen=True)
class StandingLabel:
    """A label that stands for an image.

    Args:
        source: who said it; ``RUN`` for the run itself.
        label: the class, by number or by name.
        place: where it is kept: a row, or an entry of the ledger.
    """

    source: int
    label: int | str
    place: int


@dataclass(frozen=True)
class ReplacedLabel:
    """A label that a later one replaced, kept in case that one is taken back.

    Args:
        image: digest, 16 bytes.
        label: name of the class.
        weight: what it would count now.
        source: who said it.
        step: labels replaced by one and the same label have the same step; later ones a higher.
    """

    image: bytes
    label: str
    weight: float
    source: int
    step: int


@dataclass(frozen=True)
class Corrections:
    """A labelled batch beside the labels given before.

    Args:
        learned: (M,) positions in the batch of the labels that count, ascending.
        replaced: (R,) rows of the belief whose label they replace.
        by: (R,) the positions in the batch that replace them.
        superseded: (position, position) of labels that later ones of the same batch replaced, and of those.
        former: (N,) class number each image of the batch had from the same source before, -1 for none.
        labels: (N,) class numbers of the batch.
    """

    learned: Tensor
    replaced: Tensor
    by: Tensor
    superseded: tuple[tuple[int, int], ...]
    former: Tensor
    labels: Tensor

    @property
    def corrected(self) -> Tensor:
        """(N,) whether a label counts whose image was called something else before."""
        return self._counts & (self.former >= 0) & (self.former != self.labels)

    @property
    def fresh(self) -> Tensor:
        """(N,) whether a label counts whose image had none before."""
        return self._counts & (self.former < 0)

    @property
    def repeated(self) -> int:
        """The number of labels that said what was known already."""
        gone = len({position for position, _ in self.superseded})
        return len(self.labels) - int((self.corrected | self.fresh).sum()) - gone

    @property
    def _counts(self) -> Tensor:
        counts = torch.zeros(len(self.labels), dtype=torch.bool)
        counts[self.learned] = True
        return counts


def add_label(
    standing: Sequence[StandingLabel], given: StandingLabel, *, second: bool = False
) -> tuple[tuple[StandingLabel, ...], tuple[StandingLabel, ...]]:
    """The labels that stand for an image once another one was given, and those it replaced.

    Args:
        standing: the labels so far.
        given: the new one.
        second: it is a second, independent reading, and counts beside the others.

    Example:
        >>> bar, ring = StandingLabel(7, "bar", 1), StandingLabel(7, "ring", 2)
        >>> add_label((bar,), ring) == ((ring,), (bar,))
        True
        >>> add_label((bar,), StandingLabel(8, "ring", 2))[1]  # somebody else's
        ()
    """
    if second:
        return (*standing, given), ()
    mine = tuple(one for one in standing if one.source in (given.source, RUN))
    again = any(one.source == given.source for one in mine) and all(one.label == given.label for one in mine)
    if again:
        return tuple(standing), ()
    return (*(one for one in standing if one not in mine), given), mine


def compare(absorbed: AbsorbedRows, rows: Rows) -> Corrections:
    """A batch beside the labels given before; nothing is changed.

    Args:
        absorbed: the labels so far.
        rows: the batch, in the order in which it was said.
    """
    images = [digest.tobytes() for digest in rows.digests.numpy()]
    standing = {image: tuple(known) for image, known in _known(absorbed, set(images)).items()}
    sources, labels, second = rows.sources.tolist(), rows.labels.tolist(), rows.second.tolist()
    former = [
        -1 if more else _former(standing.get(image, ()), source)
        for image, source, more in zip(images, sources, second, strict=True)
    ]
    replaced: dict[int, int] = {}
    superseded: list[tuple[int, int]] = []
    for position, image in enumerate(images):
        # Places of the batch are numbered from -1 downwards, so that they are none of the belief's.
        given = StandingLabel(sources[position], labels[position], -1 - position)
        standing[image], gone = add_label(standing.get(image, ()), given, second=second[position])
        for one in gone:
            if one.place >= 0:
                replaced[one.place] = position
            else:
                superseded.append((-1 - one.place, position))
    learned = sorted(-1 - one.place for known in standing.values() for one in known if one.place < 0)
    rows_gone = sorted(replaced)
    return Corrections(
        learned=torch.tensor(learned, dtype=torch.int64),
        replaced=torch.tensor(rows_gone, dtype=torch.int64),
        by=torch.tensor([replaced[row] for row in rows_gone], dtype=torch.int64),
        superseded=tuple(superseded),
        former=torch.tensor(former, dtype=torch.int64),
        labels=rows.labels,
    )


def rows_of(absorbed: AbsorbedRows, images: set[bytes]) -> list[int]:
    """The rows of these images, ascending."""
    if not images or not len(absorbed.labels):
        return []
    wanted = np.frombuffer(b"".join(images), dtype="<u8")[::2]
    half = np.ascontiguousarray(absorbed.digests.numpy()).view("<u8")[:, 0]
    found = np.flatnonzero(np.isin(half, wanted)).tolist()
    digests = absorbed.digests.numpy()
    return [row for row in found if digests[row].tobytes() in images]


def _known(absorbed: AbsorbedRows, images: set[bytes]) -> dict[bytes, list[StandingLabel]]:
    """The labels of these images in the belief, in the order in which they came."""
    found: dict[bytes, list[StandingLabel]] = {}
    for row in rows_of(absorbed, images):
        given = StandingLabel(int(absorbed.sources[row]), int(absorbed.labels[row]), row)
        found.setdefault(absorbed.digests[row].numpy().tobytes(), []).append(given)
    return found


def _former(standing: Sequence[StandingLabel], source: int) -> int:
    """Class number the source's own label has, or else the run's; -1 for none."""
    own = [one for one in standing if one.source == source] or [one for one in standing if one.source == RUN]
    return int(own[-1].label) if own else -1
