"""Losses of key points: closed forms, what is not there, and gradients."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import norm

from bayesight.errors import InvalidInput
from bayesight.losses.pose import coordinate_loss, heat_map_loss, heat_maps

HERE = torch.ones(2, 3, dtype=torch.bool)


def drawn(seed=0):
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(2, 3, 9, 11, generator=generator, dtype=torch.float64)
    return maps, torch.rand(2, 3, 2, generator=generator, dtype=torch.float64) * 9


def test_a_heat_map_is_a_gaussian_that_sums_to_1():
    p = heat_maps(torch.tensor([[[5.3, 4.0]]], dtype=torch.float64), 12, 14, spread=1.5).exp()[0, 0].numpy()
    assert p.sum() == pytest.approx(1)
    columns, rows = norm.pdf(np.arange(14) + 0.5, 5.3, 1.5), norm.pdf(np.arange(12) + 0.5, 4.0, 1.5)
    expected = np.outer(rows, columns)
    assert p == pytest.approx(expected / expected.sum(), rel=1e-9)


def test_the_divergence_is_pytorchs_and_nothing_where_the_map_is_the_target():
    maps, points = drawn()
    target = heat_maps(points, 9, 11, 0.8).flatten(2)
    log_p = maps.flatten(2).log_softmax(2)
    expected = F.kl_div(log_p, target, reduction="none", log_target=True).sum(2).mean().item()
    assert heat_map_loss(maps, points, HERE, spread=0.8).item() == pytest.approx(expected, rel=1e-5)
    exact = heat_map_loss(target.view(maps.shape) + 3, points, HERE, spread=0.8).item()
    assert exact == pytest.approx(0, abs=1e-5)


def test_squared_distance_by_hand():
    found, points = torch.tensor([[[3.0, 4.0], [1.0, 1.0]]]), torch.tensor([[[0.0, 0.0], [1.0, 3.0]]])
    both = coordinate_loss(found, points, torch.tensor([[True, True]]), side=10)
    assert both.item() == pytest.approx((0.25 + 0.04) / 2)
    assert coordinate_loss(found, points, torch.tensor([[False, True]]), side=10).item() == pytest.approx(
        0.04
    )


@pytest.mark.parametrize("kind", ["maps", "coordinates"])
def test_points_that_are_not_there_count_for_nothing(kind):
    maps, points = drawn()
    there = HERE.clone()
    there[0, 1] = there[1, 2] = False
    moved = points.clone()
    moved[~there] = 1e3
    answers = maps if kind == "maps" else drawn(1)[1]
    answers.requires_grad_()

    def loss(of, which):
        if kind == "maps":
            return heat_map_loss(answers, of, which)
        return coordinate_loss(answers, of, which, side=9)

    one = loss(points, there)
    assert one.item() == pytest.approx(loss(moved, there).item())
    one.backward()
    gradient = answers.grad.flatten(2).abs().sum(2)
    assert (gradient[~there] == 0).all()
    assert (gradient[there] > 0).all()
    assert loss(points, torch.zeros_like(there)).item() == 0


def test_shapes_that_do_not_fit():
    maps, points = drawn()
    with pytest.raises(InvalidInput, match=r"heat_map_loss: .*\(B, P, 2\)"):
        heat_map_loss(maps, points[:, :2], HERE)
    with pytest.raises(InvalidInput, match=r"coordinate_loss: .*\(B, P, 2\)"):
        coordinate_loss(points, points, HERE[:1], side=3)
    with pytest.raises(InvalidInput, match="above 0"):
        heat_maps(points, 3, 3, 0)
