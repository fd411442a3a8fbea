"""Archives are read as unpacking would leave them: the last of each name, and links as their targets."""

import io
import json
import shutil
import subprocess
import tarfile
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.data import streams
from bayesight.data.archives import batches
from bayesight.data.members import Remarks
from bayesight.data.sources import find_source
from bayesight.data.store import open_store
from bayesight.data.unpacking import ReadAgain, Unpacking, tidy
from bayesight.errors import SourceUnreadable


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def write_tar(path, members, mode="w", **options):
    """(name, bytes) pairs and TarInfos of links, in this order."""
    with tarfile.open(path, mode, **options) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return path


def write_zip(path, members, mode="w"):
    with zipfile.ZipFile(path, mode) as archive:
        for name, content in members:
            if isinstance(content, str):
                info = zipfile.ZipInfo(name)
                info.create_system, info.external_attr = 3, 0o120777 << 16
                archive.writestr(info, content)
            else:
                archive.writestr(name, content)
    return path


def read(path):
    """(images by name, reasons of what is left out by name, remarks)."""
    source, plan = find_source(path), None
    for _ in range(2):
        remarks, images, left_out = Remarks(), {}, {}
        try:
            for batch in batches(source, plan=plan, remarks=remarks):
                assert images.keys().isdisjoint(batch.paths)
                images |= dict(zip(batch.paths, batch.blobs, strict=True))
                left_out |= {one.path: one.reason for one in batch.quarantined}
        except ReadAgain as again:
            plan = again.plan
            continue
        return images, left_out, remarks
    raise AssertionError


REPEATED = [
    ("A/1.png", b"first"),
    ("./A/2.png", b"withdrawn"),
    ("A/3.png", b"stays"),
    ("A//1.png", b"second"),
    ("A/./2.png", b"also"),
    ("./A/1.png", b"third"),
    ("A/2.png", b""),
]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip"])
def test_the_last_of_a_name_counts(tmp_path, kind):
    path = tmp_path / f"x.{kind}"
    if kind == "zip":
        write_zip(path, REPEATED)
    else:
        write_tar(path, REPEATED, "w:gz" if kind == "tar.gz" else "w")
    images, left_out, remarks = read(path)
    assert {tidy(name.encode()): content for name, content in images.items()} == {
        b"A/3.png": b"stays",
        b"A/1.png": b"third",
        b"A/2.png": b"",
    }
    assert not left_out
    assert remarks.superseded == 4
    assert remarks.sentences() == (
        "4 members are superseded by a later one of the same name, which counts, as when unpacking",
    )


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_the_last_counts_where_it_is_broken_and_what_was_superseded_leaves_no_trace(tmp_path, make, kind):
    wide = make.encoded(make.picture(5, 9, 30))  # would change the size of all, if it counted
    members = [("A/0.png", wide), *make.letters(top=""), ("A/1.png", b""), ("B/2.png", b"no image")]
    path = tmp_path / f"x.{kind}"
    (write_zip if kind == "zip" else write_tar)(path, members)
    manifest = open_store(path, cache=tmp_path).manifest
    assert manifest.counts == {"A": 3, "B": 3}
    assert manifest.shape == (6, 5)
    assert manifest.container.superseded == 3
    assert {one.path for one in manifest.quarantined} == {"A/1.png", "B/2.png"}
    assert manifest.notes == (
        "3 members are superseded by a later one of the same name, which counts, as when unpacking",
    )
    assert json.loads(json.dumps(manifest.notes)) == list(manifest.notes)


def test_files_appended_to_a_tar_replace_those_of_their_name(tmp_path):
    path = write_tar(tmp_path / "x.tar", [("A/1.png", b"old"), ("A/2.png", b"kept")])
    write_tar(path, [("A/1.png", b"new")], "a")
    images, _, remarks = read(path)
    assert images == {"A/1.png": b"new", "A/2.png": b"kept"}
    assert remarks.superseded == 1


def test_a_hard_link_is_its_target_before_or_behind_it_and_however_it_is_written(tmp_path):
    members = [
        link("B/early.png", "A/1.png", tarfile.LNKTYPE),
        ("A/1.png", b"one"),
        link("B/late.png", "./A/1.png", tarfile.LNKTYPE),
        link("B/again.png", "B/late.png", tarfile.LNKTYPE),
        link("B/lost.png", "A/none.png", tarfile.LNKTYPE),
    ]
    images, left_out, remarks = read(write_tar(tmp_path / "x.tar", members))
    assert images == dict.fromkeys(("A/1.png", "B/early.png", "B/late.png", "B/again.png"), b"one")
    assert left_out == {"B/lost.png": "a hard link to a file that is not in the archive"}
    assert remarks.linked == 3
    assert remarks.sentences() == ("3 links are read as the files they lead to",)


def test_a_hard_link_keeps_what_it_was_linked_to(tmp_path):
    members = [
        ("A/1.png", b"old"),
        link("B/1.png", "A/1.png", tarfile.LNKTYPE),
        ("A/1.png", b"new"),
        link("C/1.png", "A/1.png", tarfile.LNKTYPE),
    ]
    images, _, remarks = read(write_tar(tmp_path / "x.tar", members))
    assert images == {"A/1.png": b"new", "B/1.png": b"old", "C/1.png": b"new"}
    assert (remarks.superseded, remarks.linked) == (1, 2)


SYMBOLIC = [
    ("A/1.png", b"one"),
    ("A/deep/2.png", b"two"),
    ("B/inside.png", "../A/1.png"),
    ("B/twice.png", "inside.png"),
    ("B/out.png", "../../etc/passwd"),
    ("B/absolute.png", "/etc/passwd"),
    ("B/nowhere.png", "../A/none.png"),
    ("B/round.png", "other.png"),
    ("B/other.png", "round.png"),
    ("C", "A/deep"),
    ("D", "A/deep"),
    ("A/up", ".."),
    ("E/through.png", "../C/2.png"),
]


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_symbolic_links_are_what_they_lead_to_inside_of_the_archive(tmp_path, kind):
    path = tmp_path / f"x.{kind}"
    if kind == "zip":
        write_zip(path, SYMBOLIC)
    else:
        write_tar(path, [link(*m) if isinstance(m[1], str) else m for m in SYMBOLIC])
    images, left_out, remarks = read(path)
    assert images == {
        "A/1.png": b"one",
        "A/deep/2.png": b"two",
        "B/inside.png": b"one",
        "B/twice.png": b"one",
        "C/2.png": b"two",
        "E/through.png": b"two",
    }
    away = "a symbolic link that leads "
    assert left_out == {
        "B/out.png": away + "out of the archive",
        "B/absolute.png": away + "out of the archive",
        "B/nowhere.png": away + "nowhere",
        "B/round.png": away + "round in a circle",
        "B/other.png": away + "round in a circle",
        "D": away + "to a folder that is read already",
        "A/up": away + "to a folder it lies in",
    }
    assert remarks.linked == 4


@pytest.mark.skipif(shutil.which("tar") is None, reason="no tar program")
@settings(deadline=None, max_examples=15)
@given(
    plan=st.lists(
        st.tuples(
            st.sampled_from(["A/1.png", "A/2.png", "B/1.png", "./A/1.png", "B/3.png"]),
            st.sampled_from(["file", "hard", "soft"]),
            st.sampled_from(["A/1.png", "A/2.png", "B/1.png", "B/3.png"]),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_agrees_with_the_tar_program(tmp_path_factory, plan):
    folder = tmp_path_factory.mktemp("unpacked")
    members = []
    for number, (name, kind, target) in enumerate(plan):
        if kind == "file":
            members.append((name, b"%d" % number))
        elif kind == "hard" and tidy(name.encode()) != target.encode():
            members.append(link(name, target, tarfile.LNKTYPE))
        elif kind == "soft":
            members.append(link(name, f"../{target}"))
    path = write_tar(folder.parent / f"{folder.name}.tar", members)
    done = subprocess.run(["tar", "-xPf", path, "-C", folder], capture_output=True, check=False)
    images, _, _ = read(path)
    ours = {tidy(name.encode()).decode(): content for name, content in images.items()}
    theirs = {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.glob("*/*")
        if file.is_file()
    }
    if done.returncode == 0:
        assert ours == theirs
    else:  # a hard link whose target comes later, which tar cannot make
        assert theirs.items() <= ours.items() or "Cannot hard link" in done.stderr.decode()


def test_many_links_to_one_file_are_paid_for(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "BYTES_FREE", 1 << 25)
    members = [("A/1.png", bytes(1 << 20))]
    members += [link(f"A/{k}.png", "A/1.png", tarfile.LNKTYPE) for k in range(2, 400)]
    path = write_tar(tmp_path / "x.tar.gz", members, "w:gz", compresslevel=1)
    with pytest.raises(SourceUnreadable, match=r"holds more than 33,554,432 bytes once unpacked, in \d"):
        read(path)


def test_links_within_links_take_no_time():
    unpacking = Unpacking()
    for k in range(2000):
        unpacking.link(b"d/%d" % k, b"x/../" * 400 + b"%d" % (k + 1), hard=False)
    unpacking.link(b"deep/" * 5000 + b"x", b"y", hard=False)
    assert not unpacking.plan().aliases


def test_tidy_names():
    for name, expected in [
        (b"A/x.png", b"A/x.png"),
        (b"./A//./x.png", b"A/x.png"),
        (b"A\\x.png", b"A/x.png"),
        (b"/A/x.png", b"/A/x.png"),
        (b"A/../x.png", b"A/../x.png"),
        (b"A/.hidden", b"A/.hidden"),
    ]:
        assert tidy(name) == expected
