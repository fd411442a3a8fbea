"""Records applied to a belief: the one place where a change is computed, the first time or replayed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import torch

from bayesight.belief.absorbed import Rows
from bayesight.belief.classifier import Classifier
from bayesight.belief.updating import (
    BatchOutcome,
    LearningOptions,
    take_back,
    update_belief,
    without_classes,
)
from bayesight.ledger.records import Entry, LabelRecord, RenameRecord, UpdateRecord, WithdrawalRecord

Renames: TypeAlias = tuple[tuple[int, str, str], ...]
"""(sequence number, old, new) of every new name of a class, in order."""


def name_now(renames: Renames, name: str, said_at: int = 0) -> str:
    """The name today of the class that was called ``name`` when entry ``said_at`` was written.

    Example:
        >>> name_now(((5, "hoop", "ring"), (9, "ring", "wheel")), "hoop", 3)
        'wheel'
    """
    for at, old, new in renames:
        if at > said_at and name == old:
            name = new
    return name


def source_of(person: str) -> int:
    """The number by which a belief tells whose label it holds; never that of the run itself.

    It is derived from the name, so that every process has the same, and is kept in no run folder.
    """
    return int.from_bytes(hashlib.sha256(person.encode()).digest()[:7], "big") + 1


def labels_now(entries: Sequence[Entry], renames: Renames) -> list[LabelRecord]:
    """The labels of entries, by the names their classes have now."""
    found = []
    for entry in entries:
        label = entry.record
        if isinstance(label, LabelRecord):
            name = name_now(renames, label.label, entry.sequence)
            found.append(label if name == label.label else replace(label, label=name))
    return found


def apply_update(
    classifier: Classifier,
    made: UpdateRecord,
    labels: Sequence[LabelRecord],
    *,
    gone: Sequence[str] | None = None,
) -> tuple[Classifier, BatchOutcome]:
    """The belief after an update, and what it did.

    Args:
        classifier: the belief before.
        made: how the labels are taken; its own list of them is not looked at.
        labels: those that are left of it, in order, by the names of now.
        gone: the classes that lost their last image, as recorded; found where it is computed the first time.
    """
    # Where something was erased since, a class may be there still that was not when this was computed.
    new = tuple(name for name in made.new_classes if name not in classifier.classes.names)
    rows = _rows(labels, (*classifier.classes.names, *new), classifier.head.dimension, made.corrects)
    options = LearningOptions(made.trust_past, made.robust, made.remove)
    with _threads(made.threads):
        return update_belief(classifier, rows, new, options, gone=gone)


def apply_withdrawal(
    classifier: Classifier, made: WithdrawalRecord, labels: Sequence[LabelRecord]
) -> Classifier:
    """The belief after a label was taken back; as it was, where the label itself was erased."""
    if not labels:
        return classifier
    with _threads(made.threads):
        after = take_back(classifier, row_of(labels[0]))
    return without_classes(after, made.gone_classes)


def apply_rename(classifier: Classifier, made: RenameRecord) -> Classifier:
    """The belief after a class got another name.

    It is as it was where an erasure brought back a class of the new name: then there are two.
    """
    names = classifier.classes.names
    return (
        classifier.renamed(made.old, made.new) if made.old in names and made.new not in names else classifier
    )


def row_of(label: LabelRecord) -> Rows:
    """A label as a belief sees it, but for its class."""
    return _rows([label], (label.label,), len(label.features), True)


def _rows(labels: Sequence[LabelRecord], names: tuple[str, ...], dimension: int, corrects: bool) -> Rows:
    number = {name: index for index, name in enumerate(names)}
    features = np.array([label.features for label in labels], dtype=np.float32).reshape(-1, dimension)
    digests = np.frombuffer(bytes.fromhex("".join(label.image for label in labels)), dtype=np.uint8)
    return Rows(
        torch.from_numpy(features),
        torch.tensor([number[label.label] for label in labels], dtype=torch.int64),
        torch.from_numpy(digests.reshape(-1, 16).copy()),
        torch.tensor([source_of(label.person) for label in labels], dtype=torch.int64),
        torch.tensor([label.second_reading or not corrects for label in labels], dtype=torch.bool),
    )


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Set the number of torch threads, and set it back."""
    now = torch.get_num_threads()
    if now == count:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(now)
