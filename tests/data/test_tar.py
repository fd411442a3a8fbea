import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.data.members import Remarks
from bayesight.data.tar import checksum_holds, walk
from bayesight.errors import SourceUnreadable

LIMIT = 1 << 20


def pieces(data, size):
    return [data[at : at + size] for at in range(0, len(data), size)]


def packed(members, kind):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind, encoding="utf-8") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


names = st.text(st.characters(codec="utf-8", exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1)
paths = st.lists(names, min_size=1, max_size=4).map(lambda parts: "/".join(p[:90] for p in parts))


@settings(deadline=None, max_examples=60)
@given(
    members=st.lists(st.tuples(paths, st.binary(max_size=1500)), min_size=1, max_size=6),
    kind=st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
    size=st.sampled_from([1, 511, 512, 700, 100_000]),
)
def test_agrees_with_tarfile(members, kind, size):
    found = list(walk(pieces(packed(members, kind), size), LIMIT, "x.tar"))
    assert found == [(n.encode(), None, len(c), c) for n, c in members if not n.endswith("/")]


def test_long_names_in_every_format():
    name = "/".join(["folder" * 10] * 3) + "/image.png"
    for kind in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT):
        data = packed([(name, b"one"), ("short", b"two")], kind)
        assert [(m[0].decode(), m[3]) for m in walk([data], LIMIT, "x")] == [
            (name, b"one"),
            ("short", b"two"),
        ]


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_sizes_beyond_eight_gib_are_read(kind):
    info = tarfile.TarInfo("A/big.png")
    info.size = 9 << 30
    header = info.tobuf(kind)
    with pytest.raises(SourceUnreadable, match="cut off"):  # and not at a header that is none
        list(walk([header, bytes(4096)], LIMIT, "x.tar"))


def test_a_member_over_the_limit_is_passed_over_without_being_kept():
    data = packed([("big", bytes(5000)), ("small", b"s")], tarfile.GNU_FORMAT)
    assert list(walk(pieces(data, 600), 4999, "x")) == [(b"big", None, 5000, None), (b"small", None, 1, b"s")]


def test_what_is_no_regular_file_is_named():
    buffer = io.BytesIO()
    kinds = {
        tarfile.SYMTYPE: "a symbolic link",
        tarfile.LNKTYPE: "a hard link",
        tarfile.FIFOTYPE: "a named pipe",
        tarfile.CHRTYPE: "a character device",
        tarfile.BLKTYPE: "a block device",
        tarfile.DIRTYPE: "a folder",
    }
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for kind in kinds:
            info = tarfile.TarInfo("A/x.png")
            info.type, info.linkname = kind, "elsewhere"
            archive.addfile(info)
        info = tarfile.TarInfo("A/y.png")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
    found = list(walk([buffer.getvalue()], LIMIT, "x"))
    assert [m[1] for m in found] == [*kinds.values(), None]
    assert found[-1][3] == b"abc"


def test_names_that_are_not_utf8_are_kept_as_bytes():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT, encoding="latin-1") as archive:
        archive.addfile(tarfile.TarInfo("A/caf\xe9.png"))
    assert next(walk([buffer.getvalue()], LIMIT, "x"))[0] == b"A/caf\xe9.png"


def test_checksums_of_real_headers_hold_and_others_do_not():
    header = tarfile.TarInfo("A/x.png").tobuf()[:512]
    assert checksum_holds(header)
    for at in range(0, 512, 7):
        if not 148 <= at < 156:
            bad = bytearray(header)
            bad[at] ^= 0x21
            assert not checksum_holds(bytes(bad))
    full = bytearray(b"\xff" * 512)  # the largest sum, beyond Adler-32's modulus
    full[148:156] = b"%06o\0 " % (504 * 255 + 8 * 32)
    assert checksum_holds(bytes(full))
    full[148:156] = b"%06o\0 " % (8 * 32 - 504 + 0o1000000 if False else 504 * 255 + 8 * 32 + 1)
    assert not checksum_holds(bytes(full))


def test_checksums_over_signed_bytes_are_accepted():
    header = bytearray(tarfile.TarInfo("x").tobuf()[:512])
    header[0:3] = b"\xe9\xe8\xe7"
    rest = bytes(header[:148] + header[156:])
    header[148:156] = b"%06o\0 " % (sum(b - 256 * (b > 127) for b in rest) + 256)
    assert checksum_holds(bytes(header))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><title>404</title>", "begins with b'<!DOCTYPE"),
        (b"just text " * 200, "neither a tar archive nor IDX"),
    ],
)
def test_what_is_no_tar_says_so(data, expected):
    with pytest.raises(SourceUnreadable, match=r"x.tar") as error:
        list(walk([data], LIMIT, "x.tar"))
    assert expected in str(error.value)


def test_cut_off_at_any_point():
    data = packed([("A/1.png", bytes(700)), ("A/2.png", bytes(10))], tarfile.USTAR_FORMAT)
    for end in (100, 512, 1000, 512 + 1023, 512 + 1024 + 200, 512 + 1024 + 512 + 511):
        with pytest.raises(SourceUnreadable, match=r"cut off|begins with"):
            list(walk([data[:end]], LIMIT, "x.tar"))


def test_a_damaged_header_is_not_taken_for_the_end():
    data = bytearray(packed([("A/1.png", bytes(700)), ("A/2.png", bytes(10))], tarfile.USTAR_FORMAT))
    data[512 + 1024 + 5] ^= 0xFF
    with pytest.raises(
        SourceUnreadable, match=r"damaged: no valid tar header at byte 1,536, after 1 members"
    ):
        list(walk(pieces(bytes(data), 333), LIMIT, "x.tar"))


def test_negative_and_absurd_sizes_are_refused():
    for field in (b"-0000000001\0", b"\xff" * 12, b"zzzzzzzzzzz\0"):
        header = bytearray(tarfile.TarInfo("x").tobuf()[:512])
        header[124:136] = field
        header[148:156] = b"        "
        header[148:156] = b"%06o\0 " % sum(header)
        with pytest.raises(SourceUnreadable):
            list(walk([bytes(header), bytes(2048)], LIMIT, "x.tar"))


@pytest.mark.parametrize("size", [1, 511, 512, 100_000])
@pytest.mark.parametrize("between", [0, 512, 9000, 1 << 20])
def test_archives_joined_to_one_are_all_read(size, between):
    first = packed([("A/1.png", b"one")], tarfile.GNU_FORMAT) + bytes(between)
    second = packed([("B/2.png", b"two")], tarfile.PAX_FORMAT)
    if size == 1 and between > 9000:
        pytest.skip("slow, and the same")
    remarks = Remarks()
    found = list(walk(pieces(first + second, size), LIMIT, "x", remarks))
    assert [(m[0], m[3]) for m in found] == [(b"A/1.png", b"one"), (b"B/2.png", b"two")]
    assert (remarks.archives, remarks.unmarked, remarks.after) == (2, False, 0)


@pytest.mark.parametrize("size", [7, 512, 100_000])
def test_an_end_without_its_marker_is_said(size):
    data = packed([("A/1.png", b"one"), ("A/2.png", bytes(700))], tarfile.USTAR_FORMAT)[: 512 * 5]
    remarks = Remarks()
    assert [m[0] for m in walk(pieces(data, size), LIMIT, "x", remarks)] == [b"A/1.png", b"A/2.png"]
    assert remarks.unmarked
    assert "ends between two members without its end marker" in remarks.sentences()[0]


@pytest.mark.parametrize("size", [7, 512, 100_000])
def test_bytes_behind_the_end_are_counted(size):
    data = packed([("A/1.png", b"one")], tarfile.USTAR_FORMAT)
    remarks = Remarks()
    assert len(list(walk(pieces(data + b"\x1f\x8b\x08" + bytes(997), size), LIMIT, "x", remarks))) == 1
    assert (remarks.archives, remarks.after, remarks.after_kind) == (1, 1000, "gzip")


def test_names_in_a_stated_encoding_and_those_of_pax():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT, encoding="cp949") as archive:
        archive.addfile(tarfile.TarInfo("고양이/사진.png"))
        archive.addfile(tarfile.TarInfo("고양이/" + "사진" * 60 + ".png"))
    data = buffer.getvalue()[: 512 * 4] + packed([("猫.png", b"")], tarfile.PAX_FORMAT)
    found = walk([data], LIMIT, "x", None, lambda name: name.decode("cp949").encode())
    assert [m[0].decode() for m in found] == ["고양이/사진.png", "고양이/" + "사진" * 60 + ".png", "猫.png"]
