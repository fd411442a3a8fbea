"""Cuts around boxes: the pixels are where the points say, and out again is where in began."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bayesight.data.crops import crop_boxes


def test_a_cut_of_its_own_size_is_the_image():
    image = torch.rand(1, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    whole = crop_boxes(image, torch.tensor([0]), torch.tensor([[0, 0, 8, 8]]), 8, 1.0)
    assert whole.images.numpy() == pytest.approx(image.numpy(), abs=1e-6)
    part = crop_boxes(image, torch.tensor([0]), torch.tensor([[2, 3, 6, 7]]), 4, 1.0)
    assert part.images.numpy() == pytest.approx(image[..., 3:7, 2:6].numpy(), abs=1e-6)


def test_beyond_the_image_it_is_black_and_the_longer_side_decides():
    crops = crop_boxes(
        torch.ones(2, 1, 6, 10), torch.tensor([1, 0]), torch.tensor([[0, 2, 10, 4]] * 2), 10, 1.0
    )
    assert crops.sides.tolist() == [10, 10]
    assert crops.corners.tolist() == [[0, -2], [0, -2]]
    assert crops.images[0, 0, :, 5].tolist() == pytest.approx([0, 0, 1, 1, 1, 1, 1, 1, 0, 0], abs=1e-5)


@given(
    st.floats(0, 30),
    st.floats(0, 20),
    st.floats(1, 30),
    st.floats(1, 30),
    st.floats(1, 2),
    st.integers(8, 40),
)
def test_a_bright_spot_lies_where_its_point_does(left, top, wide, high, margin, side):
    box = torch.tensor([[left, top, left + wide, top + high]])
    crops = crop_boxes(torch.zeros(1, 1, 20, 30), torch.tensor([0]), box, side, margin)
    points = torch.tensor([[[left, top], [left + wide, top + high]]])
    inside = crops.inside(points)
    assert crops.outside(inside).numpy() == pytest.approx(points.numpy(), abs=1e-3)
    assert inside.mean(dim=1).numpy() == pytest.approx(side / 2, abs=1e-3)
    assert (inside[0, 1] - inside[0, 0]).max().item() == pytest.approx(side / margin, rel=1e-4)


def test_a_spot_stays_on_its_pixel():
    image = torch.zeros(1, 1, 20, 30)
    image[0, 0, 7, 12] = 1
    crops = crop_boxes(image, torch.tensor([0]), torch.tensor([[5.0, 2.0, 21.0, 18.0]]), 32, 1.0)
    x, y = crops.inside(torch.tensor([[[12.5, 7.5]]]))[0, 0].tolist()
    row, column = divmod(int(crops.images.flatten().argmax()), 32)
    assert (column + 0.5, row + 0.5) == pytest.approx((x, y), abs=0.5)
