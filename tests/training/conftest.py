"""Images and hardware small enough for a test."""

import numpy as np
import pytest
import torch

from bayesight.data.batches import Examples
from bayesight.training.hardware import choose_hardware


@pytest.fixture(autouse=True)
def threads_as_they_were():
    """Leave the number of torch threads as it was."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def hardware():
    """The processor, one thread, fp32."""
    return choose_hardware(device="cpu", precision="32", threads=1)


@pytest.fixture
def examples():
    """Make examples: how many, seed, and how many environments they come from."""

    def make(count, seed=0, environments=0):
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 3, count)
        pixels = rng.integers(0, 120, (count, 8, 8)) + 60 * labels[:, None, None]
        where = rng.integers(0, environments, count) if environments else None
        return Examples((pixels.clip(0, 255).astype(np.uint8),), np.arange(count), labels, where)

    return make
