"""A mark changes with the belief or the base rates of its run, on each backend, and with nothing else."""

from dataclasses import replace

import pytest

from bayesight.errors import StorageFailed
from bayesight.ledger import Ledger, PriorRecord, erase, learn, rename_class
from bayesight.ledger.watch import watch


@pytest.fixture
def watched(ledger, state):
    found = watch(ledger, state.run)
    yield found
    found.close()


def test_every_change_of_belief_or_base_rates_is_another_mark(ledger, state, drawn, watched):
    marks = [watched.mark()]
    state, _ = learn(ledger, state, [drawn(1), drawn(2)])
    marks.append(watched.mark())
    state, _ = rename_class(ledger, state, "bar", "bars")
    marks.append(watched.mark())
    state, _ = erase(ledger, state, person="alice")
    marks.append(watched.mark())
    ledger.append([PriorRecord(state.run, {"bars": 1.0})])
    marks.append(watched.mark())
    assert len(set(marks)) == len(marks)
    assert watched.mark() == marks[-1]


def test_a_file_taken_away_is_another_mark(tmp_path, run_record):
    path = tmp_path / "ledger.sqlite"
    with Ledger.open(str(path)) as ledger:
        ledger.register(run_record)
        found = watch(ledger, run_record.run)
        before = found.mark()
        assert found.mark() == before
        path.rename(tmp_path / "away.sqlite")
        assert found.mark() != before
        found.close()


def test_predictions_labels_and_other_runs_leave_the_mark(
    ledger, state, drawn, prediction, run_record, watched
):
    before = watched.mark()
    ledger.append([replace(prediction(1, run=state.run), features=None), drawn(3)])
    ledger.register(replace(run_record, run="another"))
    ledger.append([PriorRecord("another", {"bar": 1.0})])
    assert watched.mark() == before


def test_a_commit_through_another_connection_shows(ledger, ledger_url, state, watched):
    before = watched.mark()
    with Ledger.open(ledger_url) as other:
        other.append([PriorRecord(state.run, {"bar": 1.0})])
    assert watched.mark() != before


def test_a_watch_whose_connection_broke(ledger, state, watched, monkeypatch):
    """On a server it connects anew; in a file every mark is another one, so whoever asks looks."""
    before = watched.mark()
    watched.close()
    if ledger.engine.dialect.name == "sqlite":
        assert len({before, watched.mark(), watched.mark()}) == 3
        return
    assert watched.mark() == before

    def broken(*_, **__):
        raise StorageFailed("ledger: out of reach.")

    watched.close()
    monkeypatch.setattr(ledger.engine, "connect", broken)
    with pytest.raises(StorageFailed):
        watched.mark()
