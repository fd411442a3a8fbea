"""Adam as the paper writes it against torch's own, over 200 steps."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bayesight.errors import InvalidInput
from bayesight.optim.adam import Adam, init, update


def trained(make, dtype, steps=200):
    """A small network's weights after ``steps`` of an optimizer on the same stream of batches."""
    torch.manual_seed(2)
    network = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 3)).to(dtype)
    optimizer = make(network.parameters())
    generator = torch.Generator().manual_seed(8)
    for _ in range(steps):
        x = torch.randn(20, 5, generator=generator, dtype=torch.float64).to(dtype)
        loss = (network(x) - x[:, :3].sin()).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return torch.cat([p.detach().flatten() for p in network.parameters()])


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 2e-5)])
@pytest.mark.parametrize("decay", [0.0, 0.02])
def test_it_walks_where_torchs_walks(dtype, tolerance, decay):
    options = {"lr": 3e-3, "betas": (0.85, 0.99), "eps": 1e-7, "weight_decay": decay}
    ours = trained(lambda parameters: Adam(parameters, **options), dtype)
    theirs = trained(lambda parameters: torch.optim.Adam(parameters, **options), dtype)
    assert (ours - theirs).abs().max().item() < tolerance


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-16), (torch.float32, 6e-8)])
def test_on_the_same_gradients_it_takes_torchs_steps(dtype, tolerance):
    generator = torch.Generator().manual_seed(1)
    gradients = torch.randn(200, 50, generator=generator, dtype=torch.float64).to(dtype)
    parameter = nn.Parameter(torch.zeros(50, dtype=dtype))
    optimizer = torch.optim.Adam([parameter], lr=1e-3)
    moments, largest = init(parameter.detach()), 0.0
    for gradient in gradients:
        before = parameter.detach().clone()
        change, moments = update(gradient, moments, lr=1e-3)
        parameter.grad = gradient.clone()
        optimizer.step()
        largest = max(largest, (before + change - parameter.detach()).abs().max().item())
    assert largest < tolerance


@settings(deadline=None, max_examples=40)
@given(st.floats(1e-3, 1e3), st.integers(1, 30))
def test_the_scale_of_the_loss_does_not_matter(scale, steps):
    generator = torch.Generator().manual_seed(steps)
    one = two = init(torch.zeros(6, dtype=torch.float64))
    for _ in range(steps):
        gradient = torch.randn(6, generator=generator, dtype=torch.float64)
        step, one = update(gradient, one, lr=0.1, eps=0.0)
        scaled, two = update(gradient * scale, two, lr=0.1, eps=0.0)
        assert torch.allclose(step, scaled, rtol=1e-9)


def test_moments_are_not_changed_in_place():
    before = init(torch.zeros(3))
    _, after = update(torch.ones(3), before, lr=0.1)
    assert before.step == 0
    assert not before.first.any()
    assert after.step == 1


def test_a_closure_is_called_and_parameters_without_gradient_rest():
    moved, resting = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = Adam([moved, resting], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = moved.square().sum()
        loss.backward()
        return loss.item()

    assert optimizer.step(closure) == 2.0
    assert torch.allclose(moved.detach(), torch.full((2,), 0.9))
    assert torch.equal(resting.detach(), torch.ones(2))


def test_a_rate_that_is_not_positive_is_refused():
    with pytest.raises(InvalidInput, match=r"adam\.lr: got 0; expected a positive learning rate"):
        Adam([nn.Parameter(torch.ones(1))], lr=0)
