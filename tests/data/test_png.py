import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bayesight.data.png import HEADER_BYTES, damage, inflate, layout, unfilter


def decoded(blobs):
    shape = layout(blobs[0][:HEADER_BYTES])
    rows = inflate(blobs, blobs[0][:HEADER_BYTES], shape)
    assert all(row is not None for row in rows)
    raw = np.frombuffer(b"".join(rows), np.uint8).reshape(len(blobs), shape.height, -1)
    pixels, valid = unfilter(raw, shape.channels)
    assert valid.all()
    tail = (shape.width,) if shape.channels == 1 else (shape.width, 3)
    return pixels.reshape(len(blobs), shape.height, *tail)


def by_pillow(blobs):
    return np.stack([np.asarray(Image.open(io.BytesIO(blob))) for blob in blobs])


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_every_mix_of_filters_agrees_with_pillow(make, data):
    height, width = data.draw(st.integers(1, 7)), data.draw(st.integers(1, 7))
    colour = data.draw(st.booleans())
    spread = data.draw(st.sampled_from([2, 17, 256]))
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    blobs, originals = [], []
    for _ in range(data.draw(st.integers(1, 9))):
        pixels = generator.integers(0, spread, (height, width, 3) if colour else (height, width))
        pixels = (pixels * (255 // (spread - 1))).astype(np.uint8)
        originals.append(pixels)
        blobs.append(make.png(pixels, generator.integers(0, 5, height).tolist()))
    np.testing.assert_array_equal(decoded(blobs), np.stack(originals))
    np.testing.assert_array_equal(decoded(blobs), by_pillow(blobs))


@pytest.mark.parametrize("kind", range(5))
def test_each_filter_alone_in_every_row(make, kind):
    pixels = [make.picture(seed, 9, 8) for seed in range(70)]
    blobs = [make.png(p, [kind] * 9) for p in pixels]
    np.testing.assert_array_equal(decoded(blobs), np.stack(pixels))


def test_more_images_than_one_block_holds(make, monkeypatch):
    monkeypatch.setattr("bayesight.data.png._BLOCK_BYTES", 3000)
    pixels = [make.picture(seed, 9, 8, colour=True) for seed in range(23)]
    blobs = [make.png(p, np.random.default_rng(k).integers(0, 5, 9).tolist()) for k, p in enumerate(pixels)]
    np.testing.assert_array_equal(decoded(blobs), np.stack(pixels))


def test_paeth_over_every_triple_of_neighbours(make):
    values = np.array([0, 1, 2, 63, 64, 127, 128, 129, 191, 254, 255], np.uint8)
    corner, above, left = (v.ravel() for v in np.meshgrid(values, values, values))
    here = np.arange(len(corner), dtype=np.int64).astype(np.uint8)
    pictures = np.stack([np.stack([corner, above], 1), np.stack([left, here], 1)], 1)
    blobs = [make.png(p, [0, 4]) for p in pictures]
    np.testing.assert_array_equal(decoded(blobs), pictures)


def test_chunks_without_effect_and_data_in_pieces(make):
    pixels = make.picture(3)
    blob = make.png(pixels, before=[(b"gAMA", struct.pack(">I", 45455)), (b"tEXt", b"Title\0x")], pieces=3)
    np.testing.assert_array_equal(decoded([blob])[0], pixels)


@pytest.mark.parametrize(
    "before",
    [
        [(b"tRNS", b"\0\7")],
        [(b"eXIf", b"MM\0*\0\0\0\x08\0\0")],
        [(b"tEXt", b"Raw profile type exif\0x")],
        [(b"acTL", bytes(8))],
        [(b"ABCD", b"")],
    ],
)
def test_what_could_change_the_pixels_is_left_to_pillow(make, before):
    blob = make.png(make.picture(3), before=before)
    assert inflate([blob], blob[:HEADER_BYTES], layout(blob)) == [None]


def test_doubtful_data_is_left_to_pillow(make):
    good = make.png(make.picture(3))
    header = good[:HEADER_BYTES]
    wrong_sum = bytearray(good)
    wrong_sum[-13] ^= 1
    no_end = good[:-12]
    cut = good[:-20]
    data = bytearray(zlib.compress(bytes(6 * 6)))
    data[-1] ^= 1  # of its Adler-32, while the checksum of the chunk holds
    wrong_adler = header + make.chunk(b"IDAT", bytes(data)) + make.chunk(b"IEND", b"")
    too_short = header + make.chunk(b"IDAT", zlib.compress(bytes(6 * 6 - 1))) + make.chunk(b"IEND", b"")
    apart = make.png(make.picture(3), pieces=2)
    at = apart.rindex(b"IDAT") - 4
    apart = apart[:at] + make.chunk(b"tEXt", b"a\0b") + apart[at:]
    blobs = [bytes(wrong_sum), no_end, cut, wrong_adler, too_short, apart, b"", good]
    assert [row is not None for row in inflate(blobs, header, layout(header))] == [False] * 7 + [True]


def test_a_bomb_is_not_inflated(make):
    small = make.png(np.zeros((4, 4), np.uint8))
    huge = zlib.compress(bytes(200_000_000), 9)
    bomb = small[:HEADER_BYTES] + make.chunk(b"IDAT", huge) + make.chunk(b"IEND", b"")
    assert inflate([bomb], bomb[:HEADER_BYTES], layout(bomb)) == [None]


def test_a_filter_that_does_not_exist_is_reported():
    raw = np.full((3, 2, 4), 1, np.uint8)
    raw[1, 1, 0] = 5
    pixels, valid = unfilter(raw, 1)
    assert valid.tolist() == [True, False, True]
    assert pixels[[0, 2]].tolist() == [[[1, 2, 3], [1, 2, 3]]] * 2


def test_layouts():
    def header(*fields, kind=b"IHDR"):
        content = struct.pack(">IIBBBBB", *fields)
        body = kind + content
        return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))

    grey, colour = layout(header(5, 7, 8, 0, 0, 0, 0)), layout(header(5, 7, 8, 2, 0, 0, 0))
    assert (grey.height, grey.width, grey.channels, grey.raw_bytes) == (7, 5, 1, 42)
    assert (colour.channels, colour.raw_bytes) == (3, 7 * 16)
    for other in [
        (5, 7, 16, 0, 0, 0, 0),
        (5, 7, 8, 3, 0, 0, 0),
        (5, 7, 8, 0, 0, 0, 1),
        (0, 7, 8, 0, 0, 0, 0),
    ]:
        assert layout(header(*other)).channels == 0
    assert layout(header(5, 7, 8, 0, 0, 0, 0, kind=b"JHDR")) is None
    assert layout(header(5, 7, 8, 0, 0, 0, 0)[:-1] + b"\0").channels == 0  # its checksum is wrong


def test_damage_names_the_chunk(make):
    good = make.png(make.picture(1))
    assert damage(good) is None
    for kind, offset in ((b"IHDR", 5), (b"IDAT", 8)):
        bad = bytearray(good)
        bad[good.index(kind) + offset] ^= 0x10
        assert kind.decode() in damage(bytes(bad))
    assert damage(good + b"whatever follows the end") is None
