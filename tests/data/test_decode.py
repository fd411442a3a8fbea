import io
import struct
import threading
import warnings
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from bayesight.data.codecs import jpeg_pixels
from bayesight.data.decode import decode, native_frames, refit, survey
from bayesight.data.formats import recognise
from bayesight.data.rasters import PIXEL_LIMIT
from bayesight.errors import SourceUnreadable
from bayesight.frame import EIGHT_BIT, Frame

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
    batch = decode(blobs, COLOUR if colour else GREY, strict=("size", "mode"))
    expected = np.stack([np.asarray(Image.open(io.BytesIO(b))) for b in blobs])
    np.testing.assert_array_equal(batch.images, expected)
    assert batch.kept.tolist() == list(range(150))


KINDS = [(d, 0) for d in (1, 2, 4, 8)] + [(d, 3) for d in (1, 2, 4, 8)] + [(8, 2), (8, 4), (8, 6)]


def any_png(make, kind, height, width, *, interlaced, random):
    """A PNG of random bytes: of a depth and a colour type, under random filters."""
    depth, colour = kind
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    passes = (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    )
    raw = b""
    for left, top, across, down in passes if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        for _ in range(rows if columns > 0 else 0):
            raw += bytes([random.integers(0, 5)]) + random.bytes((columns * channels * depth + 7) // 8)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))]
    chunks += [(b"PLTE", random.bytes(3 << depth))] * (colour == 3)
    chunks += [(b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(make.chunk(*chunk) for chunk in chunks)


@settings(deadline=None, max_examples=150)
@given(
    kind=st.sampled_from(KINDS),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    interlaced=st.booleans(),
    many=st.sampled_from([1, 2, 20]),
    seed=st.integers(0, 2**32),
)
def test_pngs_of_every_kind_agree_with_pillow(make, kind, size, interlaced, many, seed):
    random = np.random.default_rng(seed)
    blobs = [any_png(make, kind, *size, interlaced=interlaced, random=random) for _ in range(many)]
    frame = Frame(*size, "L" if kind[1] in (0, 4) else "RGB")
    batch = decode(blobs, frame)
    assert batch.refused == ()
    for pixels, blob in zip(batch.images, blobs, strict=True):
        image = Image.open(io.BytesIO(blob)).convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image)
        np.testing.assert_array_equal(pixels, np.asarray(white.convert("RGB").convert(frame.mode)))


def test_large_files_are_decoded_by_several_threads_as_by_one(make, monkeypatch):
    kinds = ("PNG", "JPEG", "TIFF", "WEBP")
    blobs = [make.encoded(make.picture(k, 90 + k % 3, 120, True), kinds[k % 4]) for k in range(24)]
    blobs[5], blobs[6] = blobs[5][:-3000], b"words" * 9000
    answers = []
    for cores in (1, 4):
        monkeypatch.setattr("bayesight.cores.available_cores", lambda cores=cores: cores)
        spent, threads = [], set()

        def spend(pixels, spent=spent, threads=threads):
            spent.append(pixels)
            threads.add(threading.get_ident())

        batch = decode(blobs, Frame(90, 120, "RGB"), spend=spend)
        answers.append(
            (batch.images.tobytes(), batch.kept.tolist(), batch.refused, batch.treatment, sum(spent))
        )
        assert (len(threads) > 1) == (cores > 1)
    assert answers[0] == answers[1]
    assert answers[0][2] == ((5, "cut off"), (6, "not an image (begins with b'wordswordswo')"))


def test_a_budget_that_is_spent_ends_all_threads(make, monkeypatch):
    monkeypatch.setattr("bayesight.cores.available_cores", lambda: 4)

    def spend(pixels):
        raise SourceUnreadable("too many pixels")

    with pytest.raises(SourceUnreadable, match="too many pixels"):
        decode(
            [make.encoded(make.picture(k, 90, 120, True)) for k in range(9)],
            Frame(90, 120, "RGB"),
            spend=spend,
        )


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


def deep_tiff(values, order, packing):
    """A TIFF of 16-bit colours, plain (1) or deflated (8)."""
    height, width, channels = values.shape
    data = values.astype(f"{order}u2").tobytes()
    data = zlib.compress(data) if packing == 8 else data
    after = 8 + 2 + 10 * 12 + 4
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, after), (259, 3, 1, packing), (262, 3, 1, 2),
            (273, 4, 1, after + 6), (277, 3, 1, channels), (278, 4, 1, height), (279, 4, 1, len(data)),
            (284, 3, 1, 1)]  # fmt: skip
    parts = [b"II*\0" if order == "<" else b"MM\0*", struct.pack(f"{order}IH", 8, len(tags))]
    for tag, kind, count, value in tags:
        short = kind == 3 and count == 1
        parts.append(
            struct.pack(
                f"{order}HHI{'HH' if short else 'I'}", tag, kind, count, *([value, 0] if short else [value])
            )
        )
    return b"".join([*parts, struct.pack(f"{order}IHHH", 0, 16, 16, 16), data])


DEEP = {
    "grey png": lambda make, v: make.encoded(Image.fromarray(v[..., 0])),
    "grey tiff": lambda make, v: make.encoded(Image.fromarray(v[..., 0]), "TIFF"),
    "pgm": lambda make, v: b"P5 5 6 65535\n" + v[..., 0].astype(">u2").tobytes(),
    "colour png": lambda make, v: make.deep_png(v[..., :3]),
    "colour tiff": lambda make, v: deep_tiff(v[..., :3], "<", 1),
    "colour tiff of large ends": lambda make, v: deep_tiff(v[..., :3], ">", 1),
    "colour tiff, packed": lambda make, v: deep_tiff(v[..., :3], "<", 8),
    "colour and opacity png": lambda make, v: make.deep_png(v),
    "grey and opacity png": lambda make, v: make.deep_png(v[..., [0, 3]]),
}


@pytest.mark.parametrize("kind", DEEP)
def test_sixteen_bits_are_scaled_by_the_levels_to_the_last_bit(make, kind):
    values = np.random.default_rng(0).integers(100, 4096, (6, 5, 4)).astype(np.uint16)
    values[..., 3] = 0xFFFF
    blob = DEEP[kind](make, values)
    channels = 1 if "grey" in kind or kind == "pgm" else 3
    own = values[..., :channels].astype(float)
    ((frame, found),) = survey([blob])
    assert frame == (GREY if channels == 1 else COLOUR)
    assert (found.low, found.high) == (own.min(), own.max())
    expected = np.rint(np.clip((own - 200) * 255 / 3800, 0, 255)).squeeze()
    batch = decode([blob], replace(frame, levels=(200.0, 4000.0)))
    np.testing.assert_array_equal(batch.images[0], expected)
    assert (batch.treatment.deep, batch.treatment.clipped, batch.treatment.transparent) == (1, 1, 0)


def test_sixteen_bits_with_opacity_are_laid_over_white(make):
    values = np.full((6, 5, 4), 0x8000, np.uint16)
    values[0, 0, 3], values[0, 1, 3] = 0, 0xFFFF
    batch = decode([make.deep_png(values)], replace(COLOUR, levels=(0.0, 65535.0)))
    assert batch.images[0][0, 0].tolist() == [255] * 3
    assert batch.images[0][0, 1].tolist() == [128] * 3
    assert batch.images[0][3, 3].tolist() == [191] * 3  # half of it white
    assert batch.treatment.transparent == 1


def test_values_of_two_kinds_are_never_mixed(make):
    deep = np.full((6, 5), 300, np.uint16)
    assert "values of 300 to 300; expected values of 8 bits" in reason(make.encoded(deep))
    eight = decode([make.encoded(make.picture(0))], replace(GREY, levels=(0.0, 4095.0)))
    assert "8-bit values; expected values of 0 to 4,095" in eight.refused[0][1]
    # 8-bit values in a 16-bit file are what they are
    np.testing.assert_array_equal(one(make.encoded(np.full((6, 5), 77, np.uint16))), 77)
    assert decode([make.encoded(deep)], GREY, strict=("levels",)).misfits == (0,)


def test_transparency_is_laid_over_white(make):
    rgba = np.random.default_rng(1).integers(0, 256, (6, 5, 4), dtype=np.uint8)
    rgba[0, 0], rgba[0, 1] = (10, 20, 30, 0), (10, 20, 30, 255)
    alpha = rgba[:, :, 3:] / 255
    expected = rgba[:, :, :3] * alpha + 255 * (1 - alpha)
    result = one(make.encoded(rgba), COLOUR, strict=("mode",))
    assert result[0, 0].tolist() == [255, 255, 255]
    assert result[0, 1].tolist() == [10, 20, 30]
    np.testing.assert_allclose(result, expected, atol=1)
    grey_alpha = Image.fromarray(rgba[:, :, 0]).convert("LA")
    grey_alpha.putalpha(Image.fromarray(rgba[:, :, 3]))
    np.testing.assert_allclose(one(make.encoded(grey_alpha), strict=("mode",)), expected[:, :, 0], atol=1)


def test_a_transparent_grey_level_is_laid_over_white(make):
    pixels = make.picture(2)
    pixels[2, 2] = 77
    blob = make.png(pixels, before=[(b"tRNS", struct.pack(">H", 77))])
    expected = np.where(pixels == 77, 255, pixels)
    np.testing.assert_array_equal(one(blob, strict=("mode",)), expected)


def test_palettes_are_grey_or_colour_as_their_entries_are(make):
    indices = Image.fromarray(make.picture(3) % 4).convert("P")
    indices.putpalette([0, 0, 0, 50, 50, 50, 90, 90, 90, 255, 255, 255])
    blob = make.encoded(indices)
    assert native_frames([blob]) == [GREY]
    expected = np.array([0, 50, 90, 255], np.uint8)[make.picture(3) % 4]
    np.testing.assert_array_equal(one(blob, strict=("mode",)), expected)
    indices.putpalette([0, 0, 0, 50, 60, 50, 90, 90, 90, 255, 255, 255])
    assert native_frames([make.encoded(indices)]) == [COLOUR]


@pytest.mark.parametrize("kind", ["BMP", "GIF", "TIFF", "PPM", "WEBP", "PNG"])
def test_lossless_formats_give_their_pixels(make, kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    pixels = make.picture(4)
    frame = COLOUR if kind == "WEBP" else GREY  # WebP knows no grey
    result = one(make.encoded(pixels, kind, **options), frame, strict=("size", "mode"))
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
    upright = one(lying, Frame(5, 6, "L"), strict=("size",))
    np.testing.assert_array_equal(upright, np.rot90(make.picture(7), -1))


def test_misfits_are_named_unless_they_are_to_fit(make):
    blobs = [
        make.encoded(make.picture(0)),
        make.encoded(make.picture(1, 9, 9)),
        make.encoded(make.picture(2, colour=True)),
    ]
    assert decode(blobs, GREY, strict=("size", "mode")).misfits == (1, 2)
    assert decode(blobs, GREY, strict=("mode",)).misfits == (2,)
    assert decode(blobs, GREY, strict=("size",)).misfits == (1,)
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


def test_floats_are_scaled_by_the_levels_and_what_is_no_number_is_their_least(make):
    values = np.linspace(-1, 3, 30, dtype=np.float32).reshape(6, 5)
    values[2, 2] = np.nan
    blob = make.encoded(Image.fromarray(values), "TIFF")
    assert str(survey([blob])[0][1]) == "-1 to 3"
    expected = np.rint(np.nan_to_num((values + 1) * 255 / 4))
    np.testing.assert_array_equal(decode([blob], replace(GREY, levels=(-1.0, 3.0))).images[0], expected)
    assert "expected values of 8 bits" in reason(blob)
    nothing = make.encoded(Image.fromarray(np.full((6, 5), np.nan, np.float32)), "TIFF")
    assert survey([nothing]) == [None]
    assert "none of which is a finite number" in reason(nothing)
    wide = make.encoded(Image.fromarray(np.full((6, 5), 1 << 20, np.int32)), "TIFF")
    assert str(survey([wide])[0][1]) == "1,048,576 to 1,048,576"


@pytest.mark.parametrize(
    ("kind", "options"),
    [("AVIF", {}), ("JPEG2000", {}), ("ICO", {"sizes": [(24, 20)]}), ("QOI", {}), ("DDS", {}), ("PCX", {}),
     ("SGI", {}), ("TGA", {}), ("WEBP", {}), ("TIFF", {"compression": "tiff_lzw"}), ("MPO", {}), ("DIB", {})],
)  # fmt: skip
def test_formats_are_known_by_their_content(make, kind, options):
    ramp = np.linspace(0, 255, 20 * 24).reshape(20, 24).astype(np.uint8)
    image = Image.fromarray(np.stack([ramp, ramp, 255 - ramp], axis=2))
    result = one(make.encoded(image, kind, **options), Frame(20, 24, "RGB"))
    assert np.abs(result.astype(int) - np.asarray(image)).mean() < 3


def test_heic_is_read_where_its_reader_is_installed(make):
    pytest.importorskip("pillow_heif").register_heif_opener()  # which writes as well
    ramp = np.linspace(0, 255, 20 * 24).reshape(20, 24).astype(np.uint8)
    colour = Image.fromarray(np.stack([ramp, ramp, 255 - ramp], axis=2))
    for image, frame in ((colour, Frame(20, 24, "RGB")), (colour.convert("L"), Frame(20, 24, "L"))):
        blob = make.encoded(image, "HEIF", quality=95)
        assert native_frames([blob]) == [frame]
        np.testing.assert_array_equal(one(blob, frame), np.asarray(Image.open(io.BytesIO(blob))))
        assert np.abs(one(blob, frame).astype(int) - np.asarray(image)).mean() < 6
        assert reason(blob[:100]) == "its header is cut off or damaged"
        assert recognise(blob) == recognise(b"cut off", b"IMG_1.HEIC") == "HEIF"


def test_without_its_reader_heic_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("bayesight.data.formats.reads_heif", lambda: False)
    told = reason(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(300))
    assert told.startswith(
        "HEIC/HEIF, which is not read: install its reader, pip install 'bayesight[heif]', or "
    )


@pytest.mark.parametrize(
    ("blob", "name"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(300), "HEIC/HEIF"),
        (bytes(128) + b"DICM" + bytes(99), "DICOM"),
        (b"<?xml version='1.0'?>\n<!-- drawn -->\n<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"%PDF-1.7\n", "PDF"),
        (b"8BPS\0\1" + bytes(30), "PSD"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(30), "raw file"),
        (b"\x1f\x8b\x08\0" + bytes(30), "gzip"),
        (bytes(344) + b"n+1\0" + bytes(30), "NIfTI"),
        (b"\x93NUMPY\1\0", "NumPy"),
        (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41", "a video"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
        (b"<!DOCTYPE html><html><body>Not found</body></html>", "a web page"),
    ],
)
def test_a_format_that_is_known_only_is_called_by_its_name(blob, name, monkeypatch):
    monkeypatch.setattr("bayesight.data.formats.reads_heif", lambda: False)
    told = reason(blob)
    assert name in told
    assert "damaged" not in told
    assert ": " in told  # and how to convert it


def test_profiles_and_texts_never_cost_an_image(make):
    pixels = make.picture(1)
    bomb = zlib.compress(bytes(9_000_000))
    beside = [
        (b"iCCP", b"p\0\0" + bomb),
        (b"zTXt", b"k\0\0" + bomb),
        (b"iTXt", b"k\0\1\0\0\0" + bomb),
        (b"zTXt", b"Raw profile type exif\0\0" + bomb),
        (b"tEXt", b"no separator"),
        (b"eXIf", b"neither II nor MM"),
        (b"pHYs", b"short"),
        (b"acTL", b""),
    ]
    for chunk in beside:
        for place in ({"before": [chunk]}, {"after": [chunk]}):
            np.testing.assert_array_equal(one(make.png(pixels, **place)), pixels)
    broken = bytearray(make.png(pixels, before=[(b"tEXt", b"Title\0words")]))
    broken[45] ^= 1  # its checksum does not hold
    np.testing.assert_array_equal(one(bytes(broken)), pixels)


def test_what_lies_in_a_jpeg_beside_its_pixels_never_costs_it(make):
    plain = make.encoded(make.picture(3, 16, 16), "JPEG")
    expected = one(plain, Frame(16, 16, "L"))
    for marker in (0xE1, 0xE2, 0xED, 0xFE):
        for body in (
            b"Exif\0\0II*\0" + b"\xff" * 40,
            b"ICC_PROFILE\0\x09\x01x",
            b"MPF\0II*\0" + bytes(9),
            b"x",
        ):
            segment = bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body
            np.testing.assert_array_equal(one(plain[:2] + segment + plain[2:], Frame(16, 16, "L")), expected)


def test_what_was_done_to_images_is_counted(make):
    exif = Image.Exif()
    exif[0x0112] = 6
    half = Image.fromarray(np.full((6, 5, 4), 128, np.uint8))
    opaque = Image.fromarray(np.full((6, 5, 4), 255, np.uint8))
    still = Image.fromarray(make.picture(0))
    blobs = [
        make.encoded(make.picture(0, 5, 6), "JPEG", exif=exif),
        make.encoded(half),
        make.encoded(opaque),
        make.encoded(still, "GIF", save_all=True, append_images=[Image.fromarray(make.picture(1))]),
        make.encoded(still, "TIFF", save_all=True, append_images=[Image.fromarray(make.picture(1))]),
        make.encoded(Image.new("CMYK", (5, 6)), "JPEG"),
        make.encoded(make.picture(0, 6, 20)),
    ]
    batch = decode(blobs, GREY)
    done = batch.treatment
    assert len(batch.kept) == len(blobs)
    assert (done.turned, done.transparent, done.frames, done.inks) == (1, 1, 2, 1)
    assert (done.cropped, done.cut, done.pixels) == (1, 90, 6 * 30 + 120)
    np.testing.assert_array_equal(batch.images[4], make.picture(0))


def test_a_turned_tiff_is_turned_once(make):
    pixels = make.picture(7, 5, 6)
    blob = make.encoded(pixels, "TIFF", tiffinfo={0x0112: 6})
    assert native_frames([blob]) == [GREY]
    batch = decode([blob], GREY)
    np.testing.assert_array_equal(batch.images[0], np.rot90(pixels, -1))
    assert (batch.treatment.turned, batch.treatment.fitted) == (1, 0)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("mode", ["L", "RGB", "P", "RGBA", "CMYK", "I;16"])
def test_a_large_image_is_read_at_reduced_scale_and_looks_the_same(make, kind, mode):
    if (kind, mode) in {("PNG", "CMYK"), ("JPEG", "P"), ("JPEG", "RGBA"), ("JPEG", "I;16"), ("TIFF", "P")}:
        pytest.skip("no such files")
    y, x = np.mgrid[0:1300, 0:1100]
    smooth = (127 + 100 * np.sin(x / 150) * np.cos(y / 170)).astype(np.uint8)
    image = Image.fromarray(smooth.astype(np.uint16) * 257) if mode == "I;16" else None
    image = image or Image.fromarray(np.stack([smooth, smooth, 255 - smooth], axis=2)).convert(mode)
    colour = "L" if mode in ("L", "I;16") else "RGB"
    frame = Frame(26, 22, colour, (0.0, 65535.0) if mode == "I;16" else EIGHT_BIT)
    batch = decode([make.encoded(image, kind)], frame)
    plain = Image.fromarray(smooth) if mode == "I;16" else image
    expected = np.asarray(plain.convert(colour).resize((22, 26), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(batch.images[0] - expected).max() <= 3
    assert batch.treatment.pixels == 1300 * 1100


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(
    ("side", "read_at"),
    [(161, (360, 481)), (120, (180, 241)), (60, (90, 121)), (20, (45, 61)), (4, (45, 61))],
)
def test_a_jpeg_three_times_as_large_is_decoded_at_half_its_scale(
    make, monkeypatch, side, read_at, orientation
):
    y, x = np.mgrid[0:360, 0:481]
    waves = [127 + 60 * np.sin(x / 9 + k) * np.cos(y / 13) + 40 * np.sin((x - y) / (3 + k)) for k in range(3)]
    exif = Image.Exif()
    exif[0x0112] = orientation
    blob = make.encoded(np.stack(waves, axis=2).astype(np.uint8), "JPEG", exif=exif, quality=95)
    sizes = []

    def noted(blob, mode, height, width):
        sizes.append((height, width))
        return jpeg_pixels(blob, mode, height, width)

    monkeypatch.setattr("bayesight.data.rasters.jpeg_pixels", noted)
    found = one(blob, Frame(side, side, "RGB"))
    assert sizes == ([read_at] if side <= 120 else [])
    whole = ImageOps.exif_transpose(Image.open(io.BytesIO(blob)))
    expected = np.asarray(ImageOps.fit(whole, (side, side), Image.Resampling.BILINEAR)).astype(int)
    difference = np.abs(found.astype(int) - expected)
    assert difference.mean() < 1.5
    assert difference.max() <= (orientation > 1 if side > 120 else 8)


def test_slow_readers_read_no_more_than_a_quarter(make):
    assert "5000x5000 pixels, over the limit of 16,000,000" in reason(
        b"qoif" + struct.pack(">IIBB", 5000, 5000, 3, 0) + bytes(100)
    )


def test_an_icon_does_not_hide_a_huge_picture(make):
    inner = png_of(20_000, 20_000)
    head = b"\0\0\1\0\1\0" + struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(inner), 22)
    assert "20000x20000 pixels" in reason(head + inner)


@pytest.mark.parametrize(("fit", "first"), [("pad", 0), ("stretch", 200), ("crop", 200)])
def test_the_ways_to_fit(fit, first):
    wide = np.full((1, 10, 30), 200, np.uint8)
    result = refit(wide, Frame(10, 10, "L", fit=fit))[0]
    assert result[0, 0] == first
    assert result[5, 5] == 200


def test_native_frames_of_a_mixture(make):
    blobs = [make.encoded(make.picture(0)), b"", make.encoded(make.picture(1, 3, 4, True), "JPEG"), b"text"]
    assert native_frames(blobs) == [GREY, None, Frame(3, 4, "RGB"), None]
