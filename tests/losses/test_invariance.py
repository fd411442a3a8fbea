"""Weights, penalty and shares against closed forms, autograd, slow versions and laws."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from bayesight.errors import InvalidInput
from bayesight.losses import (
    backdoor_weights,
    exponentiated,
    group_means,
    invariance_penalty,
    scale_gradient,
)

COUNTS = st.lists(st.lists(st.integers(1, 500), min_size=3, max_size=3), min_size=2, max_size=4)


def drawn(count=60, classes=4, seed=3):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(count, classes, generator=generator, dtype=torch.float64)
    return logits, torch.randint(classes, (count,), generator=generator)


def test_weights_of_a_table_worked_by_hand():
    """90 of 100 red images are of class 0, 60 of 300 green ones: p(red) p(0) / p(red, 0) and so on."""
    found = backdoor_weights(torch.tensor([[90, 10], [60, 240]]))
    expected = [[0.25 * 0.375 / 0.225, 0.25 * 0.625 / 0.025], [0.75 * 0.375 / 0.15, 0.75 * 0.625 / 0.6]]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


@settings(deadline=None, max_examples=60)
@given(COUNTS)
def test_weighted_tables_keep_their_shares_and_lose_their_association(rows):
    counts = torch.tensor(rows, dtype=torch.float64)
    weighted = counts * backdoor_weights(counts)
    torch.testing.assert_close(weighted.sum(0), counts.sum(0))
    torch.testing.assert_close(weighted.sum(1), counts.sum(1))
    independent = torch.outer(counts.sum(1), counts.sum(0)) / counts.sum()
    torch.testing.assert_close(weighted, independent)
    torch.testing.assert_close(backdoor_weights(7 * counts), backdoor_weights(counts))


def test_weighting_is_the_back_door_formula():
    """A weighted mean over images is sum over e, k of p(e) p(k) E[. | e, k], image by image."""
    rng = np.random.default_rng(5)
    places, labels, values = rng.integers(3, size=900), rng.integers(2, size=900), rng.normal(size=900)
    labels = np.where(rng.random(900) < 0.6, places % 2, labels)
    counts = torch.tensor([[int(((places == e) & (labels == k)).sum()) for k in (0, 1)] for e in (0, 1, 2)])
    weights = backdoor_weights(counts).numpy()[places, labels]
    slow = sum(
        (places == e).mean() * (labels == k).mean() * values[(places == e) & (labels == k)].mean()
        for e in range(3)
        for k in range(2)
    )
    assert math.isclose((weights * values).mean(), slow, rel_tol=1e-12)


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ([[3, 0], [2, 2]], "no image of environment 0, class 1"),
        ([[3, -1], [2, 2]], "numbers >= 0"),
        ([3, 4], r"shape \(2,\)"),
    ],
)
def test_what_cannot_be_weighted_is_refused(counts, words):
    with pytest.raises(InvalidInput, match=words):
        backdoor_weights(torch.tensor(counts))


def test_scale_gradient_is_autograds():
    logits, labels = drawn()
    scale = torch.ones(len(labels), 1, dtype=torch.float64, requires_grad=True)
    losses = F.cross_entropy(logits * scale, labels, reduction="none")
    (expected,) = torch.autograd.grad(losses.sum(), scale)
    torch.testing.assert_close(scale_gradient(logits, labels), expected.squeeze(1))


def test_penalty_is_the_authors_code():
    """The published implementation: autograd of an environment's risk by a dummy scale, squared."""
    logits, labels = drawn(seed=8)
    environments = torch.arange(len(labels)) % 3
    sums, numbers = group_means(scale_gradient(logits, labels), environments, 3)
    for e in range(3):
        scale = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
        inside = environments == e
        risk = F.cross_entropy(logits[inside] * scale, labels[inside])
        (gradient,) = torch.autograd.grad(risk, scale)
        torch.testing.assert_close(invariance_penalty(sums, numbers)[e], gradient.square())


def test_penalty_vanishes_at_an_environments_own_temperature():
    """At the scale that suits an environment best its penalty is zero, and nowhere else."""
    logits, labels = drawn(400, 3, 4)
    labels = torch.where(torch.arange(400) % 3 > 0, logits.argmax(1), labels)
    scales = torch.linspace(0.05, 3, 600, dtype=torch.float64)
    risks = torch.stack([F.cross_entropy(s * logits, labels) for s in scales])
    penalties = torch.stack([scale_gradient(s * logits, labels).mean().square() for s in scales])
    assert abs(int(risks.argmin()) - int(penalties.argmin())) <= 1
    assert penalties.min() < 1e-5 < penalties[0]


def test_group_means_against_a_loop():
    logits, labels = drawn(50, 5)
    sums, numbers = group_means(logits[:, 0], labels, 6)
    for k in range(6):
        assert math.isclose(sums[k], logits[labels == k, 0].sum(), abs_tol=1e-12)
        assert numbers[k] == (labels == k).sum()


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(0, 5), min_size=2, max_size=6),
    st.floats(0, 3),
    st.floats(-4, 4),
    st.integers(0, 100),
)
def test_shares_are_a_softmax_and_ignore_a_common_loss(losses, rate, constant, seed):
    shares = np.random.default_rng(seed).dirichlet(np.ones(len(losses)))
    q, given_losses = torch.from_numpy(shares), torch.tensor(losses, dtype=torch.float64)
    found = exponentiated(q, given_losses, rate)
    np.testing.assert_allclose(found, softmax(np.log(shares) + rate * np.array(losses)), rtol=1e-9)
    torch.testing.assert_close(exponentiated(q, given_losses + constant, rate), found)
    twice = exponentiated(exponentiated(q, given_losses, rate), given_losses, rate)
    torch.testing.assert_close(twice, exponentiated(q, given_losses, 2 * rate))


def test_a_negative_rate_is_refused():
    with pytest.raises(InvalidInput, match="rate: got -1"):
        exponentiated(torch.ones(2) / 2, torch.zeros(2), -1)
