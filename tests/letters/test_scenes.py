"""Scenes of glyphs: what is said of them is what is in them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.errors import InvalidInput
from bayesight.letters.scenes import SceneOptions, compose

PLAIN = SceneOptions(texture=0, noise=0)


def glyphs():
    """Squares of class 0 and bars of class 1."""
    square, bar = np.zeros((2, 20, 20), np.uint8)
    square[2:18, 2:18], bar[:, 8:12] = 255, 255
    return np.stack([square, bar]), np.array([0, 1])


def test_ink_is_bright_where_the_mask_says_and_nowhere_else():
    scenes = compose(*glyphs(), 20, PLAIN)
    assert scenes.images[scenes.masks > 0].min() > 110
    assert np.median(scenes.images[scenes.masks == 0]) == pytest.approx(0.3 * 255, abs=1)
    assert set(np.unique(scenes.masks)) == {0, 1, 2}


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 4))
def test_boxes_hold_all_ink_and_touch_it(seed, count):
    scenes = compose(*glyphs(), 3, SceneOptions(glyphs=count, overlap=0), seed=seed)
    for mask, boxes, labels in zip(scenes.masks, scenes.boxes.astype(int), scenes.labels, strict=True):
        inside = np.zeros(mask.shape, bool)
        for left, top, right, bottom in boxes:
            assert 0 <= left < right <= 48
            assert 0 <= top < bottom <= 48
            inside[top:bottom, left:right] = True
        assert not mask[~inside].any()
        left, top, right, bottom = boxes[-1]  # nothing lies over the last
        own = mask[top:bottom, left:right] == labels[-1] + 1
        assert own.any(axis=1).all()
        assert own.any(axis=0).all()


def test_the_seed_decides_and_glyphs_are_used_alike():
    one, again, other = (compose(*glyphs(), 200, seed=seed) for seed in (1, 1, 2))
    assert (one.images == again.images).all()
    assert (one.images != other.images).any()
    assert np.bincount(one.labels.ravel())[0] == pytest.approx(300, abs=60)


def test_boxes_keep_apart_as_far_as_asked():
    scenes = compose(*glyphs(), 100, SceneOptions(glyphs=2, overlap=0, smallest=8, largest=10))
    low = np.maximum(scenes.boxes[:, 0, :2], scenes.boxes[:, 1, :2])
    high = np.minimum(scenes.boxes[:, 0, 2:], scenes.boxes[:, 1, 2:])
    assert ((high - low).clip(0, None).prod(axis=1) > 0).mean() < 0.01


@pytest.mark.parametrize("wrong", [{"smallest": 2}, {"largest": 60}, {"glyphs": 0}, {"noise": 2.0}])
def test_a_look_that_cannot_be(wrong):
    with pytest.raises(InvalidInput, match="scenes"):
        SceneOptions(**wrong)


def test_no_glyphs():
    with pytest.raises(InvalidInput, match="M >= 1"):
        compose(np.zeros((0, 8, 8), np.uint8), np.zeros(0, int), 1)
