"""Tables of answers: the same answers as in memory, whole or not at all."""

import csv
import json

import pyarrow.parquet as pq
import pytest

from bayesight.errors import InvalidInput, SourceUnreadable, StorageFailed
from bayesight.workflows import predict
from bayesight.workflows.answer_table import write_answers
from bayesight.workflows.decisions import Stakes
from bayesight.workflows.predict import Readings, answers_for

HOW = Readings(prior="disc=0.7,bar=0.1", set_coverage=0.9, stakes=Stakes("zero-one", 0.1))


@pytest.fixture
def small_blocks(monkeypatch):
    """Answers come seven at a time."""
    monkeypatch.setattr(predict, "EVALUATION_BATCH", 7)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_rows_are_the_answers_in_the_order_given(shapes_run, more_shapes, tmp_path, small_blocks, ending):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    given, table = [broken, more_shapes], tmp_path / f"answers.{ending}"
    made = write_answers(shapes_run, given, table, HOW)
    own = answers_for(shapes_run, given, HOW)
    if ending == "csv":
        with table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    else:
        rows = pq.read_table(table).to_pylist()
    assert [row["path"] for row in rows] == [one.path for one in own.rows]
    assert made.answered == len(own.predictions) == len(rows) - 1 > 14
    assert made.unknown == sum(not one.known for one in own.predictions)
    assert rows[0]["error"] == made.unread[0].error == own.unread[0].error
    assert not rows[0]["prediction"]
    for row, one in zip(rows[1:], own.predictions, strict=True):
        assert row["prediction"] == one.prediction
        for name, p in one.posterior.items():
            assert float(row[f"posterior_{name}"]) == pytest.approx(p, abs=1e-9)
        assert float(row["novelty"]) == pytest.approx(one.novelty)
        assert float(row["p_value"]) == pytest.approx(one.p_value)
        assert float(row["log_evidence"]) == pytest.approx(one.log_evidence)
        assert row["unknown"] in (not one.known, str(not one.known).lower())
        assert (json.loads(row["set"]) if ending == "csv" else row["set"]) == list(one.set)
        assert row["action"] == one.decision.action
        assert not row["error"]


def test_readings_of_one_subject_go_on_across_blocks(shapes_run, more_shapes, tmp_path, small_blocks):
    table = tmp_path / "answers.parquet"
    write_answers(shapes_run, [more_shapes], table, Readings(same_subject=True, dependence=0.9))
    rows = pq.read_table(table).to_pylist()
    own = answers_for(shapes_run, [more_shapes], Readings(same_subject=True, dependence=0.9)).predictions
    assert [row["log_evidence"] for row in rows] == pytest.approx([one.log_evidence for one in own])
    assert own[8].prior == pytest.approx(own[7].posterior)


def test_columns_are_those_asked_for(shapes_run, more_shapes, tmp_path):
    write_answers(shapes_run, [more_shapes], tmp_path / "plain.parquet")
    names = pq.read_schema(tmp_path / "plain.parquet").names
    posteriors = ["posterior_bar", "posterior_disc", "posterior_ring"]
    evidence = ["log_evidence", "novelty", "p_value", "unknown"]
    assert names == ["path", "prediction", *posteriors, *evidence, "error"]


def test_the_table_is_whole_or_not_there(shapes_run, more_shapes, tmp_path, small_blocks, monkeypatch):
    table, judge, calls = tmp_path / "answers.csv", predict.judge, []
    table.write_text("old")

    def stops(*given):
        calls.append(given)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return judge(*given)

    monkeypatch.setattr(predict, "judge", stops)
    monkeypatch.setattr("bayesight.workflows.pictures.EVALUATION_BATCH", 7)
    with pytest.raises(KeyboardInterrupt):
        write_answers(shapes_run, [more_shapes], table)
    assert table.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


def test_what_cannot_be_written_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(InvalidInput, match=r"got 'a.xlsx'; expected a name that ends in .csv or .parquet"):
        write_answers("nowhere", [], "a.xlsx")
    with pytest.raises(StorageFailed, match="its folder does not exist"):
        write_answers("nowhere", [], tmp_path / "none" / "a.csv")


def test_where_nothing_could_be_read_there_is_no_table(shapes_run, tmp_path):
    (tmp_path / "words.png").write_text("words")
    with pytest.raises(SourceUnreadable, match="is no image"):
        write_answers(shapes_run, [tmp_path / "words.png"], tmp_path / "answers.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["words.png"]


def test_a_path_that_is_not_utf_8_is_escaped(shapes_run, tmp_path, small_blocks):
    write_answers(shapes_run, ["gone\udce9.png", *_one(tmp_path)], tmp_path / "answers.csv")
    assert "gone\\udce9.png" in (tmp_path / "answers.csv").read_text(encoding="utf-8")


def _one(folder):
    from PIL import Image

    Image.new("L", (28, 28)).save(folder / "black.png")
    return [folder / "black.png"]
