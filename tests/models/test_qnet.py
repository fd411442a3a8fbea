"""Q-networks: shapes, seeds, and the identity that dueling rests on."""

import pytest
import torch

from bayesight.errors import InvalidConfig, InvalidInput
from bayesight.models import Q_NETWORKS, build_q_network

SHAPE = (4, 6, 5)


@pytest.mark.parametrize("name", Q_NETWORKS.names())
@pytest.mark.parametrize("dueling", [False, True])
def test_every_one_values_every_action_of_observations_of_any_type(name, dueling):
    network = build_q_network(name, SHAPE, 3, seed=1, dueling=dueling)
    seen = torch.rand(7, *SHAPE, generator=torch.Generator().manual_seed(0)) < 0.5
    values = network(seen)
    assert values.shape == (7, 3)
    assert torch.equal(values, network(seen.float()))
    assert torch.equal(values, build_q_network(name, SHAPE, 3, seed=1, dueling=dueling)(seen))
    assert not torch.equal(values, build_q_network(name, SHAPE, 3, seed=2, dueling=dueling)(seen))


def test_building_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    build_q_network("perceptron", (4,), 2)
    assert torch.equal(torch.get_rng_state(), before)


def test_dueling_values_are_the_states_on_average():
    network = build_q_network("perceptron", (4,), 3, hidden=(8,), dueling=True)
    seen = torch.rand(5, 4, generator=torch.Generator().manual_seed(0))
    features = network.body(seen)
    torch.testing.assert_close(network(seen).mean(1, keepdim=True), network.state(features))
    advantages = network.advantage(features)
    torch.testing.assert_close(network(seen).diff(dim=1), advantages.diff(dim=1))


def test_the_convolution_is_minatars():
    """16 filters of 3x3, then 128 units (Young, Tian 2019, appendix)."""
    network = build_q_network("convolution", (7, 10, 10), 3)
    assert sum(part.numel() for part in network.parameters()) == (7 * 9 + 1) * 16 + 1025 * 128 + 129 * 3


def test_what_does_not_fit_is_refused():
    with pytest.raises(InvalidInput, match="Use 'perceptron'"):
        build_q_network("convolution", (4,), 2)
    with pytest.raises(InvalidInput, match="0 actions"):
        build_q_network("perceptron", (4,), 0)
    with pytest.raises(InvalidConfig, match="1 to 32 whole numbers"):
        build_q_network("perceptron", (4,), 2, hidden=())
    with pytest.raises(InvalidConfig, match="did you mean 'dueling'"):
        build_q_network("perceptron", (4,), 2, duelling=True)
