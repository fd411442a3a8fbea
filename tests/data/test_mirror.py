"""Mirror images: letters contradict them, photographs do not, and a few images prove nothing."""

import numpy as np
import pytest

from bayesight.data import open_store
from bayesight.data.batches import Examples
from bayesight.data.mirror import mirror_images_differ


def examples(images, labels):
    return Examples((np.asarray(images),), np.arange(len(labels)), np.asarray(labels))


def bars(count, side, seed=0):
    """Images bright on the left (0) or on the right (1), or with ``side`` "top" above or below."""
    random = np.random.default_rng(seed)
    images, labels = random.integers(0, 100, (count, 28, 28)), np.arange(count) // 2 % 2
    for image, label in zip(images, labels, strict=True):
        half = slice(0, 14) if label else slice(14, 28)
        image[(half, slice(None)) if side == "top" else (slice(None), half)] += 80
    return examples(images.astype(np.uint8), labels)


def test_left_and_right_contradict_mirror_images_and_above_and_below_do_not():
    assert mirror_images_differ(bars(200, "left"))
    assert not mirror_images_differ(bars(200, "top"))


def test_a_few_images_prove_nothing():
    assert not mirror_images_differ(bars(20, "left"))


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_no_contradiction(seed):
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (400, 20, 20, 3)).astype(np.uint8)
    assert not mirror_images_differ(examples(images, random.integers(0, 4, 400)))


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
