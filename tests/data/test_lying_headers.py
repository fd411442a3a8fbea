"""Whatever a container's header claims: one sentence, or entries left out, never another error."""

import bz2
import gzip
import io
import struct
import tarfile
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bayesight.data import streams
from bayesight.data.archives import batches
from bayesight.data.decode import decode, native_frames, survey
from bayesight.data.idx import idx_batches
from bayesight.data.sources import find_source
from bayesight.data.store import open_store
from bayesight.data.unpacking import ReadAgain
from bayesight.errors import BayesightError, SourceUnreadable
from bayesight.frame import Frame

fuzz = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
IMAGE = b"\x89PNG\r\n\x1a\n" + bytes(30)
numbers = st.one_of(
    st.sampled_from([0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 2**31, 2**32 - 1, 2**63, 2**64 - 1]),
    st.integers(0, 2**64 - 1),
)


def read(path):
    """All members of a source; errors of our own are an answer."""
    try:
        source, plan = find_source(path), None
        for _ in range(2):
            try:
                return [image for batch in batches(source, plan=plan) for image in batch.paths]
            except ReadAgain as again:
                plan = again.plan
    except BayesightError as error:
        say_once(error, path)
    return []


def say_once(error, path):
    """A refusal is one sentence of moderate length that names the file."""
    assert str(path) in str(error)
    assert "\n" not in str(error)
    assert len(str(error)) < 1000


def zipped(method):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("A/x.png", IMAGE)
        archive.writestr("B/y.png", IMAGE * 3)
    return buffer.getvalue()


ZIPS = [zipped(method) for method in (0, 8, 12, 14)]
MARKS = {b"PK\3\4": 30, b"PK\1\2": 46, b"PK\5\6": 22}


@pytest.mark.fuzz
@fuzz
@given(
    kind=st.integers(0, 3),
    changes=st.lists(
        st.tuples(st.sampled_from(sorted(MARKS)), st.integers(4, 45), st.sampled_from([1, 2, 4]), numbers),
        min_size=1,
        max_size=4,
    ),
)
@example(kind=0, changes=[(b"PK\1\2", 6, 2, 255)])
@example(kind=3, changes=[(b"PK\1\2", 8, 2, 0x801), (b"PK\3\4", 26, 2, 0xFFFF)])
@example(kind=1, changes=[(b"PK\1\2", 28, 2, 0)])
@example(kind=1, changes=[(b"PK\5\6", 12, 4, 2**32 - 1), (b"PK\5\6", 16, 4, 2**32 - 1)])
def test_every_field_of_a_zip(tmp_path, kind, changes):
    data = bytearray(ZIPS[kind])
    for mark, at, size, value in changes:
        place = data.rfind(mark) + min(at, MARKS[mark] - size)
        data[place : place + size] = value.to_bytes(8, "little")[:size]
    (tmp_path / "x").write_bytes(data)
    assert len(read(tmp_path / "x")) <= 2


@pytest.mark.fuzz
@fuzz
@given(
    wide=st.lists(numbers, max_size=4),
    claimed=st.integers(0, 64),
    number=st.sampled_from([1, 0x7075, 0x5455]),
    full=st.integers(0, 7),
)
def test_every_extra_field_of_a_zip(tmp_path, wide, claimed, number, full):
    content = b"".join(value.to_bytes(8, "little") for value in wide)
    extra = struct.pack("<HH", number, claimed) + content
    crc, size = zlib.crc32(IMAGE), len(IMAGE)
    sizes = [0xFFFFFFFF if full & 1 << k else value for k, value in enumerate((size, size, 0))]
    local = (
        b"PK\3\4" + struct.pack("<HHHHHLLLHH", 45, 0, 0, 0, 33, crc, size, size, 7, 0) + b"A/x.png" + IMAGE
    )
    entry = struct.pack("<HHHHHHLLLHH", 45, 45, 0, 0, 0, 33, crc, sizes[0], sizes[1], 7, len(extra))
    entry = b"PK\1\2" + entry + bytes(10) + struct.pack("<L", sizes[2]) + b"A/x.png" + extra
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(entry), len(local), 0)
    (tmp_path / "x").write_bytes(local + entry + end)
    assert len(read(tmp_path / "x")) <= 1


def tarred(kind):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as archive:
        for name in ("A/x.png", "B/" + "long" * 20 + "/" + "long" * 20 + ".png", "C/z.png"):
            info = tarfile.TarInfo(name)
            info.size = len(IMAGE)
            if kind == tarfile.PAX_FORMAT:
                info.pax_headers = {"comment": "word", "size": str(len(IMAGE))}
            archive.addfile(info, io.BytesIO(IMAGE))
    return buffer.getvalue()


TARS = [tarred(kind) for kind in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)]
FIELDS = [
    (0, 100),
    (100, 8),
    (124, 12),
    (148, 8),
    (156, 1),
    (157, 100),
    (257, 8),
    (345, 155),
    (482, 1),
    (483, 12),
]


@pytest.mark.fuzz
@fuzz
@given(
    kind=st.integers(0, 2),
    block=st.integers(0, 12),
    field=st.sampled_from(FIELDS),
    value=st.one_of(
        st.binary(max_size=12),
        numbers.map(lambda n: b"\x80" + n.to_bytes(11, "big")),
        numbers.map(lambda n: b"%011o\0" % (n % 8**11)),
        st.sampled_from(
            [b"x", b"g", b"L", b"K", b"S", b"1", b"2", b"M", b"D", b"V", b"\xff" * 12, b"-1", b" 1_0"]
        ),
    ),
    mended=st.booleans(),
)
def test_every_field_of_a_tar(tmp_path, kind, block, field, value, mended):
    data = bytearray(TARS[kind])
    base = block * 512 % len(data)
    at, size = field
    data[base + at : base + at + size] = value.ljust(size, b"\0")[:size]
    if mended:
        data[base + 148 : base + 156] = b" " * 8
        data[base + 148 : base + 156] = b"%06o\0 " % sum(data[base : base + 512])
    (tmp_path / "x").write_bytes(data)
    assert len(read(tmp_path / "x")) <= 3


@pytest.mark.fuzz
@fuzz
@given(
    record=st.one_of(
        st.binary(max_size=40),
        st.tuples(
            st.integers(-5, 200),
            st.sampled_from(["size", "path", "linkpath", "GNU.sparse.map"]),
            st.text(max_size=8),
        ).map(lambda r: f"{r[0]} {r[1]}={r[2]}\n".encode("utf-8", "replace")),
        st.sampled_from(
            [b"9" * 5000 + b" path=x\n", b"5004 size=" + b"9" * 4990 + b"\n", b"11 size=-1\n", b" \n"]
        ),
    ),
    kind=st.sampled_from([b"x", b"g"]),
)
@example(record=b"9" * 5000 + b" path=x\n", kind=b"x")
def test_every_record_of_pax(tmp_path, record, kind):
    info = tarfile.TarInfo("pax")
    info.type, info.size = kind, len(record)
    data = info.tobuf(tarfile.USTAR_FORMAT) + record + bytes(-len(record) % 512) + TARS[0]
    (tmp_path / "x").write_bytes(data)
    assert len(read(tmp_path / "x")) <= 3


def test_many_short_records_of_pax_take_no_time(tmp_path):
    record = b"6 a=b\n" * 170_000
    info = tarfile.TarInfo("pax")
    info.type, info.size = b"x", len(record)
    data = info.tobuf(tarfile.USTAR_FORMAT) + record + bytes(-len(record) % 512) + TARS[0]
    (tmp_path / "x").write_bytes(data)
    assert len(read(tmp_path / "x")) == 3


@pytest.mark.fuzz
@fuzz
@given(
    magic=st.sampled_from([b"\0\0\x08\3", b"\0\0\x08\4", b"\0\0\x08\1", b"\0\0\x0d\3"]),
    sizes=st.lists(numbers.map(lambda n: n % 2**32), min_size=1, max_size=4),
    content=st.binary(max_size=60),
    packed=st.booleans(),
)
@example(magic=b"\0\0\x08\3", sizes=[2**32 - 1, 1, 1], content=b"", packed=True)
@example(magic=b"\0\0\x08\3", sizes=[2**32 - 1, 2**32 - 1, 2**32 - 1], content=b"", packed=False)
def test_every_size_of_idx(tmp_path, magic, sizes, content, packed):
    data = magic + b"".join(struct.pack(">L", size) for size in sizes) + content
    path = tmp_path / "x-images-idx3-ubyte"
    path.write_bytes(gzip.compress(data) if packed else data)
    try:
        found = list(idx_batches(path, None, 64_000_000))
        assert sum(len(batch.images) for batch in found) in (0, sizes[0])
    except SourceUnreadable as error:
        say_once(error, path)


@pytest.mark.fuzz
@fuzz
@given(
    width=numbers,
    height=numbers,
    tail=st.binary(min_size=5, max_size=5),
    raw=st.binary(max_size=64),
    sound=st.booleans(),
)
@example(width=2**31 - 1, height=2**31 - 1, tail=b"\x10\6\0\0\0", raw=b"", sound=True)
@example(width=7900, height=7900, tail=b"\x10\0\0\0\0", raw=b"", sound=True)
def test_every_field_of_a_png(width, height, tail, raw, sound):
    header = struct.pack(">LL", width % 2**32, height % 2**32) + tail
    chunk = b"IHDR" + header
    body = struct.pack(">L", 13) + chunk + struct.pack(">L", zlib.crc32(chunk) ^ (not sound))
    data = b"IDAT" + zlib.compress(raw)
    body += struct.pack(">L", len(data) - 4) + data + struct.pack(">L", zlib.crc32(data))
    blob = b"\x89PNG\r\n\x1a\n" + body + b"\0\0\0\0IEND\xaeB`\x82"
    native_frames([blob])
    survey([blob])
    found = decode([blob] * 3, Frame(4, 4, "L"))
    assert len(found.kept) + len(found.refused) == 3


def test_gigabytes_of_zeros_behind_the_end_are_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "BYTES_FREE", 1 << 24)
    zeros = bz2.compress(bytes(1 << 24), 9)
    path = tmp_path / "x.tar.bz2"
    path.write_bytes(bz2.compress(TARS[0]) + zeros * 20)
    with pytest.raises(SourceUnreadable, match=r"holds more than 16,777,216 bytes once unpacked, in \d"):
        read_all(path)


def read_all(path):
    return list(batches(find_source(path)))


def test_a_gzip_of_headers_only_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "MEMBERS_FREE", 1000)
    header = tarfile.TarInfo("A/x.txt").tobuf(tarfile.USTAR_FORMAT)
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(header * 3000))
    with pytest.raises(SourceUnreadable, match="holds more than 1,000 members in"):
        read_all(tmp_path / "x.tar.gz")


def test_images_survive_what_lies_beside_them(tmp_path, make):
    members = [*make.letters(top=""), ("A/bad.png", np.uint8(7).tobytes())]
    path = make.tar(tmp_path / "x.tar.gz", members)
    assert open_store(path, cache=tmp_path).manifest.counts == {"A": 4, "B": 4}
