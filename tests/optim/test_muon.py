"""Muon against the singular value decomposition, torch's own step, and Adam where Adam is what moves."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bayesight.models import CausalTransformer
from bayesight.optim import build_optimizer
from bayesight.optim.muon import muon_groups, orthogonalised


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 9))
def test_it_keeps_the_singular_vectors_and_evens_the_values(rows, columns, seed):
    matrix = numbers(2, rows, columns, seed=seed)
    u, s, vt = torch.linalg.svd(matrix, full_matrices=False)
    found = u.mT @ orthogonalised(matrix) @ vt.mT
    values = found.diagonal(dim1=-2, dim2=-1)
    torch.testing.assert_close(found, torch.diag_embed(values), rtol=0, atol=1e-9)  # the same vectors
    strong = s / torch.linalg.matrix_norm(matrix)[..., None] > 0.02
    assert ((values > 0.65) & (values < 1.25))[strong].all()


def test_a_step_is_torchs_on_a_matrix():
    torch.manual_seed(0)
    ours, theirs = nn.Linear(24, 40, bias=False), nn.Linear(24, 40, bias=False)
    theirs.weight.data.copy_(ours.weight.data)
    one = build_optimizer("muon", ours, lr=0.03, weight_decay=0.2, momentum=0.9)
    other = torch.optim.Muon(theirs.parameters(), lr=0.03, weight_decay=0.2, momentum=0.9)
    for step in range(5):
        gradient = numbers(40, 24, seed=step).float()
        ours.weight.grad, theirs.weight.grad = gradient, gradient.clone()
        one.step(), other.step()
    # theirs iterates in bfloat16, of three digits; an element moves by up to .15 over the five steps
    torch.testing.assert_close(ours.weight, theirs.weight, rtol=0, atol=4e-3)


def test_the_ends_and_the_vectors_follow_adam():
    model = CausalTransformer(11, 8, layers=1, width=8, heads=2, tied=False)
    twin = CausalTransformer(11, 8, layers=1, width=8, heads=2, tied=False)
    one = build_optimizer("muon", model, lr=0.02, weight_decay=0.1, adam_share=0.25)
    other = build_optimizer("adamw", twin, lr=0.005, weight_decay=0.1, betas=(0.9, 0.95))
    for step in range(4):
        for a, b in zip(model.parameters(), twin.parameters(), strict=True):
            a.grad = b.grad = numbers(*a.shape, seed=step).float()
        one.step(), other.step()
    matrices = {name for name, p in model.named_parameters() if p.dim() == 2 and name.startswith("blocks")}
    for (name, a), b in zip(model.named_parameters(), twin.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6) == (name not in matrices), name


def test_groups_are_hidden_matrices_ends_and_vectors():
    model = CausalTransformer(11, 8, layers=1, width=8, heads=2)
    hidden, ends, vectors = muon_groups(model, 0.1)
    assert {id(p) for p in ends["params"]} == {id(model.embed.symbol.weight), id(model.embed.place.weight)}
    block = model.blocks[0]
    parts = (block.attention.project_in, block.attention.project_out, block.expand, block.contract)
    assert {id(p) for p in hidden["params"]} == {id(part.weight) for part in parts}
    assert [group["weight_decay"] for group in (hidden, ends, vectors)] == [0.1, 0.1, 0.0]
    assert all(p.dim() == 1 for p in vectors["params"])


def test_a_kernel_is_a_matrix_of_its_output_channels():
    conv, flat = nn.Conv2d(3, 4, 5, bias=False), nn.Linear(75, 4, bias=False)
    flat.weight.data.copy_(conv.weight.data.flatten(1))
    for part in (conv, flat):
        part.weight.grad = numbers(4, 75).float().view(part.weight.shape)
        build_optimizer("muon", part, lr=0.1).step()
    torch.testing.assert_close(conv.weight.flatten(1), flat.weight)


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_a_state_goes_on_where_it_stopped(name):
    def trained(steps, state=None, weights=None):
        torch.manual_seed(0)
        layer = nn.Linear(6, 5)
        if weights:
            layer.load_state_dict(weights)
        optimizer = build_optimizer(name, layer, lr=0.01)
        if state:
            optimizer.load_state_dict(state)
        for step in steps:
            layer.weight.grad = numbers(5, 6, seed=step).float()
            layer.bias.grad = numbers(5, seed=step).float()
            optimizer.step()
        return layer, optimizer

    whole, _ = trained(range(6))
    first, optimizer = trained(range(3))
    second, _ = trained(range(3, 6), optimizer.state_dict(), first.state_dict())
    assert torch.equal(whole.weight, second.weight)
