"""From a run and a ledger to the belief that follows from both, and from labels to the next update.

The run folder is the base and is never changed. A process holds the belief in memory as a ``BeliefState`` and
moves it along the ledger: ``catch_up`` applies what others learned, ``learn`` adds labels of its own.
Replaying is exact: every update is absorbed as the same batch, from the same numbers, in the same order, with
as many threads, and the digest recorded with each update proves it. On another kind of processor sums of
floats may end in another last bit; then ``BeliefState.exact`` is False and the belief agrees to rounding.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from bayesight.bayes.head.gaussian import AbsorbedBatch
from bayesight.belief.classifier import Classifier
from bayesight.belief.corrections import Corrections
from bayesight.checks import check
from bayesight.errors import BeliefMoved, LedgerBroken
from bayesight.ledger.applying import (
    apply_rename,
    apply_update,
    apply_withdrawal,
    compare_labels,
    labels_now,
    with_gone,
)
from bayesight.ledger.belief import BeliefState, belief_digest, run_record
from bayesight.ledger.discovery import leave_mark
from bayesight.ledger.records import (
    ErasureRecord,
    LabelRecord,
    Receipt,
    RenameRecord,
    RunRecord,
    UpdateRecord,
    WithdrawalRecord,
)
from bayesight.ledger.rows import BeliefChange
from bayesight.ledger.snapshots import load_snapshot, save_snapshot
from bayesight.ledger.store import Ledger
from bayesight.run import Run
from bayesight.types import Progress

__all__ = [
    "LearningOptions",
    "LearningOutcome",
    "absorb_queued",
    "always_too_late",
    "begin",
    "catch_up",
    "learn",
    "rebuild",
]

ATTEMPTS = 100
"""How often an update is computed again because another one came first."""

SNAPSHOT_AFTER_S = 2.0
"""A start that takes longer than this saves the belief for the next one."""


@dataclass(frozen=True)
class LearningOptions:
    """Options of learning: discount, robustness, or removal.

    Args:
        trust_past: in (0, 1], what an image absorbed earlier counts beside a new one.
        robust: weigh each label by the probability that it is right.
        remove: take the labelled images out again.

    Raises:
        InvalidInput: ``trust_past`` outside (0, 1], or given with ``remove``.
    """

    trust_past: float = 1.0
    robust: bool = False
    remove: bool = False

    def __post_init__(self) -> None:
        check(0 < self.trust_past <= 1, "trust_past", f"got {self.trust_past:g}", "a number in (0, 1]")
        alone = not (self.remove and (self.trust_past != 1 or self.robust))
        check(alone, "remove", "given with trust_past or robust", "one of them")


@dataclass(frozen=True)
class LearningOutcome:
    """The outcome of an update.

    Args:
        receipt: of the new labels and the update.
        labels: how many labels it absorbed, queued ones included.
        new_classes: names that were not known before.
        absorbed: what was learned; None when images were taken out, or nothing was done.
        corrections: its labels beside those given before; None likewise.
        known: names of the classes before it.
        gone_classes: names of classes that lost their last image.
    """

    receipt: Receipt | None
    labels: int = 0
    new_classes: tuple[str, ...] = ()
    absorbed: AbsorbedBatch | None = None
    corrections: Corrections | None = None
    known: tuple[str, ...] = ()
    gone_classes: tuple[str, ...] = ()


def begin(ledger: Ledger, run: Run, *, fresh: bool = False, progress: Progress | None = None) -> BeliefState:
    """The belief of a run and everything the ledger holds about it; registers the run where it is new.

    A start that takes long leaves a snapshot in the ledger, from which the next one goes on. The run folder
    is told which ledger goes on from it.

    Args:
        ledger: where evidence is kept.
        run: the base.
        fresh: begin with the base even where there is a snapshot, and leave none.
        progress: told how many changes were applied.

    Raises:
        RunUnreadable: the run cannot be opened.
        InvalidInput: the ledger began with another belief of this network.
        StorageFailed: as in ``Ledger.register``.
    """
    base = run.classifier()
    record = run_record(run, base)
    receipt = ledger.register(record)
    leave_mark(run, ledger.url)
    start = _start(base, record.run, receipt.first, record.belief)
    if fresh:
        return catch_up(ledger, start, progress=progress)
    began = time.perf_counter()
    state = catch_up(ledger, load_snapshot(ledger, start), progress=progress)
    if time.perf_counter() - began > SNAPSHOT_AFTER_S:
        save_snapshot(ledger, state)
    return state


def catch_up(ledger: Ledger, state: BeliefState, *, progress: Progress | None = None) -> BeliefState:
    """Bring a belief to the ledger's head; the same object when nothing is new.

    Where something that was absorbed has been erased, the belief is built again from the base, without it.

    Args:
        ledger: where evidence is kept.
        state: the belief so far; it is not changed.
        progress: told how many changes were applied.
    """
    done = 0
    while changes := ledger.changes(state.run, state.position):
        for change in changes:
            if _unlearns(change):
                return rebuild(ledger, state, progress=progress)
            state = _follow(state, change)
            done += 1
            if progress:
                progress(done, None)
    return state


def rebuild(
    ledger: Ledger,
    state: BeliefState,
    *,
    without: frozenset[int] = frozenset(),
    progress: Progress | None = None,
) -> BeliefState:
    """The belief from the base on, as if what was erased had never come.

    Digests of updates that once held an erased label cannot be proven any more; those before it, the last
    erasure's and those after it are.

    Args:
        ledger: where evidence is kept.
        state: its base is used.
        without: sequence numbers of further labels to leave out, on the way to an erasure.
        progress: told how many changes were applied.
    """
    while True:
        erasures = ledger.since(0, run=state.run, kinds=(ErasureRecord.kind,), limit=1_000_000)
        last = max((e.sequence for e in erasures if _unlearns(BeliefChange(e))), default=0)
        found = _fold(ledger, state, last, without, progress)
        if found is not None:
            return found


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
    for _ in range(ATTEMPTS):
        state = catch_up(ledger, state)
        if key and ledger.receipt(key) is not None:
            asked = UpdateRecord(state.run, state.position, "", "", **vars(how))
            return state, LearningOutcome(ledger.append_update(asked, labels, key))
        after, made, learned = _computed(state, labels, how)
        try:
            receipt = ledger.append_update(made, labels, key)
        except BeliefMoved:
            continue
        if receipt.repeated:  # another process was asked the same at the same time
            return catch_up(ledger, state), LearningOutcome(receipt)
        state = replace(state, classifier=after, position=receipt.last, belief=made.after)
        return state, replace(learned, receipt=receipt)
    raise always_too_late()


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
    for _ in range(ATTEMPTS):
        state = catch_up(ledger, state)
        waiting = ledger.queued(state.run, limit=limit)
        if not waiting:
            return state, LearningOutcome(None)
        after, made, learned = _computed(state, labels_now(waiting, state.renames), how)
        made = replace(made, labels=tuple(entry.sequence for entry in waiting))
        try:
            receipt = ledger.append_update(made)
        except BeliefMoved:
            continue
        state = replace(state, classifier=after, position=receipt.last, belief=made.after)
        return state, replace(learned, receipt=receipt)
    raise always_too_late()


def always_too_late() -> BeliefMoved:
    """The error of a change of belief that lost every race."""
    return BeliefMoved(f"update: {ATTEMPTS} times another one came first; try again when fewer are learning.")


def _start(base: Classifier, run: str, position: int, belief: str) -> BeliefState:
    return BeliefState(base, run, base, position, belief)


def _computed(
    state: BeliefState, labels: Sequence[LabelRecord], how: LearningOptions
) -> tuple[Classifier, UpdateRecord, LearningOutcome]:
    """The belief after a batch, the record of it, and what was learned, but for the receipt."""
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
    after, absorbed = apply_update(before, made, labels)
    after, gone = with_gone(before, after)
    made = replace(made, after=belief_digest(after), gone_classes=gone)
    found = None if how.remove else compare_labels(before, made, labels)
    left = tuple(name for name in new if name not in gone)
    return after, made, LearningOutcome(None, len(labels), left, absorbed, found, known, gone)


def _unlearns(change: BeliefChange) -> bool:
    """True of an erasure that took something out of the belief."""
    record = change.entry.record
    return isinstance(record, ErasureRecord) and (record.before != record.after or record.unlearned > 0)


def _follow(state: BeliefState, change: BeliefChange, *, provable: bool = True) -> BeliefState:
    """One change applied, and its digest compared with the recorded one."""
    record, position = change.entry.record, change.entry.sequence
    if isinstance(record, ErasureRecord):
        after = state.classifier
    elif isinstance(record, UpdateRecord):
        after, _ = apply_update(state.classifier, record, labels_now(change.labels, state.renames))
    elif isinstance(record, WithdrawalRecord):
        after = apply_withdrawal(state.classifier, record, labels_now(change.labels, state.renames))
    elif isinstance(record, RenameRecord):
        after = apply_rename(state.classifier, record)
        if after is not state.classifier:
            state = replace(state, renames=(*state.renames, (position, record.old, record.new)))
    else:
        raise LedgerBroken(f"entry {position}: run {state.run} begins twice.")
    differs = provable and state.exact and _differs(after, record)
    return replace(
        state, classifier=after, position=position, belief=record.after,
        exact=state.exact and not differs, differs_at=position if differs else state.differs_at,
    )  # fmt: skip


def _differs(
    after: Classifier, record: UpdateRecord | WithdrawalRecord | RenameRecord | ErasureRecord
) -> bool:
    # An erasure that changed nothing may find the base itself, whose digest is made another way.
    return record.after != belief_digest(after) and record.before != record.after


def _fold(
    ledger: Ledger, state: BeliefState, last: int, without: frozenset[int], progress: Progress | None
) -> BeliefState | None:
    """Replay from the base on, knowing erasures up to entry ``last``; None when a later one shows."""
    first = ledger.latest(state.run, RunRecord.kind)[0]
    assert isinstance(first.record, RunRecord)
    state = _start(state.base, state.run, first.sequence, first.record.belief)
    provable, done = True, 0
    while changes := ledger.changes(state.run, state.position):
        for change in changes:
            if _unlearns(change) and change.entry.sequence > last:
                return None
            kept = tuple(entry for entry in change.labels if entry.sequence not in without)
            provable = provable and not change.erased and len(kept) == len(change.labels)
            provable = provable or (change.entry.sequence == last and not without)
            state = _follow(state, replace(change, labels=kept), provable=provable)
            done += 1
            if progress:
                progress(done, None)
    return state
