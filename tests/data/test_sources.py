"""A source is read alike whatever holds it, names need not be UTF-8, and what may not be read is named."""

import io
import os
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.data import open_store
from bayesight.data.folder import folder_members
from bayesight.data.sources import find_source, holds_images
from bayesight.errors import BayesightError, SourceUnreadable


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


FOLDERS = st.sampled_from(
    ["a", "b", "train", "test", "images", "masks", "e\u0301", "\u00e9", " x", ".hid", "__MACOSX"]
)
FILES = st.sampled_from(["1.png", "2.PNG", "1_mask.png", "plain", "read.txt", ".hide", "empty.png", "v.mp4"])
TREES = st.sets(st.tuples(st.lists(FOLDERS, max_size=3).map(tuple), FILES), min_size=1, max_size=12)


def told(source, labelled):
    """All that a store says of its source but its name, or the kind of refusal."""
    try:
        store = open_store(source, labelled=labelled)
    except BayesightError as error:
        return type(error)
    manifest = store.manifest
    left = sorted((one.path.removeprefix("./"), one.reason, one.label) for one in manifest.quarantined)
    passed = sorted((one.kind, one.label or "", one.files) for one in manifest.passed)
    return (
        manifest.content_hash,
        manifest.counts,
        manifest.parts,
        left,
        passed,
        sorted(map(str, manifest.lost)),
    )


@settings(deadline=None, max_examples=15)
@given(TREES, st.booleans(), st.sampled_from(["", "./"]))
def test_a_folder_a_tar_and_a_zip_of_the_same_files_are_the_same_store(make, tree, labelled, front):
    files = {"/".join([*folders, name]): name for folders, name in sorted(tree)}
    content = {"read.txt": b"words", ".hide": b"\0", "empty.png": b"", "v.mp4": b"\0\0\0\x18ftypisom"}
    with tempfile.TemporaryDirectory() as home:
        folder, tar, zipped = (Path(home) / name for name in ("set", "set.tar", "set.zip"))
        with tarfile.open(tar, "w") as tarred, zipfile.ZipFile(zipped, "w") as archive:
            for number, (path, name) in enumerate(files.items()):
                data = content.get(name, make.encoded(make.picture(number)))
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(data)
                member = tarfile.TarInfo(front + path)
                member.size = len(data)
                tarred.addfile(member, io.BytesIO(data))
                archive.writestr(path, data)
        assert told(folder, labelled) == told(tar, labelled) == told(zipped, labelled)


def test_names_inside_a_folder_have_slashes_on_every_system(tmp_path, monkeypatch):
    for name in ("top.png", "a/b/1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    join = os.path.join

    def windows(first, *others):
        relative = isinstance(first, bytes) and not first.startswith(b"/")
        return b"\\".join((first, *others)) if relative and first else join(first, *others)

    with monkeypatch.context() as patch:
        patch.setattr(os.path, "join", windows)
        names = sorted(name for name, *_ in folder_members(tmp_path))
    assert names == [b"a/b/1.png", b"top.png"]
