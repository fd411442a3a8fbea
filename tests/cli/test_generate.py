"""``bayesight generate``, and the words and JSON of a language model's training."""

import json

import pytest

TEXT = "the sea is wide and the sky is high.\n" * 60
QUICK = ("--model", "gpt", "--set", "model.layers=1", "--set", "model.width=16", "--set", "model.heads=2",
         "--set", "data.context=16", "--epochs", 1, "--threads", 1)  # fmt: skip


@pytest.fixture
def trained(program, tmp_path):
    (tmp_path / "sea.txt").write_text(TEXT)
    status, out, err = program("train", tmp_path / "sea.txt", "--out", tmp_path / "run", *QUICK, "--json")
    assert status == 0, err
    return tmp_path / "run", json.loads(out)


def test_json_of_a_training(trained):
    folder, document = trained
    assert document["run"] == str(folder)
    assert document["classes"] == []
    assert document["examples"] == len(TEXT)
    assert set(document["validation"]) == {"log_loss", "perplexity", "bits_per_character", "examples"}


def test_words_of_a_training(program, tmp_path):
    (tmp_path / "sea.txt").write_text(TEXT)
    status, out, err = program("train", tmp_path / "sea.txt", "--out", tmp_path / "run", *QUICK)
    assert status == 0
    assert "bits a character" in out
    assert "characters are held out" in err


def test_it_writes_on(program, trained):
    folder, _ = trained
    how = ("generate", folder, "--prompt", "the sea", "--tokens", 30, "--seed", 5)
    status, out, err = program(*how)
    assert (status, err) == (0, "")
    assert out.startswith("the sea")
    assert len(out) == len("the sea") + 30 + 1
    document = json.loads(program(*how, "--json")[1])
    assert document == {"text": out[:-1], "prompt": "the sea", "tokens": 30, "seed": 5}


def test_refusals_write_nothing(program, refusal, trained, shapes_run):
    folder, _ = trained
    assert "holds 'X'; expected characters the model has learned" in refusal(
        "generate", folder, "--prompt", "X"
    )
    assert "expected one of a language model" in refusal("generate", shapes_run, "--prompt", "a")
    assert program("generate", folder, "--prompt", "a", "--tokens", 0)[0] == 2
