"""What the head holds, against the sums written out, and what it refuses."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.bayes.head import gaussian as gh
from bayesight.errors import InvalidInput


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1300), st.booleans(), st.booleans(), st.integers(0, 9))
def test_statistics_are_the_sums_written_out(sample, start, rows, weighted, grown, seed):
    x, y = sample(rows, seed=seed, classes=5 if grown else 4)
    head = gh.add_class(start(), "e") if grown else start()
    weights = torch.rand(rows, generator=torch.Generator().manual_seed(seed)) if weighted else None
    counts, sums, second = gh.sufficient_statistics(head, x, y, weights)
    z = (x.double() - head.shift) / head.scale
    w = torch.ones(rows, dtype=torch.float64) if weights is None else weights.double()
    for k in range(len(head.classes)):
        torch.testing.assert_close(counts[k], w[y == k].sum(), rtol=1e-11, atol=1e-11)
        torch.testing.assert_close(sums[k], (w[:, None] * z)[y == k].sum(0), rtol=1e-9, atol=1e-9)
    for group, of in enumerate((y < head.founding, y >= head.founding)):
        expected = torch.einsum("n,ni,nj->ij", w[of], z[of], z[of])
        torch.testing.assert_close(second[group], expected, rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (torch.zeros(3, 5), torch.zeros(3, dtype=torch.long), r"expected \(N, 6\)"),
        (torch.full((3, 6), math.nan), torch.zeros(3, dtype=torch.long), "NaN"),
        (torch.zeros(3, 6), torch.tensor([0, 1, 4]), "add_class"),
        (torch.zeros(3, 6), torch.tensor([0, 1, -1]), "outside the classes"),
        (torch.zeros(3, 6), torch.zeros(3), "integers"),
        (torch.zeros(3, 6), torch.zeros(2, dtype=torch.long), "3 integers"),
    ],
)
def test_bad_rows_are_refused(features, labels, message, start):
    with pytest.raises(InvalidInput, match=message):
        gh.absorb(start(), features, labels)


@pytest.mark.parametrize(
    "make",
    [
        lambda _: gh.HeadPrior(scatter=0.0),
        lambda _: gh.empty(("a", "a"), torch.zeros(2), torch.ones(2)),
        lambda _: gh.empty((), torch.zeros(2), torch.ones(2)),
        lambda _: gh.empty(("a",), torch.zeros(2), torch.zeros(2)),
        lambda start: gh.add_class(start(), "a"),
        lambda start: gh.absorb(start(), torch.zeros(1, 6), torch.zeros(1).long(), torch.tensor([1.5])),
    ],
)
def test_bad_states_are_refused(make, start):
    with pytest.raises(InvalidInput):
        make(start)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 1300), st.booleans(), st.integers(0, 9))
def test_statistics_are_the_blocks_of_one_product(rows, weighted, seed):
    """[x, e_y]^T W [x, e_y] with e_y the one-hot label, dense: (D + K)^2 numbers of which few are wanted."""
    draw, size, count = torch.Generator().manual_seed(seed), 5, 40
    x = torch.randn(rows, size, generator=draw)
    y = torch.randint(count, (rows,), generator=draw)
    weights = torch.rand(rows, generator=draw).double() if weighted else torch.ones(rows).double()
    head = gh.empty([str(k) for k in range(count)], torch.linspace(-1, 1, size), torch.linspace(0.5, 2, size))
    joint = torch.cat([(x.double() - head.shift) / head.scale, torch.eye(count).double()[y]], dim=1)
    dense = joint.T @ (weights[:, None] * joint)
    counts, sums, second = gh.sufficient_statistics(head, x, y, weights if weighted else None)
    torch.testing.assert_close(counts, dense.diagonal()[size:], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(sums, dense[size:, :size], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(second[0], dense[:size, :size], rtol=1e-12, atol=1e-12)


def test_a_hundred_thousand_classes_take_their_own_number():
    count = 100_000  # whose square would be 75 GB
    y = torch.arange(0, count, 97)
    head = gh.empty([str(k) for k in range(count)], torch.zeros(3), torch.ones(3))
    counts, sums, _ = gh.sufficient_statistics(head, torch.ones(len(y), 3), y)
    assert counts.sum() == len(y) == sums[:, 1].sum()
    assert sums[y].eq(1).all()
