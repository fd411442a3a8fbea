"""A ledger as a table: every entry a row, the same in both formats, harmless in a spreadsheet."""

import csv
import json

import pyarrow.parquet as pq
import pytest

from bayesight.errors import InvalidInput
from bayesight.ledger import PriorRecord, UpdateRecord, tables
from bayesight.ledger.exporting import COLUMNS, export


def read(path):
    if path.suffix == ".parquet":
        return [{k: str(v) for k, v in row.items()} for row in pq.read_table(path).to_pylist()]
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def filled(ledger, run_record, label, prediction):
    """Six entries: a run, a prediction, a prior, two labels and their update."""
    ledger.register(run_record)
    ledger.append([prediction(1, "carl"), PriorRecord("run1", {"bar": 1.0}, person="dora")])
    ledger.append_update(
        UpdateRecord("run1", 1, "ab" * 32, "cd" * 32), [label(1), label(2, "disc", person="ben")]
    )
    return ledger


@pytest.mark.parametrize("chunk", [1, 2, 6, 100])
@pytest.mark.parametrize("name", ["records.csv", "records.PARQUET"])
def test_every_entry_is_a_row(filled, tmp_path, monkeypatch, chunk, name, label):
    monkeypatch.setattr("bayesight.ledger.exporting.CHUNK", chunk)
    told, path = [], tmp_path / name.lower()
    assert export(filled, tmp_path / name, progress=lambda *done: told.append(done)) == 6
    (tmp_path / name).rename(path)
    assert told[-1] == (6, 6)
    rows = read(path)
    assert list(rows[0]) == list(COLUMNS)
    assert [row["kind"] for row in rows] == ["run", "prediction", "prior", "label", "label", "update"]
    assert [row["said"] for row in rows] == ["", "disc", "", "bar", "disc", ""]
    assert [row["person"] for row in rows] == ["", "carl", "dora", "alice", "ben", ""]
    assert rows[3]["image"] == label(1).image
    assert [row["previous"] for row in rows[1:]] == [row["digest"] for row in rows[:-1]]
    assert json.loads(rows[1]["content"])["posterior"] == {"bar": 0.25, "disc": 0.75}
    assert json.loads(rows[5]["content"])["labels"] == [[4, 5]]


def test_of_an_erased_record_the_row_stays_without_its_content(filled, tmp_path):
    with filled.engine.begin() as connection:
        connection.execute(tables.payloads.delete().where(tables.payloads.c.sequence == 4))
    export(filled, tmp_path / "records.csv")
    row = read(tmp_path / "records.csv")[3]
    assert (row["kind"], row["person"], row["image"], row["said"], row["content"]) == ("label", *[""] * 4)


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1", "@sum"])
def test_text_that_looks_like_a_formula_stays_text(filled, label, tmp_path, name):
    filled.append([label(3, name, person=name)])
    export(filled, tmp_path / "records.csv")
    row = read(tmp_path / "records.csv")[-1]
    assert (row["said"], row["person"]) == (f"'{name}", f"'{name}")


def test_another_ending_is_refused_and_nothing_is_written(filled, tmp_path):
    with pytest.raises(InvalidInput, match=r"a file ending in '\.xlsx'; expected \.parquet or \.csv"):
        export(filled, tmp_path / "records.xlsx")
    assert list(tmp_path.glob("records*")) == []
