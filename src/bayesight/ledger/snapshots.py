"""A belief saved in the ledger, so that the next start goes on from there instead of from the base.

A snapshot is no evidence and may be deleted at any time. It is used only if its digest is the one the chain
has for its place, so a changed one is ignored, and an erasure deletes it in its own transaction.
"""

from __future__ import annotations

import json
from dataclasses import replace

import safetensors
import safetensors.torch
from safetensors import SafetensorError
from sqlalchemy import Connection, delete, insert, select
from torch import Tensor

from bayesight.belief.classifier import Classifier
from bayesight.belief.corrections import ReplacedLabel
from bayesight.errors import RunUnreadable
from bayesight.ledger import tables
from bayesight.ledger.belief import BeliefState, belief_digest
from bayesight.ledger.database import reading, writing
from bayesight.ledger.records import ErasureRecord, RenameRecord, UpdateRecord, WithdrawalRecord
from bayesight.ledger.rows import lock_head
from bayesight.ledger.store import Ledger

_OF_BASE = ("reference", "reference_labels", "reference_digests", "head.shift", "head.scale")
"""Tensors that are the base's, as long as no class of it is gone; they are taken from there."""


_SOURCES = "absorbed.sources"


def save_snapshot(ledger: Ledger, state: BeliefState) -> bool:
    """Keep a belief in the place of an earlier one of its run.

    Returns:
        Whether it was kept; not when something it holds has been erased since, when it is not exact, or when
        a later one is there.

    Raises:
        StorageFailed: as in ``Ledger.append``.
    """
    if not state.exact or state.classifier is state.base:
        return False
    tensors, values = state.classifier.tensors()
    base = state.base.tensors()[0]
    tensors = {k: v for k, v in tensors.items() if not (k in _OF_BASE and v is base[k])}
    tensors[_SOURCES] = state.classifier.absorbed.sources
    values["replaced"] = [
        [one.image.hex(), *list(vars(one).values())[1:]] for one in state.classifier.replaced
    ]
    values["renames"] = state.renames
    whole = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    blob = safetensors.torch.save(whole, {"values": json.dumps(values)})
    columns = tables.snapshots.c
    with writing(ledger.engine) as connection:
        lock_head(connection)
        later = tables.entries.c
        erased = select(later.sequence).where(
            later.run == state.run, later.kind == ErasureRecord.kind, later.sequence > state.position
        )
        found = select(columns.position).where(columns.run == state.run, columns.position >= state.position)
        if connection.execute(erased).first() or connection.execute(found).first():
            return False
        drop_snapshot(connection, state.run)
        row = {"run": state.run, "position": state.position, "belief": blob}
        connection.execute(insert(tables.snapshots), [row])
    return True


def load_snapshot(ledger: Ledger, start: BeliefState) -> BeliefState:
    """The belief saved last, or ``start`` where there is none that can be believed.

    Args:
        ledger: where it is kept.
        start: the base of its run.
    """
    with reading(ledger.engine) as connection:
        query = select(tables.snapshots).where(tables.snapshots.c.run == start.run)
        row = connection.execute(query).first()
    if row is None:
        return start
    record = ledger.entry(row.position).record
    if (
        not isinstance(record, UpdateRecord | WithdrawalRecord | RenameRecord | ErasureRecord)
        or record.run != start.run
    ):
        return start
    found = _found(start, row.belief)
    if found is None or belief_digest(found.classifier) != record.after:
        return start
    return replace(found, position=row.position, belief=record.after)


def drop_snapshot(connection: Connection, run: str) -> None:
    """Forget a run's snapshot, inside a transaction."""
    connection.execute(delete(tables.snapshots).where(tables.snapshots.c.run == run))


def _found(start: BeliefState, blob: bytes) -> BeliefState | None:
    """The belief in a snapshot; None where it holds no good one."""
    base = start.base
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(blob)
        size = int.from_bytes(blob[:8], "little")
        values = json.loads(json.loads(blob[8 : 8 + size])["__metadata__"]["values"])
        shared = {k: v for k, v in base.tensors()[0].items() if k in _OF_BASE}
        sources, replaced = tensors.pop(_SOURCES), values.pop("replaced")
        renames = tuple((int(at), str(old), str(new)) for at, old, new in values.pop("renames"))
        found = Classifier.from_tensors(base.network, base.classes, shared | tensors, values)
        gone = tuple(ReplacedLabel(**one | {"image": bytes.fromhex(one["image"])}) for one in replaced)
        found = replace(found, absorbed=replace(found.absorbed, sources=sources), replaced=gone)
        return replace(start, classifier=found, renames=renames)
    except (SafetensorError, RunUnreadable, ValueError, KeyError, TypeError):
        return None
