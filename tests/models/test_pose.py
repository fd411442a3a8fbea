"""Key points: the place of a map, the probability near it, and coordinates by regression."""

import numpy as np
import pytest
import torch

from bayesight.errors import InvalidInput
from bayesight.losses.pose import heat_maps
from bayesight.models.pose import CoordinatePose, log_places, mass_near, places


def test_the_place_of_a_gaussian_is_its_middle():
    points = torch.tensor([[[4.3, 7.9], [10.0, 3.2]]])
    assert places(heat_maps(points, 12, 15), window=9).numpy() == pytest.approx(points.numpy(), abs=0.02)


def test_of_two_peaks_the_heavier_counts_alone():
    maps = heat_maps(torch.tensor([[[3.5, 3.5]], [[12.5, 8.5]]]), 12, 16, spread=0.4)
    both = torch.logaddexp(maps[:1] + np.log(0.4), maps[1:] + np.log(0.6))
    found = places(both)
    assert found.numpy() == pytest.approx(np.array([[[12.5, 8.5]]]), abs=1e-3)
    assert mass_near(both, found, 3.0).item() == pytest.approx(0.6, abs=1e-5)
    assert mass_near(both, found, 30.0).item() == pytest.approx(1)


def test_the_mass_is_that_of_the_pixels_within_the_radius():
    maps = torch.randn(2, 3, 7, 9, generator=torch.Generator().manual_seed(1))
    points, radius = torch.tensor([[[2.0, 3.0], [4.5, 4.5], [0.0, 0.0]]] * 2), torch.tensor([1.3, 2.7])
    p = torch.softmax(maps.flatten(2), 2).view(maps.shape)
    slow = torch.zeros(2, 3)
    for n in range(2):
        for k in range(3):
            for row in range(7):
                for column in range(9):
                    gap = torch.tensor([column + 0.5, row + 0.5]) - points[n, k]
                    slow[n, k] += p[n, k, row, column] * (gap.norm() <= radius[n])
    assert mass_near(log_places(maps), points, radius).numpy() == pytest.approx(slow.numpy(), abs=1e-6)


def test_maps_moved_move_the_place():
    maps = log_places(torch.randn(1, 4, 30, 30, generator=torch.Generator().manual_seed(2)) * 4)
    maps[..., :4, :] = maps[..., -4:, :] = maps[..., :4] = maps[..., -4:] = -50
    moved = maps.roll((2, -1), dims=(2, 3))
    gap = places(moved) - places(maps)
    assert gap.numpy() == pytest.approx(np.broadcast_to([-1, 2], (1, 4, 2)), abs=1e-4)


def test_coordinates_come_in_pixels_and_start_near_the_middle():
    torch.manual_seed(0)
    network = CoordinatePose(3, 5, side=40, widths=(4, 8, 8), hidden=16).eval()
    torch.nn.init.zeros_(network.head.weight)
    torch.nn.init.zeros_(network.head.bias)
    assert (network(torch.rand(2, 3, 40, 40)) == 20).all()
    assert network(torch.rand(2, 3, 40, 40)).shape == (2, 5, 2)


@pytest.mark.parametrize("wrong", [{"side": 4, "widths": (4, 4, 4, 4)}, {"widths": ()}, {"points": 0}])
def test_networks_that_cannot_be(wrong):
    with pytest.raises(InvalidInput, match="coordinates"):
        CoordinatePose(**{"channels": 1, "points": 2, **wrong})


def test_an_even_window():
    with pytest.raises(InvalidInput, match="odd"):
        places(torch.zeros(1, 1, 4, 4), window=4)
