"""What people called an image, in the order in which it was learned, and which of it stands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from bayesight.ledger import tables
from bayesight.ledger.applying import source_of
from bayesight.ledger.belief import Held
from bayesight.ledger.database import reading
from bayesight.ledger.records import Label, Withdrawal
from bayesight.ledger.store import Ledger
from bayesight.models.corrections import RUN, Word, tell

__all__ = ["Said", "former", "last_said", "said_of", "standing"]

_LATER = 2**62
_CHUNK = 500


@dataclass(frozen=True)
class Said:
    """A label of an image, and what became of it.

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


def said_of(ledger: Ledger, held: Held, images: Sequence[str]) -> dict[str, list[Said]]:
    """The labels of images, each in the order in which they were learned, queued ones last.

    Args:
        ledger: where they are kept.
        held: of the run; its names of classes are today's.
        images: 32 hexadecimal digits each.
    """
    found: dict[str, list[Said]] = {image: [] for image in images}
    wanted = list(found)
    for start in range(0, len(wanted), _CHUNK):
        for image, said in _said(ledger, held, wanted[start : start + _CHUNK]):
            found[image].append(said)
    for words in found.values():
        words.sort(key=lambda one: (one.update or _LATER, one.entry))
    return found


def standing(said: Sequence[Said], held: Held, image: str, *, before: int = _LATER) -> tuple[Word, ...]:
    """The labels of an image that stand, by source and name; ``Word.place`` is the entry.

    Args:
        said: from ``said_of``.
        held: of the run.
        image: which.
        before: as it was just before this label was learned.
    """
    words = tuple(Word(RUN, name, 0) for name in held.run_names(image))
    for one in said:
        if one.entry == before:
            break
        if one.update is None or 0 < one.taken_back < before:
            continue
        if one.removing:
            last = max((k for k, word in enumerate(words) if word.label == one.label), default=-1)
            words = tuple(word for k, word in enumerate(words) if k != last)
        else:
            words, _ = tell(words, Word(source_of(one.person), one.label, one.entry), second=one.second)
    return words


def former(said: Sequence[Said], held: Held, image: str, entry: int) -> str | None:
    """The class an image had from the same person, or else from the run, before a label; None for none."""
    label = next(one for one in said if one.entry == entry)
    if label.second:
        return None
    words = standing(said, held, image, before=entry)
    source = source_of(label.person)
    own = [one for one in words if one.source == source] or [one for one in words if one.source == RUN]
    return str(own[-1].label) if own else None


def last_said(said: Sequence[Said], held: Held, image: str, person: str) -> list[Said]:
    """A person's last label of an image that stands, and those after it that only said it again."""
    source = source_of(person)
    own = [word for word in standing(said, held, image) if word.source == source]
    if not own:
        return []
    begun = False
    found = []
    for one in said:
        begun = begun or one.entry == own[-1].place
        if begun and one.person == person and not one.taken_back and not one.removing and one.update:
            found.append(one)
    return found


def _said(ledger: Ledger, held: Held, images: Sequence[str]) -> list[tuple[str, Said]]:
    entries, kept, absorbed = tables.entries.c, tables.payloads.c, tables.absorbed.c
    query = (
        select(entries.sequence, entries.at, entries.kind, entries.body, kept.facts, kept.person, kept.image)
        .join(tables.payloads, kept.sequence == entries.sequence)
        .where(entries.run == held.run, kept.image.in_(images))
        .where(entries.kind.in_((Label.kind, Withdrawal.kind)))
        .order_by(entries.sequence)
    )
    with reading(ledger.engine) as connection:
        rows = connection.execute(query).all()
        labels = [row for row in rows if row.kind == Label.kind]
        by_label = select(absorbed.label, absorbed.update_entry, entries.body)
        by_label = by_label.join(tables.entries, entries.sequence == absorbed.update_entry)
        by_label = by_label.where(absorbed.label.in_([row.sequence for row in labels]))
        updates = {
            row.label: (row.update_entry, json.loads(row.body)) for row in connection.execute(by_label)
        }
    back = {
        label: row.sequence
        for row in rows
        if row.kind == Withdrawal.kind
        for first, last in json.loads(row.body)["labels"]
        for label in range(first, last + 1)
    }
    found = []
    for row in labels:
        facts, (update, how) = json.loads(row.facts), updates.get(row.sequence, (None, {}))
        second = bool(facts.get("second_reading")) or (update is not None and not how.get("corrects"))
        label = held.name_now(facts["label"], row.sequence)
        said = Said(
            row.sequence, row.at, label, row.person, update, bool(how.get("remove")), second,
            back.get(row.sequence, 0),
        )  # fmt: skip
        found.append((row.image, said))
    return found
