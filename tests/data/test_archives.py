import os
import stat
import tarfile
import zipfile

import pytest

from bayesight.data.archives import batches
from bayesight.data.members import ENCODED_LIMIT_BYTES, Judge, printable
from bayesight.data.sources import ContainerOptions, find_source
from bayesight.data.store import open_store
from bayesight.data.unpacking import ReadAgain
from bayesight.errors import InvalidInput, SourceNotFound, SourceUnreadable


def read(path, *, labelled=True, plan=None, remarks=None, **options):
    """Everything a pass yields, put together, after another one where that cannot be finished."""
    images, quarantined, ignored = {}, {}, []
    try:
        found = list(
            batches(
                find_source(path, options=ContainerOptions(**options)),
                labelled=labelled,
                plan=plan,
                remarks=remarks,
            )
        )
    except ReadAgain as again:
        return read(path, labelled=labelled, plan=again.plan, remarks=remarks, **options)
    for batch in found:
        images |= dict(zip(batch.paths, zip(batch.classes, batch.blobs, strict=True), strict=True))
        quarantined |= {entry.path: entry.reason for entry in batch.quarantined}
        ignored += [one.path for one in batch.ignored]
    return images, quarantined, ignored


def unpack(folder, members):
    for name, content in members:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def pack_zip(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


@pytest.fixture
def holder(request, tmp_path, make):
    """Makes a source of the kind asked for from (name, bytes) pairs."""

    def hold(kind, members):
        if kind == "folder":
            return unpack(tmp_path / "source", members)
        if kind.startswith("zip"):
            method = {"zip": zipfile.ZIP_DEFLATED, "zip-stored": 0, "zip-bzip2": 12, "zip-lzma": 14}[kind]
            return pack_zip(tmp_path / "source.bin", members, method)
        return make.tar(tmp_path / "source.bin", members, {"tar": "w"}.get(kind, f"w:{kind}"))

    return hold


OUT_OF_FOLDER = "a symbolic link that leads out of the folder; --follow-links reads what it leads to"
KINDS = ["folder", "tar", "gz", "xz", "bz2", "zip", "zip-stored", "zip-bzip2", "zip-lzma"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_members(holder, make, kind):
    members = make.letters(top="top/nested/")
    junk = [
        ("top/README.md", b"words"),
        ("top/nested/A/.hidden.png", b"x"),
        ("top/.git/A/x.png", b"x"),
        ("__MACOSX/A/._0.png", b"x"),
        ("top/nested/A/.DS_Store", b"x"),
        ("top/nested/B/Thumbs.db", b"x"),
        ("top/nested/B/NOTES", b"no suffix, no image"),
    ]
    bare = [("top/nested/B/bare", members[0][1]), ("lonely.png", members[0][1])]
    images, quarantined, ignored = read(holder(kind, members + junk + bare))
    expected = {name: (name.split("/")[-2], content) for name, content in [*members, bare[0]]}
    assert images == expected
    assert quarantined == {"lonely.png": "no class folder"}
    assert sorted(ignored) == sorted(name for name, _ in junk)


def test_without_labels_no_folder_is_needed(tmp_path, make):
    path = make.tar(tmp_path / "x.tgz", [("lonely.png", b"a"), ("./also.png", b"b"), ("A/x.png", b"c")])
    images, quarantined, _ = read(path, labelled=False)
    assert set(images) == {"lonely.png", "./also.png", "A/x.png"}
    assert not quarantined


def test_names_that_lead_out_of_the_archive(tmp_path, make):
    names = ["../A/x.png", "A/../../x.png", "/etc/A/x.png", "C:/A/x.png", "..", "A/fine.png"]
    for path in (
        make.tar(tmp_path / "x.tar", [(n, b"data") for n in names], "w"),
        pack_zip(tmp_path / "x.zip", [(n, b"data") for n in names]),
    ):
        images, quarantined, _ = read(path)
        assert set(images) == {"A/fine.png"}
        assert {k: v for k, v in quarantined.items() if "png" in k} == {
            "../A/x.png": "its name leads out of the archive",
            "A/../../x.png": "its name leads out of the archive",
            "/etc/A/x.png": "its name is an absolute path",
            "C:/A/x.png": "its name is an absolute path",
        }


def test_links_and_devices_in_a_tar(tmp_path, make):
    def special(kind):
        info = tarfile.TarInfo()
        info.type, info.linkname = kind, "/etc/passwd"
        return info

    members = [
        ("A/link.png", special(tarfile.SYMTYPE)),
        ("A/hard.png", special(tarfile.LNKTYPE)),
        ("A/pipe.png", special(tarfile.FIFOTYPE)),
        ("A/.hidden", special(tarfile.SYMTYPE)),
        ("A/sub", special(tarfile.DIRTYPE)),
        ("A/x.png", b"data"),
    ]
    images, quarantined, ignored = read(make.tar(tmp_path / "x.tar.gz", members))
    assert set(images) == {"A/x.png"}
    assert quarantined == {
        "A/link.png": "a symbolic link that leads out of the archive",
        "A/hard.png": "a hard link to a file that is not in the archive",
        "A/pipe.png": "a named pipe",
    }
    assert ignored == ["A/.hidden"]


def test_links_and_pipes_in_a_folder(tmp_path, make):
    source = unpack(tmp_path / "source", [("A/x.png", b"x"), ("B/deep/y.png", b"y")])
    outside = unpack(tmp_path / "outside", [("secret.png", b"s")])
    (source / "A" / "inside.png").symlink_to("x.png")
    (source / "A" / "out.png").symlink_to(outside / "secret.png")
    (source / "A" / "nowhere.png").symlink_to("missing.png")
    (source / "A" / "up").symlink_to("..")
    (source / "C").symlink_to(outside)
    (source / "D").symlink_to("B/deep")
    (source / "E").symlink_to("B/deep")
    os.mkfifo(source / "A" / "pipe.png")
    images, quarantined, _ = read(source)
    assert {name: value[0] for name, value in images.items()} == {
        "A/x.png": "A",
        "A/inside.png": "A",
        "B/deep/y.png": "deep",
        "D/y.png": "D",
    }
    assert quarantined == {
        "A/out.png": OUT_OF_FOLDER,
        "A/nowhere.png": "a symbolic link that leads nowhere",
        "A/up": "a symbolic link to a folder that is read already",
        "C": OUT_OF_FOLDER,
        "E": "a symbolic link to a folder that is read already",
        "A/pipe.png": "neither a file nor a folder",
    }


def test_links_out_of_a_folder_are_followed_on_request(tmp_path):
    source = unpack(tmp_path / "source", [("A/x.png", b"x")])
    outside = unpack(tmp_path / "outside", [("one/1.png", b"1"), ("file.png", b"f")])
    (source / "A" / "out.png").symlink_to(outside / "file.png")
    (source / "B").symlink_to(outside / "one")
    (source / "C").symlink_to(outside / "one")
    (outside / "one" / "back").symlink_to(source)
    (outside / "one" / "up").symlink_to("..")
    (source / "A" / "self.png").symlink_to("self.png")
    images, quarantined, _ = read(source, follow_links=True)
    assert set(images) == {"A/x.png", "A/out.png", "B/1.png"}
    again = "a symbolic link to a folder that is read already"
    assert quarantined == {
        "A/self.png": "a symbolic link that leads round in a circle",
        "B/back": again,
        "B/up": again,
        "C": again,
    }
    assert set(read(source)[0]) == {"A/x.png"}


def test_a_store_notices_changes_behind_links_that_are_followed(tmp_path, make):
    source = unpack(tmp_path / "source", make.letters(top="")[:4])
    outside = unpack(tmp_path / "outside", make.letters("B", top=""))
    (source / "B").symlink_to(outside / "B")
    options = {"container": ContainerOptions(follow_links=True), "cache": tmp_path / "cache"}
    assert open_store(source, **options).manifest.counts == {"A": 4, "B": 4}
    (outside / "B" / "0.png").unlink()
    assert open_store(source, **options).manifest.counts == {"A": 4, "B": 3}
    assert open_store(source, cache=tmp_path / "cache").manifest.counts == {"A": 4}


def test_links_that_go_round_in_circles_end(tmp_path):
    source = unpack(tmp_path / "source", [("A/x.png", b"x"), ("B/y.png", b"y")])
    (source / "A" / "b").symlink_to("../B")
    (source / "B" / "a").symlink_to("../A")
    images, quarantined, _ = read(source)
    assert {"A/x.png", "B/y.png"} <= set(images)
    assert len(images) <= 6
    assert quarantined


def test_names_that_are_not_utf8(tmp_path, make):
    strange = os.fsdecode(b"A/caf\xe9.png")
    folder = tmp_path / "source"
    (folder / "A").mkdir(parents=True)
    (folder / strange).write_bytes(b"x")
    archive = make.tar(tmp_path / "x.tar", [(strange, b"x")], "w", format=tarfile.GNU_FORMAT)
    for source in (folder, archive):
        assert list(read(source)[0]) == ["A/caf\\xe9.png"]
    assert printable(b"A/two\nlines.png") == "A/two\\nlines.png"
    assert printable("A/café.png".encode()) == "A/café.png"


def test_an_encrypted_entry_is_quarantined(tmp_path):
    path = pack_zip(tmp_path / "x.zip", [("A/open.png", b"data"), ("A/closed.png", b"data")])
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\1\2", data.index(b"PK\1\2") + 1)
    data[entry + 8] |= 1
    path.write_bytes(data)
    images, quarantined, _ = read(path)
    assert set(images) == {"A/open.png"}
    assert quarantined == {"A/closed.png": "encrypted"}


def test_damaged_and_odd_entries_of_a_zip(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        link = zipfile.ZipInfo("A/link.png")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("A/bad.png", b"this will be changed")
        archive.writestr("A/good.png", b"this stays")
    data = path.read_bytes().replace(b"this will be", b"this was not")
    path.write_bytes(data)
    images, quarantined, _ = read(path)
    assert set(images) == {"A/good.png"}
    assert quarantined["A/link.png"] == "a symbolic link that leads out of the archive"
    assert "checksum" in quarantined["A/bad.png"]


def test_backslashes_of_windows_zips_are_folders(tmp_path):
    path = pack_zip(tmp_path / "x.zip", [("top\\A\\x.png", b"data")])
    assert [value[0] for value in read(path)[0].values()] == ["A"]


def test_too_large_a_member_is_quarantined_and_never_held(tmp_path, make):
    folder = tmp_path / "source" / "A"
    folder.mkdir(parents=True)
    with (folder / "big.png").open("wb") as file:
        file.truncate(ENCODED_LIMIT_BYTES + 1)  # takes no room on the disk
    (folder / "small.png").write_bytes(b"x")
    images, quarantined, _ = read(folder.parent)
    assert set(images) == {"A/small.png"}
    assert quarantined == {"A/big.png": "67,108,865 bytes, over the limit of 67,108,864 for one image"}
    judge = Judge(labelled=True)
    assert judge(b"A/x.png", None, ENCODED_LIMIT_BYTES) is None


@pytest.mark.parametrize("cut", [10, 200, 1000])
def test_a_truncated_zip_has_no_directory(tmp_path, make, cut):
    path = pack_zip(tmp_path / "x.zip", make.letters())
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(SourceUnreadable, match="probably incomplete"):
        read(path)


def test_a_missing_path_names_the_nearest_and_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "letters.tar.gz").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceNotFound) as error:
        find_source("leters.tar.gz")
    assert str(tmp_path) in str(error.value)
    assert "'letters.tar.gz'" in str(error.value)


def test_what_is_packed_otherwise_says_so(tmp_path):
    for start, name in (
        (b"\x28\xb5\x2f\xfd", "Zstandard"),
        (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
        (b"Rar!\x1a", "RAR"),
    ):
        (tmp_path / "x").write_bytes(start + bytes(600))
        with pytest.raises(SourceUnreadable, match=name):
            find_source(tmp_path / "x")


def test_a_pipe_as_source_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceUnreadable, match="neither a file nor a folder"):
        find_source(tmp_path / "pipe")


def test_labels_in_a_file_belong_to_idx_only(tmp_path, make):
    path = make.tar(tmp_path / "x.tgz", make.letters())
    with pytest.raises(InvalidInput, match="no IDX file"):
        find_source(path, labels="labels.gz")


def test_batches_are_bounded(tmp_path, make):
    many = [(f"A/{k}.png", b"x" * 100) for k in range(9000)]
    sizes = [len(b.blobs) for b in batches(find_source(make.tar(tmp_path / "x.tar", many, "w")))]
    assert sum(sizes) == 9000
    assert max(sizes) <= 8192
    large = [(f"A/{k}.png", bytes(3 << 20)) for k in range(7)]
    read_back = list(batches(find_source(make.tar(tmp_path / "y.tar", large, "w"))))
    assert [len(b.blobs) for b in read_back] == [3, 3, 1]
    assert 0 < read_back[0].fraction <= read_back[1].fraction <= read_back[-1].fraction == 1.0


def test_a_truncated_gzip_of_a_tar(tmp_path, make):
    path = make.tar(tmp_path / "x.tar.gz", make.letters(each=30))
    whole = path.read_bytes()
    for end in (40, len(whole) // 2, len(whole) - 4):
        path.write_bytes(whole[:end])
        with pytest.raises(SourceUnreadable, match="probably incomplete"):
            read(path)
