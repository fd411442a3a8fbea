"""A file is the old one or the new one, never half of each."""

import errno
import json
import os
import stat
from pathlib import Path

import pytest

from bayesight.errors import SourceNotFound, StorageFailed
from bayesight.files import open_atomic, write_atomic


def test_text_and_bytes_are_written_whole_and_replace_what_was_there(tmp_path):
    target = tmp_path / "a.txt"
    write_atomic(target, "Grüße")
    assert target.read_bytes() == "Grüße".encode()
    write_atomic(target, b"\x00\xff")
    assert target.read_bytes() == b"\x00\xff"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_file_written_piece_by_piece_is_there_once_it_is_whole(tmp_path):
    target = tmp_path / "a.txt"
    with open_atomic(target) as file:
        file.write(b"one ")
        assert not target.exists()
        file.write(b"two")
    assert target.read_bytes() == b"one two"


@pytest.mark.parametrize("problem", [SourceNotFound("gone"), RuntimeError("stopped")])
def test_an_error_on_the_way_passes_and_leaves_the_old_file(tmp_path, problem):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def broken():
        with open_atomic(target) as file:
            file.write(b"new")
            raise problem

    with pytest.raises(type(problem), match=str(problem)):
        broken()
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_no_temporary(tmp_path, monkeypatch, step):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os if step == "fsync" else type(target), step, full)
    with pytest.raises(StorageFailed, match=r"a\.txt: could not be written \(No space left on device\)"):
        write_atomic(target, "new")
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_an_interrupt_leaves_the_old_file_and_no_temporary(tmp_path, monkeypatch):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def interrupt(_descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(target, "new")
    assert target.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_missing_folder_is_named_with_the_mend(tmp_path):
    with pytest.raises(StorageFailed, match=r"Create the folder first"):
        write_atomic(tmp_path / "none" / "a.txt", "x")


def test_what_is_no_regular_file_is_refused(tmp_path):
    with pytest.raises(StorageFailed, match="no regular file"):
        write_atomic(tmp_path, "x")
    with pytest.raises(StorageFailed, match="no regular file"):
        write_atomic(os.devnull, "x")
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_a_link_keeps_pointing_and_its_target_changes(tmp_path):
    target, link = tmp_path / "real.txt", tmp_path / "link.txt"
    target.write_text("old")
    link.symlink_to(target)
    write_atomic(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_permissions_follow_the_umask(tmp_path):
    before = os.umask(0o022)
    try:
        write_atomic(tmp_path / "a.txt", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o644


def test_a_name_as_long_as_the_file_system_allows(tmp_path):
    target = tmp_path / ("n" * 255)
    write_atomic(target, "x")
    assert target.read_text() == "x"


def test_a_name_that_is_not_utf8_is_written_as_json_escapes_it(tmp_path):
    name = os.fsdecode(b"caf\xe9 \xc3\xa9")
    write_atomic(tmp_path / "a.json", json.dumps({"source": name}, ensure_ascii=False))
    assert json.loads((tmp_path / "a.json").read_bytes()) == {"source": name}
    assert "é".encode() in (tmp_path / "a.json").read_bytes()
