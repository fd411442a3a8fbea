"""The Fréchet distance against scipy's matrix root, closed forms and laws."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.errors import InvalidInput
from bayesight.evaluation import FeatureMoments, class_entropy, frechet_distance, moments


def cloud(count, size, seed):
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(size, size, generator=generator, dtype=torch.float64)
    return torch.randn(count, size, generator=generator, dtype=torch.float64) @ mixing + seed


@pytest.mark.parametrize(("size", "seed"), [(1, 1), (5, 2), (40, 3)])
def test_equals_scipy(size, seed):
    one, two = moments(cloud(200, size, seed)), moments(cloud(300, size, seed + 10))
    a, b = one.covariance.numpy(), two.covariance.numpy()
    root = scipy.linalg.sqrtm(a @ b)
    wanted = ((one.mean - two.mean) ** 2).sum().item() + np.trace(a + b - 2 * root.real)
    assert frechet_distance(one, two) == pytest.approx(wanted, rel=1e-9)


def test_one_dimension_by_hand():
    one = FeatureMoments(torch.tensor([1.0]).double(), torch.tensor([[4.0]]).double())
    two = FeatureMoments(torch.tensor([-2.0]).double(), torch.tensor([[9.0]]).double())
    assert frechet_distance(one, two) == pytest.approx(3**2 + (2 - 3) ** 2)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 6), st.integers(0, 100), st.floats(0.1, 5))
def test_laws(size, seed, stretch):
    points, others = cloud(30, size, seed), cloud(40, size, seed + 1)
    one, two = moments(points), moments(others)
    distance = frechet_distance(one, two)
    assert frechet_distance(two, one) == pytest.approx(distance, rel=1e-6, abs=1e-6)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-6 * float(one.covariance.trace()))
    stretched = frechet_distance(moments(stretch * points), moments(stretch * others))
    assert stretched == pytest.approx(stretch**2 * distance, rel=1e-6, abs=1e-6)


def test_fewer_points_than_dimensions():
    one, two = moments(cloud(4, 20, 0)), moments(cloud(5, 20, 1))
    assert math.isfinite(frechet_distance(one, two))
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-3)


def test_class_entropy():
    even = torch.arange(10).repeat(3)
    assert class_entropy(even, 10) == pytest.approx(math.log(10))
    assert class_entropy(torch.zeros(7, dtype=torch.int64), 10) == 0
    uneven = class_entropy(torch.tensor([0, 0, 0, 2]), 3)
    assert uneven == pytest.approx(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))


def test_refusals():
    with pytest.raises(InvalidInput, match="N >= 2"):
        moments(torch.ones(1, 3))
    with pytest.raises(InvalidInput, match="the same number"):
        frechet_distance(moments(cloud(9, 2, 0)), moments(cloud(9, 3, 0)))
    with pytest.raises(InvalidInput, match="each in 0"):
        class_entropy(torch.tensor([3]), 3)
