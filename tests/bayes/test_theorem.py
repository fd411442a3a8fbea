"""The theorem against closed forms, pgmpy, a slow loop, and its own laws."""

import itertools
import logging
import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from bayesight.bayes import _fused
from bayesight.bayes.theorem import (
    Belief,
    effective_readings,
    likelihoods,
    log_odds,
    pool,
    sequence,
    update,
)
from bayesight.errors import Impossible, InvalidInput, UnknownName

F64 = torch.float64
LOGS = st.lists(st.floats(-40, 5), min_size=3, max_size=3)


def two(p: float) -> Belief:
    return Belief.from_probabilities({"ill": p, "healthy": 1 - p})


@pytest.mark.parametrize(("alarm", "once", "twice"), [(0.01, 0.9167, 0.9991), (0.10, 0.5238, 0.9159)])
def test_worked_figures(alarm, once, twice):
    prior = two(0.10)
    positive = likelihoods(prior, {"ill": 0.99, "healthy": alarm})
    steps = sequence(prior, [positive, positive])
    assert [round(s.posterior.of("ill").item(), 4) for s in steps] == [once, twice]
    assert steps[0].log_evidence.exp().item() == pytest.approx(0.1 * 0.99 + 0.9 * alarm, rel=1e-12)


def slow_update(prior, likelihood):
    """Bayes' theorem written out for one row in Python floats."""
    joint = [p * q for p, q in zip(prior, likelihood, strict=True)]
    return [j / sum(joint) for j in joint], math.log(sum(joint))


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("rows", [1, 7, 20_001])
@pytest.mark.parametrize("own_prior", [True, False])
def test_update_equals_the_slow_way(dtype, rows, own_prior):
    rng = torch.Generator().manual_seed(rows)
    ll = torch.randn(rows, 5, generator=rng, dtype=dtype) * 3
    log_p = torch.randn(rows if own_prior else 1, 5, generator=rng, dtype=dtype).log_softmax(-1)
    prior = Belief(log_p if own_prior else log_p[0])
    posterior, log_evidence = update(prior, ll)
    tolerance = 1e-12 if dtype == F64 else 2e-5
    for row in {0, rows // 2, rows - 1}:
        p, z = slow_update(
            log_p[row if own_prior else 0].double().exp().tolist(), ll[row].double().exp().tolist()
        )
        assert posterior.p[row].tolist() == pytest.approx(p, rel=tolerance * 10, abs=tolerance)
        assert log_evidence[row].item() == pytest.approx(z, rel=tolerance * 10, abs=tolerance * 10)


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("shift", [-20_000.0, -900.0, -100.0, 0.0, 100.0, 900.0])
def test_blocks_equal_logsumexp_at_any_scale(dtype, shift):
    rng = torch.Generator().manual_seed(3)
    ll = torch.randn(30_000, 4, generator=rng, dtype=dtype) * 30 + shift
    ll[::7, 2] = -math.inf
    prior = Belief(torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=dtype).log())
    posterior, log_evidence = update(prior, ll)
    joint = prior.log_p + ll
    expected = joint.double().logsumexp(-1)
    slack = 1e-13 if dtype == F64 else 4e-7
    scale = slack * (abs(shift) + 100)
    assert torch.allclose(log_evidence.double(), expected, atol=scale, rtol=0)
    assert torch.allclose(posterior.p.double(), (joint.double() - expected[:, None]).exp(), atol=scale * 3)
    assert torch.allclose(posterior.p.sum(-1), torch.ones(30_000, dtype=dtype), atol=scale * 3)


def test_threads_share_a_large_batch_and_agree_with_one():
    before = torch.get_num_threads()
    ll = torch.randn(300_001, 7, generator=torch.Generator().manual_seed(2), dtype=F64) * 4
    prior = Belief(
        torch.randn(300_001, 7, generator=torch.Generator().manual_seed(3), dtype=F64).log_softmax(-1)
    )
    try:
        torch.set_num_threads(1)
        one, evidence = update(prior, ll)
        torch.set_num_threads(3)
        three, same = update(prior, ll)
        ll[299_000] = -math.inf
        with pytest.raises(Impossible, match="row 299000"):
            update(prior, ll)
    finally:
        torch.set_num_threads(before)
    assert torch.allclose(one.log_p, three.log_p, atol=1e-13)
    assert torch.allclose(evidence, same, atol=1e-13)
    joint = prior.log_p[:1000] + ll[:1000]
    assert torch.allclose(evidence[:1000], joint.logsumexp(-1), atol=1e-13)


def test_out_is_written_and_checked():
    prior, ll = Belief.uniform(3), torch.randn(10, 3, generator=torch.Generator().manual_seed(0), dtype=F64)
    out = (torch.empty(10, 3, dtype=F64), torch.empty(10, dtype=F64))
    posterior, log_evidence = update(prior, ll, out=out)
    assert posterior.log_p is out[0]
    assert log_evidence is out[1]
    expected, evidence = update(prior, ll)
    assert torch.allclose(out[0], expected.log_p, atol=1e-14)
    assert torch.allclose(out[1], evidence, atol=1e-14)
    with pytest.raises(InvalidInput, match=r"out: .* expected contiguous"):
        update(prior, ll, out=(torch.empty(3, 10, dtype=F64).T, out[1]))


def test_broadcasting_over_any_leading_shape():
    rng = torch.Generator().manual_seed(1)
    prior = Belief(torch.randn(4, 1, 3, generator=rng, dtype=F64).log_softmax(-1))
    ll = torch.randn(6, 3, generator=rng, dtype=F64)
    posterior, log_evidence = update(prior, ll)
    assert posterior.log_p.shape == (4, 6, 3)
    for i, j in itertools.product(range(4), range(6)):
        single, z = update(Belief(prior.log_p[i, 0]), ll[j])
        assert torch.allclose(posterior.log_p[i, j], single.log_p, atol=1e-14)
        assert log_evidence[i, j].item() == pytest.approx(z.item(), abs=1e-14)


def test_gradients_pass_through():
    weights = torch.zeros(4, dtype=F64, requires_grad=True)
    _, log_evidence = update(Belief.uniform(4), torch.arange(4, dtype=F64) * 0.3 + weights)
    log_evidence.backward()
    posterior, _ = update(Belief.uniform(4), torch.arange(4, dtype=F64) * 0.3)
    assert torch.allclose(weights.grad, posterior.p)


@given(LOGS, LOGS, LOGS, st.floats(0, 1))
@settings(deadline=None, max_examples=60)
def test_order_of_readings_does_not_matter(a, b, c, rho):
    prior = Belief.from_probabilities([0.2, 0.3, 0.5])
    readings = [torch.tensor(x, dtype=F64) for x in (a, b, c)]
    ends = [
        sequence(prior, list(p), dependence=rho)[-1].posterior.log_p for p in itertools.permutations(readings)
    ]
    for end in ends[1:]:
        assert torch.allclose(end, ends[0], atol=1e-10)


@given(LOGS, LOGS)
@settings(deadline=None, max_examples=60)
def test_sequence_equals_one_shot(a, b):
    prior = Belief.from_probabilities([0.2, 0.3, 0.5])
    la, lb = torch.tensor(a, dtype=F64), torch.tensor(b, dtype=F64)
    steps = sequence(prior, [la, lb])
    once, z = update(prior, la + lb)
    assert torch.allclose(steps[-1].posterior.log_p, once.log_p, atol=1e-10)
    assert sum(s.log_evidence for s in steps).item() == pytest.approx(z.item(), abs=1e-10)
    assert torch.equal(steps[1].prior.log_p, steps[0].posterior.log_p)


@given(LOGS, st.floats(-30, 30))
@settings(deadline=None, max_examples=60)
def test_scaling_a_likelihood_changes_only_the_evidence(a, constant):
    prior, ll = Belief.from_probabilities([0.2, 0.3, 0.5]), torch.tensor(a, dtype=F64)
    (p, z), (q, y) = update(prior, ll), update(prior, ll + constant)
    assert torch.allclose(p.log_p, q.log_p, atol=1e-10)
    assert (y - z).item() == pytest.approx(constant, abs=1e-10)


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("rho", [0.0, 0.3, 0.9])
def test_dependence_is_exact_for_equicorrelated_gaussian_readings(n, rho):
    means, sd = {"A": -1.0, "B": 0.5, "C": 2.0}, 1.7
    x = np.random.default_rng(5).normal(0.4, sd, n)
    covariance = sd**2 * ((1 - rho) * np.eye(n) + rho)
    joint = [multivariate_normal.logpdf(x, np.full(n, m), covariance) for m in means.values()]
    prior = Belief.from_probabilities([0.5, 0.2, 0.3], list(means))
    truth, _ = update(prior, torch.tensor(joint, dtype=F64))
    readings = [torch.tensor([norm.logpdf(xi, m, sd) for m in means.values()], dtype=F64) for xi in x]
    found = sequence(prior, readings, dependence=rho)[-1].posterior
    assert torch.allclose(found.log_p, truth.log_p, atol=1e-10)
    pooled, _ = update(prior, pool(torch.stack(readings), dependence=rho))
    assert torch.allclose(pooled.log_p, truth.log_p, atol=1e-10)


def test_the_effective_likelihood_is_the_one_that_was_used():
    prior = Belief.from_probabilities({"a": 0.2, "b": 0.8, "never": 0.0})
    reading = torch.tensor([0.9, 0.3, 0.5], dtype=F64)
    first, second = sequence(prior, [reading.log()] * 2, dependence=0.6)
    assert torch.allclose(first.effective_likelihood, reading)
    used = second.effective_likelihood
    product = second.prior.p * used
    assert torch.allclose(product / product.sum(), second.posterior.p)
    assert torch.allclose(product.sum(), second.log_evidence.exp())
    assert 1 < used[0] / used[1] < 3  # the second reading tells less than it would alone
    assert used[2] == pytest.approx(0.5)


def test_full_dependence_adds_nothing_and_evidence_adds_up():
    prior = two(0.1)
    positive = likelihoods(prior, {"ill": 0.99, "healthy": 0.1})
    steps = sequence(prior, [positive] * 4, dependence=1.0)
    assert {round(s.posterior.of("ill").item(), 12) for s in steps} == {round(0.099 / 0.189, 12)}
    between = sequence(prior, [positive] * 2, dependence=0.4)[-1].posterior.of("ill").item()
    assert 0.099 / 0.189 < between < 0.9159
    assert effective_readings(4, 0.4) == pytest.approx(4 / 2.2)
    total, _ = sum(s.log_evidence for s in steps), steps
    assert total.item() == pytest.approx(math.log(0.189), abs=1e-12)


def test_against_pgmpy_on_a_two_node_network():
    logging.disable(logging.INFO)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pgmpy.factors.discrete import TabularCPD
        from pgmpy.inference import VariableElimination
        from pgmpy.models import DiscreteBayesianNetwork

        network = DiscreteBayesianNetwork([("class", "reading")])
        prior = [0.15, 0.25, 0.6]
        table = [[0.7, 0.2, 0.05], [0.2, 0.5, 0.15], [0.1, 0.3, 0.8]]
        network.add_cpds(
            TabularCPD("class", 3, [[p] for p in prior]),
            TabularCPD("reading", 3, table, evidence=["class"], evidence_card=[3]),
        )
        engine = VariableElimination(network)
        expected = [engine.query(["class"], {"reading": r}, show_progress=False).values for r in range(3)]
    posterior, _ = update(Belief.from_probabilities(prior), torch.tensor(table, dtype=F64).log())
    assert np.allclose(posterior.p.numpy(), np.array(expected), atol=1e-12)


def test_odds_and_bayes_factors():
    prior = two(0.02)
    ll = likelihoods(prior, {"ill": 0.8, "healthy": 0.096})
    posterior, _ = update(prior, ll)
    moved = log_odds(posterior, "ill") - log_odds(prior, "ill")
    assert moved.exp().item() == pytest.approx(0.8 / 0.096, rel=1e-12)
    near_one = Belief(torch.tensor([0.0, -50.0], dtype=F64) - math.log1p(math.exp(-50)), ("yes", "no"))
    assert log_odds(near_one, "yes").item() == pytest.approx(50, abs=1e-12)
    assert Belief.from_odds(3.0).of("yes").item() == pytest.approx(0.75)
    assert Belief.from_odds(0.0).of("yes").item() == 0


def test_constructors_agree():
    a = Belief.from_counts({"A": 2, "B": 6})
    b = Belief.from_probabilities([0.25, 0.75], ["A", "B"])
    assert a.names == b.names
    assert torch.allclose(a.log_p, b.log_p, atol=1e-15)
    assert Belief.from_counts([0, 2], pseudo=1).p.tolist() == pytest.approx([0.25, 0.75])
    assert Belief.uniform(4).p.tolist() == pytest.approx([0.25] * 4)
    assert Belief.from_probabilities(torch.tensor([[0.5, 0.5], [0.1, 0.9]])).log_p.shape == (2, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Belief.from_probabilities([0.5, 0.4]),
            r"sum to 0\.9; expected 1 within 1e-06\. If these are counts",
        ),
        (lambda: Belief.from_probabilities([30, 70]), r"sum to 100; .*These look like counts: .*from_counts"),
        (lambda: Belief.from_probabilities([1.5, -0.5]), r"a probability of -0\.5; expected .* 0 or more"),
        (lambda: Belief.from_probabilities([math.nan, 1]), "a probability of nan"),
        (lambda: Belief.from_probabilities([math.inf, 1]), "a probability of inf"),
        (lambda: Belief.from_probabilities([]), "no hypothesis"),
        (lambda: Belief.from_probabilities([0.5, 0.5], ["A", "A"]), "1 different names for K = 2"),
        (lambda: Belief.from_probabilities({"A": 1.0}, ["B"]), "names beside a mapping"),
        (lambda: Belief.from_counts([0, 0]), "counts that sum to 0"),
        (lambda: Belief.from_counts([-1, 2]), "a count of -1"),
        (lambda: Belief.from_counts([1, 2], pseudo=-1), "pseudo"),
        (lambda: Belief.from_odds(-1.0), "odds: got -1"),
        (lambda: Belief.uniform(0), "0 hypotheses"),
        (lambda: Belief(torch.tensor([1, 2])), r"a int64 tensor of shape \(2,\)"),
        (lambda: update(two(0.1), [0.1, 0.2, 0.3]), r"log_likelihood: shape \(3,\); expected \(\.\.\., 2\)"),
        (lambda: update(two(0.1), [math.nan, -1.0]), "NaN for ill"),
        (lambda: update(two(0.1), [-1.0, math.inf]), r"\+inf for healthy"),
        (lambda: sequence(two(0.1), [[-1.0, -2.0]], dependence=1.5), "dependence"),
        (lambda: likelihoods(two(0.1), {"ill": 0.5}), "nothing for healthy"),
        (lambda: likelihoods(two(0.1), {"ill": 99, "healthy": 0.1}), r"If this is a percentage, write 0\.99"),
        (lambda: effective_readings(0, 0.5), "at least one reading"),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()


def test_a_class_missing_from_the_prior():
    with pytest.raises(UnknownName, match="no hypothesis is called 'heathy'; did you mean 'healthy'"):
        likelihoods(two(0.1), {"ill": 0.9, "heathy": 0.1})
    with pytest.raises(UnknownName):
        two(0.1).of("cold")


@pytest.mark.parametrize("rows", [1, 50_000])
def test_an_impossible_reading_is_an_error_and_says_where(rows):
    ll = torch.zeros(rows, 2, dtype=F64)
    ll[rows // 2] = -math.inf
    with pytest.raises(Impossible, match=rf"row {rows // 2}, one of 1.*\(ill, healthy\)"):
        update(two(0.1), ll)
    with pytest.raises(Impossible, match=r"prior allows \(healthy\)"):
        update(two(0.0), torch.tensor([0.0, -math.inf], dtype=F64))
    ll[rows // 2, 0] = math.nan
    with pytest.raises(InvalidInput, match=rf"row {rows // 2}.*NaN for ill"):
        update(two(0.1), ll)


def test_an_excluded_hypothesis_stays_excluded():
    posterior, _ = update(
        Belief.from_probabilities([0.0, 0.4, 0.6]), torch.tensor([5.0, -1.0, -2.0], dtype=F64)
    )
    assert posterior.p[0] == 0
    assert posterior.p.sum().item() == pytest.approx(1)


def test_safe_range_leaves_room_for_every_term():
    # A term that underflows must be negligible beside the least sum that passes as safe, and a full row of
    # the largest terms must not overflow: otherwise the fast way would be wrong without noticing.
    for dtype, (least, most) in _fused._SAFE.items():
        info, floor = torch.finfo(dtype), _fused._FLOOR[dtype]
        assert math.exp(floor) * 1e4 / least < info.eps
        assert most * 1e4 < info.max
        assert math.exp(floor) > info.tiny
