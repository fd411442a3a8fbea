"""A run and the ledgers that go on from it: noted, answered with on request, in the way of an update."""

import json

import pytest

from bayesight.errors import InvalidInput
from bayesight.ledger import Ledger, begin, erase, learn, take_back
from bayesight.ledger.discovery import MARK, leave_mark, ledgers_of
from bayesight.ledger.records import LabelRecord
from bayesight.run import Run
from bayesight.workflows.belief import belief_of, check_alone, ledger_note
from bayesight.workflows.ledger import replay_run
from bayesight.workflows.update import update


def taught(run, url):
    """A ledger with three labels of a new class, one of them taken back."""
    with Ledger.open(str(url)) as ledger:
        state = begin(ledger, run)
        features = state.base.reference.numpy()
        said = [LabelRecord(state.run, f"{n:032x}", "hoop", "ann", features[n]) for n in range(3)]
        state, _ = learn(ledger, state, said)
        take_back(ledger, state, said[0].image, person="ann")


@pytest.fixture
def run(run_copy):
    return Run.open(run_copy)


def test_a_ledger_that_knows_more_is_noted_and_answered_with(run, tmp_path):
    path = str(tmp_path / "odd name")
    with Ledger.open(path) as ledger:
        begin(ledger, run)
    leave_mark(run, f"sqlite:///{path}")
    assert ledger_note(run) == ""  # it knows nothing yet
    taught(run, path)
    assert ledger_note(run) == (
        f"the ledger {path} holds 2 labels this run has not; --ledger '{path}' answers with it"
    )
    assert "hoop" not in belief_of(run).classes.names
    assert "hoop" in belief_of(run, path).classes.names
    with Ledger.open(path) as ledger:
        erase(ledger, begin(ledger, run), person="ann")
    assert "holds changes this run has not" in ledger_note(run)


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


def test_a_ledger_on_a_server_is_known_by_its_mark_without_its_password(run):
    leave_mark(run, "postgresql+psycopg://user:***@host/letters")
    leave_mark(run, "postgresql+psycopg://user:***@host/letters")
    named = json.loads((run.folder / MARK).read_text())["ledgers"]
    assert named == ["postgresql+psycopg://user:***@host/letters"]
    assert "may hold labels this run has not" in ledger_note(run)
    with pytest.raises(InvalidInput, match="Give --ledger 'postgresql"):
        check_alone(run)


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
