"""Importing for a command: garbage collection stands still, and goes on afterwards as it was."""

import gc
import sys

import pytest

from bayesight.cli.output import loading


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
