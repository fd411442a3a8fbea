"""Moves of scenes: masks, points and boxes go where their image goes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bayesight.data.augment import SceneAugment, crop_boxes
from bayesight.errors import InvalidConfig


def still(**options):
    """An augmentation that leaves colours as they are."""
    return SceneAugment(brightness=0, contrast=0, saturation=0, **options)


def dot(x, y, size=(40, 60)):
    """An image with a soft dot at a place in pixels from its corner."""
    rows, columns = np.mgrid[: size[0], : size[1]] + 0.5
    return torch.tensor(np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8), dtype=torch.float32)


def centre(image):
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    weight = image.numpy() / image.sum().item()
    return float((columns * weight).sum()), float((rows * weight).sum())


def test_points_and_boxes_move_with_the_image():
    images = torch.stack([dot(30, 20), dot(25, 22), dot(35, 18)] * 3)[:, None]
    moved, moves = still(rotate_deg=25, scale=0.2).moved(images, torch.Generator().manual_seed(3))
    for number, place in enumerate([(30, 20), (25, 22), (35, 18)] * 3):
        expected = centre(moved[number, 0])
        found = moves.points(number, torch.tensor([place], dtype=torch.float64))[0]
        assert found.tolist() == pytest.approx(expected, abs=0.2)
        x, y = place
        box = moves.boxes(number, torch.tensor([[x - 3.0, y - 2.0, x + 3.0, y + 2.0]]))[0]
        assert [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2] == pytest.approx(expected, abs=0.2)


def test_mirrored_images_say_so():
    images = torch.stack([dot(20, 20)] * 40)[:, None]
    moved, moves = still(scale=0, shift=0).moved(images, torch.Generator().manual_seed(0))
    assert 10 < int(moves.mirrored.sum()) < 30
    for image, mirrored in zip(moved, moves.mirrored, strict=True):
        assert centre(image[0])[0] == pytest.approx(40 if mirrored else 20, abs=0.05)
    none, moves = still(flip=0, scale=0, shift=0).moved(images, torch.Generator().manual_seed(0))
    assert torch.allclose(none, images, atol=1e-5)
    assert not moves.mirrored.any()


def test_masks_are_sampled_at_the_places_of_their_images():
    images = torch.zeros(8, 1, 24, 32)
    images[:, :, 6:15, 8:20] = 1
    moved, moves = still(rotate_deg=30, scale=0.4).moved(images, torch.Generator().manual_seed(1))
    masks = moves.masks(images[:, 0].long(), 255)
    sure = ((moved[:, 0] < 0.02) | (moved[:, 0] > 0.98)) & (masks != 255)
    assert sure.float().mean() > 0.5
    assert torch.equal(masks[sure], (moved[:, 0] > 0.5).long()[sure])
    assert (masks == 255).any()


def test_one_seed_gives_one_batch_and_options_are_checked():
    images = torch.rand(3, 3, 16, 16)
    one, other = (SceneAugment()(images, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one, other)
    assert one.min() >= 0
    assert one.max() <= 1
    with pytest.raises(InvalidConfig, match="flip"):
        SceneAugment(flip=2)


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
