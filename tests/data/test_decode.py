import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from bayesight.data.decode import PIXEL_LIMIT, Frame, decode, native_frames, refit

GREY = Frame(6, 5, "L")
COLOUR = Frame(6, 5, "RGB")


def one(blob, frame=GREY, **fit):
    batch = decode([blob], frame, **fit)
    assert batch.refused == (), batch.refused
    return batch.images[0]


def reason(blob, frame=GREY):
    batch = decode([blob], frame)
    assert len(batch.images) == len(batch.kept) == 0
    return batch.refused[0][1]


@pytest.mark.parametrize("colour", [False, True])
def test_a_batch_agrees_with_pillow_on_every_image(make, colour):
    blobs = [make.encoded(make.picture(s, colour=colour), optimize=s % 2 == 0) for s in range(150)]
    batch = decode(blobs, COLOUR if colour else GREY, fit_size=False, fit_mode=False)
    expected = np.stack([np.asarray(Image.open(io.BytesIO(b))) for b in blobs])
    np.testing.assert_array_equal(batch.images, expected)
    assert batch.kept.tolist() == list(range(150))


def test_broken_ones_in_a_batch_do_not_shift_the_others(make):
    blobs = [make.encoded(make.picture(s)) for s in range(100)]
    pixels = [make.picture(s) for s in range(100)]
    blobs[3], blobs[50], blobs[99] = b"", b"hello, I am text", blobs[99][:-30]
    batch = decode(blobs, GREY)
    kept = [k for k in range(100) if k not in (3, 50, 99)]
    assert batch.kept.tolist() == kept
    np.testing.assert_array_equal(batch.images, np.stack([pixels[k] for k in kept]))
    assert batch.refused == (
        (3, "zero bytes"),
        (50, "not an image (begins with b'hello, I am ')"),
        (99, "cut off"),
    )


def test_a_batch_of_which_nothing_can_be_read(make):
    blobs = [make.encoded(make.picture(s))[:-30] for s in range(100)]
    batch = decode(blobs, GREY)
    assert batch.images.shape == (0, 6, 5)
    assert batch.refused == tuple((k, "cut off") for k in range(100))


@pytest.mark.parametrize("many", [1, 100])
def test_a_flipped_bit_is_noticed_in_large_batches_as_in_small_ones(make, many):
    blobs = [make.encoded(make.picture(s)) for s in range(many)]
    bad = bytearray(blobs[0])
    bad[50] ^= 4
    blobs[0] = bytes(bad)
    assert decode(blobs, GREY).refused == ((0, "damaged: the checksum of chunk IDAT is wrong"),)


def test_sixteen_bits_lose_their_low_byte(make):
    values = np.random.default_rng(0).integers(0, 1 << 16, (6, 5)).astype(np.uint16)
    expected = (values >> 8).astype(np.uint8)
    np.testing.assert_array_equal(one(make.encoded(Image.fromarray(values))), expected)
    tiff = make.encoded(Image.fromarray(values), "TIFF")
    np.testing.assert_array_equal(one(tiff), expected)
    pgm = b"P5 5 6 65535\n" + values.astype(">u2").tobytes()
    np.testing.assert_array_equal(one(pgm), expected)


def test_transparency_is_laid_over_white(make):
    rgba = np.random.default_rng(1).integers(0, 256, (6, 5, 4), dtype=np.uint8)
    rgba[0, 0], rgba[0, 1] = (10, 20, 30, 0), (10, 20, 30, 255)
    alpha = rgba[:, :, 3:] / 255
    expected = rgba[:, :, :3] * alpha + 255 * (1 - alpha)
    result = one(make.encoded(rgba), COLOUR, fit_mode=False)
    assert result[0, 0].tolist() == [255, 255, 255]
    assert result[0, 1].tolist() == [10, 20, 30]
    np.testing.assert_allclose(result, expected, atol=1)
    grey_alpha = Image.fromarray(rgba[:, :, 0]).convert("LA")
    grey_alpha.putalpha(Image.fromarray(rgba[:, :, 3]))
    np.testing.assert_allclose(one(make.encoded(grey_alpha), fit_mode=False), expected[:, :, 0], atol=1)


def test_a_transparent_grey_level_is_laid_over_white(make):
    pixels = make.picture(2)
    pixels[2, 2] = 77
    blob = make.png(pixels, before=[(b"tRNS", struct.pack(">H", 77))])
    expected = np.where(pixels == 77, 255, pixels)
    np.testing.assert_array_equal(one(blob, fit_mode=False), expected)


def test_palettes_are_grey_or_colour_as_their_entries_are(make):
    indices = Image.fromarray(make.picture(3) % 4).convert("P")
    indices.putpalette([0, 0, 0, 50, 50, 50, 90, 90, 90, 255, 255, 255])
    blob = make.encoded(indices)
    assert native_frames([blob]) == [GREY]
    expected = np.array([0, 50, 90, 255], np.uint8)[make.picture(3) % 4]
    np.testing.assert_array_equal(one(blob, fit_mode=False), expected)
    indices.putpalette([0, 0, 0, 50, 60, 50, 90, 90, 90, 255, 255, 255])
    assert native_frames([make.encoded(indices)]) == [COLOUR]


@pytest.mark.parametrize("kind", ["BMP", "GIF", "TIFF", "PPM", "WEBP", "PNG"])
def test_lossless_formats_give_their_pixels(make, kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    pixels = make.picture(4)
    frame = COLOUR if kind == "WEBP" else GREY  # WebP knows no grey
    result = one(make.encoded(pixels, kind, **options), frame, fit_size=False, fit_mode=False)
    np.testing.assert_array_equal(result if kind != "WEBP" else result[..., 0], pixels)


def test_interlaced_and_one_bit(make):
    bits = make.picture(5) > 127
    np.testing.assert_array_equal(one(make.encoded(Image.fromarray(bits))), bits * np.uint8(255))


def test_cmyk_and_rotated_photos(make):
    colours = Image.fromarray(make.picture(6, colour=True))
    cmyk = make.encoded(colours.convert("CMYK"), "TIFF")
    np.testing.assert_array_equal(one(cmyk, COLOUR), np.asarray(colours.convert("CMYK").convert("RGB")))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to see it upright
    lying = make.encoded(make.picture(7), "PNG", exif=exif)
    assert native_frames([lying]) == [Frame(5, 6, "L")]
    upright = one(lying, Frame(5, 6, "L"), fit_size=False)
    np.testing.assert_array_equal(upright, np.rot90(make.picture(7), -1))


def test_misfits_are_named_unless_they_are_to_fit(make):
    blobs = [
        make.encoded(make.picture(0)),
        make.encoded(make.picture(1, 9, 9)),
        make.encoded(make.picture(2, colour=True)),
    ]
    assert decode(blobs, GREY, fit_size=False, fit_mode=False).misfits == (1, 2)
    assert decode(blobs, GREY, fit_size=True, fit_mode=False).misfits == (2,)
    assert decode(blobs, GREY, fit_size=False, fit_mode=True).misfits == (1,)
    assert decode(blobs, GREY).images.shape == (3, 6, 5)


def test_scaling_covers_the_frame_and_keeps_the_centre():
    wide = np.zeros((10, 30), np.uint8)
    wide[:, 10:20] = 200
    assert (refit(wide[None], Frame(10, 10, "L")) == 200).all()
    assert (refit(wide[None], Frame(5, 5, "RGB"))[0, :, 1:4] == 200).all()


def png_of(width, height):
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    data = b"IDAT" + zlib.compress(bytes(1000))
    return start + struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))


@pytest.mark.parametrize(
    ("blob", "expected"),
    [
        (b"", "zero bytes"),
        (b"hello", "not an image (begins with b'hello')"),
        (png_of(60_000, 60_000), f"60000x60000 pixels, over the limit of {PIXEL_LIMIT:,}"),
        (png_of(9_000, 10_000), f"10000x9000 pixels, over the limit of {PIXEL_LIMIT:,}"),
        (
            b"BM" + bytes(12) + struct.pack("<IiiHHIIiiII", 40, 50_000, 50_000, 1, 8, 0, 0, 0, 0, 0, 0),
            "more pixels",
        ),
        (b"P5 9999 9999 255\n" + bytes(10), "9999x9999 pixels"),
        (b"\x89PNG\r\n\x1a\n", "cut off or damaged"),
        (b"GIF89a", "damaged"),
    ],
)
def test_what_is_no_image_is_refused_in_plain_words(blob, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert expected in reason(blob)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "GIF", "WEBP"])
def test_cut_off_anywhere_never_raises(make, kind):
    blob = make.encoded(make.picture(8, 20, 20), kind)
    cuts = [blob[:n] for n in range(0, len(blob), max(1, len(blob) // 40))]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batch = decode(cuts, Frame(20, 20, "L"))
    assert len(batch.refused) + len(batch.kept) == len(cuts)
    assert batch.refused[0] == (0, "zero bytes")
    assert len(batch.refused) >= len(cuts) // 2
    assert not any("\n" in text for _, text in batch.refused)


def test_random_bytes_after_a_true_start_never_raise():
    generator = np.random.default_rng(9)
    starts = [
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"GIF89a",
        b"BM",
        b"II*\0",
        b"MM\0*",
        b"P6 ",
        b"RIFF....WEBP",
    ]
    blobs = [s + generator.integers(0, 256, 60, dtype=np.uint8).tobytes() for s in starts for _ in range(20)]
    batch = decode(blobs, GREY)
    assert len(batch.refused) == len(blobs)


def test_floats_have_no_known_range(make):
    blob = make.encoded(Image.fromarray(np.ones((6, 5), np.float32)), "TIFF")
    assert "range is not known" in reason(blob)
    blob = make.encoded(Image.fromarray(np.full((6, 5), 1 << 20, np.int32)), "TIFF")
    assert "range is not known" in reason(blob)


def test_native_frames_of_a_mixture(make):
    blobs = [make.encoded(make.picture(0)), b"", make.encoded(make.picture(1, 3, 4, True), "JPEG"), b"text"]
    assert native_frames(blobs) == [GREY, None, Frame(3, 4, "RGB"), None]
