"""Sufficient statistics of the images of one part: what a worker gives back of it, and a file keeps.

Sums of floating-point numbers depend on the order of the summands. Here it is fixed: images are added in the
order of the part, in blocks of one size, and parts in the order of the manifest, by a binary tree. So the sum
has the same bits whoever computes the parts, and whenever.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from bayesight.bayes.head.state import GaussianHead
from bayesight.errors import StorageFailed

LARGE = ("sums", "second_moments", "exemplars")
"""Tensors that are not needed to know which images a part holds."""


@dataclass(frozen=True)
class PartStatistics:
    """Statistics of n standardised images of k classes, D features each, and which images they are.

    Args:
        classes: names of the k classes.
        counts: (k,) sum of weights.
        sums: (k, D) sum of the rows.
        second_moments: (2, D, D) sum of x x^T over the founding classes of the head, and over later ones.
        digests: (n, 16) uint8, ascending.
        labels: (n,) int32, places in ``classes``.
        exemplars: (m, D) float16 features of some images.
        exemplar_places: (m,) places of those in ``digests``.
        facts: what else is to be known of the part: plain values.
    """

    classes: tuple[str, ...]
    counts: Tensor
    sums: Tensor
    second_moments: Tensor
    digests: Tensor
    labels: Tensor
    exemplars: Tensor
    exemplar_places: Tensor
    facts: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.digests)

    def packed(self) -> bytes:
        """The statistics as the bytes of a safetensors file."""
        tensors = {f.name: getattr(self, f.name) for f in fields(self)}
        plain = {name: tensors.pop(name) for name in ("classes", "facts")}
        whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
        return safetensors.torch.save(whole, {name: json.dumps(value) for name, value in plain.items()})

    @classmethod
    def unpacked(cls, content: bytes) -> PartStatistics:
        """The statistics that ``packed`` gave; for what never lay in a file."""
        length = int.from_bytes(content[:8], "little")
        plain = json.loads(content[8 : 8 + length])["__metadata__"]
        return cls._of(safetensors.torch.load(content), plain)

    @classmethod
    def read(cls, path: Path, *, without: Sequence[str] = ()) -> PartStatistics:
        """Statistics from a file.

        Args:
            path: written with the bytes of ``packed``.
            without: names of tensors that are not needed; they are left empty.

        Raises:
            StorageFailed: the file is damaged or gone.
        """
        try:
            with safetensors.safe_open(path, "pt") as file:
                names = file.keys()
                none = torch.empty(0, dtype=torch.float64)
                tensors = {name: none if name in without else file.get_tensor(name) for name in names}
                return cls._of(tensors, file.metadata())
        except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as problem:
            again = "remove it and run the command again: the part is computed anew."
            whole = "copy the folder parts of the run from where it is whole."
            mend = again if path.suffix == ".stats" else whole
            raise StorageFailed(f"{path} cannot be read ({problem}); {mend}") from problem

    def images(self, rows: Tensor | None = None) -> PartStatistics:
        """The images alone, those of a mask (n,) if given, without statistics: for the file that stays."""
        kept = torch.ones(len(self), dtype=torch.bool) if rows is None else rows
        nothing = torch.empty(0, dtype=torch.float64)
        return replace(
            self,
            counts=nothing,
            sums=nothing,
            second_moments=nothing,
            digests=self.digests[kept],
            labels=self.labels[kept],
            exemplars=nothing,
            exemplar_places=torch.empty(0, dtype=torch.int64),
        )

    @classmethod
    def _of(cls, tensors: dict[str, Tensor], plain: dict[str, str]) -> PartStatistics:
        return cls(tuple(json.loads(plain["classes"])), **tensors, facts=json.loads(plain["facts"]))


def merged(heads: Iterable[GaussianHead]) -> GaussianHead | None:
    """Heads of one shape added up by a binary tree in the order in which they come; None where none does.

    At most as many sums are held as the number of heads has binary digits.

    Example:
        >>> from bayesight.bayes.head.state import empty
        >>> heads = [empty(("a",), torch.zeros(1), torch.ones(1)) for _ in range(3)]
        >>> total = merged(replace(head, counts=head.counts + n) for n, head in enumerate(heads))
        >>> float(total.counts[0])
        3.0
    """
    tree: list[tuple[int, GaussianHead]] = []
    for head in heads:
        tree.append((1, head))
        while len(tree) > 1 and tree[-1][0] == tree[-2][0]:
            size, last = tree.pop()
            tree[-1] = (2 * size, _sum(tree[-1][1], last))
    while len(tree) > 1:
        size, last = tree.pop()
        tree[-1] = (tree[-1][0] + size, _sum(tree[-1][1], last))
    return tree[0][1] if tree else None


def added(head: GaussianHead, part: PartStatistics) -> GaussianHead:
    """A head of the part's classes, among others, with the part's statistics."""
    return _combined(head, part, 1.0)


def subtracted(head: GaussianHead, part: PartStatistics) -> GaussianHead:
    """The head without the part's statistics."""
    return _combined(head, part, -1.0)


def _combined(head: GaussianHead, part: PartStatistics, sign: float) -> GaussianHead:
    at = torch.tensor([head.classes.index(name) for name in part.classes], dtype=torch.int64)
    return replace(
        head,
        counts=head.counts.index_add(0, at, sign * part.counts),
        sums=head.sums.index_add(0, at, sign * part.sums),
        second_moments=head.second_moments + sign * part.second_moments,
    )


def _sum(one: GaussianHead, other: GaussianHead) -> GaussianHead:
    return replace(
        one,
        counts=one.counts + other.counts,
        sums=one.sums + other.sums,
        second_moments=one.second_moments + other.second_moments,
    )
