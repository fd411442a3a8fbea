"""Boxes follow their pictures."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.data.augment_boxes import BoxAugment
from bayesight.errors import InvalidConfig

STILL = BoxAugment(flip=0, upside_down=0, scale=0, shift=0, light=0)


def picture(left, top, right, bottom):
    """A white box on black, 40 by 60."""
    image = torch.zeros(1, 1, 40, 60)
    image[..., top:bottom, left:right] = 1
    return image, torch.tensor([[[left, top, right, bottom]]]).float(), torch.tensor([[2]])


def changed(augment, seed, *box):
    return augment(*picture(*box), torch.Generator().manual_seed(seed))


def test_nothing_changes_where_nothing_is_on():
    for ours, given_ in zip(changed(STILL, 0, 5, 10, 20, 30), picture(5, 10, 20, 30), strict=True):
        torch.testing.assert_close(ours, given_, atol=1e-4, rtol=0)


def test_mirror_images_by_hand():
    side = changed(BoxAugment(flip=1, upside_down=0, scale=0, shift=0, light=0), 0, 5, 10, 20, 30)
    assert side[1].round().tolist() == [[[40, 10, 55, 30]]]
    below = changed(BoxAugment(flip=0, upside_down=1, scale=0, shift=0, light=0), 0, 5, 10, 20, 35)
    assert below[1].round().tolist() == [[[5, 5, 20, 30]]]
    torch.testing.assert_close(side[0], picture(40, 10, 55, 30)[0], atol=1e-4, rtol=0)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6))
def test_the_box_is_where_the_white_is(seed):
    """Within a pixel, whatever was drawn."""
    augment = BoxAugment(flip=0.5, upside_down=0.5, scale=0.3, shift=0.15, light=0)
    image, boxes, classes = changed(augment, seed, 20, 12, 38, 26)
    assert classes.tolist() == [[2]]
    rows, columns = ((image[0, 0] > 0.5).any(dim=axis).nonzero()[:, 0] for axis in (1, 0))
    white = torch.tensor([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]).float()
    assert (boxes[0, 0] - white).abs().max() <= 1


def test_a_box_that_left_is_none_and_light_moves_nothing():
    corner = BoxAugment(flip=0, upside_down=0, scale=0, shift=0.5, light=0)
    gone = [changed(corner, seed, 0, 0, 4, 4)[2].item() for seed in range(40)]
    assert set(gone) == {-1, 2}
    image, boxes, classes = changed(BoxAugment(flip=0, scale=0, shift=0, light=0.5), 3, 5, 10, 20, 30)
    assert boxes.round().tolist() == [[[5, 10, 20, 30]]]
    assert ((image > image.mean()) == (picture(5, 10, 20, 30)[0] > 0.5)).all()
    assert classes.tolist() == [[2]]


def test_limits_that_cannot_be():
    with pytest.raises(InvalidConfig, match=r"flip(.|\n)*shift"):
        BoxAugment(flip=2.0, shift=0.9)
