"""Scores against scikit-learn, torchmetrics, scipy, closed forms, a slow version, and their laws."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss
from torchmetrics.classification import MulticlassCalibrationError

from bayesight.errors import InvalidInput
from bayesight.evaluation import Answers, brier_score, expected_calibration_error, log_loss, reliability


def draw(seed: int, n: int, classes: int, sharpness: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Log-posteriors and labels drawn from a tempered copy of them, so that neither is trivial."""
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(size=(n, classes)) * sharpness)
    p = torch.softmax(logits * 0.6, dim=1).numpy()
    labels = (p.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return torch.log_softmax(logits, dim=1).numpy(), labels


@pytest.mark.parametrize(("n", "classes"), [(1, 2), (90, 3), (2000, 11)])
def test_log_loss_and_brier_equal_scikit_learn(n, classes):
    log_p, labels = draw(n, n, classes)
    p = np.exp(log_p)
    p /= p.sum(axis=1, keepdims=True)
    oracle = sklearn_log_loss(labels, p, labels=range(classes))
    assert log_loss(log_p, labels) == pytest.approx(oracle, rel=1e-10)
    oracle = brier_score_loss(labels, p, labels=range(classes), scale_by_half=False)
    assert brier_score(log_p, labels) == pytest.approx(oracle, rel=1e-10)


@pytest.mark.parametrize("bins", [1, 7, 15, 40])
def test_calibration_error_equals_torchmetrics(bins):
    log_p, labels = draw(11, 3000, 6)
    oracle = MulticlassCalibrationError(6, n_bins=bins, norm="l1")
    expected = oracle(torch.from_numpy(log_p).exp(), torch.from_numpy(labels)).item()
    assert expected_calibration_error(log_p, labels, bins) == pytest.approx(expected, abs=1e-6)


def test_reliability_equals_a_slow_count():
    log_p, labels = draw(12, 400, 4)
    diagram = reliability(log_p, labels, bins=9, level=0.8)
    top, right = np.exp(log_p).max(axis=1), log_p.argmax(axis=1) == labels
    for b, (left, end) in enumerate(zip(diagram.edges[:-1], diagram.edges[1:], strict=True)):
        inside = (top > left) & (top <= end)
        n, k = int(inside.sum()), int(right[inside].sum())
        assert diagram.counts[b] == n
        if n == 0:
            assert np.isnan(
                [diagram.confidence[b], diagram.accuracy[b], diagram.low[b], diagram.high[b]]
            ).all()
            continue
        assert diagram.confidence[b] == pytest.approx(top[inside].mean(), rel=1e-12)
        assert diagram.accuracy[b] == pytest.approx(k / n, rel=1e-12)
        interval = stats.beta(k + 0.5, n - k + 0.5).interval(0.8)
        assert diagram.low[b] == pytest.approx(0 if k == 0 else interval[0], rel=1e-9)
        assert diagram.high[b] == pytest.approx(1 if k == n else interval[1], rel=1e-9)
    assert diagram.counts.sum() == 400
    assert (diagram.counts == 0).any()


def test_the_interval_is_closed_where_none_or_all_were_right():
    log_p = np.log([[0.9, 0.1]] * 4 + [[0.6, 0.4]] * 3)
    diagram = reliability(log_p, [0, 0, 0, 0, 1, 1, 1], bins=4)
    assert (diagram.low[2], diagram.accuracy[2]) == (0, 0)
    assert (diagram.high[3], diagram.accuracy[3]) == (1, 1)
    assert 0 < diagram.high[2] < 1
    assert 0 < diagram.low[3] < 1


def test_bins_are_closed_on_the_right_and_certainty_is_in_the_last():
    with np.errstate(divide="ignore"):
        log_p = np.log([[0.5, 0.5], [0.75, 0.25], [1.0, 0.0]])
    assert reliability(log_p, [0, 0, 0], bins=4).counts.tolist() == [0, 1, 1, 1]


def test_closed_forms():
    uniform = np.full((5, 4), -math.log(4))
    labels = [0, 0, 1, 2, 3]
    assert log_loss(uniform, labels) == pytest.approx(math.log(4), rel=1e-12)
    assert brier_score(uniform, labels) == pytest.approx(3 / 4, rel=1e-12)
    assert expected_calibration_error(uniform, labels) == pytest.approx(2 / 5 - 1 / 4, rel=1e-12)
    with np.errstate(divide="ignore"):
        certain = np.log(np.eye(3))
    assert (log_loss(certain, [0, 1, 2]), brier_score(certain, [0, 1, 2])) == (0, 0)
    assert math.copysign(1, log_loss(certain, [0, 1, 2])) == 1
    assert log_loss(certain, [0, 1, 0]) == math.inf
    assert brier_score(certain, [1, 2, 0]) == 2


def test_labels_drawn_from_the_posterior_are_calibrated():
    rng = np.random.default_rng(13)
    log_p = torch.log_softmax(torch.from_numpy(rng.normal(size=(40_000, 3)) * 2), dim=1).numpy()
    labels = (np.exp(log_p).cumsum(axis=1) > rng.random((40_000, 1))).argmax(axis=1)
    diagram = reliability(log_p, labels, bins=10, level=0.999)
    filled = diagram.counts > 0
    assert (diagram.low[filled] <= diagram.confidence[filled]).all()
    assert (diagram.confidence[filled] <= diagram.high[filled]).all()
    # The mean of |accuracy − confidence| over bins of n examples is about sqrt(2 p (1 − p) / (π n)).
    n, c = diagram.counts[filled], diagram.confidence[filled]
    expected = np.sum(n * np.sqrt(2 * c * (1 - c) / (np.pi * n))) / n.sum()
    assert diagram.expected_error < 3 * expected


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 50), st.integers(2, 6), st.integers(1, 20))
def test_laws(seed, n, classes, bins):
    log_p, labels = draw(seed, n, classes)
    rng = np.random.default_rng(seed + 1)
    order, names = rng.permutation(n), rng.permutation(classes)
    for score in (log_loss, brier_score, lambda p, y: expected_calibration_error(p, y, bins)):
        value = score(log_p, labels)
        assert score(log_p[order], labels[order]) == pytest.approx(value, abs=1e-12)
        assert score(log_p[:, names], np.argsort(names)[labels]) == pytest.approx(value, abs=1e-12)
        assert score(np.tile(log_p, (2, 1)), np.tile(labels, 2)) == pytest.approx(value, abs=1e-12)
    one = reliability(log_p, labels, bins=1)
    assert one.expected_error == pytest.approx(abs(one.accuracy[0] - one.confidence[0]), abs=1e-12)
    assert one.expected_error <= expected_calibration_error(log_p, labels, bins) + 1e-12


def test_tensors_of_any_precision_are_taken():
    log_p, labels = draw(14, 200, 5)
    expected = log_loss(log_p, labels)
    tensor = torch.tensor(log_p, requires_grad=True)
    assert log_loss(tensor, torch.from_numpy(labels)) == pytest.approx(expected, rel=1e-12)
    assert log_loss(tensor.float(), torch.from_numpy(labels).int()) == pytest.approx(expected, rel=1e-5)
    assert log_loss(tensor.bfloat16(), labels) == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: log_loss([[1.0, 2.0]], [0]), r"row 0 sums to exp\(2\.3.*log_softmax"),
        (lambda: log_loss([[900.0, 2.0]], [0]), r"sums to exp\(900\)"),
        (lambda: log_loss([[-np.inf, -np.inf]], [0]), r"sums to exp\(-inf\)"),
        (lambda: log_loss([[0.3, 0.7]], [0]), "if probabilities, their logarithm"),
        (lambda: log_loss([[np.nan, 0.0]], [0]), "holds NaN"),
        (lambda: log_loss(np.log([[0.5, 0.5]]), [2]), "holds 2; expected indices from 0 to 1"),
        (lambda: log_loss(np.log([[0.5, 0.5]]), [0, 1]), "1 posteriors and 2 labels"),
        (lambda: log_loss(np.zeros((0, 2)), []), "got no examples"),
        (lambda: brier_score([0.0, -1.0], [0]), "expected shape"),
        (lambda: reliability(np.log([[0.5, 0.5]]), [0], bins=0), "bins: got 0; expected at least 1"),
        (lambda: reliability(np.log([[0.5, 0.5]]), [0], level=95), "write 0.95"),
    ],
)
def test_what_breaks_the_contract_is_refused_with_its_mend(call, message):
    with pytest.raises(InvalidInput, match=message):
        call()


def test_the_door_shows_exactly_its_names():
    import bayesight.evaluation as door

    modules = {"arrays", "calibration", "confusion", "frechet", "novelty", "conformal"}
    modules |= {"regions", "boxes", "keypoints", "bootstrap", "bleu"}
    assert set(door.__all__) == {n for n in vars(door) if not n.startswith("_")} - modules


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_whole_weights_are_repeated_examples(seed):
    rng = np.random.default_rng(seed)
    log_p = np.log(rng.dirichlet(np.ones(4), 30))
    labels, times = rng.integers(0, 4, 30), rng.integers(0, 4, 30)
    times[0] = 2
    repeated = np.repeat(np.arange(30), times)
    for score in (log_loss, expected_calibration_error):
        weighted = score(log_p, labels, weights=times)
        assert math.isclose(weighted, score(log_p[repeated], labels[repeated]), rel_tol=1e-9, abs_tol=1e-12)


def test_wrong_weights_are_refused():
    for weights in ([1.0], [-1.0, 2.0], [0.0, 0.0], [float("nan"), 1.0]):
        with pytest.raises(InvalidInput, match="weights"):
            log_loss(np.log([[0.5, 0.5], [0.2, 0.8]]), [0, 1], weights=weights)


def test_answers_gathered_block_by_block_are_scored_as_the_posteriors_are():
    log_p, labels = draw(3, 200, 7)
    weights = np.random.default_rng(3).gamma(0.7, size=200)
    parts = [slice(0, 1), slice(1, 90), slice(90, 200)]
    answers = Answers.joined([Answers.of(log_p[rows], labels[rows]) for rows in parts])
    assert answers.accuracy == np.mean(log_p.argmax(axis=1) == labels)
    assert answers.log_loss(weights) == log_loss(log_p, labels, weights=weights)
    ours, theirs = answers.reliability(9, 0.8, weights), reliability(log_p, labels, 9, 0.8, weights)
    for name, part in vars(theirs).items():
        np.testing.assert_array_equal(getattr(ours, name), part)
    chosen = labels == 2
    assert answers.at(chosen).log_loss() == log_loss(log_p[chosen], labels[chosen])


@pytest.mark.parametrize("weighted", [False, True])
def test_the_error_by_chance_is_that_of_labels_drawn_from_the_posterior(weighted):
    rng = np.random.default_rng(3)
    p = rng.dirichlet([0.3, 0.5, 0.9], 700)
    w = rng.exponential(size=700) if weighted else None
    drawn = (p.cumsum(axis=1)[None] > rng.random((300, 700, 1))).argmax(axis=2)
    seen = [expected_calibration_error(np.log(p), labels, 10, w) for labels in drawn]
    by_chance = reliability(np.log(p), drawn[0], 10, weights=w).by_chance
    assert by_chance == pytest.approx(np.mean(seen), rel=0.06)
    twice = reliability(np.log(p), drawn[0], 10, weights=np.full(700, 2.0)).by_chance
    assert twice == pytest.approx(reliability(np.log(p), drawn[0], 10).by_chance, rel=1e-12)


def test_events_are_judged_by_their_own_probability():
    """Beside a slow version: each bin's mean probability and share; log-loss as of two classes."""
    rng = np.random.default_rng(5)
    p = rng.beta(0.6, 0.9, 500)
    happened = rng.random(500) < p**1.3
    answers = Answers.of_events(p, happened)
    found = answers.reliability(7)
    slow = 0.0
    for low, high in itertools.pairwise(np.linspace(0, 1, 8)):
        held = (p > low) & (p <= high)
        slow += held.mean() * abs(p[held].mean() - happened[held].mean())
    assert found.expected_error == pytest.approx(slow)
    both = np.log(np.stack([1 - p, p], axis=1))
    assert answers.log_loss() == pytest.approx(log_loss(both, happened.astype(int)))
    assert Answers.of_events([0.0, 1.0], [False, True]).log_loss() == 0
    with pytest.raises(InvalidInput, match=r"\(N,\) and \(N,\)"):
        Answers.of_events([0.5], [True, False])
    with pytest.raises(InvalidInput, match="outside"):
        Answers.of_events([1.5], [True])
