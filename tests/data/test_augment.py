"""Augmentations: the identity at zero, the laws each change keeps, and SciPy's affine map as the oracle."""

import math

import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.data.augment import (
    AUGMENTATIONS,
    GlyphAugment,
    PhotoAugment,
    _bumps,
    _recolour,
    augmentation,
    smooth_noise,
    thicken,
    warp,
)
from bayesight.errors import InvalidConfig, InvalidInput, UnknownName

STILL = {"rotate_deg": 0, "shear": 0, "scale": 0, "shift_px": 0}
PLAIN = {"flip": 0, "crop_px": 0, "brightness": 0, "contrast": 0, "saturation": 0}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(count=16, channels=1, height=28, width=28, seed=1):
    return torch.rand(count, channels, height, width, generator=generator(seed))


@pytest.mark.parametrize(("name", "off"), [("none", {}), ("glyph", STILL), ("photo", PLAIN)])
@pytest.mark.parametrize("channels", [1, 3])
def test_everything_off_is_the_identity(name, off, channels):
    images = batch(channels=channels, height=20, width=31)
    assert torch.allclose(augmentation(name, **off)(images, generator()), images, atol=2e-7)


@settings(deadline=None, max_examples=25)
@given(
    name=st.sampled_from(["glyph", "photo", "none"]),
    shape=st.tuples(st.integers(1, 5), st.sampled_from([1, 3, 4]), st.integers(9, 40), st.integers(9, 40)),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float64]),
    seed=st.integers(0, 99),
)
def test_shape_dtype_and_range_are_kept_and_the_seed_decides(name, shape, dtype, seed):
    images = torch.rand(shape, generator=generator(seed)).to(dtype)
    before = images.clone()
    change = augmentation(name, **({"elastic_px": 1.5, "thickness": 1} if name == "glyph" else {}))
    once, again = change(images, generator(seed)), change(images, generator(seed))
    assert once.shape == images.shape
    assert once.dtype == dtype
    assert once.min() >= 0
    assert once.max() <= 1
    assert torch.equal(once, again)
    assert torch.equal(images, before)
    if name != "none":
        assert not torch.equal(once, change(images, generator(seed + 100)))


@pytest.mark.parametrize("height", [28, 21])
def test_warp_is_the_affine_map_of_scipy(height):
    images = batch(6, 2, height, 33)
    draws = torch.rand(7, 6, generator=generator(3)) * 2 - 1
    options = GlyphAugment(rotate_deg=40, shear=0.4, scale=0.3, shift_px=5)
    inverse = options._inverse_affine(draws)
    ours = warp(images, inverse).numpy()
    centre = np.array([(height - 1) / 2, (33 - 1) / 2])
    for image, matrix, result in zip(images.numpy(), inverse.numpy().astype(float), ours, strict=True):
        rows_first = matrix[::-1, 1::-1]
        offset = centre + matrix[::-1, 2] - rows_first @ centre
        for channel, seen in zip(image, result, strict=True):
            expected = scipy.ndimage.affine_transform(
                channel.astype(float), rows_first, offset, order=1, mode="grid-constant"
            )
            assert np.abs(seen - expected).max() < 2e-5


def test_the_inverse_map_undoes_rotation_after_shear_after_scale_after_which_it_shifts():
    options = GlyphAugment(rotate_deg=30, shear=0.5, scale=0.4, shift_px=3)
    draws = torch.tensor([[0.7], [-0.6], [0.5], [-0.25], [0.9], [-0.3], [0.0]])
    angle, slant = math.radians(21), -0.3
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    forward = rotation @ np.array([[1, slant], [0, 1]]) @ np.diag([1.2, 0.9])
    shift = np.array([2.7, -0.9])
    inverse = np.linalg.inv(forward)
    expected = np.c_[inverse, -inverse @ shift]
    assert np.allclose(options._inverse_affine(draws)[0], expected, atol=1e-6)


def test_whole_shifts_move_the_centre_of_mass_by_as_much():
    dot = torch.zeros(1, 1, 15, 15)
    dot[..., 7, 7] = 1
    down_three = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, -3.0]]])
    moved = warp(dot, down_three)
    assert moved[0, 0, 10, 7] == pytest.approx(1, abs=1e-5)
    assert moved.sum() == pytest.approx(1, abs=1e-5)


def test_shifts_are_even_over_the_stated_range():
    dot = torch.zeros(4000, 1, 21, 21)
    dot[..., 10, 10] = 1
    moved = augmentation("glyph", **{**STILL, "shift_px": 4})(dot, generator())
    place = torch.arange(21.0) - 10
    x, y = (moved.sum(dim=(1, 2)) * place).sum(1), (moved.sum(dim=(1, 3)) * place).sum(1)
    spread = 4 / math.sqrt(3)  # standard deviation of an even draw from [-4, 4]
    for shift in (x, y):
        assert abs(shift.mean()) < 5 * spread / math.sqrt(4000)
        assert shift.std() == pytest.approx(spread, rel=0.05)
        assert shift.abs().max() <= 4 + 1e-4
    assert abs(torch.corrcoef(torch.stack([x, y]))[0, 1]) < 5 / math.sqrt(4000)


def test_the_elastic_field_is_smooth_and_has_the_stated_spread():
    field = 1.7 * smooth_noise((3000, 2, 24, 28), 5.0, generator())
    assert field.shape == (3000, 2, 24, 28)
    assert torch.allclose(field.std(dim=0), torch.full((2, 24, 28), 1.7), rtol=0.08)
    neighbours = (field[..., 1:] - field[..., :-1]).std()
    assert neighbours < 1.7 / 5  # a Gaussian field of length 5 changes by sigma/(5 sqrt 2) a pixel
    assert torch.allclose(_bumps(28, 5.0, torch.device("cpu")).square().sum(1), torch.ones(28))


def test_elastic_displacement_is_what_is_sampled():
    images = batch(3)
    options = {**STILL, "elastic_px": 2.0, "elastic_smooth_px": 6.0}
    seen = augmentation("glyph", **options)(images, generator(5))
    source = generator(5)
    torch.rand((7, 3), generator=source)
    field = 2 * smooth_noise((3, 2, 28, 28), 6.0, source).numpy()
    y, x = np.mgrid[:28, :28]
    for image, shift, result in zip(images[:, 0].numpy(), field, seen[:, 0].numpy(), strict=True):
        expected = scipy.ndimage.map_coordinates(
            image, [y + shift[1], x + shift[0]], order=1, mode="grid-constant"
        )
        assert np.abs(result - expected).max() < 2e-5


@pytest.mark.parametrize("amount", [-1.0, -0.4, 0.0, 0.3, 1.0])
def test_thickness_mixes_with_grey_dilation_and_erosion(amount):
    images = batch(2, height=9, width=12)
    result = thicken(images, torch.full((2,), amount))[:, 0].numpy()
    morphology = scipy.ndimage.grey_dilation if amount >= 0 else scipy.ndimage.grey_erosion
    for image, seen in zip(images[:, 0].numpy(), result, strict=True):
        extreme = morphology(image, size=(3, 3), mode="nearest")
        assert np.allclose(seen, image + abs(amount) * (extreme - image), atol=1e-6)


def test_flips_are_involutive_and_as_frequent_as_asked():
    images = batch(channels=3)
    always = augmentation("photo", **{**PLAIN, "flip": 1})
    assert torch.equal(always(images, generator()), images.flip(-1))
    assert torch.equal(always(always(images, generator()), generator(1)), images)
    many = batch(2000, height=3, width=3)
    flipped = augmentation("photo", **{**PLAIN, "flip": 0.3})(many, generator())
    rate = (flipped != many).flatten(1).any(1).double().mean()
    assert abs(rate - 0.3) < 5 * math.sqrt(0.3 * 0.7 / 2000)


def test_crops_are_whole_shifts_with_a_black_border_all_equally_frequent():
    image = batch(1, height=6, width=7)
    many = augmentation("photo", **{**PLAIN, "crop_px": 1})(image.expand(1800, -1, -1, -1), generator())
    padded = torch.nn.functional.pad(image, (1, 1, 1, 1))
    windows = torch.stack([padded[0, :, i : i + 6, j : j + 7] for i in range(3) for j in range(3)])
    same = (many[:, None] == windows[None]).flatten(2).all(2)
    assert same.any(1).all()
    counts = same.sum(0).double()
    assert (counts - 200).abs().max() < 5 * math.sqrt(1800 * (1 / 9) * (8 / 9))


@pytest.mark.parametrize("channels", [1, 3])
def test_colour_is_brightness_then_contrast_then_saturation(channels):
    images = batch(5, channels).double().float()
    factors = torch.rand(3, 5, generator=generator(2)) + 0.5
    weights = torch.tensor([0.299, 0.587, 0.114] if channels == 3 else [1.0]).view(1, -1, 1, 1)
    b, c, s = factors.view(3, 5, 1, 1, 1)
    slow = images * b
    mean = (slow * weights).sum(1, keepdim=True).mean((2, 3), keepdim=True)
    slow = mean + c * (slow - mean)
    if channels == 3:
        grey = (slow * weights).sum(1, keepdim=True)
        slow = grey + s * (slow - grey)
    assert torch.allclose(_recolour(images, factors), slow, atol=1e-5)


def test_turning_one_change_off_leaves_the_draws_of_the_others():
    images = batch(channels=3)
    bright = augmentation("photo", **{**PLAIN, "brightness": 0.3})(images * 0.5, generator(4))
    both = augmentation("photo", **{**PLAIN, "brightness": 0.3, "flip": 1})(images * 0.5, generator(4))
    assert torch.equal(both, bright.flip(-1))


def test_a_wrong_name_gets_a_suggestion():
    with pytest.raises(UnknownName, match="did you mean 'glyph'"):
        augmentation("glyphs")
    assert AUGMENTATIONS.names() == ("glyph", "none", "photo", "scene")


def test_every_problem_is_named_at_once():
    with pytest.raises(InvalidConfig) as caught:
        GlyphAugment(rotate_deg=200, shear=-0.1, thickness=float("nan"), shift_px="2")
    assert len(caught.value.problems) == 4
    assert "rotate_deg is 200; expected a number from 0 to 180 (the nearest valid" in str(caught.value)
    with pytest.raises(InvalidConfig, match="whole number") as caught:
        PhotoAugment(flip=1.2, crop_px=1.5)
    assert len(caught.value.problems) == 2
    with pytest.raises(InvalidConfig, match="did you mean 'rotate_deg'"):
        augmentation("glyph", rotate=3)
    with pytest.raises(InvalidConfig, match="known: none"):
        augmentation("none", flip=0.5)


def test_bytes_are_refused_with_the_mend():
    with pytest.raises(InvalidInput, match="Divide uint8 images by 255"):
        augmentation("glyph")(torch.zeros(2, 1, 28, 28, dtype=torch.uint8), generator())
