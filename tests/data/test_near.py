"""Changed copies of images are found, and images that are no copies are not."""

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from bayesight.data import open_store
from bayesight.data.near import _described, _shrunk, alike_pairs

NONE = set()


@pytest.fixture(scope="module")
def pictures():
    """Sixty pictures of coloured blots, 36 rows of 40 pixels, no two alike."""
    draw = np.random.default_rng(12)
    noise = draw.integers(0, 256, (60, 72, 80, 3)).astype(np.uint8)
    blots = [Image.fromarray(one).filter(ImageFilter.GaussianBlur(6)) for one in noise]
    spread = np.stack([np.asarray(one).astype(np.float64) for one in blots])
    spread = (spread - spread.mean((1, 2, 3), keepdims=True)) * 6 + 128
    return np.clip(spread, 0, 255).astype(np.uint8)[:, 18:54, 20:60]


def shifted(image, across, down, fill=0):
    height, width = image.shape[:2]
    moved = np.full_like(image, fill)
    moved[max(down, 0) : height + min(down, 0), max(across, 0) : width + min(across, 0)] = image[
        max(-down, 0) : height + min(-down, 0), max(-across, 0) : width + min(-across, 0)
    ]
    return moved


def cropped(image, share, across, down):
    height, width = image.shape[:2]
    left, top = across * share * width, down * share * height
    box = (left, top, left + width * (1 - share), top + height * (1 - share))
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR, box=box))


def compressed(image, quality):
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


CHANGES = {
    "shift": lambda image: shifted(image, 4, -3, 90),
    "shift of one pixel": lambda image: shifted(image, 0, 1),
    "crop by 5 %": lambda image: cropped(image, 0.05, 0.9, 0.1),
    "crop by 15 %": lambda image: cropped(image, 0.15, 0.2, 1.0),
    "brighter": lambda image: np.clip(image * 0.8 + 30, 0, 255).astype(np.uint8),
    "compressed": lambda image: compressed(image, 75),
}


def pairs_of(images):
    found = alike_pairs(images, np.arange(len(images)))
    return set(zip(found.first.tolist(), found.second.tolist(), strict=True))


def test_pictures_that_are_no_copies_are_not_found(pictures):
    assert pairs_of(pictures) == NONE
    assert pairs_of(np.concatenate([pictures[:9], pictures[:9, :, ::-1]])) == NONE
    assert pairs_of(pictures[:1]) == NONE
    assert pairs_of(pictures[:0]) == NONE


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_changed_copies_are_found(pictures, change, mode):
    images = pictures if mode == "RGB" else pictures[..., 1]
    copies = np.stack([CHANGES[change](image) for image in images[:20]])
    found = alike_pairs(np.concatenate([images, copies]), np.arange(80))
    pairs = set(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert pairs == {(i, 60 + i) for i in range(20)}
    assert (np.diff(found.difference) >= 0).all()
    assert found.difference[-1] < 5


def test_positions_count_among_the_rows_and_order_does_not_matter(pictures):
    images = np.concatenate([pictures[:12], [shifted(image, -2, 3) for image in pictures[:4]]])
    rows = np.array([13, 5, 1, 0, 15, 3])
    assert pairs_of(images) == {(i, 12 + i) for i in range(4)}
    found = alike_pairs(images, rows)
    assert sorted(zip(found.first.tolist(), found.second.tolist(), strict=True)) == [(0, 2), (4, 5)]


def test_images_without_contrast_are_no_copies_of_each_other():
    draw = np.random.default_rng(3)
    assert pairs_of(draw.integers(126, 129, (30, 20, 20)).astype(np.uint8)) == NONE


def test_large_pictures_are_averaged_down_and_described_without_brightness():
    image = np.random.default_rng(5).integers(0, 256, (2, 128, 96, 3)).astype(np.uint8)
    slow = image.reshape(2, 32, 4, 32, 3, 3).mean(axis=(2, 4))
    assert np.abs(_shrunk(image) - slow).max() <= 0.51
    grey = slow.mean(axis=3).astype(np.float32)
    one, other = (_described(part, 0.75, 0.5, 0.5) for part in (grey, 0.7 * grey + 20))
    np.testing.assert_allclose(one, other, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(one, axis=1), 1, rtol=1e-5)
    middle = grey[:, 4:28, 4:28].reshape(2, 8, 3, 8, 3).mean(axis=(2, 4)).reshape(2, -1)
    middle -= middle.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(one, middle / np.linalg.norm(middle, axis=1, keepdims=True), atol=1e-5)


def test_copies_of_real_letters_are_found(real_data):
    store = open_store(real_data / "notmnist" / "notMNIST_real8k.tar.gz")
    rows = np.sort(np.unique(np.asarray(store.digests)[::8], axis=0, return_index=True)[1]) * 8
    images, draw = np.asarray(store.images)[rows], np.random.default_rng(1)
    chosen = draw.permutation(len(images))[:80]
    moved = np.stack([shifted(images[row], *draw.permutation([3, -2])) for row in chosen[:40]])
    cut = np.stack([cropped(images[row], 0.1, *draw.random(2)) for row in chosen[40:]])
    every = np.concatenate([images, moved, cut])
    found = pairs_of(every)
    hits = [(row, len(images) + i) in found for i, row in enumerate(chosen)]
    assert np.mean(hits[:40]) >= 0.95
    assert np.mean(hits[40:]) >= 0.8
    assert len([pair for pair in found if pair[1] < len(images)]) < 0.1 * len(images)
