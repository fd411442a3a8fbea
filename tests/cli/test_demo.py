"""``bayesight demo``: the whole story, small."""

import json
from functools import partial

import pytest

from bayesight.cli.output import this_program
from bayesight.formatting import percent
from bayesight.workflows import demo as workflow

SMALL = workflow.Sizes(learn=24, test=10, later=6, strange=4, unlabelled=40, epochs=2)


@pytest.fixture
def small(monkeypatch):
    """The demonstration with few images and little training."""
    monkeypatch.setattr(workflow, "demo", partial(workflow.demo, sizes=SMALL))


def test_json_words_and_what_is_left_behind(small, program, tmp_path):
    run = tmp_path / "demo"
    status, out, err = program("demo", "--out", run, "--threads", 1, "--seed", 2, "--json")
    assert status == 0, err
    document = json.loads(out)
    assert set(document) == {"run", "report", "source", "accuracy", "steps"}
    assert document["run"] == str(run)
    assert 0 <= document["accuracy"] <= 1
    titles = [step["title"] for step in document["steps"]]
    assert len(titles) == 8
    for step in document["steps"]:
        assert set(step) == {"title", "words", "command", "elapsed_s"}
        assert step["words"]
        assert f"{step['title']} (" in err  # told as it ends
        assert step["words"] in err
    words = " ".join(step["words"] for step in document["steps"])
    assert f"Of {8 * SMALL.test} letters {percent(document['accuracy'])} are called rightly." in words
    assert f"{2 * SMALL.later} labelled images were absorbed" in words
    assert titles[6].startswith(f"Infer base rates from {SMALL.unlabelled} letters")
    page = (run / "report.html").read_text()
    assert all(title in page for title in titles)
    assert sorted(p.name for p in (tmp_path / "demo-data").iterdir()) == [
        "later-test.tar.gz", "later.tar.gz", "letters.tar.gz", "strange.tar.gz", "test.tar.gz",
    ]  # fmt: skip
    classes = json.loads((run / "classes.json").read_text())["classes"]
    assert classes == list("ABCDEFGHIJ")


def test_it_ends_by_offering_the_page(small, program, tmp_path, monkeypatch):
    run = tmp_path / "a demo"
    status, out, err = program("demo", "--out", run, "--threads", 1, "--seed", 2)
    assert status == 0, err
    offer, command = out.splitlines()[-2:]
    assert offer == "To show it letters you draw, correct it and teach it new ones, in a browser:"
    letters = tmp_path / "a demo-data" / "letters.tar.gz"
    assert command == f"  $ bayesight serve '{run}' --source '{letters}'"
    # Not on the shell's path, as after `make demo`: called where it lies.
    beside = tmp_path / "bin" / "bayesight"
    beside.parent.mkdir()
    beside.touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [str(beside)])
    assert this_program() == ["bin/bayesight"]
    monkeypatch.setenv("PATH", str(beside.parent))
    beside.chmod(0o755)
    assert this_program() == ["bayesight"]
    monkeypatch.setattr("sys.argv", ["/somewhere/bayesight/__main__.py"])
    assert this_program()[1:] == ["-m", "bayesight"]


def test_a_run_that_is_there_is_kept(small, refusal, run_copy):
    weights = (run_copy / "model.safetensors").read_bytes()
    assert "--overwrite replaces it" in refusal("demo", "--out", run_copy)
    assert (run_copy / "model.safetensors").read_bytes() == weights
    assert not run_copy.with_name("run-data").exists()
