"""The belief one worker holds in memory, at the ledger's head before every answer that depends on it."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, cast

from bayesight.belief.classifier import Classifier
from bayesight.errors import StorageFailed
from bayesight.ledger import (
    BeliefState,
    LearningOutcome,
    Ledger,
    PriorRecord,
    Receipt,
    WithdrawalOutcome,
    absorb_queued,
    begin,
    catch_up,
    rename_class,
    save_snapshot,
    take_back,
)
from bayesight.ledger.watch import watch
from bayesight.run import Run
from bayesight.workflows.priors import complete_prior

__all__ = ["BeliefCache", "CurrentBelief"]

Source: TypeAlias = Literal["training", "stated", "inferred"]
TRAINING: Literal["training"] = "training"
"""``PriorRecord.detail["follows"]`` of a record that goes back to the shares absorbed so far."""


@dataclass(frozen=True)
class CurrentBelief:
    """The belief and the base rates in force at one moment.

    Args:
        state: the classifier and how far along the ledger it is.
        stated: base rates stated or inferred for this place, by class; None where nobody has.
        stated_at: sequence number of the record that says so; 0 for none.
        source: where the base rates come from.
    """

    state: BeliefState
    stated: Mapping[str, float] | None = None
    stated_at: int = 0
    source: Source = TRAINING

    @property
    def classifier(self) -> Classifier:
        """The network and what is believed about its classes."""
        return self.state.classifier

    def prior(self) -> dict[str, float]:
        """Base rates of all classes here and now.

        Classes learned after the prior was stated get the share they would have had without it; what is left
        is the others', in the proportions stated.
        """
        names, training = self.classifier.classes.names, self.classifier.prior
        said = {self.state.name_now(name, self.stated_at): p for name, p in (self.stated or {}).items()}
        stated = {name: said[name] for name in names if name in said}
        total = math.fsum(stated.values())
        if total == 0:  # nobody said anything, or of classes only that are no more
            return dict(zip(names, training.tolist(), strict=True))
        late = {n: s for n, s in zip(names, training.tolist(), strict=True) if n not in stated}
        left = (1 - math.fsum(late.values())) / total
        whole = {n: late[n] if n in late else left * stated[n] for n in names}
        return dict(zip(names, complete_prior(whole, names, training).tolist(), strict=True))


class BeliefCache:
    """Keeps a belief at the head of a ledger; any number of threads may ask.

    Guarantee: ``fresh()`` returns a belief in which every update is absorbed that was committed, by whichever
    process on whichever machine, before the call began.

    Asking costs what ``ledger.watch`` does. Updates are computed under a lock that ``fresh`` takes only when
    there is something new: predictions go on with the old belief while a new one is computed, until it is
    committed.

    Args:
        ledger: where evidence is kept.
        run: the base; it is opened, and registered where it is new.

    Raises:
        RunUnreadable, InvalidInput, StorageFailed: as in ``ledger.begin``.
    """

    def __init__(self, ledger: Ledger, run: Run) -> None:
        self.ledger, self.run = ledger, run
        self._lock = threading.RLock()
        state = begin(ledger, run)
        self._watch = watch(ledger, state.run)
        self._seen = self._watch.mark()
        self._now = self._with_prior(CurrentBelief(catch_up(ledger, state)))

    def close(self) -> None:
        """Give the connection back."""
        self._watch.close()

    @property
    def name(self) -> str:
        """The run's name in the ledger."""
        return self._now.state.run

    @property
    def last(self) -> CurrentBelief:
        """The belief at the last look at the ledger; for uses that need not have the newest."""
        return self._now

    def fresh(self) -> CurrentBelief:
        """The belief with everything committed so far.

        Raises:
            StorageFailed: the ledger cannot be reached.
        """
        mark = self._watch.mark()
        if mark == self._seen:
            return self._now
        with self._lock:
            if mark != self._seen:  # the mark is of before the reading: a commit in between shows next time
                self._now = self._with_prior(replace(self._now, state=catch_up(self.ledger, self._now.state)))
                self._seen = mark
            return self._now

    def absorb_queued(self, *, limit: int = 1000) -> LearningOutcome:
        """Absorb what is queued in the ledger as one batch.

        Raises:
            StorageFailed, BeliefMoved: as in ``ledger.absorb_queued``.
        """
        with self._lock:
            state, learned = absorb_queued(self.ledger, self._now.state, limit=limit)
            if state is not self._now.state:
                self._now = replace(self._now, state=state)
            return learned

    def take_back(self, image: str, *, person: str, key: str = "") -> WithdrawalOutcome:
        """Take back the last label a person gave an image.

        Raises:
            InvalidInput, KeyReused, StorageFailed, BeliefMoved: as in ``ledger.take_back``.
        """
        with self._lock:
            state, told = take_back(self.ledger, self._now.state, image, person=person, key=key)
            self._now = replace(self._now, state=state)
            return told

    def rename(self, old: str, new: str, *, person: str, key: str = "") -> Receipt:
        """Call a class something else.

        Raises:
            UnknownName, InvalidInput, KeyReused, StorageFailed, BeliefMoved: as in ``ledger.rename_class``.
        """
        with self._lock:
            state, receipt = rename_class(self.ledger, self._now.state, old, new, person=person, key=key)
            self._now = replace(self._now, state=state)
            return receipt

    def keep(self) -> None:
        """Leave a snapshot in the ledger, so that the next start need not replay every update."""
        with contextlib.suppress(StorageFailed):  # it would only have saved time
            save_snapshot(self.ledger, self._now.state)

    def _with_prior(self, now: CurrentBelief) -> CurrentBelief:
        newest = self.ledger.latest(now.state.run, PriorRecord.kind)
        if not newest or newest[0].sequence == now.stated_at:
            return now
        found = newest[0].record
        assert isinstance(found, PriorRecord)
        if found.detail.get("follows") == TRAINING:
            return replace(now, stated=None, stated_at=newest[0].sequence, source=TRAINING)
        return replace(
            now, stated=found.shares, stated_at=newest[0].sequence, source=cast("Source", found.source)
        )
