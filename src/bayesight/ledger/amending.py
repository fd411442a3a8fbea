"""Withdrawals of labels and new names of classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import torch

from bayesight.belief.updating import LearningOptions, without_emptied
from bayesight.checks import check
from bayesight.ledger.applying import apply_withdrawal, labels_now
from bayesight.ledger.belief import BeliefState, belief_digest
from bayesight.ledger.label_history import label_histories, own
from bayesight.ledger.learning import LearningOutcome, absorb_queued_once
from bayesight.ledger.records import Receipt, RenameRecord, WithdrawalRecord
from bayesight.ledger.replay import at_head, catch_up
from bayesight.ledger.store import Ledger

Told = TypeVar("Told")

QUEUED = 1000
"""At most so many queued labels are learned as one update before a change."""


@dataclass(frozen=True)
class WithdrawalOutcome:
    """The outcome of a withdrawal.

    Args:
        receipt: of the record of it.
        was: the class the image was called; empty for a request repeated with its key.
        now: what stands again for it from the same person, or from the run; None for nothing.
        gone_classes: names of classes that lost their last image.
    """

    receipt: Receipt
    was: str = ""
    now: str | None = None
    gone_classes: tuple[str, ...] = ()


def take_back(
    ledger: Ledger, state: BeliefState, image: str, *, person: str = "", key: str = ""
) -> tuple[BeliefState, WithdrawalOutcome]:
    """Take back the last label a person gave an image: the belief is as if it had never been given.

    Labels that are queued are learned first.

    Args:
        ledger: where evidence is kept.
        state: the belief so far.
        image: 32 hexadecimal digits.
        person: whose label; nobody takes back another's.
        key: idempotency key; a repeated call takes nothing further back.

    Returns:
        The belief after it, and what was taken back.

    Raises:
        InvalidInput: no label of this person stands for the image.
        KeyReused, StorageFailed, BeliefMoved: as in ``learning.learn``.
    """

    def computed(state: BeliefState) -> tuple[BeliefState, WithdrawalRecord, WithdrawalOutcome]:
        history = label_histories(ledger, state, [image])[image]
        gone = history.last(person)
        who = f"by {person!r}" if person else "without a name"
        check(bool(gone), "take back", f"image {image[:40]}", f"one with a label given {who} that stands")
        numbers = tuple(sorted(one.entry for one in gone))
        made = WithdrawalRecord(
            state.run,
            image,
            person,
            state.position,
            state.belief,
            "",
            numbers,
            threads=torch.get_num_threads(),
        )
        labels = labels_now([ledger.entry(numbers[0])], state.renames)
        before = state.classifier
        after, left = without_emptied(before, apply_withdrawal(before, made, labels))
        new = tuple(name for name in after.classes.names if name not in before.classes.names)
        made = replace(made, after=belief_digest(after), new_classes=new, gone_classes=left)
        now = own(history.without(gone).standing(), person)
        told = WithdrawalOutcome(Receipt(0, 0, "", ""), gone[0].label, now, left)
        return replace(state, classifier=after), made, told

    asked = WithdrawalRecord(state.run, image, person, state.position, "", "")
    state, receipt, told = _changed(ledger, state, asked, computed, key)
    return state, WithdrawalOutcome(receipt) if told is None else replace(told, receipt=receipt)


def rename_class(
    ledger: Ledger, state: BeliefState, old: str, new: str, *, person: str = "", key: str = ""
) -> tuple[BeliefState, Receipt]:
    """Call a class something else; its images, and what was said of it, stay its own.

    Args:
        ledger: where evidence is kept.
        state: the belief so far.
        old: name of the class.
        new: what it is to be called.
        person: who says so.
        key: idempotency key.

    Raises:
        UnknownName: there is no class ``old``.
        InvalidInput: ``new`` is no name, or that of another class.
        KeyReused, StorageFailed, BeliefMoved: as in ``learning.learn``.
    """

    def computed(state: BeliefState) -> tuple[BeliefState, RenameRecord, str]:
        after = state.classifier.renamed(old, new)
        made = RenameRecord(state.run, old, new, state.position, state.belief, belief_digest(after), person)
        return replace(state, classifier=after), made, new

    asked = RenameRecord(state.run, old, new, state.position, "", "", person)
    state, receipt, done = _changed(ledger, state, asked, computed, key)
    if done is not None:
        state = replace(state, renames=(*state.renames, (receipt.last, old, new)))
    return state, receipt


def _changed(
    ledger: Ledger,
    state: BeliefState,
    asked: WithdrawalRecord | RenameRecord,
    computed: Callable[[BeliefState], tuple[BeliefState, WithdrawalRecord | RenameRecord, Told]],
    key: str,
) -> tuple[BeliefState, Receipt, Told | None]:
    """A change of the belief once nothing is queued, and what it did; None where the key was used."""

    def attempt(state: BeliefState) -> tuple[BeliefState, tuple[Receipt, Told | None]]:
        learned: LearningOutcome | None = None
        while learned is None or learned.receipt is not None:
            state, learned = absorb_queued_once(ledger, state, QUEUED, LearningOptions())
        if key and ledger.receipt(key) is not None:
            return state, (ledger.append_change(asked, key), None)
        after, made, told = computed(state)
        receipt = ledger.append_change(made, key)
        if receipt.repeated:  # another process was asked the same at the same time
            return catch_up(ledger, state), (receipt, None)
        return replace(after, position=receipt.last, belief=made.after), (receipt, told)

    state, (receipt, told) = at_head(ledger, state, attempt)
    return state, receipt, told
