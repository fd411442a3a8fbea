"""Pixels into PNG files, and out again by two readers."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from bayesight.data.encode import png_of, quick_png


def drawn(shape):
    return np.random.default_rng(5).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (28, 28), (9, 4, 3)])
def test_pixels_come_back(shape, small):
    pixels = drawn(shape)
    for given in (pixels, np.asfortranarray(pixels), Image.fromarray(pixels)):
        made = png_of(given, small=small)
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(made))), pixels)
    assert made == png_of(pixels.copy(), small=small)


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (9, 4, 3)])
def test_the_quick_writer_says_the_same(shape):
    pixels = drawn(shape)
    channels_first = torch.from_numpy(pixels.reshape(*shape[:2], -1).transpose(2, 0, 1).copy())
    read = Image.open(io.BytesIO(quick_png(channels_first)))
    read.verify()
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(quick_png(channels_first)))), pixels)
