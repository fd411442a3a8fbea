"""What may not be read is said of the path, whatever the path is; names need not be UTF-8."""

import os
from pathlib import Path

import pytest

from bayesight.data import open_store
from bayesight.data.sources import find_source, holds_images
from bayesight.errors import SourceUnreadable


@pytest.fixture
def forbidden(tmp_path, monkeypatch):
    """A folder that may not be listed and a file that may not be opened, for root too."""
    folder, file = tmp_path / "folder", tmp_path / "file.png"
    folder.mkdir()
    file.write_bytes(b"x" * 600)
    for module, name in ((os, "scandir"), (Path, "open")):
        real = getattr(module, name)

        def refuse(path, *args, real=real, **options):
            if Path(path) in (folder, file):
                raise PermissionError(13, "Permission denied")
            return real(path, *args, **options)

        monkeypatch.setattr(module, name, refuse)
    return folder, file


def test_a_folder_or_file_that_may_not_be_read_is_named(forbidden):
    folder, file = forbidden
    for look, path in ((find_source, folder), (find_source, file), (holds_images, file)):
        with pytest.raises(SourceUnreadable, match=rf"{path.name} cannot be read: Permission denied"):
            look(path)
    assert holds_images(folder)


@pytest.mark.skipif(os.name != "posix", reason="names are text elsewhere")
def test_the_path_of_a_source_need_not_be_utf8(tmp_path, make):
    source = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    for k, name in enumerate("ab"):
        (source / name).mkdir(parents=True)
        (source / name / "1.png").write_bytes(make.encoded(make.picture(k)))
    built = open_store(source, cache=tmp_path / "cache")
    opened = open_store(source, cache=tmp_path / "cache")
    assert built.manifest == opened.manifest
    assert Path(opened.manifest.source) == source
    assert len(opened) == 2


def test_every_part_of_an_archive_is_told_from_an_image(tmp_path):
    for number in (1, 2):
        (tmp_path / f"letters.zip.00{number}").write_bytes(b"PK\3\4" if number == 1 else b"rest")
    for number in (1, 2):
        with pytest.raises(SourceUnreadable, match="one of 2 parts of an archive"):
            holds_images(tmp_path / f"letters.zip.00{number}")
    (tmp_path / "letters.zip.001").unlink()
    assert not holds_images(tmp_path / "letters.zip.002")
