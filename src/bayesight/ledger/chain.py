"""The hash chain: one canonical form of an entry, and a digest over it and all entries before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from bayesight.errors import InvalidInput
from bayesight.ledger.records import PersonalPart, Record, RenameRecord, UpdateRecord, WithdrawalRecord

FORMAT = 1
"""Version of the canonical form; part of every digest."""

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)

START = "0" * 64
"""What the first entry follows."""


def canonical(tree: Any) -> str:
    """The one JSON text of a tree: ASCII, sorted keys, no spaces, no NaN.

    Raises:
        InvalidInput: NaN, an infinity, or something JSON does not know.

    Example:
        >>> canonical({"b": 1.5, "a": ["x", None]})
        '{"a":["x",null],"b":1.5}'
    """
    try:
        return _ENCODER.encode(tree)
    except (TypeError, ValueError) as problem:
        raise InvalidInput(
            f"record: {problem}; expected finite numbers, text, lists and tables."
        ) from problem


def entry_digest(
    sequence: int, at: str, kind: str, run: str, body: str, personal: str | None, previous: str
) -> str:
    """SHA-256 over an entry and the digest of the one before; 64 hexadecimal digits.

    Args:
        sequence: its number.
        at: time as written.
        kind: of the record.
        run: name of the run.
        body: canonical JSON of what stays.
        personal: ``personal_digest`` of what can be erased; None where there is nothing of the kind.
        previous: digest of the entry before.
    """
    text = canonical([FORMAT, sequence, at, kind, run, body, personal, previous])
    return hashlib.sha256(text.encode()).hexdigest()


def personal_digest(salt: bytes, facts: str, personal: PersonalPart) -> str:
    """SHA-256 over the part of a record that can be erased.

    The salt is erased with it: without it nobody can try out names until one fits.

    Args:
        salt: 16 random bytes.
        facts: canonical JSON of ``personal.facts``.
        personal: the rest.
    """
    total = hashlib.sha256(salt)
    parts = (facts.encode(), personal.person.encode(), personal.image.encode())
    for part in (*parts, personal.features, personal.pixels):
        total.update(len(part).to_bytes(8, "big"))
        total.update(part)
    return total.hexdigest()


def content_digest(records: Iterable[Record]) -> str:
    """SHA-256 over what records say, by which a repeated request is known.

    Features and pixels are left out: the image's digest says which image it is, while features of one image
    may differ in their last bit with the batch they were computed in. Of a change of belief only what was
    asked for counts, not the belief it met.
    """
    total = hashlib.sha256()
    for record in records:
        personal = record.personal()
        if isinstance(record, UpdateRecord):
            body: dict[str, Any] = {
                "labels": list(record.labels), "trust_past": record.trust_past, "robust": record.robust,
                "remove": record.remove,
            }  # fmt: skip
        elif isinstance(record, WithdrawalRecord):
            body = {}
        elif isinstance(record, RenameRecord):
            body = {"old": record.old, "new": record.new}
        else:
            body = record.body()
        said = [personal.facts, personal.person, personal.image] if personal else None
        total.update(canonical([record.kind, record.run, body, said]).encode() + b"\n")
    return total.hexdigest()
