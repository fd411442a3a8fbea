"""``bayesight translate``, and the words and JSON of a translation model's training."""

import io
import json
import sys

import pytest

QUICK = ("--model", "gru", "--set", "model.width=16", "--set", "data.vocabulary=280", "--epochs", 1,
         "--threads", 1)  # fmt: skip


@pytest.fixture
def corpus(tmp_path):
    rows = "".join(f"das ist {n} .\tthis is {n} .\n" for n in range(60))
    (tmp_path / "corpus.tsv").write_text(rows)
    return tmp_path / "corpus.tsv"


@pytest.fixture
def trained(program, corpus, tmp_path):
    status, out, err = program("train", corpus, "--out", tmp_path / "run", *QUICK, "--json")
    assert status == 0, err
    return tmp_path / "run", json.loads(out)


def test_json_of_a_training(trained):
    folder, document = trained
    assert document["run"] == str(folder)
    assert document["examples"] == 60
    wanted = {"log_loss", "perplexity", "bleu", "scorer", "beam", "examples"}
    assert set(document["validation"]) == wanted


def test_words_of_a_training(program, corpus, tmp_path):
    status, out, err = program("train", corpus, "--out", tmp_path / "run", *QUICK)
    assert status == 0
    assert "pairs held out: BLEU" in out
    assert "from the first column to the second" in err


def test_sentences_lines_and_standard_input_are_translated(program, trained, tmp_path, monkeypatch):
    folder, _ = trained
    status, out, err = program("translate", folder, "das ist 7 .", "das ist 8 .")
    assert (status, err) == (0, "")
    assert out.count("\n") == 2
    (tmp_path / "lines.txt").write_text("das ist 7 .\ndas ist 8 .\n")
    how = ("translate", folder, "--lines", tmp_path / "lines.txt")
    assert program(*how)[1] == out
    monkeypatch.setattr(sys, "stdin", io.StringIO("das ist 7 .\ndas ist 8 .\n"))
    assert program("translate", folder, "-")[1] == out
    document = json.loads(program(*how, "--beam", 2, "--json")[1])
    assert document["beam"] == 2
    assert [row["source"] for row in document["translations"]] == ["das ist 7 .", "das ist 8 ."]
    assert "2 translations in" in program(*how, "--beam", 2, "--to", tmp_path / "out.txt")[1]
    written = (tmp_path / "out.txt").read_text(encoding="utf-8")
    assert written == "".join(row["translation"] + "\n" for row in document["translations"])


def test_refusals(program, refusal, trained, shapes_run, tmp_path):
    folder, _ = trained
    assert "nothing to translate; expected sentences or --lines FILE" in refusal("translate", folder)
    assert "sentences and --lines" in refusal("translate", folder, "a", "--lines", tmp_path / "x")
    assert "expected one of a translation model" in refusal("translate", shapes_run, "a")
    assert program("translate", folder, "a", "--beam", 0)[0] == 2
