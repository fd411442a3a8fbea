"""Answers written to a table, a row an image, as they are made."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from bayesight.belief.classifier import Classes
from bayesight.checks import check
from bayesight.data.sources import AS_STORED, ContainerOptions
from bayesight.errors import StorageFailed
from bayesight.files import open_atomic
from bayesight.language import marked
from bayesight.run import Run
from bayesight.types import Progress
from bayesight.workflows.belief import belief_of
from bayesight.workflows.predict import Prediction, Readings, UnreadImage, answer_blocks

_CSV, _PARQUET = (".csv",), (".parquet", ".pq")


@dataclass
class AnswerTable:
    """A table of answers that was written.

    Args:
        path: of the table.
        classes: of the run.
        answered: images that were answered.
        unknown: images among them that are unlike anything seen.
        unread: the images that could not be read.
        sources: folders and archives among what was given, and what is to be said of each.
    """

    path: str
    classes: Classes
    answered: int = 0
    unknown: int = 0
    unread: list[UnreadImage] = field(default_factory=list)
    sources: dict[str, Sequence[str]] = field(default_factory=dict)

    def text(self) -> str:
        """The same for people."""
        return marked(
            f"{self.path}: {self.classes.counted(self.answered)} answered, {self.unknown:,} of them unlike "
            f"anything seen, {len(self.unread):,} not read"
        )

    def as_dict(self) -> dict[str, Any]:
        """The document of ``--json``."""
        unread = [{"path": one.path, "error": one.error} for one in self.unread]
        counts = {"answered": self.answered, "unknown": self.unknown, "unread": unread}
        return {"path": self.path, **counts, "sources": {k: list(said) for k, said in self.sources.items()}}


def write_answers(
    run_path: str | Path,
    images: Sequence[str | Path],
    to: str | Path,
    how: Readings | None = None,
    *,
    ledger: str | None = None,
    container: ContainerOptions = AS_STORED,
    progress: Progress | None = None,
) -> AnswerTable:
    """Classify images and write a table with a row for each, in the order given, as they are answered.

    Columns: ``path``; ``prediction``; ``posterior_CLASS`` for every class, in the run's order;
    ``log_evidence``, nats; ``novelty`` and ``p_value``; ``unknown``, true where the image is unlike anything
    seen; ``set``, a list in Parquet and JSON in CSV, and ``action``, each where it was asked for; ``error``,
    why an image could not be read, where all others are empty. The table takes its name once it is whole.

    The arguments are those of ``answers_for`` beside ``to``, the table, ``.csv`` or ``.parquet``.

    Raises:
        InvalidInput: another ending of the table's name. The errors of ``answers_for`` come beside these.
        StorageFailed: the table cannot be written.
    """
    ending = Path(to).suffix.lower()
    check(ending in _CSV + _PARQUET, "--to", f"got {str(to)!r}", "a name that ends in .csv or .parquet")
    if not Path(to).absolute().parent.is_dir():  # said before a million images are answered
        raise StorageFailed(f"{to}: its folder does not exist. Create the folder first.")
    classifier, how = belief_of(Run.open(run_path), ledger), how or Readings()
    schema = _schema(classifier.classes.names, how, as_text=ending in _CSV)
    made = AnswerTable(str(to), classifier.classes)
    with open_atomic(to) as file, _writer(file, schema, ending) as write:
        for block in answer_blocks(classifier, images, how, container, progress):
            write(pa.Table.from_pylist([_row(one, schema) for one in block.rows], schema))
            made.answered += len(block.predictions)
            made.unknown += sum(not one.known for one in block.predictions)
            made.unread += block.unread
            made.sources |= block.sources
    return made


def table_of(rows: Sequence[Prediction | UnreadImage], names: Sequence[str], how: Readings) -> pa.Table:
    """Answers as a table for Parquet, whose columns are those of ``write_answers``."""
    schema = _schema(names, how, as_text=False)
    return pa.Table.from_pylist([_row(one, schema) for one in rows], schema)


def _schema(names: Sequence[str], how: Readings, *, as_text: bool) -> pa.Schema:
    """The columns of a table of answers, with their types."""
    columns: list[tuple[str, pa.DataType]] = [("path", pa.string()), ("prediction", pa.string())]
    columns += [(f"posterior_{_utf8(name)}", pa.float64()) for name in names]
    columns += [(name, pa.float64()) for name in ("log_evidence", "novelty", "p_value")]
    columns += [("unknown", pa.bool_())]
    if how.set_coverage is not None:
        columns += [("set", pa.string() if as_text else pa.list_(pa.string()))]
    if how.stakes is not None:
        columns += [("action", pa.string())]
    return pa.schema([*columns, ("error", pa.string())])


def _row(one: Prediction | UnreadImage, schema: pa.Schema) -> dict[str, Any]:
    """One row; columns that are not named in it are empty."""
    if isinstance(one, UnreadImage):
        return {"path": _utf8(one.path), "error": _utf8(one.error)}
    row: dict[str, Any] = {"path": _utf8(one.path), "prediction": _utf8(one.prediction)}
    row |= {f"posterior_{_utf8(name)}": p for name, p in one.posterior.items()}
    row |= {"log_evidence": one.log_evidence, "novelty": one.novelty, "p_value": one.p_value}
    row["unknown"] = not one.known
    if one.decision is not None:
        row["action"] = _utf8(one.decision.action)
    if one.set is not None:
        names = [_utf8(name) for name in one.set]
        row["set"] = (
            names if schema.field("set").type != pa.string() else json.dumps(names, ensure_ascii=False)
        )
    return row


@contextmanager
def _writer(file: BinaryIO, schema: pa.Schema, ending: str) -> Iterator[Callable[[pa.Table], None]]:
    """A function that adds rows to a table."""
    if ending in _PARQUET:
        import pyarrow.parquet as pq

        with pq.ParquetWriter(file, schema) as parquet:
            yield parquet.write_table
    else:
        from pyarrow import csv

        with csv.CSVWriter(file, schema) as text:
            yield text.write_table


def _utf8(text: str) -> str:
    """Text with bytes that are no UTF-8 written as escapes, for tables hold UTF-8 alone."""
    return text.encode("utf-8", "backslashreplace").decode()
