"""NT-Xent against two literal loops, its closed forms, and its symmetries."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.errors import InvalidInput
from bayesight.losses import nt_xent


def views(count, size, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, count, size, generator=generator, dtype=dtype)


def literal(first, second, temperature):
    """Equation 1 of the paper, one pair at a time."""
    rows = [row for pair in zip(first, second, strict=True) for row in pair]  # 2k and 2k + 1 are partners
    total = 0.0
    for i, one in enumerate(rows):
        likeness = [
            math.exp(torch.cosine_similarity(one, other, dim=0).item() / temperature) for other in rows
        ]
        partner = i + 1 if i % 2 == 0 else i - 1
        total -= math.log(likeness[partner] / (sum(likeness) - likeness[i]))
    return total / len(rows)


@pytest.mark.parametrize(("count", "size", "temperature"), [(2, 1, 1.0), (7, 5, 0.3), (12, 16, 0.07)])
def test_equals_two_literal_loops(count, size, temperature):
    first, second = views(count, size, count)
    wanted = literal(first, second, temperature)
    assert nt_xent(first, second, temperature).item() == pytest.approx(wanted, rel=1e-12)
    single = nt_xent(first.float(), second.float(), temperature).item()
    assert single == pytest.approx(wanted, rel=2e-6)


@pytest.mark.parametrize("count", [2, 5, 64])
def test_collapsed_embeddings_cost_ln_of_the_others(count):
    alike = torch.ones(count, 8)
    assert nt_xent(alike, 3 * alike, 0.2).item() == pytest.approx(math.log(2 * count - 1), abs=1e-6)


def test_far_apart_pairs_cost_almost_nothing():
    apart = torch.eye(6)
    assert nt_xent(apart, apart, 0.02).item() < 1e-9


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 9), st.integers(1, 6), st.floats(0.1, 2), st.integers(0, 1000))
def test_order_length_and_side_do_not_matter(count, size, temperature, seed):
    first, second = views(count, size, seed)
    loss = nt_xent(first, second, temperature)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    lengths = 0.5 + torch.arange(count, dtype=torch.float64)[:, None]
    same = (
        nt_xent(second, first, temperature),
        nt_xent(first[order], second[order], temperature),
        nt_xent(first * lengths, second / lengths, temperature),
    )
    assert all(torch.isclose(other, loss, rtol=1e-9) for other in same)


def test_bf16_embeddings_are_compared_in_fp32():
    first, second = views(8, 16, 0, torch.float32).bfloat16()
    assert nt_xent(first, second, 0.1).item() == nt_xent(first.float(), second.float(), 0.1).item()


@pytest.mark.parametrize(
    ("first", "second", "temperature", "sentence"),
    [
        (torch.ones(1, 3), torch.ones(1, 3), 0.5, "batch of two images"),
        (torch.ones(4, 3), torch.ones(4, 2), 0.5, "two of one shape"),
        (torch.ones(4, 3), torch.ones(4, 3), 0.0, "a positive number"),
    ],
)
def test_refusals(first, second, temperature, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        nt_xent(first, second, temperature)
