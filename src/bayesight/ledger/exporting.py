"""A ledger as a table for other programs: Parquet or CSV, one row an entry."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from bayesight.checks import check
from bayesight.files import write_atomic
from bayesight.ledger.chain import canonical
from bayesight.ledger.records import Entry, LabelRecord, PredictionRecord
from bayesight.ledger.store import Ledger
from bayesight.types import Progress

COLUMNS = ("sequence", "at", "kind", "run", "person", "image", "said", "content", "digest", "previous")
"""``said`` is the class a label or a prediction names; ``content`` the record as JSON, less features and
pixels."""

CHUNK = 5000


def export(ledger: Ledger, path: str | Path, *, progress: Progress | None = None) -> int:
    """Write every entry to a file, whole or not at all.

    Args:
        ledger: what to export; it is only read.
        path: ends in ``.parquet`` or ``.csv``.
        progress: told how many entries were read.

    Returns:
        How many entries were written.

    Raises:
        InvalidInput: another ending.
        StorageFailed: the file could not be written.
    """
    kind = Path(path).suffix.lower()
    check(kind in (".csv", ".parquet"), "export", f"a file ending in {kind!r}", ".parquet or .csv")
    total, last = ledger.head().sequence, 0
    rows: list[dict[str, Any]] = []
    while entries := [e for e in ledger.since(last, limit=CHUNK) if e.sequence <= total]:
        rows += [_row(entry) for entry in entries]
        last = entries[-1].sequence
        if progress:
            progress(last, total)
    write_atomic(path, _csv(rows) if kind == ".csv" else _parquet(rows))
    return len(rows)


def _row(entry: Entry) -> dict[str, Any]:
    record = entry.record
    said, person, image, content = "", "", "", ""
    if record is not None:
        personal = record.personal()
        tree = record.body()
        if personal is not None:
            tree |= personal.facts
            person, image = personal.person, personal.image
        content = canonical(tree)
    if isinstance(record, LabelRecord):
        said = record.label
    elif isinstance(record, PredictionRecord):
        said = record.prediction
    return {
        "sequence": entry.sequence, "at": entry.at, "kind": entry.kind, "run": entry.run, "person": person,
        "image": image, "said": said, "content": content, "digest": entry.digest, "previous": entry.previous,
    }  # fmt: skip


def _csv(rows: list[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _harmless(value) for name, value in row.items()} for row in rows)
    return out.getvalue()


def _harmless(value: Any) -> Any:
    """A spreadsheet runs text that begins like a formula; a quote before it keeps it text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t")) else value


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {name: pa.int64() if name == "sequence" else pa.string() for name in COLUMNS}
    table = pa.Table.from_pylist(rows, schema=pa.schema(kinds.items()))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())
