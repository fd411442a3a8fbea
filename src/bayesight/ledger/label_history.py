"""The labels people gave an image, in the order in which they were learned, and those that stand."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from bayesight.belief.corrections import RUN, StandingLabel, add_label
from bayesight.ledger import tables
from bayesight.ledger.applying import source_of
from bayesight.ledger.belief import BeliefState
from bayesight.ledger.database import reading
from bayesight.ledger.records import LabelRecord, WithdrawalRecord, numbers_in
from bayesight.ledger.store import Ledger

_LATER = 2**62
_CHUNK = 500


@dataclass(frozen=True)
class LabelEvent:
    """A label of an image, when it was learned, and whether it was taken back.

    Args:
        entry: its sequence number.
        at: when it was written, UTC, ISO 8601.
        label: the class, by the name it has today.
        person: who said so; may be empty.
        update: the update that took it in; ``None`` while it is queued.
        removing: that update took the image out.
        second: it counts beside the others.
        taken_back: the record that took it back; 0 for none.
    """

    entry: int
    at: str
    label: str
    person: str
    update: int | None
    removing: bool
    second: bool
    taken_back: int


@dataclass(frozen=True)
class LabelHistory:
    """The labels an image was given, by the run and by people.

    Args:
        run: the classes under which the run itself learned it, by today's names.
        events: labels in the order in which they were learned, queued ones last.
    """

    run: tuple[str, ...]
    events: tuple[LabelEvent, ...]

    def standing(self, *, before: int = _LATER) -> tuple[StandingLabel, ...]:
        """The labels that stand, by source and name; ``StandingLabel.place`` is the entry.

        Args:
            before: as it was just before this label was learned.
        """
        labels = tuple(StandingLabel(RUN, name, 0) for name in self.run)
        for one in self.events:
            if one.entry == before:
                break
            if one.update is None or 0 < one.taken_back < before:
                continue
            if one.removing:
                last = max((k for k, label in enumerate(labels) if label.label == one.label), default=-1)
                labels = tuple(label for k, label in enumerate(labels) if k != last)
            else:
                labels, _ = add_label(
                    labels, StandingLabel(source_of(one.person), one.label, one.entry), second=one.second
                )
        return labels

    def former(self, entry: int) -> str | None:
        """The class the image had from the same person or else the run, before a label; None for none."""
        label = next((one for one in self.events if one.entry == entry), None)
        if label is None or label.second:  # a label that has been erased says nothing any more
            return None
        return own(self.standing(before=entry), label.person)

    def last(self, person: str) -> tuple[LabelEvent, ...]:
        """A person's last label that stands, and those after it that only said it again."""
        theirs = [label.place for label in self.standing() if label.source == source_of(person)]
        if not theirs:
            return ()
        start = next(k for k, one in enumerate(self.events) if one.entry == theirs[-1])
        return tuple(
            one
            for one in self.events[start:]
            if one.person == person and one.update and not one.taken_back and not one.removing
        )

    def without(self, gone: Sequence[LabelEvent]) -> LabelHistory:
        """The labels left when these are taken back."""
        return LabelHistory(self.run, tuple(one for one in self.events if one not in gone))


def own(standing: Sequence[StandingLabel], person: str) -> str | None:
    """The class a person calls an image, or else the run does; None for none."""
    for source in (source_of(person), RUN):
        if names := [str(label.label) for label in standing if label.source == source]:
            return names[-1]
    return None


def label_histories(ledger: Ledger, state: BeliefState, images: Collection[str]) -> dict[str, LabelHistory]:
    """The label histories of images.

    Args:
        ledger: where labels are kept.
        state: of the run; its names of classes are today's.
        images: 32 hexadecimal digits each.
    """
    wanted = sorted(set(images))
    said: dict[str, list[LabelEvent]] = {image: [] for image in wanted}
    for start in range(0, len(wanted), _CHUNK):
        for image, one in _said(ledger, state, wanted[start : start + _CHUNK]):
            said[image].append(one)
    run = state.run_names(wanted)
    return {
        image: LabelHistory(
            run.get(image, ()), tuple(sorted(s, key=lambda one: (one.update or _LATER, one.entry)))
        )
        for image, s in said.items()
    }


def _said(ledger: Ledger, state: BeliefState, images: Sequence[str]) -> list[tuple[str, LabelEvent]]:
    entries, kept, absorbed = tables.entries.c, tables.payloads.c, tables.absorbed.c
    query = (
        select(entries.sequence, entries.at, entries.kind, entries.body, kept.facts, kept.person, kept.image)
        .join(tables.payloads, kept.sequence == entries.sequence)
        .where(entries.run == state.run, kept.image.in_(images))
        .where(entries.kind.in_((LabelRecord.kind, WithdrawalRecord.kind)))
        .order_by(entries.sequence)
    )
    with reading(ledger.engine) as connection:
        rows = connection.execute(query).all()
        labels = [row for row in rows if row.kind == LabelRecord.kind]
        by_label = select(absorbed.label, absorbed.update_entry, entries.body)
        by_label = by_label.join(tables.entries, entries.sequence == absorbed.update_entry)
        by_label = by_label.where(absorbed.label.in_([row.sequence for row in labels]))
        updates = {
            row.label: (row.update_entry, json.loads(row.body)) for row in connection.execute(by_label)
        }
    back = {
        label: row.sequence
        for row in rows
        if row.kind == WithdrawalRecord.kind
        for label in numbers_in(json.loads(row.body)["labels"])
    }
    found = []
    for row in labels:
        facts, (update, how) = json.loads(row.facts), updates.get(row.sequence, (None, {}))
        second = bool(facts.get("second_reading")) or (update is not None and not how.get("corrects"))
        label = state.name_now(facts["label"], row.sequence)
        said = LabelEvent(
            row.sequence, row.at, label, row.person, update, bool(how.get("remove")), second,
            back.get(row.sequence, 0),
        )  # fmt: skip
        found.append((row.image, said))
    return found
