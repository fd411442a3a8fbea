"""What commands say and import: collections of garbage stand still meanwhile; one process draws the bar."""

import gc
import sys

import pytest

from bayesight.cli.output import loading, progress_bar


@pytest.fixture
def thawed():
    gc.unfreeze()  # commands that ran in this process
    yield
    gc.enable()
    gc.unfreeze()


def test_what_was_imported_is_left_out_of_later_collections(thawed, monkeypatch):
    before = gc.get_freeze_count()
    with loading():
        assert not gc.isenabled()
        monkeypatch.setitem(sys.modules, "newly_imported", gc)
    assert gc.isenabled()
    assert gc.get_freeze_count() > before + 1000  # all there is


def test_where_nothing_was_imported_nothing_is_left_out(thawed):
    before = gc.get_freeze_count()
    with loading():
        pass
    assert gc.get_freeze_count() == before


def test_an_error_ends_it_and_a_program_that_collects_nothing_stays_as_it_is(thawed):
    with pytest.raises(ValueError, match="broken"), loading():
        raise ValueError("broken")
    assert gc.isenabled()
    gc.disable()
    with loading():
        pass
    assert not gc.isenabled()


@pytest.mark.parametrize(("rank", "drawn"), [("0", True), ("1", False)])
def test_of_several_processes_the_first_draws_the_bar(rank, drawn, monkeypatch, capsys):
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress_bar("training", "steps") as bar:
        bar(3, 10, "training")
    assert bool(capsys.readouterr().err) == drawn
