"""Labelled images as rows of a head: those that come, and those it holds."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from bayesight.belief.corrections import RUN


@dataclass(frozen=True)
class Rows:
    """Labelled images as the head sees them.

    Args:
        features: (N, D) float32 evidence features.
        labels: (N,) class numbers.
        digests: (N, 16) uint8, which image each row is.
        sources: (N,) who says so, see ``corrections``; the run itself when left out.
        second: (N,) whether it is a second, independent reading; none is when left out.
    """

    features: Tensor
    labels: Tensor
    digests: Tensor
    sources: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    second: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.bool))

    def __post_init__(self) -> None:
        if not len(self.sources):
            object.__setattr__(self, "sources", torch.full_like(self.labels, RUN))
        if not len(self.second):
            object.__setattr__(self, "second", torch.zeros_like(self.labels, dtype=torch.bool))

    def __len__(self) -> int:
        return len(self.labels)

    def joined(self, other: Rows) -> Rows:
        """These and then the others."""
        mine, theirs = vars(self), vars(other)
        return Rows(**{name: torch.cat([mine[name], theirs[name]]) for name in mine})

    def at(self, positions: Tensor) -> Rows:
        """Those at the given positions."""
        return Rows(**{name: part[positions] for name, part in vars(self).items()})


@dataclass(frozen=True)
class AbsorbedRows:
    """Every row the head holds, so that what was never absorbed cannot be taken out.

    Args:
        digests: (N, 16) uint8.
        labels: (N,) class numbers.
        weights: (N,) float64, what each counts now; it falls when the past is discounted.
        trained: (N,) whether the network was trained on it; the others can judge the belief.
        exemplars: (M, D) float16 features of some of them, for distances.
        exemplar_rows: (M,) which rows those are, ascending.
        sources: (N,) who said so; a run folder does not keep it, for all it holds is the run's own.
    """

    digests: Tensor
    labels: Tensor
    weights: Tensor
    trained: Tensor
    exemplars: Tensor
    exemplar_rows: Tensor
    sources: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))

    def __post_init__(self) -> None:
        if not len(self.sources):
            object.__setattr__(self, "sources", torch.full_like(self.labels, RUN))

    def trained_on(self, digests: Tensor) -> Tensor:
        """(N,) whether the network was trained on images of these digests (N, 16)."""
        return torch.isin(digest_words(digests), digest_words(self.digests[self.trained]))

    def with_rows(self, rows: Rows, weights: Tensor, keep: Tensor, trained: Tensor) -> AbsorbedRows:
        """These and ``rows``, of which those at positions ``keep`` become exemplars."""
        return AbsorbedRows(
            torch.cat([self.digests, rows.digests]),
            torch.cat([self.labels, rows.labels]),
            torch.cat([self.weights, weights]),
            torch.cat([self.trained, trained]),
            torch.cat([self.exemplars, rows.features[keep].half()]),
            torch.cat([self.exemplar_rows, keep + len(self.labels)]),
            torch.cat([self.sources, rows.sources]),
        )

    def without(self, positions: Tensor) -> AbsorbedRows:
        """These less the rows at ``positions``."""
        keep = torch.ones(len(self.labels), dtype=torch.bool)
        keep[positions] = False
        left = keep[self.exemplar_rows]
        moved = keep.cumsum(0) - 1
        return AbsorbedRows(
            self.digests[keep],
            self.labels[keep],
            self.weights[keep],
            self.trained[keep],
            self.exemplars[left],
            moved[self.exemplar_rows[left]],
            self.sources[keep],
        )


def digest_words(digests: Tensor) -> Tensor:
    """(N,) int64, the first half of each digest."""
    return digests.reshape(-1).view(torch.int64)[::2]
