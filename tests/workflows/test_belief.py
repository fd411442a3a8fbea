"""A run and the ledgers that go on from it: found, named, never written to, and answered with on request."""

import json
import shutil
from dataclasses import replace

import pytest

from bayesight.errors import InvalidInput
from bayesight.ledger import LearningOptions, Ledger, begin, erase, learn, take_back
from bayesight.ledger.discovery import MARK, leave_mark, ledgers_of
from bayesight.ledger.records import LabelRecord
from bayesight.run import Run
from bayesight.workflows.belief import belief_of, check_alone, ledger_note
from bayesight.workflows.ledger import replay_run
from bayesight.workflows.update import update


def taught(run, url, labels=2):
    """A ledger with some labels of a new class, one of them taken back."""
    with Ledger.open(str(url)) as ledger:
        held = begin(ledger, run)
        features = held.base.reference.numpy()
        said = [LabelRecord(held.run, f"{n:032x}", "hoop", "ann", features[n]) for n in range(labels + 1)]
        held, _ = learn(ledger, held, said)
        take_back(ledger, held, said[0].image, person="ann")


@pytest.fixture
def run(run_copy):
    return Run.open(run_copy)


@pytest.mark.parametrize("place", ["ledger.sqlite", "../beside.db", "../elsewhere/l.sqlite", "../odd name"])
def test_a_ledger_is_found_wherever_it_lies(run, place):
    path = (run.folder / place).resolve()
    path.parent.mkdir(exist_ok=True)
    assert ledgers_of(run) == []
    taught(run, path)
    content = path.read_bytes()
    [found] = ledgers_of(run)
    assert (found.name, found.labels) == (str(path), 2)
    assert found.name in ledger_note(run)
    assert "holds 2 labels this run has not; --ledger" in ledger_note(run)
    assert path.read_bytes() == content
    assert ("hoop" in belief_of(run).classes.names, "hoop" in belief_of(run, str(path)).classes.names) == (
        False,
        True,
    )


def test_an_update_of_a_watched_run_is_refused_before_anything_changes(run, make_archive):
    more = make_archive("more.tar.gz", {"bar": 3})
    path = run.folder.parent / "l.sqlite"
    taught(run, path)
    before = {file.name: file.read_bytes() for file in run.folder.iterdir() if file.is_file()}
    with pytest.raises(InvalidInput, match=rf"Give --ledger {path} to write it there.*--run-only"):
        update(run.folder, more)
    after = {file.name: file.read_bytes() for file in run.folder.iterdir() if file.is_file()}
    assert {name: after[name] for name in before} == before
    assert update(run.folder, more, run_only=True).absorbed == 3
    assert ledgers_of(run) == []  # it does not go on from this belief
    assert update(run.folder, more).repeated == 3


def test_what_a_ledger_holds_is_counted_by_the_labels_that_stand(run):
    path = str(run.folder.parent / "l.sqlite")
    with Ledger.open(path) as ledger:
        held = begin(ledger, run)
        assert (ledger_note(run), ledgers_of(run)[0].holds) == ("", "holds no labels yet")
        features = held.base.reference.numpy()
        said = [LabelRecord(held.run, f"{n:032x}", "bar", "ann", features[n]) for n in range(3)]
        held, _ = learn(ledger, held, said)
        held, _ = learn(ledger, held, [replace(said[0], label="ring"), replace(said[1], person="ben")])
        assert ledgers_of(run)[0].labels == 4
        ledger.append([replace(said[2], image="0f" * 16)])  # queued
        assert ledgers_of(run)[0].labels == 5
        held, _ = learn(ledger, held, [said[2]], options=LearningOptions(remove=True))
        assert ledgers_of(run)[0].labels == 4
        for person in ("ann", "ben"):
            held, _ = erase(ledger, held, person=person)
        assert ledgers_of(run)[0].labels == 0
    assert "holds changes this run has not" in ledger_note(run)


def test_a_ledger_on_a_server_is_known_by_its_mark_without_its_password(run):
    leave_mark(run, "postgresql+psycopg://user:***@host/letters")
    leave_mark(run, "postgresql+psycopg://user:***@host/letters")
    named = json.loads((run.folder / MARK).read_text())["ledgers"]
    assert named == ["postgresql+psycopg://user:***@host/letters"]
    assert "may hold labels this run has not" in ledger_note(run)
    with pytest.raises(InvalidInput, match="Give --ledger 'postgresql"):
        check_alone(run)


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


def test_a_replayed_copy_is_watched_by_nobody(run, tmp_path):
    (tmp_path / "far").mkdir()
    path = tmp_path / "far" / "l.sqlite"
    taught(run, path)
    replay_run(run.folder, str(path), out=tmp_path / "today")
    assert not (tmp_path / "today" / MARK).exists()
    assert ledgers_of(Run.open(tmp_path / "today")) == []


def test_a_ledger_that_does_not_know_the_run_answers_nothing(run, tmp_path):
    with Ledger.open(str(tmp_path / "empty.sqlite")), pytest.raises(InvalidInput, match="knows nothing of"):
        belief_of(run, str(tmp_path / "empty.sqlite"))
