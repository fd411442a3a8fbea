"""The belief a command answers from: a run's own, or that of a run and its ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from shlex import quote

from filelock import FileLock, Timeout

from bayesight.belief.classifier import Classifier
from bayesight.errors import InvalidInput, StorageFailed
from bayesight.language import marked
from bayesight.ledger.discovery import ledgers_of
from bayesight.run import Run

WAIT_S = 120.0
"""Seconds that an update waits for another one of the same run."""


def belief_of(run: Run, ledger: str | None = None) -> Classifier:
    """The belief after everything a ledger holds about a run; without one, the run's own.

    Args:
        run: the folder.
        ledger: a path or a URL.

    Raises:
        RunUnreadable, SourceNotFound: no such run, or no such ledger.
        InvalidInput: the ledger does not know this run, or began with another belief of it.
    """
    if ledger is None:
        return run.classifier()
    from bayesight.ledger import Ledger, begin  # a database takes time to load

    with Ledger.open(ledger, create=False) as opened:
        return begin(opened, run, known=True).classifier


def ledger_note(run: Run) -> str:
    """A sentence that says which ledger knows more than a run; empty when none does."""
    more = [one for one in ledgers_of(run) if one.labels is None or one.labels or one.changes]
    if not more:
        return ""
    return marked(
        f"the ledger {more[0].name} {more[0].holds}; --ledger {quote(more[0].name)} answers with it"
    )


def check_alone(run: Run) -> None:
    """Refuse to change a run folder that a ledger goes on from.

    Raises:
        InvalidInput: there is such a ledger; the message says which.
    """
    if not (found := ledgers_of(run)):
        return
    one = found[0]
    raise InvalidInput(
        f"the ledger {one.name} goes on from {run.folder} and {one.holds}; a change of the folder would part "
        "them, and no service would start on both any more. Nothing was changed. Give --ledger "
        f"{quote(one.name)} to write it there, where services follow, or --run-only to change the folder "
        "alone."
    )


@contextmanager
def belief_lock(run: Run) -> Iterator[None]:
    """Hold the belief of a run folder; of two that change it one waits.

    Raises:
        StorageFailed: another one holds it for too long, or the folder can only be read.
    """
    lock = FileLock(run.folder / "belief.lock")
    try:
        lock.acquire(timeout=WAIT_S)
    except Timeout as problem:
        raise StorageFailed(
            f"another update has held {run.folder} for {WAIT_S:.0f} s; try again when it is done."
        ) from problem
    except OSError as problem:
        raise StorageFailed(
            f"{run.folder} cannot be changed ({problem.strerror or problem}); make it writable for this user."
        ) from problem
    try:
        yield
    finally:
        lock.release()
