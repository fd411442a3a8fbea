"""Pictures travel inside the page."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from bayesight.errors import InvalidInput
from bayesight.report.pictures import data_uri


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
