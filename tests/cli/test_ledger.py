import csv
import json
import sqlite3

import pyarrow.parquet as pq
import pytest

from bayesight.ledger import Ledger, begin
from bayesight.run import Run


@pytest.fixture
def told(program, run_copy, more_shapes):
    """A run with a ledger in its folder that holds one update of 90 labels by alice."""
    status, out, err = program(
        "update", run_copy, more_shapes, "--ledger", run_copy, "--person", "alice", "--json"
    )
    assert status == 0, err
    assert json.loads(out)["absorbed"] == 90
    return run_copy


def test_an_update_into_the_ledger_leaves_the_run_and_replays_to_the_same(
    program, told, shapes_run, more_shapes, tmp_path
):
    assert (told / "belief.safetensors").read_bytes() == (shapes_run / "belief.safetensors").read_bytes()
    status, out, _ = program("ledger", "replay", told, "--out", tmp_path / "today", "--json")
    tree = json.loads(out)
    assert (status, tree["exact"], tree["changes"], tree["differs_at"]) == (0, True, 1, 0)
    status, _, err = program("update", told, more_shapes)
    assert status == 1
    assert "Nothing was changed. Give --ledger" in err
    program("update", told, more_shapes, "--run-only")  # the same without a ledger
    today, same = Run.open(tmp_path / "today").classifier(), Run.open(told).classifier()
    mine, theirs = today.tensors()[0], same.tensors()[0]
    assert all((mine[name] == theirs[name]).all() for name in mine)
    assert tree["images"] == float(today.head.counts.sum())


def test_verify_tells_good_from_broken(program, told):
    status, out, err = program("ledger", "verify", "--ledger", told)
    assert (status, err) == (0, "")
    assert "92 records, all as they were written" in out
    receipt = out.split("receipt of the last one: ")[1].strip()
    assert program("ledger", "verify", "--ledger", told, "--receipt", receipt)[0] == 0
    with sqlite3.connect(told / "ledger.sqlite") as connection:
        connection.execute("UPDATE payloads SET person = 'bob' WHERE sequence = 40")
    status, out, err = program("ledger", "verify", "--ledger", told, "--json")
    assert (status, json.loads(out)["broken"], json.loads(out)["records"]) == (1, 40, 39)
    assert err.startswith("bayesight: record 40 is broken: its personal part is not what")
    assert err.count("\n") == 1
    assert program("ledger", "verify", "--ledger", told)[1] == ""


def test_a_receipt_that_is_none_is_refused(refusal, told):
    assert "expected NUMBER:DIGEST" in refusal("ledger", "verify", "--ledger", told, "--receipt", "7")
    other = f"3:{'0' * 64}"
    assert "record 3 is broken" in program_error(refusal, told, other)


def program_error(refusal, told, receipt):
    return refusal("ledger", "verify", "--ledger", told, "--receipt", receipt)


def test_export_writes_what_is_there(program, refusal, told, tmp_path):
    for name in ("records.csv", "records.parquet"):
        status, out, _ = program("ledger", "export", tmp_path / name, "--ledger", told, "--json")
        assert (status, json.loads(out)) == (0, {"path": str(tmp_path / name), "records": 92})
    table = pq.read_table(tmp_path / "records.parquet").to_pylist()
    with (tmp_path / "records.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [{k: str(v) for k, v in row.items()} for row in table] == rows
    assert [row["kind"] for row in table] == ["run", *["label"] * 90, "update"]
    assert {row["person"] for row in table[1:91]} == {"alice"}
    assert {row["said"] for row in table[1:91]} == {"bar", "disc", "ring"}
    assert json.loads(table[91]["content"])["labels"] == [[2, 91]]
    assert "ending in '.xlsx'" in refusal("ledger", "export", tmp_path / "a.xlsx", "--ledger", told)


def test_a_cell_that_looks_like_a_formula_is_made_harmless(program, told, more_shapes, tmp_path):
    program("update", told, more_shapes, "--ledger", told, "--person", "=HYPERLINK(1)")
    program("ledger", "export", tmp_path / "records.csv", "--ledger", told)
    with (tmp_path / "records.csv").open(newline="") as file:
        assert "'=HYPERLINK(1)" in {row["person"] for row in csv.DictReader(file)}


def test_erase_gives_the_run_as_it_was(program, told, more_shapes, tmp_path, shapes_run):
    program("update", told, more_shapes, "--ledger", told, "--remove")
    program("update", told, more_shapes, "--ledger", told, "--person", "bob")
    status, out, _ = program("ledger", "erase", "--person", "alice", "--ledger", told, "--json")
    tree = json.loads(out)
    # All three times it was the same images, and these were alice's.
    assert (status, tree["labels"], tree["unlearned"], tree["records"]) == (0, 270, 270, [275])
    program("ledger", "replay", told, "--out", tmp_path / "today")
    today, before = Run.open(tmp_path / "today").classifier(), Run.open(shapes_run).classifier()
    assert (today.head.second_moments == before.head.second_moments).all()
    assert program("ledger", "verify", "--ledger", told)[0] == 0
    again = program("ledger", "erase", "--person", "alice", "--ledger", told)
    assert again[1] == "nothing of it was kept\n"


def test_erasing_needs_the_run(program, refusal, told, tmp_path, shapes_run):
    moved = told.rename(tmp_path / "moved")
    words = refusal("ledger", "erase", "--person", "alice", "--ledger", moved)
    assert "is not there; say where with --run" in words
    status, out, _ = program("ledger", "erase", "--person", "alice", "--ledger", moved, "--run", moved)
    assert status == 0
    assert "erased 90 labels" in out
    assert "unlearned 90 labels" in out
    assert "a person or an image" in refusal("ledger", "erase", "--ledger", moved)


def test_what_is_not_there_is_told(refusal, run_copy, tmp_path):
    assert "ledger.sqlite does not exist" in refusal("ledger", "verify", "--ledger", run_copy)
    assert "ledger.sqlite does not exist" in refusal("ledger", "replay", run_copy)
    assert "did you mean" in refusal(
        "token", "create", "--name", "a", "--scope", "lable", "--ledger", run_copy
    )
    assert "knows nothing of" in refusal("ledger", "replay", run_copy)  # the refused token made the ledger


def test_a_replay_that_is_not_exact_says_where(program, told):
    with sqlite3.connect(told / "ledger.sqlite") as connection:
        connection.execute("UPDATE payloads SET features = zeroblob(length(features)) WHERE sequence = 5")
    status, out, err = program("ledger", "replay", told, "--json")
    assert (status, json.loads(out)["exact"], json.loads(out)["differs_at"]) == (1, False, 92)
    assert "the belief after record 92 is not the one recorded" in err


def test_tokens_are_made_listed_and_ended(program, refusal, tmp_path):
    where = tmp_path / "ledger.sqlite"
    status, out, err = program(
        "token", "create", "--name", "alice", "--scope", "label", "--scope", "predict", "--days", "2",
        "--ledger", where, "--json",
    )  # fmt: skip
    made = json.loads(out)
    assert (status, made["scopes"]) == (0, ["predict", "label"])
    assert made["token"].startswith("bayesight_")
    assert "cannot be shown again" in err
    assert made["token"] not in err
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert made["token"].encode() not in content
    plain = program("token", "create", "--name", "bob", "--scope", "admin", "--ledger", where)[1]
    assert plain.startswith("bayesight_")
    status, out, _ = program("token", "list", "--ledger", where, "--json")
    assert [row["name"] for row in json.loads(out)["tokens"]] == ["alice", "bob"]
    assert made["token"] not in out
    assert "ended" in program("token", "revoke", made["id"], "--ledger", where)[1]
    listed = program("token", "list", "--ledger", where)[1].splitlines()
    assert listed[0].split() == ["id", "name", "allows", "made", "ends", "ended"]
    assert len(listed[1].split()) == 6
    assert "no token is called 'x'" in refusal("token", "revoke", "x", "--ledger", where)


def test_commands_say_that_a_ledger_knows_more_than_the_run_and_answer_with_it(
    program, refusal, told, more_shapes, pictures
):
    path, alone = told / "ledger.sqlite", {}
    words = f"holds 90 labels this run has not; --ledger {path} answers with it"
    for command in ("predict", "evaluate", "prior"):
        source = pictures[0] if command == "predict" else more_shapes
        status, out, err = program(command, told, source, "--json")
        assert status == 0
        assert words in err
        tree = json.loads(out)
        alone[command] = tree[0] if command == "predict" else tree
        assert words in alone[command]["ledger_note"]
        status, out, err = program(command, told, source, "--json", "--ledger", path)
        assert (status, "ledger_note" in out, words in err) == (0, False, False)
        assert json.loads(out) != tree
    with Ledger.open(str(path)) as ledger:
        held = begin(ledger, Run.open(told))
    counts = held.classifier.head.counts + 1
    prior = json.loads(program("predict", told, pictures[0], "--json", "--ledger", path)[1])[0]["prior"]
    assert list(prior.values()) == pytest.approx((counts / counts.sum()).tolist())
    assert "does not exist" in refusal("predict", told, pictures[0], "--ledger", told / "nothing.sqlite")
