"""Few labels: the linear model against scikit-learn, and the draws of the labels."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from bayesight.milestones import Bench
from bayesight.milestones.bench.few_labels import draws_of, embedded, ridge_regression
from bayesight.milestones.bench.workbench import Sources
from bayesight.models import ProjectionHead, build
from bayesight.training.hardware import choose_hardware


@pytest.fixture
def bench(toy):
    return Bench(Sources(replace(toy, source="letters"), smoke=True), 4, choose_hardware(threads=1))


@pytest.mark.parametrize(("count", "ridge"), [(30, 0.07), (7, 1.3)])
def test_ridge_regression_agrees_with_scikit_learn(count, ridge):
    generator = torch.Generator().manual_seed(count)
    points = torch.randn(count, 12, generator=generator, dtype=torch.float64) * 2 + 1
    targets = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    others = torch.randn(9, 12, generator=generator, dtype=torch.float64)
    spread = (points - points.mean(0)).square().sum(1).mean().item()
    expected = Ridge(alpha=ridge * spread).fit(points.numpy(), targets.numpy()).predict(others.numpy())
    found = ridge_regression(points, targets, ridge)(others).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_a_draw_has_so_many_labels_of_each_class_and_another_draw_others(bench):
    letters, _ = bench.sources.letters.split()
    first, second = draws_of(letters, 3, 2, bench)
    assert np.bincount(letters.labels[first]).tolist() == [3] * 10
    assert len(set(first)) == 30
    assert set(first) != set(second)
    again, _ = draws_of(letters, 3, 2, bench)
    assert np.array_equal(first, again)
    other_seed, _ = draws_of(letters, 3, 2, replace(bench, seed=5))
    assert set(first) != set(other_seed)


def test_embeddings_are_of_unit_length_and_in_order(bench):
    _, letters = bench.sources.letters.split()
    model = ProjectionHead(build("mlp", letters.image_shape, 10, hidden=(16,)), size=4)
    found = embedded(model, letters)
    assert torch.allclose(found.norm(dim=1), torch.ones(len(letters), dtype=torch.float64))
    with torch.no_grad():
        features = model.network.features(letters.images(np.array([5])).float() / 255)
        hidden = model.hidden(features).relu()[0]
    assert torch.allclose(found[5], (hidden / hidden.norm()).double(), atol=1e-6)
