"""Labels into the belief of a run and its ledger: the next update, computed and written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from bayesight.belief.classifier import Classifier
from bayesight.belief.updating import BatchOutcome, LearningOptions
from bayesight.checks import check
from bayesight.ledger.applying import apply_update, labels_now
from bayesight.ledger.belief import BeliefState, belief_digest
from bayesight.ledger.records import LabelRecord, Receipt, UpdateRecord
from bayesight.ledger.replay import at_head, catch_up
from bayesight.ledger.store import Ledger


@dataclass(frozen=True)
class LearningOutcome(BatchOutcome):
    """The outcome of an update of the ledger; its labels include queued ones.

    Args:
        receipt: of the new labels and the update; None when nothing was queued.
    """

    receipt: Receipt | None = None


def learn(
    ledger: Ledger,
    state: BeliefState,
    labels: Sequence[LabelRecord],
    *,
    options: LearningOptions | None = None,
    key: str = "",
) -> tuple[BeliefState, LearningOutcome]:
    """Absorb labels and write them down, both or neither: they are learned once this returns.

    Args:
        ledger: where evidence is kept.
        state: the belief so far; others may have moved on, this catches up first.
        labels: of this run; classes it does not know are new ones.
        options: how to take them; by default with full trust.
        key: idempotency key; a repeated call learns nothing and returns the first one's receipt.

    Raises:
        KeyReused, UnknownName, InvalidInput, StorageFailed: as in ``Ledger.append_update``; also labels to be
            removed that were never absorbed. What is held stays as it was.
        BeliefMoved: others kept coming first, a hundred times over.
    """
    how = options or LearningOptions()
    check(len(labels) > 0, "learn", "no labels", "at least one")
    strangers = {label.run for label in labels} - {state.run}
    check(not strangers, "learn", f"labels of run {min(strangers, default='')}", f"labels of run {state.run}")

    def attempt(state: BeliefState) -> tuple[BeliefState, LearningOutcome]:
        if key and ledger.receipt(key) is not None:
            asked = UpdateRecord(state.run, state.position, "", "", **vars(how))
            return state, LearningOutcome(receipt=ledger.append_update(asked, labels, key))
        after, made, learned = _computed(state, labels, how)
        receipt = ledger.append_update(made, labels, key)
        if receipt.repeated:  # another process was asked the same at the same time
            return catch_up(ledger, state), LearningOutcome(receipt=receipt)
        return _moved(state, after, made, learned, receipt)

    return at_head(ledger, state, attempt)


def absorb_queued(
    ledger: Ledger, state: BeliefState, *, limit: int = 1000, options: LearningOptions | None = None
) -> tuple[BeliefState, LearningOutcome]:
    """Absorb labels that were written but not learned yet, whoever wrote them, as one batch.

    Args:
        ledger: where evidence is kept.
        state: the belief so far.
        limit: at most so many labels.
        options: how to take them.

    Returns:
        The belief after it, and what was learned; ``receipt`` is None when nothing was queued.

    Raises:
        StorageFailed, BeliefMoved: as in ``learn``.
    """
    how = options or LearningOptions()
    return at_head(ledger, state, lambda state: absorb_queued_once(ledger, state, limit, how))


def absorb_queued_once(
    ledger: Ledger, state: BeliefState, limit: int, options: LearningOptions
) -> tuple[BeliefState, LearningOutcome]:
    """``absorb_queued`` of a belief at the ledger's head.

    Raises:
        BeliefMoved: another change came first.
    """
    waiting = ledger.queued(state.run, limit=limit)
    if not waiting:
        return state, LearningOutcome()
    after, made, learned = _computed(state, labels_now(waiting, state.renames), options)
    made = replace(made, labels=tuple(entry.sequence for entry in waiting))
    return _moved(state, after, made, learned, ledger.append_update(made))


def _moved(
    state: BeliefState, after: Classifier, made: UpdateRecord, learned: BatchOutcome, receipt: Receipt
) -> tuple[BeliefState, LearningOutcome]:
    """The belief once an update is written, and its outcome."""
    state = replace(state, classifier=after, position=receipt.last, belief=made.after)
    return state, LearningOutcome(**vars(learned), receipt=receipt)


def _computed(
    state: BeliefState, labels: Sequence[LabelRecord], how: LearningOptions
) -> tuple[Classifier, UpdateRecord, BatchOutcome]:
    """The belief after a batch, the record of it, and what was learned."""
    before = state.classifier
    known = before.classes.names
    new = tuple(dict.fromkeys(label.label for label in labels if label.label not in known))
    check(not (how.remove and new), "remove", f"class {next(iter(new), '')!r}", f"one of {', '.join(known)}")
    made = UpdateRecord(
        state.run,
        state.position,
        state.belief,
        "",
        new_classes=new,
        threads=torch.get_num_threads(),
        corrects=True,
        **vars(how),
    )
    after, learned = apply_update(before, made, labels)
    return after, replace(made, after=belief_digest(after), gone_classes=learned.gone_classes), learned
