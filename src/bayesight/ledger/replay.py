"""Replay: the belief that follows from a run and its ledger.

The run folder is the base and is never changed. A process holds the belief in memory as a ``BeliefState`` and
moves it along the ledger: ``catch_up`` applies what others learned, ``at_head`` makes a change of its own.
Replaying is exact: every update is absorbed as the same batch, from the same numbers, in the same order, with
as many threads, and the digest recorded with each update proves it. On another kind of processor sums of
floats may end in another last bit; then ``BeliefState.exact`` is False and the belief agrees to rounding.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from bayesight.belief.classifier import Classifier
from bayesight.errors import BeliefMoved, InvalidInput, LedgerBroken, StorageFailed
from bayesight.ledger.applying import apply_rename, apply_update, apply_withdrawal, labels_now
from bayesight.ledger.belief import BeliefState, belief_digest, run_record
from bayesight.ledger.discovery import leave_mark
from bayesight.ledger.records import (
    ErasureRecord,
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

Outcome = TypeVar("Outcome")

ATTEMPTS = 100
"""How often a change of belief is computed again because another one came first."""

SNAPSHOT_AFTER_S = 2.0
"""A start that takes longer than this saves the belief for the next one."""


def begin(
    ledger: Ledger,
    run: Run,
    *,
    fresh: bool = False,
    known: bool = False,
    progress: Progress | None = None,
) -> BeliefState:
    """The belief of a run and everything the ledger holds about it; registers the run where it is new.

    A start that takes long leaves a snapshot in the ledger, from which the next one goes on. The run folder
    is told which ledger goes on from it.

    Args:
        ledger: where evidence is kept.
        run: the base.
        fresh: begin with the base even where there is a snapshot, and leave none.
        known: refuse a run that is new to the ledger.
        progress: told how many changes were applied.

    Raises:
        RunUnreadable: the run cannot be opened.
        InvalidInput: the ledger began with another belief of this network, or does not know the run.
        StorageFailed: as in ``Ledger.register``.
    """
    base = run.classifier()
    record = run_record(run, base)
    if known and not ledger.latest(record.run, RunRecord.kind):
        raise InvalidInput(f"ledger {ledger.url} knows nothing of {run.folder}; expected its run.")
    receipt = ledger.register(record)
    leave_mark(run, ledger.url)
    start = _start(base, record.run, receipt.first, record.belief)
    if fresh:
        return catch_up(ledger, start, progress=progress)
    began = time.perf_counter()
    state = catch_up(ledger, load_snapshot(ledger, start), progress=progress)
    if time.perf_counter() - began > SNAPSHOT_AFTER_S:
        with contextlib.suppress(StorageFailed):  # it would only have saved time
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


def at_head(
    ledger: Ledger,
    state: BeliefState,
    attempt: Callable[[BeliefState], tuple[BeliefState, Outcome]],
    *,
    name: str = "update",
) -> tuple[BeliefState, Outcome]:
    """A change of the belief at the ledger's head, computed until no other comes first.

    Args:
        ledger: where evidence is kept.
        state: the belief so far; others may have moved on, this catches up first.
        attempt: computes the change and writes it; called again with the newest belief each time it raises
            ``BeliefMoved``.
        name: of the change, for the refusal.

    Raises:
        BeliefMoved: others kept coming first, a hundred times over.
    """
    for _ in range(ATTEMPTS):
        state = catch_up(ledger, state)
        with contextlib.suppress(BeliefMoved):
            return attempt(state)
    raise BeliefMoved(
        f"{name}: {ATTEMPTS} times another change came first; try again when fewer are learning."
    )


def _start(base: Classifier, run: str, position: int, belief: str) -> BeliefState:
    return BeliefState(base, run, base, position, belief)


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
        labels = labels_now(change.labels, state.renames)
        after, _ = apply_update(state.classifier, record, labels, gone=record.gone_classes)
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
