"""Prediction sets: their p-values by counting, their coverage by simulation, at base rates that moved."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesight.errors import InvalidInput
from bayesight.evaluation.conformal import conformal_reference, prediction_sets


def worlds(counts, seed, spread=1.2):
    """(N, K) exact log-likelihoods of K unit normals a ``spread`` apart, and the labels."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    x = labels * spread + torch.randn(len(labels), generator=draw, dtype=torch.float64)
    return -0.5 * (x[:, None] - torch.arange(len(counts)) * spread).square(), labels


def posterior(likelihood, prior):
    return (likelihood + prior.log()).log_softmax(dim=1)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), rows=st.integers(3, 30), coverage=st.floats(0.05, 0.95))
def test_a_class_is_in_where_counting_says_so(seed, rows, coverage):
    draw = torch.Generator().manual_seed(seed)
    labelled = torch.randn(rows, 3, generator=draw, dtype=torch.float64).log_softmax(1)
    labels = torch.randint(3, (rows,), generator=draw)
    weights = torch.rand(rows, generator=draw, dtype=torch.float64)
    new = torch.randn(4, 3, generator=draw, dtype=torch.float64).log_softmax(1)
    found = prediction_sets(new, conformal_reference(labelled, labels, weights), coverage)
    for n in range(4):
        for k in range(3):
            of_class = weights[labels == k]
            own = float(of_class.mean()) if len(of_class) else math.inf
            worse = sum(
                float(w) for w, s, y in zip(weights, labelled, labels, strict=True) if -s[y] >= -new[n, k]
            )
            p = 1.0 if math.isinf(own) else (worse + own) / (float(weights.sum()) + own)
            assert bool(found[n, k]) == (p > 1 - coverage or k == int(new[n].argmax()))


@pytest.mark.parametrize("coverage", [0.8, 0.95])
@pytest.mark.parametrize("here", [(1 / 3, 1 / 3, 1 / 3), (0.9, 0.08, 0.02), (0.1, 0.2, 0.7)])
def test_the_truth_is_inside_as_often_as_asked_at_the_base_rates_here(coverage, here):
    prior, counts, held, right, sizes = torch.tensor(here).double(), (60, 60, 30), [], [], []
    for seed in range(60):
        likelihood, labels = worlds(counts, seed)
        share = prior / torch.tensor(counts)
        reference = conformal_reference(posterior(likelihood, prior), labels, share[labels])
        new, truth = worlds([round(2000 * p) for p in here], 1000 + seed)
        inside = prediction_sets(posterior(new, prior), reference, coverage)
        held.append(float(inside.gather(1, truth[:, None]).double().mean()))
        right.append(float((posterior(new, prior).argmax(1) == truth).double().mean()))
        sizes.append(float(inside.sum(1).double().mean()))
    least = max(coverage, sum(right) / 60)  # the most probable class is always in
    assert least - 0.01 < sum(held) / 60 < least + 0.03
    assert sum(sizes) / 60 < 2.6  # not all three of the classes


def test_sets_of_other_base_rates_miss_what_is_common_here():
    likelihood, labels = worlds((300, 300, 300), 1, spread=2.0)
    even, here = torch.full((3,), 1 / 3).double(), torch.tensor([0.05, 0.9, 0.05]).double()
    new, truth = worlds([200, 3600, 200], 2, spread=2.0)
    plain = conformal_reference(posterior(likelihood, even), labels, torch.ones(900))
    missed = prediction_sets(posterior(new, even), plain, 0.9).gather(1, truth[:, None]).double().mean()
    weighted = conformal_reference(posterior(likelihood, here), labels, here[labels])
    inside = prediction_sets(posterior(new, here), weighted, 0.9)
    assert float(missed) < 0.88
    assert float(inside.gather(1, truth[:, None]).double().mean()) > 0.9


def test_a_class_nothing_is_known_of_stays_in_unless_it_cannot_be_met():
    labelled = torch.tensor([[0.7, 0.2, 0.1]] * 50).log()
    reference = conformal_reference(labelled, torch.zeros(50, dtype=torch.int64), torch.ones(50))
    sure = torch.tensor([[0.98, 0.01, 0.01]]).log()
    assert prediction_sets(sure, reference, 0.5).tolist() == [[True, True, True]]
    never = torch.tensor([[0.99, 0.01, 0.0]]).log()
    assert prediction_sets(never, reference, 0.5).tolist() == [[True, True, False]]


@pytest.mark.parametrize("coverage", [0.0, 1.0, math.nan, -1.0])
def test_a_coverage_that_is_none_is_refused(coverage):
    reference = conformal_reference(torch.zeros(2, 2), torch.tensor([0, 1]), torch.ones(2))
    with pytest.raises(InvalidInput, match="coverage: got"):
        prediction_sets(torch.zeros(1, 2), reference, coverage)


def test_shapes_and_weights_are_checked():
    with pytest.raises(InvalidInput, match="log_posterior, labels, weights"):
        conformal_reference(torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64), torch.zeros(0))
    with pytest.raises(InvalidInput, match="weights: got a negative"):
        conformal_reference(torch.zeros(1, 2), torch.tensor([0]), torch.tensor([-1.0]))
    reference = conformal_reference(torch.zeros(1, 2), torch.tensor([0]), torch.ones(1))
    with pytest.raises(InvalidInput, match=r"log_posterior: got \(1, 3\)"):
        prediction_sets(torch.zeros(1, 3), reference, 0.9)
