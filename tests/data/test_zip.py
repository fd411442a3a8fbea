"""Zip files: names, methods, joined archives, bytes around them, and directories that lie."""

import gzip
import io
import lzma
import struct
import subprocess
import sys
import zipfile
import zlib

import pytest

from bayesight.data import streams
from bayesight.data.archives import batches
from bayesight.data.members import Remarks
from bayesight.data.sources import ContainerOptions, find_source
from bayesight.data.store import open_store
from bayesight.errors import InvalidInput, SourceUnreadable

CENTRAL = b"PK\1\2"


def packed(members, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def raw_names(members, flags=0, extra=b""):
    """A zip of stored members whose names are these bytes, as old programs write them."""
    locals_, directory = b"", b""
    for name, content in members:
        more = extra(name) if callable(extra) else extra
        crc, size, offset = zlib.crc32(content), len(content), len(locals_)
        common = struct.pack("<HHHHHLLLHH", 20, flags, 0, 0, 33, crc, size, size, len(name), len(more))
        locals_ += b"PK\3\4" + common + name + more + content
        directory += CENTRAL + b"\x14\0" + common + bytes(10) + struct.pack("<L", offset) + name + more
    end = struct.pack(
        "<4s4H2LH", b"PK\5\6", 0, 0, len(members), len(members), len(directory), len(locals_), 0
    )
    return locals_ + directory + end


def read(path, **options):
    """(images by name, reasons by name, remarks)."""
    remarks, images, left_out = Remarks(), {}, {}
    for batch in batches(find_source(path, options=ContainerOptions(**options)), remarks=remarks):
        images |= dict(zip(batch.paths, batch.blobs, strict=True))
        left_out |= {one.path: one.reason for one in batch.quarantined}
    return images, left_out, remarks


def written(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("cp949", "고양이/사진.png"),
        ("shift_jis", "表/ソ能.png"),  # each with 0x5C, the backslash, as its second byte
        ("gbk", "猫/誠.png"),
        ("cp437", "Ä/é.png"),
        ("latin-1", "Ä/é.png"),
    ],
)
def test_names_in_a_stated_encoding(tmp_path, encoding, name):
    raw = name.encode(encoding)
    path = written(tmp_path / "x.zip", raw_names([(raw, b"data"), (b"B/plain.png", b"b")]))
    assert read(path, names=encoding)[0] == {name: b"data", "B/plain.png": b"b"}
    images, _, remarks = read(path)
    assert remarks.undecoded == 1
    (told,) = [sentence for sentence in remarks.sentences() if "--names ENCODING" in sentence]
    assert "1 name is not UTF-8 and written with \\x.." in told
    (escaped,) = images.keys() - {"B/plain.png"}
    assert escaped == raw.decode("utf-8", "backslashreplace")


def test_backslashes_separate_folders_and_halves_of_characters_do_not(tmp_path):
    members = [(b"\x95\x5c\\\x94\x5c.png", b"1"), (b"\x95\x5c.png", b"2"), (b"A\\x.png", b"3")]
    path = written(tmp_path / "x.zip", raw_names(members))
    images, left_out, _ = read(path, names="shift_jis")
    assert images == {"表/能.png": b"1", "A/x.png": b"3"}
    assert left_out == {"表.png": "no class folder"}
    images, left_out, _ = read(path)
    assert images["A/x.png"] == b"3"
    assert "\\x95\\.png" in left_out


def test_the_utf8_flag_and_the_unicode_path_field_come_first(tmp_path):
    name = "猫/誠.png"

    def path_field(raw, right=True):
        content = b"\1" + struct.pack("<L", zlib.crc32(raw) ^ (not right)) + name.encode()
        return struct.pack("<HH", 0x7075, len(content)) + content

    flagged = written(tmp_path / "flag.zip", raw_names([(name.encode(), b"1")], flags=0x800))
    assert read(flagged, names="cp437")[0] == {name: b"1"}
    field = written(tmp_path / "field.zip", raw_names([(b"?/?.png", b"1")], extra=path_field))
    assert read(field)[0] == {name: b"1"}
    stale = raw_names([(name.encode("gbk"), b"1")], extra=lambda raw: path_field(raw, right=False))
    assert read(written(tmp_path / "stale.zip", stale), names="gbk")[0] == {name: b"1"}
    assert read(tmp_path / "stale.zip", names="shift_jis")[0].keys() != {name}


def test_a_name_marked_utf8_that_is_not_is_escaped_and_the_others_are_read(tmp_path):
    members = [(b"A/\xff.png", b"1"), (b"A/x.png", b"2")]
    images, _, remarks = read(written(tmp_path / "x.zip", raw_names(members, flags=0x800)))
    assert images == {"A/\\xff.png": b"1", "A/x.png": b"2"}
    assert remarks.undecoded == 1


@pytest.mark.parametrize("names", ["klingon", "utf-16", "hex", "rot13", "utf-8\0", ""])
def test_encodings_that_are_none_of_names(names):
    with pytest.raises(InvalidInput, match=r"--names: got .*expected an encoding"):
        ContainerOptions(names=names)


def test_an_empty_name(tmp_path):
    images, left_out, _ = read(written(tmp_path / "x.zip", raw_names([(b"", b"1"), (b"A/x.png", b"2")])))
    assert images == {"A/x.png": b"2"}
    assert left_out == {"": "its name is empty"}


@pytest.mark.parametrize(
    ("method", "called"),
    [
        (9, "compressed with Deflate64, which is not supported; pack it again, as with 'zip -r'"),
        (93, "compressed with Zstandard, which is not supported; pack it again, as with 'zip -r'"),
        (98, "compressed with PPMd, which is not supported; pack it again, as with 'zip -r'"),
        (
            77,
            "compressed with method 77, which is not supported; pack it again, as with 'zip -r'",
        ),
        (99, "encrypted with AES, which is not supported; unpack it with its password first"),
    ],
)
def test_methods_are_called_by_their_names(tmp_path, method, called):
    data = bytearray(packed([("A/x.png", b"data"), ("A/y.png", b"more")]))
    at = data.index(CENTRAL)
    data[at + 10 : at + 12] = struct.pack("<H", method)
    images, left_out, _ = read(written(tmp_path / "x.zip", data))
    assert images == {"A/y.png": b"more"}
    assert left_out == {"A/x.png": called}


def test_xz_within_a_zip_is_read(tmp_path):
    content = b"data" * 100
    data = bytearray(packed([("A/x.png", lzma.compress(content))], zipfile.ZIP_STORED))
    for mark, method, crc in ((b"PK\3\4", 8, 14), (CENTRAL, 10, 16)):
        at = data.index(mark)
        data[at + method : at + method + 2] = struct.pack("<H", 95)
        data[at + crc : at + crc + 4] = struct.pack("<L", zlib.crc32(content))
        data[at + crc + 8 : at + crc + 12] = struct.pack("<L", len(content))
    assert read(written(tmp_path / "x.zip", data))[0] == {"A/x.png": content}


@pytest.mark.parametrize("method", [0, 8, 12, 14])
def test_a_version_nobody_has_is_no_reason_to_lose_an_entry(tmp_path, method):
    data = bytearray(packed([("A/x.png", b"data" * 50)], method))
    for mark, at in ((b"PK\3\4", 4), (CENTRAL, 6)):
        data[data.index(mark) + at] = 255  # 25.5
    assert read(written(tmp_path / "x.zip", data))[0] == {"A/x.png": b"data" * 50}


@pytest.mark.parametrize("size", [2**63, 2**64 - 1, 2**40])
def test_sizes_of_zip64_that_lie_cost_only_their_entry(tmp_path, size):
    wide = struct.pack("<HHQQ", 1, 16, size, size)
    data = bytearray(raw_names([(b"A/x.png", b"1")], extra=wide))
    at = data.index(CENTRAL)
    data[at + 20 : at + 28] = b"\xff" * 8
    with pytest.raises(SourceUnreadable, match="holds no image that could be read: 1 quarantined"):
        open_store(written(tmp_path / "x.zip", data), cache=tmp_path)
    assert f"{size:,} bytes, over the limit" in next(iter(read(tmp_path / "x.zip")[1].values()))


def test_joined_zips_are_all_read(tmp_path):
    first, second = packed([("A/x.png", b"1"), ("A/y.png", b"old")]), packed([("B/x.png", b"2")])
    third = packed([("A/y.png", b"new")])
    images, _, remarks = read(written(tmp_path / "x.zip", first + second + third))
    assert images == {"A/x.png": b"1", "B/x.png": b"2", "A/y.png": b"new"}
    assert (remarks.archives, remarks.superseded, remarks.before, remarks.after) == (3, 1, 0, 0)
    assert "3 archives are joined in this file; all of them are read" in remarks.sentences()


def test_bytes_around_the_archive_are_counted(tmp_path):
    zipped = packed([("A/x.png", b"1")])
    path = written(tmp_path / "program.exe", b"MZ" + bytes(998) + zipped + b"signature")
    images, _, remarks = read(path)
    assert images == {"A/x.png": b"1"}
    assert (remarks.before, remarks.after) == (1000, 9)
    assert remarks.sentences() == (
        "1,000 bytes in front of the zip archive are not read, as those of a program that unpacks itself",
        "9 bytes after the end of the archive are not read",
    )
    far = written(tmp_path / "far.zip", zipped + bytes(range(256)) * 1000)
    assert read(far)[2].after == 256_000
    assert read(written(tmp_path / "zeros.zip", zipped + bytes(700)))[2].after == 0


def test_another_archive_behind_is_named(tmp_path):
    path = written(tmp_path / "x.zip", packed([("A/x.png", b"1")]) + gzip.compress(b"a tar archive" * 20))
    (told,) = read(path)[2].sentences()
    assert told.endswith("are not read: they look like gzip; split it off and name it apart")


def test_entries_that_share_one_stream_are_paid_for(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "BYTES_FREE", 1 << 25)
    monkeypatch.setattr(streams, "BYTES_A_BYTE", 100)
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    content = stream.compress(bytes(1 << 20)) + stream.flush()
    crc, many = zlib.crc32(bytes(1 << 20)), 3000
    local = b"PK\3\4" + struct.pack("<HHHHHLLLHH", 20, 0, 8, 0, 33, crc, len(content), 1 << 20, 7, 0)
    body = local + b"A/x.png" + content
    directory = b"".join(
        CENTRAL
        + struct.pack(
            "<HHHHHHLLLHHHHHLL", 20, 20, 0, 8, 0, 33, crc, len(content), 1 << 20, 10, 0, 0, 0, 0, 0, 0
        )
        + b"A/%04d.png" % k
        for k in range(many)
    )
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, many, many, len(directory), len(body), 0)
    path = written(tmp_path / "x.zip", body + directory + end)
    with pytest.raises(SourceUnreadable) as error:
        read(path)
    size = path.stat().st_size
    assert f"holds more than {1 << 25:,} bytes once unpacked, in {size:,} bytes" in str(error.value)


def test_a_directory_that_makes_no_sense(tmp_path):
    data = bytearray(packed([("A/x.png", b"1"), ("A/y.png", b"2")]))
    second = data.index(CENTRAL, data.index(CENTRAL) + 1)
    data[second : second + 4] = b"junk"
    with pytest.raises(SourceUnreadable, match="makes no sense after 1 entries"):
        read(written(tmp_path / "x.zip", data))


def test_what_is_packed_twice_says_so(tmp_path):
    path = written(tmp_path / "x.zip.gz", gzip.compress(packed([("A/x.png", b"1")])))
    with pytest.raises(SourceUnreadable, match="packed twice, with zip and then with gzip; unpack it once"):
        find_source(path)


@pytest.mark.skipif(sys.platform == "win32", reason="needs zip")
def test_a_zip_of_the_zip_program_with_links(tmp_path):
    folder = tmp_path / "A"
    folder.mkdir()
    (folder / "x.png").write_bytes(b"1")
    (folder / "y.png").symlink_to("x.png")
    try:
        subprocess.run(["zip", "-qry", "x.zip", "A"], cwd=tmp_path, check=True)
    except FileNotFoundError:
        pytest.skip("no zip program")
    images, _, remarks = read(tmp_path / "x.zip")
    assert images == {"A/x.png": b"1", "A/y.png": b"1"}
    assert remarks.linked == 1
