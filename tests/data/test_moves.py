"""Moves of scenes: masks, points and boxes go where their image goes."""

import numpy as np
import pytest
import torch

from bayesight.data.moves import SceneAugment
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
