import bz2
import gzip
import lzma
import threading
import zlib

import numpy as np
import pytest

from bayesight.data.streams import CHUNK_BYTES, ByteStream, compression_of
from bayesight.errors import SourceUnreadable

PACK = {
    "gzip": lambda data: gzip.compress(data, 1),
    "bzip2": lambda data: bz2.compress(data, 1),
    "xz": lambda data: lzma.compress(data, preset=0),
}
TEXT = np.random.default_rng(0).integers(0, 256, 60_000, dtype=np.uint8).tobytes() * 40 + b"end"


def readers():
    return [t for t in threading.enumerate() if t.name == "bayesight-inflate"]


@pytest.mark.parametrize("kind", PACK)
def test_inflates_what_the_standard_library_packed(tmp_path, kind):
    path = tmp_path / "x"
    path.write_bytes(PACK[kind](TEXT))
    assert compression_of(path.read_bytes()) == kind
    with ByteStream(path) as stream:
        chunks = list(stream)
        assert (stream.taken, stream.given, stream.fraction) == (path.stat().st_size, len(TEXT), 1.0)
    assert b"".join(chunks) == TEXT
    assert max(map(len, chunks)) <= CHUNK_BYTES


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize("after", [b"", b"\0" * 700, b"trailing words"])
def test_several_members_are_one_stream(tmp_path, kind, after):
    path = tmp_path / "x"
    path.write_bytes(PACK[kind](TEXT[:1000]) + PACK[kind](b"") + PACK[kind](TEXT[1000:5000]) + after)
    with ByteStream(path) as stream:
        assert b"".join(stream) == TEXT[:5000]
        assert (stream.after, stream.after_start) == (len(after.strip(b"\0")), after.strip(b"\0"))


def test_members_of_several_kinds_are_one_stream(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"".join(pack(kind.encode()) for kind, pack in PACK.items()))
    with ByteStream(path) as stream:
        assert b"".join(stream) == b"gzipbzip2xz"


def test_xz_that_takes_too_much_memory_says_so(tmp_path):
    packer = lzma.LZMACompressor(filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 12}])
    whole = bytearray(packer.compress(b"x" * 100) + packer.flush())
    at = whole.index(b"\x21\x01") + 2  # the size of the dictionary, in the header of the first block
    whole[at] = 36
    header = whole[12 : 12 + (whole[12] + 1) * 4 - 4]
    whole[12 + len(header) : 16 + len(header)] = zlib.crc32(bytes(header)).to_bytes(4, "little")
    (tmp_path / "x").write_bytes(whole)
    with ByteStream(tmp_path / "x") as stream, pytest.raises(SourceUnreadable, match="xz -9"):
        list(stream)


@pytest.mark.parametrize("kind", PACK)
def test_cut_off_says_how_much_was_read(tmp_path, kind):
    whole = PACK[kind](TEXT)
    path = tmp_path / "x"
    for end in (len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:end])
        with ByteStream(path) as stream, pytest.raises(SourceUnreadable) as error:
            list(stream)
        assert f"{end:,} bytes" in str(error.value)
        assert "download is probably incomplete" in str(error.value)
    assert not readers()


def test_damage_is_named(tmp_path):
    whole = bytearray(PACK["gzip"](TEXT))
    whole[len(whole) // 2] ^= 0xFF
    (tmp_path / "x").write_bytes(whole)
    with ByteStream(tmp_path / "x") as stream, pytest.raises(SourceUnreadable, match="damaged"):
        list(stream)


def test_a_wrong_checksum_is_damage(tmp_path):
    whole = bytearray(gzip.compress(b"hello" * 100))
    whole[-8] ^= 1
    (tmp_path / "x").write_bytes(whole)
    with ByteStream(tmp_path / "x") as stream, pytest.raises(SourceUnreadable, match="damaged"):
        list(stream)


def test_leaving_early_stops_the_reader(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(gzip.compress(bytes(20 * CHUNK_BYTES), 1))
    with ByteStream(path) as stream:
        next(stream)
        assert readers()
    assert not readers()


def test_plain_bytes_need_no_thread(tmp_path):
    (tmp_path / "x").write_bytes(TEXT)
    with ByteStream(tmp_path / "x") as stream:
        assert not readers()
        assert b"".join(stream) == TEXT
    (tmp_path / "empty").write_bytes(b"")
    with ByteStream(tmp_path / "empty") as stream:
        assert list(stream) == []
        assert stream.fraction == 1.0


def test_a_file_that_cannot_be_opened(tmp_path):
    with pytest.raises(SourceUnreadable, match="cannot be read"):
        ByteStream(tmp_path)
