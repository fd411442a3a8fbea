"""The fast path: every image once an epoch, the same on resumption, split over processes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bayesight.data import open_store
from bayesight.data.augment import augmentation
from bayesight.data.batches import Batches, Examples, Mixture, mirror_images_differ
from bayesight.errors import InvalidInput

MODEL = nn.Linear(1, 1)


def examples(count=50, shape=(4, 5)):
    """Images whose every pixel is their number."""
    images = np.broadcast_to(np.arange(count, dtype=np.uint8).reshape(-1, *[1] * len(shape)), (count, *shape))
    return Examples((images,), np.arange(count), np.arange(count) % 7)


def test_pixels_labels_and_order():
    x, y = Batches(examples(), 8, seed=1)(MODEL, 3)
    assert x.shape == (8, 1, 4, 5)
    numbers = (x[:, 0, 0, 0] * 255).round().long()
    assert torch.equal(numbers % 7, y)
    assert len(set(numbers.tolist())) == 8


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.integers(1, 60), st.integers(0, 99))
def test_an_epoch_shows_each_image_at_most_once_and_epochs_differ(count, batch, seed):
    batches = Batches(examples(count), batch, seed)
    per_epoch = batches.steps_per_epoch
    epochs = [
        [
            n
            for s in range(e * per_epoch, (e + 1) * per_epoch)
            for n in (batches(MODEL, s)[0][:, 0, 0, 0] * 255).tolist()
        ]
        for e in (0, 1)
    ]
    assert len(set(epochs[0])) == len(epochs[0]) == per_epoch * min(batch, count)
    assert len(epochs[0]) > count - min(batch, count)
    if len(epochs[0]) > 6:
        assert epochs[0] != epochs[1]


def test_a_step_depends_on_nothing_but_its_number():
    augment = augmentation("glyph")
    asked_in_order = [Batches(examples(), 8, 2, augment=augment)(MODEL, s)[0] for s in range(14)]
    fresh = Batches(examples(), 8, 2, augment=augment)
    for step in (13, 0, 7):
        assert torch.equal(fresh(MODEL, step)[0], asked_in_order[step])
    assert not torch.equal(Batches(examples(), 8, 3, augment=augment)(MODEL, 0)[0], asked_in_order[0])


def test_processes_share_a_batch():
    whole = Batches(examples(), 9, 4)(MODEL, 2)[1]
    shares = [Batches(examples(), 9, 4, share=(rank, 2))(MODEL, 2)[1] for rank in (0, 1)]
    assert [len(s) for s in shares] == [4, 4]  # the ninth would make one mean weigh more than the other
    assert torch.equal(whole[0:8:2], shares[0])
    assert torch.equal(whole[1:8:2], shares[1])


def test_bf16_is_the_scaled_pixel():
    x, _ = Batches(examples(), 50, 0, dtype=torch.bfloat16)(MODEL, 0)
    assert x.dtype == torch.bfloat16
    exact = torch.arange(50) / 255
    torch.testing.assert_close(x[:, 0, 0, 0].float().sort()[0], exact, rtol=2**-7, atol=0)


def test_joined_examples_gather_across_arrays():
    a = examples(10)
    b = Examples((np.full((4, 4, 5), 200, np.uint8),), np.array([1, 3]), np.array([5, 6]))
    both = a.joined(b)
    assert len(both) == 12
    picked = both.images(np.array([11, 0, 10, 9]))
    assert picked[:, 0, 0, 0].tolist() == [200, 0, 200, 9]
    assert both.labels[[11, 10]].tolist() == [6, 5]
    assert [len(x) for x, _ in both.in_order(5)] == [5, 5, 2]


def test_channel_moments_are_numpys():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (300, 6, 7, 3)).astype(np.uint8)
    found = Examples((images,), np.arange(300), np.zeros(300, np.int64))
    mean, deviation = found.channel_moments()
    np.testing.assert_allclose(mean, images.mean((0, 1, 2)) / 255, rtol=1e-9)
    np.testing.assert_allclose(deviation, images.std((0, 1, 2)) / 255, rtol=1e-9)
    assert found.image_shape == (3, 6, 7)


def test_refusals():
    with pytest.raises(InvalidInput, match="no examples"):
        Batches(
            Examples((np.zeros((3, 2, 2), np.uint8),), np.zeros(0, np.int64), np.zeros(0, np.int64)), 4, 0
        )
    with pytest.raises(InvalidInput, match="one shape"):
        examples(3).joined(examples(3, (9, 9)))
    with pytest.raises(InvalidInput, match="one a process"):
        Batches(examples(), 2, 0, share=(0, 3))


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 30), st.integers(1, 40), st.integers(2, 20), st.floats(0.05, 0.95))
def test_a_mixture_fills_its_share_in_passes_of_its_own(count, others, batch, share):
    extra = Examples((np.full((others, 4, 5), 255, np.uint8),), np.arange(others), np.full(others, 9))
    batches = Batches(examples(count), batch, 3, mixture=Mixture(extra, share))
    wanted = max(1, min(round(batch * share), batch - 1))
    seen = []
    for step in range(batches.steps_per_epoch):
        _, labels = batches(MODEL, step)
        assert (labels == 9).sum() == wanted
        seen += batches._positions(step)[: batches.own].tolist()
    assert len(set(seen)) == len(seen) == batches.steps_per_epoch * batches.own
    drawn = np.concatenate([batches._positions(s)[batches.own :] for s in range(6)]) - count
    assert drawn.min() >= 0
    assert drawn.max() < others
    if wanted <= others:
        first = drawn[: others // wanted * wanted]
        assert len(set(first.tolist())) == len(first)


def test_a_mixture_needs_images_and_a_share():
    nothing = Examples((np.zeros((3, 2, 2), np.uint8),), np.zeros(0, np.int64), np.zeros(0, np.int64))
    with pytest.raises(InvalidInput, match="no examples"):
        Mixture(nothing, 0.5)
    with pytest.raises(InvalidInput, match="share"):
        Mixture(examples(), 1.0)
    with pytest.raises(InvalidInput, match="got 1; expected 2 or more"):
        Batches(examples(), 1, 0, mixture=Mixture(examples(), 0.5))


def examples_of(images, labels):
    return Examples((np.asarray(images),), np.arange(len(labels)), np.asarray(labels))


def bars(count, side, seed=0):
    """Images bright on the left (0) or on the right (1), or with ``side`` "top" above or below."""
    random = np.random.default_rng(seed)
    images, labels = random.integers(0, 100, (count, 28, 28)), np.arange(count) // 2 % 2
    for image, label in zip(images, labels, strict=True):
        half = slice(0, 14) if label else slice(14, 28)
        image[(half, slice(None)) if side == "top" else (slice(None), half)] += 80
    return examples_of(images.astype(np.uint8), labels)


def test_left_and_right_contradict_mirror_images_and_above_and_below_do_not():
    assert mirror_images_differ(bars(200, "left"))
    assert not mirror_images_differ(bars(200, "top"))


def test_a_few_images_prove_nothing():
    assert not mirror_images_differ(bars(20, "left"))


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_no_contradiction(seed):
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (400, 20, 20, 3)).astype(np.uint8)
    assert not mirror_images_differ(examples_of(images, random.integers(0, 4, 400)))


@pytest.mark.parametrize(
    ("name", "differ"),
    [
        ("notmnist/notMNIST_real8k.tar.gz", True),
        ("mnist/mnist-half-images-idx3-ubyte.gz", True),
        ("cifar10/cifar10-test2k.tar.gz", False),
    ],
)
@pytest.mark.parametrize("count", [100, 2000])
def test_real_letters_digits_and_photographs(real_data, name, differ, count):
    store = open_store(real_data / name)
    rows = np.random.default_rng(3).permutation(len(store))[:count]
    found = Examples((store.images,), rows, np.asarray(store.labels)[rows])
    assert mirror_images_differ(found) == differ
