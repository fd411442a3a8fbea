import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from bayesight.data.decode import decode, native_frames
from bayesight.data.jpeg import jpeg_layout, jpeg_pixels
from bayesight.frame import Frame


def by_pillow(blob):
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
    np.testing.assert_array_equal(batch.images[0], by_pillow(blob))
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
    expected, batch = by_pillow(bytes(blob)), decode([bytes(blob)], Frame(16, 16, "RGB"))
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
