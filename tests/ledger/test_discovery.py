"""Ledgers that go on from a run: found wherever they lie, counted, and never written to."""

import json
import shutil
from dataclasses import replace

import pytest

from bayesight.ledger import LabelRecord, LearningOptions, Ledger, begin, erase, learn, take_back
from bayesight.ledger.discovery import MARK, leave_mark, ledgers_of
from bayesight.run import Run


@pytest.fixture
def run(shapes_run, tmp_path):
    return Run.open(shutil.copytree(shapes_run, tmp_path / "run"))


def taught(run, url):
    """A ledger with three labels of a new class, one of them taken back."""
    with Ledger.open(str(url)) as ledger:
        state = begin(ledger, run)
        features = state.base.reference.numpy()
        said = [LabelRecord(state.run, f"{n:032x}", "hoop", "ann", features[n]) for n in range(3)]
        state, _ = learn(ledger, state, said)
        take_back(ledger, state, said[0].image, person="ann")


@pytest.mark.parametrize("place", ["ledger.sqlite", "../beside.db", "../elsewhere/l.sqlite", "../odd name"])
def test_a_ledger_is_found_wherever_it_lies(run, place):
    path = (run.folder / place).resolve()
    path.parent.mkdir(exist_ok=True)
    assert ledgers_of(run) == []
    taught(run, path)
    content = path.read_bytes()
    [found] = ledgers_of(run)
    assert (found.name, found.labels) == (str(path), 2)
    assert found.holds == "holds 2 labels this run has not"
    assert path.read_bytes() == content


def test_what_a_ledger_holds_is_counted_by_the_labels_that_stand(run):
    path = str(run.folder.parent / "l.sqlite")
    with Ledger.open(path) as ledger:
        state = begin(ledger, run)
        assert ledgers_of(run)[0].holds == "holds no labels yet"
        features = state.base.reference.numpy()
        said = [LabelRecord(state.run, f"{n:032x}", "bar", "ann", features[n]) for n in range(3)]
        state, _ = learn(ledger, state, said)
        state, _ = learn(ledger, state, [replace(said[0], label="ring"), replace(said[1], person="ben")])
        assert ledgers_of(run)[0].labels == 4
        ledger.append([replace(said[2], image="0f" * 16)])  # queued
        assert ledgers_of(run)[0].labels == 5
        state, _ = learn(ledger, state, [said[2]], options=LearningOptions(remove=True))
        assert ledgers_of(run)[0].labels == 4
        for person in ("ann", "ben"):
            state, _ = erase(ledger, state, person=person)
        assert ledgers_of(run)[0].labels == 0
    assert ledgers_of(run)[0].holds == "holds changes this run has not"


@pytest.mark.parametrize(
    "mark", ["{", "[]", '{"ledgers": 5}', '{"ledgers": [5, null, "\\u0000"]}', "[" * 9000]
)
def test_a_mark_that_is_none_names_nothing(run, mark):
    (run.folder / MARK).write_text(mark)
    assert ledgers_of(run) == []


def test_what_is_no_ledger_of_this_run_is_left_alone(run, shapes_run, tmp_path):
    (run.folder / "notes.sqlite").write_bytes(b"SQLite format 3\0 and then nothing of the kind")
    (run.folder.parent / "text.db").write_text("no database")
    (run.folder.parent / "folder.sqlite").mkdir()
    leave_mark(run, f"sqlite:///{tmp_path / 'gone.sqlite'}")
    assert ledgers_of(run) == []
    other = Run.open(shutil.copytree(shapes_run, tmp_path / "other"))
    network = other.network()
    network.head.bias.data += 1
    other.save_network(network)
    taught(other, run.folder.parent / "others.sqlite")
    assert ledgers_of(run) == []


def test_the_ledger_of_the_environment_is_asked_too(run, tmp_path, monkeypatch):
    (tmp_path / "far").mkdir()
    taught(run, tmp_path / "far" / "ledger.sqlite")
    (run.folder / MARK).unlink()
    assert ledgers_of(run) == []
    for value in (f"sqlite:///{tmp_path / 'far' / 'ledger.sqlite'}", str(tmp_path / "far")):
        monkeypatch.setenv("BAYESIGHT_LEDGER", value)
        assert [one.labels for one in ledgers_of(run)] == [2]


def test_a_copy_of_a_run_is_its_own_and_a_moved_run_stays_watched(run, tmp_path):
    taught(run, tmp_path / "beside.sqlite")
    (tmp_path / "far").mkdir()
    taught(run, tmp_path / "far" / "l.sqlite")
    leave_mark(run, "postgresql+psycopg://user:***@host/letters")
    assert [one.labels for one in ledgers_of(run)] == [2, 2, None]
    copy = Run.open(shutil.copytree(run.folder, tmp_path / "copy"))
    assert ledgers_of(copy) == []
    moved = Run.open(run.folder.rename(tmp_path / "moved"))
    assert [one.labels for one in ledgers_of(moved)] == [2, 2, None]


def test_a_ledger_on_a_server_is_named_once_and_comes_last(run, tmp_path):
    for _ in range(2):
        leave_mark(run, "postgresql+psycopg://user:***@host/letters")
    taught(run, tmp_path / "l.sqlite")
    one, other = ledgers_of(run)
    assert (one.name, one.labels) == (str(tmp_path / "l.sqlite"), 2)
    assert (other.name, other.holds) == (
        "postgresql+psycopg://user:***@host/letters",
        "may hold labels this run has not",
    )
    assert json.loads((run.folder / MARK).read_text())["ledgers"][0] == other.name
