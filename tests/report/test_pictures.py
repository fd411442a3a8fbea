"""Pictures travel inside the page."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from bayesight.errors import InvalidInput
from bayesight.report import pictures
from bayesight.report.pictures import data_uri, font_for


def read(uri: str) -> np.ndarray:
    head, body = uri.split(",", 1)
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body, validate=True))))


@pytest.mark.parametrize("shape", [(28, 28), (1, 1), (31, 17, 3)])
def test_small_pictures_are_kept_pixel_for_pixel(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_array_equal(read(data_uri(image)), image)
    turned = np.rot90(image)  # not contiguous
    np.testing.assert_array_equal(read(data_uri(turned)), turned)


def test_large_pictures_are_scaled_and_keep_their_shape():
    image = np.zeros((600, 300, 3), np.uint8)
    image[:300] = 255
    small = read(data_uri(image, largest=100))
    assert small.shape == (100, 50, 3)
    assert small[10, 25].tolist() == [255, 255, 255]
    assert small[90, 25].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "image", [np.zeros((2, 2)), np.zeros((2, 2, 4), np.uint8), np.zeros((0, 2), np.uint8)]
)
def test_what_is_no_image_is_refused(image):
    with pytest.raises(InvalidInput, match=r"expected uint8, \(H, W\) or \(H, W, 3\)"):
        data_uri(image)


def test_korean_is_drawn_in_a_font_that_has_its_letters():
    if not pictures._korean_font():
        pytest.skip("no Korean font on this machine")
    font = font_for("몇 개?", 20)
    assert bytes(font.getmask("몇")) != bytes(font.getmask("개"))  # not one box for both
    assert font_for("How many?", 20).getname() != font.getname()


def test_where_there_is_no_korean_font_that_is_said_once(monkeypatch, caplog):
    monkeypatch.setattr("bayesight.letters.fonts.find_fonts", lambda where: ())
    pictures._korean_font.cache_clear()
    try:
        assert {font_for(text, 20).getname() for text in ("몇 개?", "무슨 색?")} == {
            font_for("?", 20).getname()
        }
        assert [record.levelname for record in caplog.records] == ["WARNING"]
    finally:
        pictures._korean_font.cache_clear()
