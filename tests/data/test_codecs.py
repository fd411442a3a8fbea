from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from bayesight.data.codecs import (
    HEADER_BYTES,
    damage,
    inflate,
    jpeg_layout,
    jpeg_pixels,
    layout,
    png_of,
    quick_png,
    unfilter,
)
from bayesight.data.decode import decode, native_frames
from bayesight.frame import Frame


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
    monkeypatch.setattr("bayesight.data.codecs._BLOCK_BYTES", 3000)
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


def one_by_pillow(blob):
    """The pixels Pillow finds, turned as the camera noted; None where it finds none."""
    try:
        return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(blob))))
    except (OSError, SyntaxError):
        return None


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_jpegs_of_every_kind_agree_with_pillow(make, data):
    height, width, seed = (data.draw(st.integers(1, most)) for most in (40, 40, 2**32))
    options = {"quality": data.draw(st.integers(5, 98)), "progressive": data.draw(st.booleans())}
    colour = data.draw(st.booleans())
    if colour and data.draw(st.booleans()):
        options["subsampling"] = data.draw(st.integers(0, 2))
    orientation = data.draw(st.sampled_from([1, 1, 1, 3, 6, 8]))
    if orientation != 1:
        options["exif"] = turned(orientation)
    blob = make.encoded(make.picture(seed, height, width, colour), "JPEG", **options)
    frame = Frame(height, width, "RGB" if colour else "L")
    frame = frame.lying() if orientation >= 5 else frame
    assert native_frames([blob]) == [frame]
    batch = decode([blob], frame)
    np.testing.assert_array_equal(batch.images[0], one_by_pillow(blob))
    assert batch.treatment.turned == (orientation != 1)


@settings(deadline=None, max_examples=200)
@given(seed=st.integers(0, 99), at=st.integers(0, 700), bit=st.integers(0, 7), cut=st.booleans())
def test_damaged_jpegs_are_taken_as_pillow_takes_them(make, seed, at, bit, cut):
    blob = bytearray(make.encoded(make.picture(seed, 16, 16, True), "JPEG"))
    at %= len(blob)
    if cut:
        del blob[at:]
    else:
        blob[at] ^= 1 << bit
    expected, batch = one_by_pillow(bytes(blob)), decode([bytes(blob)], Frame(16, 16, "RGB"))
    if expected is None:
        assert len(batch.refused) == 1
    elif expected.shape == (16, 16, 3):  # else the header was changed, and the image is made to fit
        np.testing.assert_array_equal(batch.images[0], expected)


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_reduced_sizes_are_those_of_pillow(make, scale, mode):
    blob = make.encoded(make.picture(1, 301, 403, mode == "RGB"), "JPEG")
    drafted = Image.open(io.BytesIO(blob))
    drafted.draft(None, (403 // scale, 301 // scale))
    width, height = drafted.size
    np.testing.assert_array_equal(jpeg_pixels(blob, mode, height, width), np.asarray(drafted))
    assert jpeg_pixels(blob, mode, height + 1, width) is None


def test_what_is_in_doubt_is_left_to_pillow(make):
    pixels = make.picture(1, 16, 16, True)
    plain = make.encoded(pixels, "JPEG")
    assert jpeg_layout(plain) == (16, 16, "RGB")
    assert jpeg_layout(make.encoded(pixels, "JPEG", exif=turned(6))) is None
    note = b"\xff\xe1" + struct.pack(">H", 40) + b"http://ns.adobe.com/xap/1.0/\0".ljust(38)
    comment = b"\xff\xfe" + struct.pack(">H", 6) + b"\xff\xda.."  # like the mark at which the pixels begin
    assert jpeg_layout(plain[:2] + comment + note + plain[2:]) is None
    assert jpeg_layout(plain[:2] + comment + plain[2:] + note) == (16, 16, "RGB")
    assert jpeg_layout(plain[:2] + b"\xff" + note + plain[2:]) is None  # filled with a byte, as it may be
    assert jpeg_layout(make.encoded(Image.fromarray(pixels).convert("CMYK"), "JPEG")) is None
    assert jpeg_layout(make.encoded(pixels, "JPEG", keep_rgb=True)) is None
    assert jpeg_layout(b"") is jpeg_layout(plain[:20]) is jpeg_layout(make.encoded(pixels)) is None
    assert jpeg_pixels(plain[:-2], "RGB", 16, 16) is None
    assert jpeg_pixels(plain[:400], "RGB", 16, 16) is None
    assert jpeg_pixels(plain, "L", 16, 16) is None


def drawn(shape):
    return np.random.default_rng(5).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (28, 28), (9, 4, 3)])
def test_pixels_come_back(shape, small):
    pixels = drawn(shape)
    for image in (pixels, np.asfortranarray(pixels), Image.fromarray(pixels)):
        made = png_of(image, small=small)
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(made))), pixels)
    assert made == png_of(pixels.copy(), small=small)


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (9, 4, 3)])
def test_the_quick_writer_says_the_same(shape):
    pixels = drawn(shape)
    channels_first = torch.from_numpy(pixels.reshape(*shape[:2], -1).transpose(2, 0, 1).copy())
    read = Image.open(io.BytesIO(quick_png(channels_first)))
    read.verify()
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(quick_png(channels_first)))), pixels)
